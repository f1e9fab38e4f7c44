"""Counts while selling goes on, from the message to the balance and the history that explains it."""

import shutil
from collections.abc import Callable, Iterator
from itertools import permutations
from pathlib import Path
from typing import Any

import orjson
import pytest

from appliance.contract import messages
from tests.coordinator.devices import BARE, Device, line
from tests.shop import Shop, message, operation

MINUTE_MS = 60_000


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    (tmp_path / "box").mkdir()
    shop = Shop(tmp_path / "box")
    yield shop
    shop.stop()


def _devices(shop: Shop) -> tuple[Device, Device, Device, Device]:
    return Device(shop, "D"), Device(shop, "A1"), Device(shop, "A2"), Device(shop, "H")


def _history(shop: Shop, sku: str = "milk") -> list[tuple[str, str, str, str]]:
    entries = [orjson.loads(messages.entry(entry)) for entry in shop.reader.explain(sku)]
    return [(entry["device"], entry["cause"], entry["effect"], entry["on_hand"]) for entry in entries]


def _alert(shop: Shop, kind: str) -> dict[str, Any]:
    found = [orjson.loads(messages.alert(alert)) for alert in shop.reader.alerts() if alert.kind == kind]
    assert len(found) == 1, shop.alerts()
    facts: dict[str, Any] = found[0]["facts"]
    return facts


# --- the worked example -----------------------------------------------------------------------------------------------


def test_the_worked_example_shows_each_number_and_explains_the_last(shop: Shop) -> None:
    desktop, a1, a2, h = _devices(shop)
    shown = []

    def show() -> None:
        shop.clock.now_ms += MINUTE_MS
        shown.append(shop.on_hand("milk"))

    desktop.moves("20", "receive")
    desktop.sells(3)
    a1.sells(2)
    show()
    a2.is_online = False
    a2.sells(4)
    show()
    a1.sells(9)
    show()
    h.counts("2")
    show()
    a1.sells(1)
    show()
    a2.returns()
    show()
    assert shown == ["15", "15", "6", "2", "1", "1"]
    assert _history(shop)[-4:] == [
        ("H", "count", "-4", "2"),
        ("A1", "sale", "-1", "1"),
        ("A2", "sale", "-4", "-3"),
        ("A2", "counted-already", "4", "1"),
    ]
    assert shop.alerts() == set()


def _day(devices: dict[str, Device], sku: str, *, sells_after: bool) -> None:
    """The worked example's facts, a minute apart, by devices that say nothing yet."""
    acts: list[Callable[[], None]] = [
        lambda: devices["D"].moves("20", "receive", sku),
        lambda: devices["D"].sells(3, sku),
        lambda: devices["A1"].sells(2, sku),
        lambda: devices["A2"].sells(4, sku),
        lambda: devices["A1"].sells(9, sku),
        lambda: devices["H"].counts("2", sku),
        lambda: devices["A1"].sells(1, sku),
        *([lambda: devices["A2"].sells(1, sku)] if sells_after else []),
    ]
    for act in acts:
        devices["D"].shop.clock.now_ms += MINUTE_MS
        act()


@pytest.mark.parametrize(("sells_after", "expected"), [(False, "1"), (True, "0")])
def test_the_worked_example_ends_the_same_in_every_order_of_the_devices_backlogs(
    shop: Shop, sells_after: bool, expected: str
) -> None:
    devices = {name: Device(shop, name, is_online=False) for name in ("D", "A1", "A2", "H")}
    # Each backlog comes in two parts, and every order of these that keeps a device's own.
    parts = ["D", "A1", "A1", "A2", "A2", "H"]
    for number, arrivals in enumerate(sorted(set(permutations(parts)))):
        sku = f"milk-{number}"
        _day(devices, sku, sells_after=sells_after)
        for place, name in enumerate(arrivals):
            is_last = name not in arrivals[place + 1 :]
            devices[name].say(None if is_last else 1)
        assert shop.on_hand(sku) == expected, arrivals
    assert shop.alerts() <= {"oversell"}, "while backlogs are missing, a balance may be below zero"


@pytest.mark.parametrize("place", range(4))
def test_the_late_backlog_may_arrive_at_any_moment(shop: Shop, place: int) -> None:
    desktop, a1, a2, h = _devices(shop)
    desktop.moves("15", "receive")
    a2.is_online = False
    a2.sells(4)
    acts: list[Callable[[], None]] = [lambda: a1.sells(9), lambda: h.counts("2"), lambda: a1.sells(1), lambda: None]
    for number, act in enumerate(acts):
        shop.clock.now_ms += MINUTE_MS
        if number == place:
            a2.returns()
        act()
    assert (shop.on_hand("milk"), shop.alerts()) == ("1", set())


# --- who knew what, and when it happened ------------------------------------------------------------------------------


def test_what_the_counter_has_seen_needs_no_clock(shop: Shop) -> None:
    _, a1, _, h = _devices(shop)
    a1.error_ms = 600_000
    a1.sells(3)
    h.counts("7", took_ms=5 * MINUTE_MS)
    a1.sells(1)
    assert (shop.on_hand("milk"), shop.alerts()) == ("6", set())


