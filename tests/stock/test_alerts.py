"""What a person is told of a balance, when it is told and when it is over."""

from itertools import permutations

import pytest

from appliance.stock import alerts
from appliance.stock.alerts import Raised, name
from appliance.stock.operation import Body, Count, Item, Line, Move, Reason, Receipt, ReceiptKind, Status
from appliance.stock.order import Fact
from tests.stock.memory import Memory


def _take(memory: Memory, device: str, body: Body, shop_ms: int = 100_000) -> list[str]:
    """Commit what a device says; return the kinds that were raised by it."""
    outcome = memory.take(body, Fact(device, "epoch", memory.rev + 1, 0, shop_ms, 0, is_uncertain=False))
    return [said.kind for said in outcome.alerts if isinstance(said, Raised)]


def _sale(qty_milli: int = 1_000) -> Move:
    return Move("A", -qty_milli, Reason.SALE)


def _paid(receipt: str, qty_milli: int = 1_000) -> Receipt:
    return Receipt(receipt, ReceiptKind.SALE, Status.PAID, (Line("A", qty_milli),))


def _item(unit: str = "kg", low_milli: int | None = None) -> Item:
    return Item("A", unit, low_milli, {})


RECEIVE_1 = Move("A", 1_000, Reason.RECEIVE)


def _sides(memory: Memory, kind: str, key: str) -> list[tuple[object, object, object]]:
    sides = memory.alerts[kind, "A"].facts[key]
    assert isinstance(sides, list)
    return [(side["device"], side.get("receipt"), side.get("qty")) for side in sides]


# --- below zero -------------------------------------------------------------------------------------------------------


def test_selling_more_than_there_was_names_the_receipts_that_led_there() -> None:
    memory = Memory()
    _take(memory, "D", RECEIVE_1)
    assert _take(memory, "A1", _paid("r-1")) == []
    assert _take(memory, "A2", _paid("r-2")) == ["oversell"]
    assert _sides(memory, "oversell", "movements") == [("A2", "r-2", "-1"), ("A1", "r-1", "-1")]


def test_goods_that_nobody_ever_received_or_counted_are_not_oversold() -> None:
    memory = Memory()
    assert _take(memory, "A1", _sale()) == []
    assert _take(memory, "D", RECEIVE_1) == []
    assert _take(memory, "A1", _sale()) == ["oversell"]


@pytest.mark.parametrize("first", [Move("A", 0, Reason.RECEIVE), Count("A", 0)])
def test_goods_are_oversold_also_by_the_word_that_first_says_how_many_there_were(first: Body) -> None:
    # What was sold after the count has arrived before it, so the count changes no number, and says what it means.
    memory = Memory()
    _take(memory, "A1", _sale(), shop_ms=160_000)
    assert _take(memory, "D", first, shop_ms=100_000) == ["oversell"]
    assert memory.on_hand() == -1_000


@pytest.mark.parametrize("end", [Move("A", 1_000, Reason.RECEIVE), Count("A", 0), Move("A", 1_000, Reason.ADJUST)])
def test_oversell_is_over_at_zero(end: Body) -> None:
    memory = Memory()
    _take(memory, "D", RECEIVE_1)
    _take(memory, "A1", _sale(2_000))
    assert memory.kinds() == {"oversell"}
    _take(memory, "D", end, shop_ms=200_000)
    assert (memory.on_hand(), memory.kinds()) == (0, set())


def test_what_a_count_has_seen_already_did_not_lead_below_zero() -> None:
    memory = Memory()
    _take(memory, "H", Count("A", 1_000))
    _take(memory, "A1", _paid("r-1"), shop_ms=160_000)
    _take(memory, "A2", _paid("late", 4_000), shop_ms=40_000)
    _take(memory, "A1", _paid("r-2"), shop_ms=170_000)
    assert _sides(memory, "oversell", "movements") == [("A1", "r-2", "-1"), ("A1", "r-1", "-1")]


def test_a_count_that_uncovers_it_names_what_was_sold_after_it() -> None:
    memory = Memory()
    _take(memory, "D", Move("A", 9_000, Reason.RECEIVE), shop_ms=10_000)
    _take(memory, "A1", _paid("before"), shop_ms=40_000)
    _take(memory, "A2", _paid("after"), shop_ms=160_000)
    assert _take(memory, "H", Count("A", 0)) == ["oversell"]
    assert memory.on_hand() == -1_000
    assert _sides(memory, "oversell", "movements") == [("H", None, "-8"), ("A2", "after", "-1")]


def test_one_alert_names_ten_movements_at_most() -> None:
    memory = Memory()
    _take(memory, "H", Count("A", 0), shop_ms=1)
    for _ in range(alerts.SIDES_MAX + 3):
        _take(memory, "A1", _sale())
    assert len(_sides(memory, "oversell", "movements")) == alerts.SIDES_MAX


def test_reserving_more_than_there_is_oversells_nothing() -> None:
    memory = Memory()
    _take(memory, "D", RECEIVE_1)
    opened = Receipt("r-1", ReceiptKind.SALE, Status.OPEN, (Line("A", 5_000),))
    assert _take(memory, "A1", opened) == []


# --- the low-stock level ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", list(permutations([_item(low_milli=2_000), Move("A", 3_000, Reason.RECEIVE), _sale()]))
)
def test_stock_is_low_at_its_level_whatever_arrives_first(words: tuple[Body, ...]) -> None:
    memory = Memory()
    for body in words:
        _take(memory, "D", body)
    assert (memory.on_hand(), memory.kinds()) == (2_000, {"low-stock"})
    _take(memory, "D", RECEIVE_1)
    assert memory.kinds() == set()


