"""A few power cuts under a real kernel. `python -m tests.crash.ext4 cut` makes more."""

import random
from pathlib import Path

from appliance.ledger.database import FILE_NAME
from tests.crash.ext4 import DISK_MIB, lost, missing
from tests.crash.mounts import mounted_ext4

SEED = 20261124


def test_power_cut_under_a_real_kernel_loses_no_sale() -> None:
    assert list(lost(5, random.Random(SEED))) == [""] * 5


def test_synchronous_normal_loses_sales_under_a_real_kernel() -> None:
    assert any(lost(3, random.Random(SEED), synchronous=1))


def test_ledger_that_cannot_be_opened_is_a_loss_and_leaves_nothing_mounted(tmp_path: Path) -> None:
    """It was a traceback, and what it held kept the disk mounted."""
    with mounted_ext4(tmp_path / "image", DISK_MIB, tmp_path / "made") as made:
        (made / "data").mkdir()
        (made / "data" / FILE_NAME).write_bytes(b"SQLite format 3\0".ljust(8192, b"x"))
    assert "restore a backup" in missing(tmp_path / "image", tmp_path / "mounted", said=1)
    assert not (tmp_path / "mounted").is_mount()
