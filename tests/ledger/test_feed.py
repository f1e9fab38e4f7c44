"""What was committed last, for a person who looks on, and finding a SKU by what a person knows of it."""

from pathlib import Path
from typing import Any

import pytest

from appliance.ledger import report
from tests.shop import Shop, message, operation

MOVED = dict.fromkeys(("qty", "reason"), ...)
NOT_ONE_SKU = dict.fromkeys(("sku", "qty", "reason"), ...)


def item(seq: int, sku: str, **fields: Any) -> dict[str, Any]:
    return operation(seq, type="item", sku=sku, **MOVED, **{"unit": "pcs", **fields})


@pytest.fixture
def sold(tmp_path: Path) -> Shop:
    """Milk is in the catalogue and was sold on a receipt; something was rejected; A is only a code."""
    shop = Shop(tmp_path)
    lines = [{"sku": "milk", "qty": "2"}, {"sku": "A", "qty": "1"}]
    paid = {"type": "receipt", "receipt": "R1", "number": "A1-7", "kind": "sale", "status": "paid", "lines": lines}
    shop.say(
        "A1",
        message(
            item(1, "milk", name="Молоко 3,2 %", barcodes=["4607001234567"]),
            operation(2, **NOT_ONE_SKU | paid, total_minor=8990),
            operation(3, qty="much"),
            item(4, "m-2", name="Молочный Шоколад"),
        ),
    )
    return shop


def test_the_newest_operations_come_with_what_they_did(sold: Shop) -> None:
    rows = list(report.newest(sold.reader, 0, 10))
    assert [(row["rev"], row["type"], row["code"]) for row in rows] == [
        (1, "item", None),
        (2, "receipt", None),
        (3, "move", "bad-quantity"),
        (4, "item", None),
    ]
    paid = rows[1]
    assert (paid["device"], paid["number"], paid["status"], paid["total_minor"]) == ("A1", "A1-7", "paid", 8990)
    assert [(line["sku"], line["name"], line["effect"], line["cause"]) for line in paid["lines"]] == [
        ("milk", "Молоко 3,2 %", "-2", "sale"),
        ("A", "", "-1", "sale"),
    ]
    sold.stop()


def test_only_the_newest_are_told_and_nothing_that_came_again(sold: Shop) -> None:
    assert [row["rev"] for row in report.newest(sold.reader, 1, 2)] == [3, 4]
    sold.say(
        "A1",
        {
            "epoch": "epoch-of-the-test-0002",
            "ops": [{**operation(1), "tag": f"{3:016x}", "again": True, "parents": ["epoch-of-the-test-0001"]}],
        },
    )
    assert sold.reader.last_rev == 5
    assert list(report.newest(sold.reader, 4, 10)) == []
    sold.stop()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("МОЛ", ["m-2", "milk"]),
        ("молоко 3,2", ["milk"]),
        ("шок мол", ["m-2"]),
        ("4607001", ["milk"]),
        ("a", ["A"]),
        ("m", ["m-2", "milk"]),
        ("мол milk 4607", ["milk"]),
        ("pcs", []),
    ],
)
def test_a_sku_is_found_by_every_word_of_what_is_known_of_it(sold: Shop, text: str, found: list[str]) -> None:
    rows = list(report.search(sold.reader, text, 50))
    assert [row["sku"] for row in rows] == found
    assert list(report.search(sold.reader, text, 1)) == rows[:1]
    sold.stop()


def test_a_found_sku_comes_with_its_balance_and_its_name(sold: Shop) -> None:
    [row] = report.search(sold.reader, "молоко", 50)
    assert (row["sku"], row["name"], row["on_hand"], row["available"]) == ("milk", "Молоко 3,2 %", "-2", "-2")
    sold.stop()
