"""What a person is told: raised while its cause lasts, retained as long, and gone when somebody has seen it."""

from collections.abc import Callable
from typing import Any

import pytest

from appliance.contract import messages
from appliance.contract.messages import Alert
from appliance.coordinator import EXPIRY_LOOK_MS
from appliance.ledger.projection import Projection
from appliance.stock.alerts import name
from appliance.stock.errors import Rejected
from tests.coordinator.devices import BARE, Device, line
from tests.shop import RESERVE_MS, Shop, rows

MINUTE_MS = 60_000


def _alert(shop: Shop, kind: str, subject: str = "milk") -> dict[str, Any] | None:
    """The alert as a broker retains it, after a look whether the ledger's own projection says the same."""
    retained = {topic for topic in shop.link.retained if "/alert/" in topic}
    assert retained == {topic for topic, _ in _projected(shop)}
    said: dict[str, Any] | None = shop.retained(f"alert/{name(kind, subject)}")
    return said


def _projected(shop: Shop) -> list[tuple[str, bytes]]:
    return list(
        Projection(shop.topics, shop.reader, shop.coordinator.standing_alerts).matching(shop.topics.root + "alert/+")
    )


def _acknowledge(device: Device, kind: str, subject: str = "milk") -> None:
    device.does(**BARE | {"type": "alert", "alert": name(kind, subject), "status": "acknowledged"})


# --- states: as long as their cause -----------------------------------------------------------------------------------


def test_oversell_names_the_receipts_and_devices_that_led_there_and_ends_at_zero(shop: Shop) -> None:
    desktop = Device(shop, "D")
    a1, a2 = Device(shop, "A1", is_online=False), Device(shop, "A2", is_online=False)
    desktop.moves("1", "receive")
    shop.clock.now_ms += MINUTE_MS
    for device in (a1, a2):
        device.receipt(f"r-{device.name}", "paid", line())
    a1.returns()
    assert _alert(shop, "oversell") is None
    a2.returns()
    said = _alert(shop, "oversell")
    assert said is not None
    assert (said["kind"], said["status"], said["facts"]["sku"], said["facts"]["on_hand"]) == (
        "oversell",
        "active",
        "milk",
        "-1",
    )
    movements = [(side["device"], side["receipt"], side["qty"]) for side in said["facts"]["movements"]]
    assert movements == [("A2", "r-A2", "-1"), ("A1", "r-A1", "-1")]
    desktop.receipt("b-1", "paid", line(), kind="return", of="r-A2")
    assert _alert(shop, "oversell") is None


def test_a_sku_that_was_never_stocked_is_not_oversold(shop: Shop) -> None:
    Device(shop, "A1").sells(3)
    assert shop.alerts() == set()
    assert shop.retained("balance/milk")["counted"] is False


def test_low_stock_lasts_from_its_level_down(shop: Shop) -> None:
    desktop = Device(shop, "D")
    desktop.does(**BARE | {"type": "item", "sku": "milk", "low": "5"})
    desktop.moves("6", "receive")
    assert _alert(shop, "low-stock") is None
    desktop.sells(1)
    said = _alert(shop, "low-stock")
    assert said is not None
    assert said["facts"] == {"sku": "milk", "low": "5"}
    desktop.sells(1)
    assert (_alert(shop, "low-stock") or {})["times"] == 1
    desktop.moves("2", "receive")
    assert _alert(shop, "low-stock") is None


def test_an_acknowledged_state_is_silent_until_its_cause_went_and_came_again(shop: Shop) -> None:
    desktop = Device(shop, "D")
    desktop.moves("1", "receive")
    desktop.sells(2)
    assert _alert(shop, "oversell") is not None
    _acknowledge(desktop, "oversell")
    assert _alert(shop, "oversell") is None
    desktop.sells(1)
    assert _alert(shop, "oversell") is None, "it is known"
    desktop.moves("9", "receive")
    desktop.sells(9)
    said = _alert(shop, "oversell")
    assert said is not None
    assert (said["status"], said["times"]) == ("active", 1)


def test_an_acknowledged_state_stays_so_over_a_restart(shop: Shop) -> None:
    desktop = Device(shop, "D")
    desktop.moves("1", "receive")
    desktop.sells(2)
    _acknowledge(desktop, "oversell")
    shop.restart()
    desktop.sells(1)
    assert (_alert(shop, "oversell"), shop.alerts()) == (None, set())


# --- events: until somebody has seen them -----------------------------------------------------------------------------


@pytest.mark.parametrize("is_item_first", [True, False])
def test_a_fraction_of_a_whole_thing_is_told_whichever_arrives_first(shop: Shop, is_item_first: bool) -> None:
    desktop, a1 = Device(shop, "D"), Device(shop, "A1")
    acts: list[Callable[[], None]] = [
        lambda: desktop.does(**BARE | {"type": "item", "sku": "milk", "unit": "pcs"}),
        lambda: a1.receipt("r-1", "paid", line(qty="0.5")),
    ]
    for act in acts if is_item_first else reversed(acts):
        act()
    said = _alert(shop, "unit-mismatch")
    assert said is not None
    assert (said["facts"]["qty"], said["facts"]["by"]["device"], said["facts"]["by"]["receipt"]) == (
        "-0.5",
        "A1",
        "r-1",
    )
    assert shop.on_hand("milk") == "-0.5"