@pytest.mark.parametrize("is_count_first", [True, False])
@pytest.mark.parametrize(
    ("apart_ms", "took_ms", "how"),
    [
        (4_999, 0, {}),
        (30_000, 60_000, {}),
        (64_000, 60_000, {}),
        (600_000, 0, {"uncertain": True}),
        (600_000, 0, {"run": "deadbeef"}),
    ],
    ids=["close", "while counting", "at the end of counting", "uncertain", "unknown run"],
)
def test_what_cannot_be_told_asks_for_a_recount_that_names_both_sides(
    shop: Shop, is_count_first: bool, apart_ms: int, took_ms: int, how: dict[str, Any]
) -> None:
    a2, h = Device(shop, "A2", is_online=False), Device(shop, "H", is_online=False)
    shop.clock.now_ms = MINUTE_MS
    h.counts("7", took_ms=took_ms)
    shop.clock.now_ms += apart_ms
    a2.receipt("r-1", "paid", line(), **how)
    for device in (h, a2) if is_count_first else (a2, h):
        device.returns()
    facts = _alert(shop, "recount")
    assert facts["sku"] == "milk"
    assert facts["count"]["device"] == "H"
    assert [(side["device"], side["receipt"]) for side in facts["beside"]] == [("A2", "r-1")]
    # It has decided all the same, and the next count ends the doubt.
    assert shop.on_hand("milk") == "6"
    shop.clock.now_ms += 60 * MINUTE_MS
    h.counts("6")
    assert shop.alerts() == set()


@pytest.mark.parametrize(("apart_ms", "took_ms"), [(5_000, 0), (65_000, 60_000)])
def test_far_enough_apart_nobody_is_asked(shop: Shop, apart_ms: int, took_ms: int) -> None:
    a2, h = Device(shop, "A2", is_online=False), Device(shop, "H", is_online=False)
    h.counts("7", took_ms=took_ms)
    shop.clock.now_ms += apart_ms
    a2.sells(1)
    for device in (h, a2):
        device.returns()
    assert (shop.on_hand("milk"), shop.alerts()) == ("6", set())


def test_a_sale_on_the_device_that_is_counting_asks_for_a_recount(shop: Shop) -> None:
    h = Device(shop, "H")
    began_ms = shop.clock.now_ms = MINUTE_MS
    shop.clock.now_ms += MINUTE_MS
    h.sells(1)
    shop.clock.now_ms += MINUTE_MS
    h.counts("7", shop_ms=began_ms, seen=0, took_ms=2 * MINUTE_MS)
    assert shop.alerts() == {"recount"}
    h.counts("6")
    assert (shop.on_hand("milk"), shop.alerts()) == ("6", set())


def test_what_a_device_saw_before_a_restore_is_not_taken_for_what_was_committed_after_it(
    shop: Shop, tmp_path: Path
) -> None:
    # The trace *clamp*: a sale has seen a revision of a run that this ledger has no longer; a count gets its number.
    desktop, _, a2, h = _devices(shop)
    desktop.moves("20", "receive")
    shutil.copytree(tmp_path / "box", tmp_path / "copy")  # Between two turns the files are whole.
    for _ in range(5):
        desktop.sells(1, "bread")
    a2.heard, a2.is_online = shop.writer.last_rev, False
    a2.sells(4)
    shop.stop()
    shutil.rmtree(tmp_path / "box")
    shutil.copytree(tmp_path / "copy", tmp_path / "box")
    shop.start()
    shop.clock.now_ms += MINUTE_MS
    h.counts("16")
    assert shop.writer.last_rev < a2.heard
    a2.returns()
    assert (shop.on_hand("milk"), shop.alerts()) == ("16", set())


# --- counts among themselves ------------------------------------------------------------------------------------------


def test_a_late_count_older_than_the_newest_is_kept_and_changes_nothing(shop: Shop) -> None:
    desktop, a1, a2, h = _devices(shop)
    desktop.moves("20", "receive")
    a2.is_online = False
    shop.clock.now_ms += MINUTE_MS
    a2.counts("13")
    shop.clock.now_ms += MINUTE_MS
    h.counts("12")
    a1.sells(1)
    a2.returns()
    assert (shop.on_hand("milk"), shop.alerts()) == ("11", set())
    assert _history(shop)[-1] == ("A2", "count", "0", "11")


@pytest.mark.parametrize("arrivals", list(permutations(["A1", "A2", "H", "D"])))
def test_crossing_counts_end_at_the_one_that_was_counted_last(shop: Shop, arrivals: tuple[str, ...]) -> None:
    devices = {name: Device(shop, name, is_online=False) for name in arrivals}
    acts: list[Callable[[], None]] = [
        lambda: devices["A1"].counts("10"),
        lambda: devices["A2"].sells(2),
        lambda: devices["H"].counts("7"),  # One has vanished.
        lambda: devices["D"].sells(3),
        lambda: devices["A1"].sells(1),
    ]
    for act in acts:
        shop.clock.now_ms += MINUTE_MS
        act()
    for name in arrivals:
        devices[name].returns()
    assert (shop.on_hand("milk"), shop.alerts()) == ("3", set())


