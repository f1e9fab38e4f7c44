"""`receipt show` tells what became of a receipt, by its id and by its number, with the service down as with it up."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from appliance.contract.paper import Installed
from appliance.printing.jobs import PrintRules, Station
from tests.box import Box
from tests.shop import Shop, message, operation

MOVED = dict.fromkeys(("sku", "qty", "reason"), ...)
MILK = {"sku": "milk", "name": "Молоко\x1b 3,2 %", "qty": "2", "amount_minor": 17980}


def receipt(seq: int, name: str, **fields: Any) -> dict[str, Any]:
    base: dict[str, Any] = {"type": "receipt", "receipt": name, "number": "A1-7", "kind": "sale", "status": "paid"}
    return operation(seq, **MOVED, **{**base, "lines": [MILK], **fields})


@pytest.fixture
def box(tmp_path: Path) -> Box:
    """R1 was opened at A1, paid at A2, printed, and half of it came back; R0 had its number before."""
    directory = tmp_path / "data"
    directory.mkdir()
    shop = Shop(directory, printing=PrintRules((Station("main", frozenset()),)))
    shop.coordinator.change_paper(Installed(("main",)), lambda verdict: None)
    shop.say("A1", message(receipt(1, "R0"), receipt(2, "R1", status="open", edit=1, table="7", cashier="Анна")))
    paid = receipt(1, "R1", table="7", cashier="Анна", total_minor=17980, currency="RUB")
    back = receipt(2, "R2", number="A2-1", kind="return", of="R1", lines=[{"sku": "milk", "qty": "1"}])
    shop.say("A2", message(paid, back, receipt(3, "R3", number="A2-2", status="cancelled", lines=[])))
    shop.stop()
    return Box(directory)


def test_a_receipt_tells_its_story(box: Box) -> None:
    told = box.command("receipt", "show", "R1").stdout
    for words in (
        "sale R1, number A1-7: paid by A2 at ",
        "cashier Анна, table 7",
        "Молоко\\x1b 3,2 %",
        "179.80 RUB",
        "paid at A2 at ",
        "came back: 1 of milk",
        "job 1 on main is cancelled: the receipt was paid",
    ):
        assert words in told, told
    row = orjson.loads(box.command("receipt", "show", "R1", "--json").stdout)
    assert (row["receipt"], row["state"], row["returned"]) == ("R1", "paid", [{"sku": "milk", "qty": "1"}])
    assert [(one["device"], one["rev"]) for one in row["payments"]] == [("A2", 3)]
    assert [one["state"] for one in row["prints"]] == ["cancelled"]


def test_a_number_is_the_newest_receipts_and_names_the_others(box: Box) -> None:
    told = box.command("receipt", "show", "A1-7").stdout
    assert told.startswith("sale R1, ")
    assert told.splitlines()[-1] == "the number was given before, to R0"
    rows = [orjson.loads(line) for line in box.command("receipt", "show", "A1-7", "--json").stdout.splitlines()]
    assert [row["receipt"] for row in rows] == ["R1", "R0"]


def test_a_receipt_without_its_text_says_so_and_one_that_is_unknown_is_not_found(box: Box) -> None:
    assert "its text is no longer kept" in box.command("receipt", "show", "R3").stdout
    done = box.command("receipt", "show", "R9")
    assert (done.returncode, "'R9'" in done.stderr) == (3, True)


def test_the_running_box_tells_the_same(box: Box) -> None:
    stopped = box.command("receipt", "show", "R1", "--json").stdout
    with box:
        assert box.command("receipt", "show", "R1", "--json").stdout == stopped
