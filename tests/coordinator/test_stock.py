"""Movements, items and paid receipts, from the message to the balance."""

from typing import Any

import orjson

from tests.shop import Shop, message, operation, tag

BARE = {"sku": ..., "qty": ..., "reason": ...}


def _receipt(seq: int, *lines: dict[str, Any], **fields: Any) -> dict[str, Any]:
    base = {"type": "receipt", "receipt": "r-1", "kind": "sale", "status": "paid", "lines": list(lines)}
    return operation(seq, **BARE | base | fields)


def test_balance_is_the_sum_of_its_movements_to_the_thousandth(shop: Shop) -> None:
    for seq in range(1, 1001):
        shop.hand("A1", orjson.dumps(message(operation(seq, sku="cheese", qty="-0.1"))))
    while shop.coordinator.turn():
        pass
    assert shop.on_hand("cheese") == "-100"


def test_balance_counts_as_true_from_the_first_receiving_on(shop: Shop) -> None:
    shop.say("A1", message(operation(1)))
    assert shop.retained("balance/A")["counted"] is False
    shop.say("A1", message(operation(2, qty="20", reason="receive")))
    balance = shop.retained("balance/A")
    assert (balance["counted"], balance["on_hand"], balance["available"], balance["reserved"]) == (
        True,
        "19",
        "19",
        "0",
    )


def test_zero_quantity_is_legal_and_creates_its_sku(shop: Shop) -> None:
    assert shop.say("A1", message(operation(1, qty="0")))["rejected"] == []
    assert shop.on_hand() == "0"


def test_item_creates_its_sku_and_is_retained_as_it_was_said(shop: Shop) -> None:
    shop.say("A1", message(operation(1, **BARE | {"sku": "4607/1", "type": "item", "name": "Молоко", "low": 5.50})))
    assert shop.on_hand("4607/1") == "0"
    assert shop.retained("item/4607%2F1") == {
        "sku": "4607/1",
        "name": "Молоко",
        "unit": "pcs",
        "barcodes": [],
        "price_minor": None,
        "low": "5.5",
        "group": None,
        "of": None,
        "components": [],
        "rev": 1,
    }


def test_paid_receipt_moves_all_its_lines_under_one_revision(shop: Shop) -> None:
    shop.say("A1", message(_receipt(1, {"sku": "A", "qty": "2"}, {"sku": "B", "qty": "0.350"}, {"sku": "A", "qty": 1})))
    assert (shop.on_hand("A"), shop.on_hand("B")) == ("-3", "-0.35")
    assert {shop.retained(f"balance/{sku}")["rev"] for sku in "AB"} == {1}


def test_receipt_paid_again_with_the_same_goods_changes_nothing(shop: Shop) -> None:
    shop.say("A1", message(_receipt(1, {"sku": "A", "qty": "2", "price_minor": 100}, {"sku": "B", "qty": "1"})))
    shop.say("A2", message(_receipt(1, {"sku": "B", "qty": "1"}, *[{"sku": "A", "qty": "1"}] * 2, tag=tag(9))))
    assert (shop.on_hand("A"), shop.on_hand("B"), shop.alerts()) == ("-2", "-1", set())


def test_receipt_paid_again_with_other_goods_is_taken_off_too_and_a_person_is_told(shop: Shop) -> None:
    shop.say("A1", message(_receipt(1, {"sku": "A", "qty": "2"})))
    for seq in (1, 2):
        shop.say("A2", message(_receipt(seq, {"sku": "A", "qty": "3"})))
    assert (shop.on_hand("A"), shop.alerts()) == ("-5", {"receipt-conflict"})


def test_return_puts_goods_back(shop: Shop) -> None:
    shop.say(
        "A1",
        message(
            _receipt(1, {"sku": "A", "qty": "2"}), _receipt(2, {"sku": "A", "qty": "1"}, receipt="r-2", kind="return")
        ),
    )
    assert shop.on_hand("A") == "-1"


def test_kit_moves_its_components_as_its_line_says(shop: Shop) -> None:
    line = {"sku": "kit", "qty": "2", "components": [{"sku": "cheese", "qty": "0.150"}, {"sku": "bread", "qty": "1"}]}
    shop.say("A1", message(_receipt(1, line)))
    assert [shop.on_hand(sku) for sku in ("kit", "cheese", "bread")] == [None, "-0.3", "-2"]


def test_sku_may_be_any_text_and_is_compared_by_its_bytes(shop: Shop) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    for seq, sku in enumerate((composed, decomposed, "a\x00b", "#", "+/+"), 1):
        shop.say("A1", message(operation(seq, sku=sku, qty=f"-{seq}")))
    assert [shop.on_hand(sku) for sku in (composed, decomposed, "a\x00b", "#", "+/+")] == ["-1", "-2", "-3", "-4", "-5"]
    assert len(shop.link.retained) == 6, "a topic each, and the ack"
