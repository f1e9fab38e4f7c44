"""Receipts that stay open and are carried from device to device: what they reserve, and where they end."""

from itertools import permutations
from typing import Any

import pytest

from appliance.coordinator import EXPIRY_LOOK_MS
from tests.coordinator.devices import Device, line
from tests.shop import EPOCH, RESERVE_MS, Shop, rows


def _balance(shop: Shop, sku: str = "milk") -> tuple[str, str, str]:
    balance = shop.retained(f"balance/{sku}")
    return balance["on_hand"], balance["reserved"], balance["available"]


def _receipt(shop: Shop, receipt: str = "r-1") -> dict[str, Any]:
    items = shop.ask("D", {"id": "q", "what": "receipt", "receipt": receipt})["items"]
    return dict(items[0]) if items else {}


def _pass(shop: Shop, ms: int) -> None:
    shop.clock.now_ms += ms
    shop.coordinator.turn()


# --- the way of one receipt -------------------------------------------------------------------------------------------


def test_a_receipt_opened_on_a_handheld_is_edited_and_paid_at_the_desktop(shop: Shop) -> None:
    desktop, a1 = Device(shop, "D"), Device(shop, "A1")
    desktop.moves("3", "receive")
    a1.receipt("r-1", "open", line(qty="2"), edit=1, number="A1-7")
    assert _balance(shop) == ("3", "2", "1")
    a1.receipt("r-1", "open", line(qty="3"), edit=2, number="A1-7")
    assert _balance(shop) == ("3", "3", "0")
    held = _receipt(shop)
    assert (held["state"], held["device"], held["edit"], held["number"]) == ("open", "A1", 2, "A1-7")
    assert held["operation"]["lines"] == [{"sku": "milk", "qty": "3"}]
    desktop.receipt("r-1", "paid", *held["operation"]["lines"], edit=2)
    assert _balance(shop) == ("0", "0", "0")
    assert (_receipt(shop)["state"], _receipt(shop)["device"], shop.alerts()) == ("paid", "D", set())


