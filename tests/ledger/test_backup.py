"""A backup is the whole ledger at one moment, checked, or there is none; and `safe` is what all that are kept hold."""

import stat
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from appliance.contract.messages import Covered
from appliance.ledger.backup import Backup, BackupError, check_digest, make_backup, read_backup, remove_backup
from appliance.ledger.coverage import forgotten, stand, told
from appliance.ledger.database import FILE_NAME, LedgerError
from appliance.ledger.verify import Told, quiet, verify, verify_file
from tests.ledger.busy import live
from tests.shop import EPOCH, Shop, message, operation, tag

HASH = {"shop-password.argon2": b"$argon2id$"}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    directory = tmp_path / "data"
    directory.mkdir()
    shop = Shop(directory)
    yield shop
    shop.stop()


def back_up(shop: Shop, name: str, hear: Told = quiet) -> Backup:
    target = shop.directory.parent / name
    return make_backup(shop.directory, target, carried=HASH, made_ms=shop.clock.wall_ms(), version="0.1.0", told=hear)


def sell(shop: Shop, first: int, last: int, epoch: str = EPOCH) -> dict[str, Any]:
    return shop.say("A1", message(*(operation(seq) for seq in range(first, last + 1)), epoch=epoch))


def cover(shop: Shop, *kept: Backup) -> None:
    """What the box does when a backup was made, or has gone."""
    for covered in shop.reader.newly_covered(stand(backup.path) for backup in kept):
        shop.coordinator.cover(covered)
    shop.coordinator.turn()


def test_backup_holds_the_whole_ledger_and_says_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    live(tmp_path / "data")
    made = make_backup(tmp_path / "data", tmp_path / "copy", carried=HASH, made_ms=7, version="0.1.0")
    assert made == read_backup(tmp_path / "copy")
    assert (made.ledger, made.shop, made.rev, made.made_ms, made.version) == ("ledger-1", "shop", 32, 7, "0.1.0")
    assert verify_file(made.path) == verify(tmp_path / "data")
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"data", "copy", "copy.sha256"}
    assert check_digest(made.path)
    subprocess.run(["sha256sum", "--check", "copy.sha256"], cwd=tmp_path, check=True, capture_output=True)


def test_backup_is_of_one_moment_while_the_shop_sells_on(shop: Shop) -> None:
    sell(shop, 1, 300)
    seq = 300
    copied: list[int] = []

    def sell_meanwhile(step: str, done: int, total: int) -> None:
        nonlocal seq
        copied.append(done if step == "copying" else 0)
        seq += 1
        sell(shop, seq, seq)

    made = back_up(shop, "copy", sell_meanwhile)
    assert made.rev == 300
    assert shop.reader.last_rev == seq > 300
    assert max(copied) > 0


def test_file_that_is_there_is_not_overwritten(shop: Shop) -> None:
    sell(shop, 1, 1)
    precious = shop.directory.parent / "copy"
    precious.write_text("a letter")
    with pytest.raises(BackupError, match="exists already"):
        back_up(shop, "copy")
    assert precious.read_text() == "a letter"


def test_medium_that_is_not_there_is_named_and_nothing_is_left(shop: Shop) -> None:
    with pytest.raises(BackupError, match="is its disk there"):
        back_up(shop, "missing/copy")
    assert {path.name for path in shop.directory.parent.iterdir()} == {"data"}


def test_ledger_that_contradicts_itself_is_not_taken_for_saved(shop: Shop) -> None:
    sell(shop, 1, 2)
    with closing(apsw.Connection(str(shop.directory / FILE_NAME))) as connection:
        connection.execute("UPDATE sku SET on_hand_milli = 5")
    with pytest.raises(BackupError, match="contradicts itself"):
        back_up(shop, "copy")
    assert {path.name for path in shop.directory.parent.iterdir()} == {"data"}


def test_no_ledger_is_no_fault_of_the_medium(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="no ledger yet"):
        make_backup(tmp_path, tmp_path / "copy", carried={}, made_ms=0, version="0")


def test_what_is_no_backup_is_said_so(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"no database at all, and long enough to be looked at" * 20)
    for path in (tmp_path / "text", tmp_path / "missing", shop.directory / FILE_NAME):
        with pytest.raises(BackupError, match=path.name):
            read_backup(path)


def test_one_changed_byte_is_found_by_the_digest(shop: Shop) -> None:
    sell(shop, 1, 1)
    made = back_up(shop, "copy")
    content = bytearray(made.path.read_bytes())
    content[-1] ^= 1
    made.path.write_bytes(content)
    with pytest.raises(BackupError, match="damaged"):
        check_digest(made.path)
    made.path.with_name("copy.sha256").unlink()
    assert not check_digest(made.path)


def test_removed_backup_takes_its_digest_with_it(shop: Shop) -> None:
    remove_backup(back_up(shop, "copy").path)
    assert {path.name for path in shop.directory.parent.iterdir()} == {"data"}


# --- safe -------------------------------------------------------------------------------------------------------------


def test_safe_is_what_the_oldest_kept_backup_holds(shop: Shop) -> None:
    assert sell(shop, 1, 3)["safe"] == 0
    first = back_up(shop, "first")
    assert sell(shop, 4, 5)["safe"] == 0
    second = back_up(shop, "second")
    cover(shop, first, second)
    assert sell(shop, 6, 6)["safe"] == 3
    cover(shop, second)
    assert sell(shop, 7, 7)["safe"] == 5


def test_safe_survives_a_restart_and_a_medium_that_was_taken_away(shop: Shop) -> None:
    sell(shop, 1, 3)
    cover(shop, back_up(shop, "first"))
    shop.restart()
    cover(shop)
    assert sell(shop, 4, 4)["safe"] == 3


def test_safe_never_goes_back_for_devices_have_forgotten(shop: Shop) -> None:
    sell(shop, 1, 1)
    old = back_up(shop, "old")
    sell(shop, 2, 3)
    cover(shop, back_up(shop, "new"))
    cover(shop, old)
    assert sell(shop, 4, 4)["safe"] == 3
    assert forgotten(told(shop.writer._connection.execute), stand(old.path)) == Covered("A1", EPOCH, 3)


def test_epoch_that_one_of_the_kept_backups_lacks_is_covered_by_none(shop: Shop) -> None:
    sell(shop, 1, 1)
    first = back_up(shop, "first")
    other = "epoch-of-the-test-0002"
    sell(shop, 1, 4, epoch=other)
    second = back_up(shop, "second")
    cover(shop, first, second)
    assert sell(shop, 5, 5, epoch=other)["safe"] == 0
    cover(shop, second)
    assert sell(shop, 6, 6, epoch=other)["safe"] == 4


def test_backup_that_holds_another_devices_operation_in_its_place_covers_nothing(shop: Shop) -> None:
    """Of two clones one stands in the backup, and the other here: what this one sold is in no backup."""
    sell(shop, 1, 2)
    twin = stand(back_up(shop, "copy").path)
    [(place, (seq, _))] = twin.items()
    assert shop.reader.newly_covered([{place: (seq, 99)}]) == []
    assert shop.reader.newly_covered([twin, {place: (seq, 99)}]) == []
    assert shop.reader.newly_covered([twin]) == [Covered("A1", EPOCH, 2)]


def test_tag_of_what_is_covered_is_the_operations_own(shop: Shop) -> None:
    sell(shop, 1, 2)
    assert stand(back_up(shop, "copy").path) == {("A1", EPOCH): (2, int(tag(2), 16))}
