"""What is bad is answered, kept, and never in the way: the contract's "A bad message never blocks its device"."""

from typing import Any

import orjson
import pytest

from appliance.contract.delivery import Channel
from appliance.contract.limits import HEAD_BYTES, PAYLOAD_MAX
from tests.shop import EPOCH, Shop, message, operation, rows, tag

RECEIPT = {"type": "receipt", "receipt": "r-1", "kind": "sale", "status": "paid", "lines": [{"sku": "A", "qty": "1"}]}
BARE = {"sku": ..., "qty": ..., "reason": ...}


def _quarantine(shop: Shop) -> list[tuple[Any, ...]]:
    return rows(
        shop.directory, "SELECT name, reason, size, head FROM quarantine JOIN device ON device.id = device ORDER BY 4"
    )


@pytest.mark.parametrize(
    "payload",
    [
        b"\x00\xff\xfe binary rubbish",
        b'{"epoch":',
        b"[1,2]",
        b'"text"',
        b'{"ops":[]}',
        b'{"epoch":"short","seq":1,"type":"move"}',
        b'{"epoch":"epoch-of-the-test-0001","ops":[]}',
        b'{"epoch":"epoch-of-the-test-0001","ops":{}}',
        b'{"epoch":"epoch-of-the-test-0001","type":"move"}',
        b'{"epoch":"epoch-of-the-test-0001","seq":0,"type":"move"}',
        b'{"epoch":"epoch-of-the-test-0001","seq":1.5,"type":"move"}',
        b'{"epoch":"epoch-of-the-test-0001","seq":true,"type":"move"}',
        b'{"epoch":"epoch-of-the-test-0001","seq":"\xff"}',
    ],
)
def test_bytes_that_name_no_operation_are_quarantined_and_the_device_goes_on(shop: Shop, payload: bytes) -> None:
    shop.say("A1", payload)
    assert shop.settled == 1
    [(device, reason, size, head)] = _quarantine(shop)
    assert (device, size, head) == ("A1", len(payload), payload)
    assert reason
    assert shop.alerts() == {"quarantine"}
    assert shop.say("A1", message(operation(1)))["seq"] == 1


@pytest.mark.parametrize("channel", Channel)
def test_too_large_a_message_keeps_its_head(shop: Shop, channel: Channel) -> None:
    shop.say("A1", b"{" * HEAD_BYTES, size=PAYLOAD_MAX + 1, channel=channel)
    [(_, reason, size, head)] = _quarantine(shop)
    assert (size, len(head)) == (PAYLOAD_MAX + 1, HEAD_BYTES)
    assert str(PAYLOAD_MAX) in reason
    assert shop.settled == 1


def test_quarantine_of_one_device_is_bounded_and_its_alert_goes_on_counting(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.ledger.notices.QUARANTINE_MAX", 3)
    for number in range(5):
        shop.say("A1", b"rubbish %d" % number)
    assert [head for *_, head in _quarantine(shop)] == [b"rubbish 2", b"rubbish 3", b"rubbish 4"]
    [alert] = shop.reader.alerts()
    assert alert.times == 5


def test_empty_payload_is_nothing(shop: Shop) -> None:
    shop.say("A1", b"")
    assert (shop.settled, _quarantine(shop), shop.link.log) == (1, [], [])


def test_operation_without_a_name_in_a_batch_is_quarantined_and_the_rest_asked_for_again(shop: Shop) -> None:
    ack = shop.say("A1", message(operation(1), operation(2) | {"seq": "two"}, operation(3)))
    assert (ack["seq"], ack["gap"]) == (1, True)
    assert len(_quarantine(shop)) == 1
    assert shop.say("A1", message(operation(2), operation(3)))["seq"] == 3


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"qty": "1.2345"}, "bad-quantity"),
        ({"qty": "abc"}, "bad-quantity"),
        ({"qty": None}, "bad-quantity"),
        ({"qty": "1"}, "bad-quantity"),
        ({"qty": 1e300}, "bad-quantity"),
        ({"qty": "-1000000000"}, "bad-quantity"),
        ({"reason": "receive", "qty": "-1"}, "bad-quantity"),
        ({"reason": "theft"}, "unknown-reason"),
        ({"reason": ["sale"]}, "unknown-reason"),
        ({"sku": ""}, "bad-sku"),
        ({"sku": 12}, "bad-sku"),
        ({"sku": "ы" * 65}, "bad-sku"),
        ({"type": "teleport"}, "unknown-type"),
        ({"type": 5}, "bad-field"),
        ({"at": "yesterday"}, "bad-field"),
        ({"at": "2026-11-24T10:00:00"}, "bad-field"),
        ({"run": "zz", "shop_ms": 1}, "bad-stamp"),
        ({"run": "ab", "shop_ms": -1}, "bad-stamp"),
        ({"run": "ab", "shop_ms": 1, "seen": "x"}, "bad-field"),
        ({"tag": "not-a-tag"}, "bad-tag"),
        ({"again": "yes"}, "bad-field"),
        ({"parents": "none"}, "bad-field"),
        (BARE | {"type": "item", "sku": "A", "low": "x"}, "bad-quantity"),
        (BARE | {"type": "item", "sku": "A", "components": [{"sku": "B"}]}, "bad-quantity"),
        (BARE | RECEIPT | {"lines": None}, "bad-field"),
        (BARE | RECEIPT | {"lines": [{"sku": "A", "qty": "x"}]}, "bad-quantity"),
        (BARE | RECEIPT | {"lines": [{"sku": "A", "qty": "1"}] * 501}, "bad-field"),
        (BARE | RECEIPT | {"receipt": "a/b"}, "bad-field"),
        (BARE | RECEIPT | {"kind": "gift"}, "unknown-kind"),
        (BARE | RECEIPT | {"status": "lost"}, "unknown-status"),
        (BARE | RECEIPT | {"total_minor": 1.5}, "bad-field"),
        ({"name": "x" * 70_000}, "operation-too-large"),
        (BARE | {"type": "alert", "alert": "x", "status": "acknowledged"}, "bad-field"),
    ],
)
def test_operation_that_is_bad_is_committed_as_rejected_and_the_next_ones_go_on(
    shop: Shop, fields: dict[str, Any], code: str
) -> None:
    bad = operation(1, **fields)
    ack = shop.say("A1", message(bad, operation(2)) if bad.get("tag") == tag(1) else message(bad))
    [rejected] = ack["rejected"]
    assert (rejected["seq"], rejected["code"], ack["rejected_total"]) == (1, code, 1)
    assert rejected["detail"]
    assert shop.alerts() == {"rejected"}
    assert shop.on_hand() in ("-1", None)
    [row] = shop.ask("A1", {"id": "q", "what": "rejected"})["items"]
    assert (row["code"], row["epoch"], row["device"]) == (code, EPOCH, "A1")
    assert row["operation"] == (None if code == "operation-too-large" else bad), "nothing of it is lost"
    assert shop.say("A1", message(bad))["rejected_total"] == 1, "a resend is not rejected twice"