def test_what_is_reserved_is_bounded_as_what_is_on_hand_is(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.stock.reconcile.TOTAL_MAX_MILLI", 10_000)
    a1 = Device(shop, "A1", is_online=False)
    a1.receipt("r-1", "open", line(qty="9"))
    a1.receipt("r-2", "open", line(qty="2"))
    [refused] = a1.say()["rejected"]
    a1.returns()
    assert (refused["code"], refused["detail"]) == (
        "bad-quantity",
        "'milk' would have 11 reserved: at most 10 are kept",
    )
    assert _balance(shop) == ("0", "9", "-9")
    a1.receipt("r-1", "cancelled", lines=..., kind=...)
    a1.receipt("r-2", "open", line(qty="2"))
    assert _balance(shop) == ("0", "2", "-2")


def test_a_receipt_that_nobody_named_is_not_known(shop: Shop) -> None:
    assert _receipt(shop) == {}


def test_a_cancelled_receipt_releases_and_needs_no_lines(shop: Shop) -> None:
    a1 = Device(shop, "A1")
    a1.receipt("r-1", "open", line(qty="2"))
    a1.receipt("r-1", "cancelled", lines=..., kind=...)
    assert _balance(shop) == ("0", "0", "0")
    assert _receipt(shop)["state"] == "cancelled"


@pytest.mark.parametrize("arrivals", list(permutations(["A1", "A2", "D", "H"])))
def test_four_devices_that_hold_one_receipt_end_the_same_in_every_order(shop: Shop, arrivals: tuple[str, ...]) -> None:
    devices = {name: Device(shop, name, is_online=False) for name in arrivals}
    devices["A1"].receipt("r-1", "open", line(qty="1"), edit=1)
    devices["A2"].receipt("r-1", "open", line(qty="2"), line("bread"), edit=2)
    devices["H"].receipt("r-1", "cancelled", edit=1)
    devices["D"].receipt("r-1", "paid", line(qty="2"), edit=2)
    for name in arrivals:
        devices[name].returns()
    assert _balance(shop) == ("-2", "0", "-2")
    assert (_receipt(shop)["state"], shop.alerts()) == ("paid", {"receipt-conflict"})
    assert rows(shop.directory, "SELECT count(*) FROM reserved") == [(0,)]


@pytest.mark.parametrize("arrivals", list(permutations(["A1", "A2", "H"])))
def test_the_highest_edit_and_device_holds_it_whoever_arrives_last(shop: Shop, arrivals: tuple[str, ...]) -> None:
    devices = {name: Device(shop, name, is_online=False) for name in arrivals}
    devices["A1"].receipt("r-1", "open", line(qty="1"), edit=2)
    devices["A2"].receipt("r-1", "open", line(qty="2"), edit=2)
    devices["H"].receipt("r-1", "open", line("bread", "9"), edit=1)
    for name in arrivals:
        devices[name].returns()
    assert _balance(shop) == ("0", "2", "-2")
    assert (_receipt(shop)["device"], _receipt(shop)["edit"]) == ("A2", 2)


def test_a_kit_s_line_reserves_its_parts(shop: Shop) -> None:
    kit = line("kit", "2", components=[{"sku": "cheese", "qty": "0.150"}, {"sku": "bread", "qty": "1"}])
    a1 = Device(shop, "A1")
    a1.receipt("r-1", "open", kit)
    assert (_balance(shop, "cheese"), _balance(shop, "bread")) == (("0", "0.3", "-0.3"), ("0", "2", "-2"))
    assert shop.on_hand("kit") is None
    a1.receipt("r-1", "paid", kit)
    assert (_balance(shop, "cheese"), _balance(shop, "bread")) == (("-0.3", "0", "-0.3"), ("-2", "0", "-2"))


def test_all_lines_of_an_operation_count_or_none(shop: Shop) -> None:
    a1 = Device(shop, "A1", is_online=False)
    a1.receipt("r-1", "paid", line("milk"), line("bread", "a few"))
    assert [row["code"] for row in a1.say()["rejected"]] == ["bad-quantity"]
    assert (shop.on_hand("milk"), shop.on_hand("bread"), _receipt(shop)) == (None, None, {})


# --- expiry -----------------------------------------------------------------------------------------------------------


def test_a_receipt_expires_after_its_hours_of_shop_time_and_a_person_is_told(shop: Shop) -> None:
    Device(shop, "A1").receipt("r-1", "open", line(qty="2"), number="A1-7")
    _pass(shop, RESERVE_MS - EXPIRY_LOOK_MS)
    assert (_balance(shop), shop.alerts()) == (("0", "2", "-2"), set())
    _pass(shop, EXPIRY_LOOK_MS)
    assert (_balance(shop), shop.alerts()) == (("0", "0", "0"), {"reservation-expired"})
    assert (_receipt(shop)["state"], _receipt(shop)["device"]) == ("expired", "A1")
    assert rows(
        shop.directory, "SELECT name FROM device JOIN epoch ON device.id = device WHERE epoch.epoch = 'ledger-1'"
    ) == [("_shop",)]


def test_each_edit_begins_the_hours_anew(shop: Shop) -> None:
    a1 = Device(shop, "A1")
    a1.receipt("r-1", "open", line(qty="2"), edit=1)
    _pass(shop, RESERVE_MS - EXPIRY_LOOK_MS)
    a1.receipt("r-1", "open", line(qty="3"), edit=2)
    _pass(shop, RESERVE_MS - EXPIRY_LOOK_MS)
    assert _balance(shop) == ("0", "3", "-3")


def test_the_hours_count_from_when_it_was_opened_and_not_from_when_that_arrived(shop: Shop) -> None:
    a1 = Device(shop, "A1", is_online=False)
    a1.receipt("r-1", "open", line(qty="2"))
    _pass(shop, RESERVE_MS)
    a1.returns()
    assert _balance(shop) == ("0", "2", "-2")
    _pass(shop, EXPIRY_LOOK_MS)
    assert (_balance(shop), shop.alerts()) == (("0", "0", "0"), {"reservation-expired"})


def test_expiry_goes_on_after_a_restart(shop: Shop) -> None:
    Device(shop, "A1").receipt("r-1", "open", line(qty="2"))
    shop.clock.now_ms += RESERVE_MS
    shop.restart()
    _pass(shop, EXPIRY_LOOK_MS)
    assert (shop.on_hand("milk"), shop.alerts()) == ("0", {"reservation-expired"})


def test_a_receipt_paid_after_it_expired_moves_its_goods_and_a_person_is_told(shop: Shop) -> None:
    a1 = Device(shop, "A1")
    a1.receipt("r-1", "open", line(qty="2"))
    _pass(shop, RESERVE_MS)
    a1.receipt("r-1", "paid", line(qty="2"))
    assert (_balance(shop), _receipt(shop)["state"]) == (("-2", "0", "-2"), "paid")
    assert shop.alerts() == {"receipt-conflict"}


def test_an_expired_receipt_is_opened_again_by_an_edit_which_ends_the_alert(shop: Shop) -> None:
    a1 = Device(shop, "A1")
    a1.receipt("r-1", "open", line(qty="2"), edit=1)
    _pass(shop, RESERVE_MS)
    a1.receipt("r-1", "open", line(qty="1"), edit=2)
    assert (_balance(shop), shop.alerts()) == (("0", "1", "-1"), set())


def test_no_device_may_say_that_a_receipt_has_expired(shop: Shop) -> None:
    Device(shop, "A1").receipt("r-1", "open", line(qty="2"))
    bad = {"seq": 1, "tag": "0" * 16, "type": "expire", "receipt": "r-1", "edit": 1}
    assert [row["code"] for row in shop.say("A2", {"epoch": EPOCH, "ops": [bad]})["rejected"]] == ["unknown-type"]
    assert _balance(shop) == ("0", "2", "-2")


# --- what comes back --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_sale_first", [True, False])
def test_more_comes_back_than_was_sold_whichever_arrives_first(shop: Shop, is_sale_first: bool) -> None:
    a1, desktop = Device(shop, "A1", is_online=False), Device(shop, "D", is_online=False)
    a1.receipt("s-1", "paid", line(qty="3"))
    desktop.receipt("b-1", "paid", line(qty="1"), kind="return", of="s-1")
    desktop.receipt("b-3", "paid", line(qty="3"), kind="return", of="s-1")
    for device in (a1, desktop) if is_sale_first else (desktop, a1):
        device.returns()
    assert (shop.on_hand("milk"), shop.alerts()) == ("1", {"return-exceeds-sale"})


def test_a_return_sent_again_puts_nothing_back(shop: Shop) -> None:
    a1, desktop = Device(shop, "A1"), Device(shop, "D")
    a1.receipt("s-1", "paid", line(qty="3"))
    for device in (desktop, desktop, a1):
        device.receipt("b-1", "paid", line(qty="1"), kind="return", of="s-1")
    assert (shop.on_hand("milk"), shop.alerts()) == ("-2", set())


def test_a_return_whose_sale_nobody_knows_puts_goods_back(shop: Shop) -> None:
    desktop = Device(shop, "D")
    desktop.receipt("b-1", "paid", line(qty="1"), kind="return")
    desktop.receipt("b-2", "paid", line(qty="1"), kind="return", of="s-0")
    assert (shop.on_hand("milk"), shop.alerts()) == ("2", set())


# --- marked goods -----------------------------------------------------------------------------------------------------


def _shoe(serial: int) -> dict[str, Any]:
    return line("shoe", marks=[f"010460700123456221serial{serial:07d}\x1d91EE10"])


@pytest.mark.parametrize("arrivals", [("A1", "A2"), ("A2", "A1")])
def test_one_shoe_sold_by_two_tills_that_were_offline_names_both_receipts(
    shop: Shop, arrivals: tuple[str, ...]
) -> None:
    devices = {name: Device(shop, name, is_online=False) for name in arrivals}
    for name, device in devices.items():
        device.receipt(f"r-{name}", "paid", _shoe(1), _shoe(2 if name == "A1" else 3))
    for name in arrivals:
        devices[name].returns()
    (alert,) = [alert for alert in shop.reader.alerts() if alert.kind == "mark-twice"]
    assert shop.retained(f"alert/{alert.alert}")["facts"]["receipts"] == ["r-A1", "r-A2"]
    assert shop.on_hand("shoe") == "-4"
    devices["A1"].receipt("b-1", "paid", _shoe(1), kind="return", of="r-A1")
    assert (shop.retained(f"alert/{alert.alert}"), shop.alerts()) == (None, set())


def test_a_shoe_that_came_back_is_sold_again(shop: Shop) -> None:
    desktop = Device(shop, "D")
    desktop.receipt("r-1", "paid", _shoe(1))
    desktop.receipt("b-1", "paid", _shoe(1), kind="return", of="r-1")
    desktop.receipt("r-2", "paid", _shoe(1))
    assert shop.alerts() == set()