def test_many_skus_counted_at_once_are_one_message_with_one_stamp(shop: Shop) -> None:
    desktop, h = Device(shop, "D"), Device(shop, "H", is_online=False)
    for number in range(100):
        desktop.moves("5", "receive", f"sku-{number}")
    shop.clock.now_ms += MINUTE_MS
    for number in range(100):
        h.counts(str(number), f"sku-{number}", took_ms=30_000)
    shop.clock.now_ms += MINUTE_MS
    desktop.sells(1, "sku-7")
    h.is_online = True
    assert h.say()["rejected"] == []
    assert [shop.on_hand(f"sku-{number}") for number in (0, 6, 7, 8, 99)] == ["0", "6", "6", "8", "99"]
    assert shop.alerts() == set()


def test_a_recount_is_ended_by_an_unambiguous_count_only(shop: Shop) -> None:
    a2, h = Device(shop, "A2", is_online=False), Device(shop, "H")
    h.counts("7")
    a2.sells(1)
    a2.returns()
    assert shop.alerts() == {"recount"}
    other = Device(shop, "D", is_online=False)
    other.counts("6")  # It knows of neither, and came within the same second.
    other.returns()
    assert shop.alerts() == {"recount"}
    h.counts("6")
    assert (shop.on_hand("milk"), shop.alerts()) == ("6", set())


def test_a_count_that_was_discarded_may_have_been_the_newest(shop: Shop) -> None:
    a2, h = Device(shop, "A2", is_online=False), Device(shop, "H", is_online=False)
    shop.clock.now_ms = 60 * MINUTE_MS
    h.counts("7")
    h.say()
    a2.counts("5", shop_ms=0, uncertain=True)
    a2.returns()
    assert (shop.on_hand("milk"), shop.alerts()) == ("7", {"recount"})
    shop.clock.now_ms += MINUTE_MS
    h.counts("6")  # It still does not know of A2's.
    h.say()
    assert (shop.on_hand("milk"), shop.alerts()) == ("6", {"recount"})
    h.is_online = True
    h.counts("6")
    assert shop.alerts() == set()


# --- counts and receipts ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arrivals", list(permutations(["A1", "A2", "H"])))
def test_a_receipt_paid_on_both_sides_of_a_count_asks_for_a_recount(shop: Shop, arrivals: tuple[str, ...]) -> None:
    devices = {name: Device(shop, name, is_online=False) for name in arrivals}
    acts: list[Callable[[], None]] = [
        lambda: devices["A1"].receipt("r-1", "paid", line()),
        lambda: devices["H"].counts("7"),
        lambda: devices["A2"].receipt("r-1", "paid", line()),
    ]
    for act in acts:
        shop.clock.now_ms += MINUTE_MS
        act()
    for name in arrivals:
        devices[name].returns()
    assert shop.alerts() == {"recount"}
    shop.clock.now_ms += MINUTE_MS
    devices["H"].counts("6")
    assert (shop.on_hand("milk"), shop.alerts()) == ("6", set())


@pytest.mark.parametrize("includes_reserved", [True, False])
def test_a_count_of_reserved_goods_says_whether_it_found_them(shop: Shop, includes_reserved: bool) -> None:
    a1, h = Device(shop, "A1"), Device(shop, "H")
    a1.receipt("r-1", "open", line(qty="2"))
    h.counts("7", includes_reserved=includes_reserved)
    assert shop.alerts() == (set() if includes_reserved else {"recount"})
    balance = shop.retained("balance/milk")
    assert (balance["on_hand"], balance["reserved"], balance["available"]) == ("7", "2", "5")
    if not includes_reserved:
        assert _alert(shop, "recount")["reserved"] == "2"


def test_a_reservation_beside_a_count_is_no_doubt_whichever_arrives_first(shop: Shop) -> None:
    a1, h = Device(shop, "A1", is_online=False), Device(shop, "H")
    for sku, is_count_first in (("milk", True), ("bread", False)):
        a1.receipt(f"r-{sku}", "open", line(sku))
        if is_count_first:
            h.counts("7", sku, includes_reserved=True, seen=0)
            a1.say()
        else:
            a1.say()
            h.counts("7", sku, includes_reserved=True, seen=0)
    assert shop.alerts() == set()


def test_a_count_below_nothing_is_rejected(shop: Shop) -> None:
    h = Device(shop, "H", is_online=False)
    h.counts("-1")
    assert [row["code"] for row in h.say()["rejected"]] == ["bad-quantity"]
    assert shop.on_hand("milk") is None


def test_a_count_without_a_stamp_is_made_now(shop: Shop) -> None:
    shop.say("D", message(operation(1, sku="milk", qty="20", reason="receive")))
    shop.clock.now_ms += MINUTE_MS
    shop.say("H", message(operation(1, **BARE | {"type": "count", "sku": "milk", "counted": "12"})))
    shop.clock.now_ms += MINUTE_MS
    shop.say("A1", message(operation(1, sku="milk")))
    assert (shop.on_hand("milk"), shop.alerts()) == ("11", set())