def test_receipt_with_one_bad_line_moves_nothing(shop: Shop) -> None:
    lines = [{"sku": "A", "qty": "1"}, {"sku": "B", "qty": "1.00001"}]
    ack = shop.say("A1", message(operation(1, **BARE, **RECEIPT | {"lines": lines})))
    assert ack["rejected"][0]["detail"].startswith("lines[1].qty")
    assert (shop.on_hand("A"), shop.on_hand("B")) == (None, None)


def test_operation_from_the_second_on_needs_a_tag_and_its_message_what_it_comes_after(shop: Shop) -> None:
    assert shop.say("A1", message(operation(1), operation(2, tag=...)))["rejected"][0]["code"] == "tag-missing"
    assert shop.say("A1", message(operation(3), after=None))["rejected"][-1]["code"] == "after-missing"
    assert shop.on_hand() == "-1"


def test_ack_lists_the_rejections_among_the_newest_32_and_counts_all(shop: Shop) -> None:
    ack = shop.say("A1", message(*(operation(seq, qty="x") for seq in range(1, 41))))
    assert [row["seq"] for row in ack["rejected"]] == list(range(9, 41))
    assert ack["rejected_total"] == 40
    assert len(shop.reader.alerts()) == 1, "one alert a device, however often"


def test_ack_without_rejections_is_small(shop: Shop) -> None:
    shop.say("A1", message(operation(1)))
    assert len(shop.link.retained[shop.topics.device("A1", "ack")]) <= 200


def test_more_operations_than_allowed_are_asked_for_again(shop: Shop) -> None:
    operations = [operation(seq) for seq in range(1, 502)]
    ack = shop.say("A1", message(*operations))
    assert (ack["seq"], ack["gap"]) == (500, True)
    assert shop.retained("device/A1/ack")["seq"] == 500
    assert shop.say("A1", message(operations[-1]))["seq"] == 501


def test_alert_goes_when_it_is_acknowledged_and_comes_again_with_its_cause(shop: Shop) -> None:
    shop.say("A1", message(operation(1, qty="x"), operation(2, qty="x")))
    [topic] = [leaf for leaf in shop.link.retained if "/alert/" in leaf]
    said = orjson.loads(shop.link.retained[topic])
    assert (said["kind"], said["status"], said["times"]) == ("rejected", "active", 2)
    shop.say("H", message(operation(1, **BARE, type="alert", alert=said["alert"], status="acknowledged")))
    assert topic not in shop.link.retained
    assert shop.alerts() == set()
    shop.say("A1", message(operation(3, qty="x")))
    assert orjson.loads(shop.link.retained[topic])["times"] == 1


@pytest.mark.parametrize("bad", [{"qty": "-1"}, {"qty": "1", "components": [{"sku": "B", "qty": "-0.5"}]}])
def test_line_below_nothing_is_rejected(shop: Shop, bad: dict[str, Any]) -> None:
    ack = shop.say("A1", message(operation(1, **BARE, **RECEIPT | {"lines": [{"sku": "A"} | bad]})))
    assert ack["rejected"][0]["code"] == "bad-quantity"


def test_balance_that_no_reader_could_hold_is_rejected(shop: Shop) -> None:
    lines = [{"sku": "A", "qty": "999999999"}] * 500
    for seq in range(1, 20):
        ack = shop.say("A1", message(operation(seq, **BARE, **RECEIPT | {"receipt": f"r-{seq}", "lines": lines})))
    assert [(row["seq"], row["code"]) for row in ack["rejected"]] == [(19, "bad-quantity")]
    assert shop.on_hand() == "-8999999991000"