def test_low_stock_follows_the_level() -> None:
    memory = Memory()
    _take(memory, "D", RECEIVE_1)
    assert _take(memory, "D", _item(low_milli=1_000)) == ["low-stock"]
    assert _take(memory, "D", _item(low_milli=1_000)) == []
    assert _take(memory, "D", _item(low_milli=5_000)) == ["low-stock"]
    assert memory.alerts["low-stock", "A"].facts["low"] == "5"
    _take(memory, "D", _item(low_milli=None))
    assert memory.kinds() == set()


def test_goods_that_were_never_stocked_are_not_low() -> None:
    memory = Memory()
    _take(memory, "D", _item(low_milli=2_000))
    assert _take(memory, "A1", _sale()) == []


# --- units ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["pcs", "H87", "C62", "EA"])
@pytest.mark.parametrize("is_item_first", [True, False])
def test_a_fraction_of_a_whole_thing_is_recorded_and_told_whichever_arrives_first(
    unit: str, is_item_first: bool
) -> None:
    memory = Memory()
    words: list[Body] = [_item(unit), _paid("r-1", 350)]
    for body in words if is_item_first else reversed(words):
        _take(memory, "A1", body)
    assert (memory.on_hand(), memory.kinds()) == (-350, {"unit-mismatch"})
    raised = memory.alerts["unit-mismatch", "A"]
    assert raised.facts["qty"] == "-0.35"
    assert raised.facts["by"] == {
        "device": "A1",
        "rev": 2 if is_item_first else 1,
        "at": "1970-01-01T00:00:00Z",
        "receipt": "r-1",
    }


def test_fractions_of_what_is_weighed_are_nothing_to_tell() -> None:
    memory = Memory()
    _take(memory, "D", _item("kg"))
    assert _take(memory, "A1", _sale(350)) == []


def test_a_fraction_is_told_once_and_not_with_every_change_of_the_item() -> None:
    memory = Memory()
    _take(memory, "A1", _sale(350))
    assert _take(memory, "D", _item("pcs")) == ["unit-mismatch"]
    assert _take(memory, "D", _item("H87")) == []
    assert _take(memory, "A1", _sale(1_000)) == []


# --- a recount --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_count_first", [True, False])
def test_a_recount_names_both_sides_whichever_arrives_first(is_count_first: bool) -> None:
    memory = Memory()
    words: list[tuple[str, Body, int]] = [("H", Count("A", 5_000), 100_000), ("A2", _paid("r-1"), 101_000)]
    for device, body, shop_ms in words if is_count_first else reversed(words):
        _take(memory, device, body, shop_ms)
    count = memory.alerts["recount", "A"].facts["count"]
    assert isinstance(count, dict)
    assert (count["device"], _sides(memory, "recount", "beside")) == ("H", [("A2", "r-1", None)])


@pytest.mark.parametrize("order_of_arrival", list(permutations(range(3))))
def test_a_receipt_paid_on_both_sides_of_a_count_asks_for_a_recount_in_every_order(
    order_of_arrival: tuple[int, ...],
) -> None:
    memory = Memory()
    words: list[tuple[str, Body, int]] = [
        ("A1", _paid("r-1"), 40_000),
        ("H", Count("A", 5_000), 100_000),
        ("A2", _paid("r-1"), 160_000),
    ]
    for place in order_of_arrival:
        _take(memory, *words[place])
    assert memory.kinds() == {"recount"}
    _take(memory, "H", Count("A", 5_000), shop_ms=300_000)
    assert (memory.on_hand(), memory.kinds()) == (5_000, set())


@pytest.mark.parametrize("order_of_arrival", list(permutations(range(3))))
def test_a_receipt_paid_twice_on_one_side_of_a_count_asks_for_nothing(order_of_arrival: tuple[int, ...]) -> None:
    memory = Memory()
    words: list[tuple[str, Body, int]] = [
        ("A1", _paid("r-1"), 140_000),
        ("H", Count("A", 5_000), 100_000),
        ("A2", _paid("r-1"), 160_000),
    ]
    for place in order_of_arrival:
        _take(memory, *words[place])
    assert (memory.on_hand(), memory.kinds()) == (4_000, set())


@pytest.mark.parametrize(
    "order_of_arrival", [order for order in permutations(range(4)) if order.index(1) < order.index(3)]
)
def test_of_a_receipt_paid_for_different_goods_each_payment_may_be_the_one_that_is_repeated(
    order_of_arrival: tuple[int, ...],
) -> None:
    memory = Memory()
    words: list[tuple[str, Body, int]] = [
        ("A2", _paid("r-1", 2_000), 40_000),
        ("A1", _paid("r-1", 1_000), 160_000),
        ("H", Count("A", 5_000), 100_000),
        ("A1", _paid("r-1", 2_000), 170_000),
    ]
    for place in order_of_arrival:
        _take(memory, *words[place])
    assert memory.kinds() == {"recount", "receipt-conflict"}, "the 2 left the shelf before the count, or after it"


def test_a_count_of_reserved_goods_asks_to_look_for_them() -> None:
    memory = Memory()
    _take(memory, "A1", Receipt("r-1", ReceiptKind.SALE, Status.OPEN, (Line("A", 2_000),)))
    assert _take(memory, "H", Count("A", 5_000)) == ["recount"]
    assert memory.alerts["recount", "A"].facts["reserved"] == "2"
    _take(memory, "H", Count("A", 5_000, includes_reserved=True))
    assert memory.kinds() == set()


# --- names ------------------------------------------------------------------------------------------------------------


def test_an_alert_s_name_is_of_its_kind_and_its_subject() -> None:
    assert name("oversell", "Молоко 3,2 %") == name("oversell", "Молоко 3,2 %") != name("oversell", "Молоко")
    assert name("oversell", "A").rpartition("-")[0] == "oversell"