def test_an_acknowledged_event_is_gone_and_told_anew_when_it_happens_again(shop: Shop) -> None:
    desktop = Device(shop, "D")
    desktop.does(**BARE | {"type": "item", "sku": "milk", "unit": "pcs"})
    for times in (1, 2):
        desktop.moves("-0.5", "sale")
        assert (_alert(shop, "unit-mismatch") or {})["times"] == times
    _acknowledge(desktop, "unit-mismatch")
    assert _alert(shop, "unit-mismatch") is None
    desktop.moves("-0.25", "sale")
    said = _alert(shop, "unit-mismatch")
    assert said is not None
    assert (said["times"], said["facts"]["qty"]) == (1, "-0.25")


def test_an_expired_reservation_names_the_receipt_and_what_it_held(shop: Shop) -> None:
    Device(shop, "A1").receipt("r-1", "open", line(qty="2"), line("bread"), number="A1-7")
    shop.clock.now_ms += RESERVE_MS
    shop.coordinator.turn()
    said = _alert(shop, "reservation-expired", "r-1")
    assert said is not None
    assert said["facts"] == {"receipt": "r-1", "number": "A1-7", "reserved": {"bread": "1", "milk": "2"}}
    assert "A1-7" in said["summary"]


@pytest.mark.parametrize(
    ("first", "second", "is_conflict"),
    [
        (("cancelled", "1"), ("paid", "1"), True),
        (("paid", "1"), ("cancelled", "1"), True),
        (("paid", "1"), ("paid", "2"), True),
        (("paid", "1"), ("paid", "1"), False),
        (("paid", "1"), ("open", "1"), False),
        (("cancelled", "1"), ("open", "1"), False),
        (("cancelled", "1"), ("cancelled", "1"), False),
    ],
)
def test_what_contradicts_itself_on_a_receipt_is_told(
    shop: Shop, first: tuple[str, str], second: tuple[str, str], is_conflict: bool
) -> None:
    Device(shop, "A1").receipt("r-1", first[0], line(qty=first[1]))
    Device(shop, "A2").receipt("r-1", second[0], line(qty=second[1]), number="A2-9")
    said = _alert(shop, "receipt-conflict", "r-1")
    assert (said is not None) is is_conflict
    if said is not None:
        assert (said["facts"]["by"]["device"], said["facts"]["number"]) == ("A2", "A2-9")


# --- acknowledging ----------------------------------------------------------------------------------------------------


def test_acknowledging_what_is_not_there_changes_nothing(shop: Shop) -> None:
    desktop = Device(shop, "D")
    _acknowledge(desktop, "oversell")
    desktop.moves("1", "receive")
    desktop.sells(2)
    assert _alert(shop, "oversell") is not None


def test_a_person_s_command_is_an_operation_of_the_shop_s_own_device(shop: Shop) -> None:
    desktop = Device(shop, "D")
    desktop.moves("1", "receive")
    desktop.sells(2)
    verdicts: list[Rejected | None] = []
    shop.coordinator.order(
        {"type": "alert", "alert": name("oversell", "milk"), "status": "acknowledged"}, verdicts.append
    )
    shop.coordinator.order({"type": "alert", "alert": "oversell-0", "status": "seen"}, verdicts.append)
    shop.coordinator.turn()
    assert [verdict and verdict.code for verdict in verdicts] == [None, "unknown-status"]
    assert _alert(shop, "oversell") is None
    by_shop = "SELECT txn.seq FROM txn JOIN epoch ON epoch.id = txn.epoch JOIN device ON device.id = device"
    assert rows(shop.directory, f"{by_shop} WHERE name = '_shop' ORDER BY 1") == [(1,), (2,)]


def test_a_person_s_command_may_change_the_stock_too(shop: Shop) -> None:
    done: list[Rejected | None] = []
    shop.coordinator.order({"type": "move", "sku": "milk", "qty": "-1", "reason": "adjust"}, done.append)
    shop.coordinator.turn()
    assert (shop.on_hand("milk"), done) == ("-1", [None])


def test_each_alert_is_one_topic_for_as_long_as_it_is_there(shop: Shop) -> None:
    a1 = Device(shop, "A1")
    a1.moves("1", "receive")
    a1.receipt("r-1", "open", line(qty="2"))
    a1.counts("1")
    a1.sells(2)
    shop.clock.now_ms += RESERVE_MS + EXPIRY_LOOK_MS
    shop.coordinator.turn()
    assert shop.alerts() == {"oversell", "recount", "reservation-expired"}
    projected = dict(_projected(shop))
    assert {topic: shop.link.retained[topic] for topic in projected} == projected
    alerts: list[Alert] = shop.reader.alerts()
    assert [messages.alert(alert) for alert in alerts] == [
        projected[shop.topics.alert(alert.alert)] for alert in alerts
    ]
