"""A share of the soak: what must stay flat over a shop's life does, however the machine is loaded."""

from pathlib import Path

import pytest

from scripts.processes import another_process
from tests import soak
from tests.shop import rows
from tests.soak import Sample, Year

DAYS = 240
RECEIPTS = 20


def _grown(samples: list[Sample], what: str) -> int:
    """How much more there is at the end than when the oldest day began to be forgotten for each new one."""
    return int(getattr(samples[-1], what) - getattr(samples[len(samples) // 2], what))


def _lived(directory: Path) -> list[Sample]:
    year = Year(directory, keep_months=1)
    samples = soak.live(year, DAYS, RECEIPTS)
    year.check()
    year.shop.stop()
    return samples


@pytest.mark.timeout(300)
def test_shops_life_is_flat_in_memory_descriptors_and_what_is_kept(tmp_path: Path) -> None:
    # In a process of its own: one that has run other tests grows by what those have left.
    with another_process(_lived) as process:
        samples = process.submit(_lived, tmp_path).result()
    [(entries, bodies, turns)] = rows(
        tmp_path, "SELECT (SELECT count(*) FROM entry), (SELECT count(*) FROM body), (SELECT count(*) FROM turn)"
    )
    assert bodies <= (2 * 31 + 1) * (RECEIPTS + 1), "two months of receipts, and one of each tills' wipings"
    assert entries <= (2 * 31 + 1) * (RECEIPTS + 1) * 2 * soak.LINES + 2 * 31 * (400 + soak.COUNTED)
    assert turns <= (2 * 31 + 1) * 15
    assert _grown(samples, "descriptors") == 0
    assert _grown(samples, "resident_bytes") < 16 << 20
    # Of a receipt its identity and its digest stay, which are some 300 bytes of its 2,500.
    assert _grown(samples, "file_bytes") < DAYS // 2 * RECEIPTS * 600 + (256 << 10)


@pytest.mark.timeout(120)
def test_box_that_sells_on_and_on_is_flat_in_memory_and_descriptors(tmp_path: Path) -> None:
    samples = soak.through_box(tmp_path / "data", 1200)
    assert len(samples) == soak.SAMPLES
    assert _grown(samples, "descriptors") == 0
    assert _grown(samples, "resident_bytes") < 16 << 20


def test_dead_epochs_are_in_nobodys_way(tmp_path: Path) -> None:
    """What they cost in time `python -m tests.soak --epochs` measures; here the ledger must be right beside them."""
    soak.beside_dead_epochs(tmp_path, 300, messages=10)
    assert rows(tmp_path, "SELECT count(*) FROM epoch WHERE seq = 1") == [(300,)]
