"""The table says what was kept of the runs, and a run is kept only when it lost nothing."""

from tests.evidence.__main__ import make
from tests.evidence.runs import RUNS
from tests.evidence.table import README, load, table, with_table

DAYS = next(run for run in RUNS if run.name == "simulation")


def test_the_page_shows_what_was_kept() -> None:
    assert README.read_text() == with_table(README.read_text(), table(load()))


def test_a_run_is_made_by_its_command_and_shown_in_the_table() -> None:
    kept = make(DAYS, ("tests.simulation", "--seeds", "1", "--steps", "30"))
    assert kept is not None
    assert f"| {DAYS.title} | 1 | {kept.result.beside} | nothing |" in table({"simulation": kept})


def test_a_run_that_fails_is_not_kept() -> None:
    assert make(DAYS, ("tests.simulation", "--seeds", "none")) is None
