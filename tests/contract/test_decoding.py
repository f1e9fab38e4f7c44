"""No bytes of a device can do more than be told off: reading raises Unreadable, Rejected or BadQuery, and nothing else.

Anything else would crash the coordinator, and a broker that delivers the message again would crash it for ever.
"""

import json
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contract.limits import (
    LINES_MAX,
    OPERATION_BYTES_MAX,
    PARENTS_MAX,
    QUERY_LIMIT_MAX,
    SEQ_MAX,
    TOOK_MS_MAX,
)
from appliance.contract.messages import BadQuery, State, read_query, read_state
from appliance.contract.operations import (
    Head,
    Unreadable,
    identify,
    is_again,
    is_history_gap,
    read_message,
    read_operation,
    read_parents,
)
from appliance.stock.errors import Rejected
from appliance.stock.operation import Count, Expire, Item, Move, Operation, Receipt, ReceiptKind, Status
from tests.contract.golden import example, names

EPOCH = "5f0c8d1e-3b7a-4c61-8e1f-0a9d2b6c4e75"
TAG = "b41e7f09d2c6a835"
MOVE: dict[str, Any] = {"type": "move", "sku": "A", "qty": "-1", "reason": "sale"}
ITEM: dict[str, Any] = {"type": "item", "sku": "A"}
LINE: dict[str, Any] = {"sku": "A", "qty": "1"}
RECEIPT: dict[str, Any] = {"type": "receipt", "receipt": "R1", "kind": "sale", "status": "paid", "lines": [LINE]}
OPEN: dict[str, Any] = {**RECEIPT, "status": "open"}
CANCELLED: dict[str, Any] = {"type": "receipt", "receipt": "R1", "status": "cancelled"}
COUNT: dict[str, Any] = {"type": "count", "sku": "A", "counted": "12"}
EXPIRE: dict[str, Any] = {"type": "expire", "receipt": "R1", "edit": 1}
ALERT: dict[str, Any] = {"type": "alert", "alert": "fork-0a", "status": "acknowledged"}
STAMP: dict[str, Any] = {"run": "9c2f", "shop_ms": 1}

DETAIL_MAX = 400
"""A rejection is a sentence: it must not carry back the 64 KiB that it complains of."""

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def read_everything(payload: bytes) -> None:
    """Read a payload in every way in which the coordinator reads one, and check what it complains of."""
    read_state(payload)
    assert len(complaint(read_query, payload)) < DETAIL_MAX
    if complaint(read_message, payload):
        assert len(complaint(read_message, payload)) < DETAIL_MAX
        return
    for raw in read_message(payload).operations:
        if complaint(identify, raw):
            assert len(complaint(identify, raw)) < DETAIL_MAX
            continue
        head = identify(raw)
        assert head.kind in {"move", "item", "receipt", "count", "alert", "expire", "unknown"}
        assert orjson.loads(head.encoded()) == raw
        for read in (read_parents, is_again, is_history_gap, linked, unlinked):
            assert len(complaint(read, head)) < DETAIL_MAX


def complaint(read: Callable[[Any], object], value: object) -> str:
    """Return what a reader says against a value, in one of the three ways in which it may; "" when it takes it."""
    try:
        read(value)
    except (Unreadable, Rejected, BadQuery) as error:
        return str(error)
    return ""


def linked(head: Head) -> Operation:
    return read_operation(head, is_linked=True)


def unlinked(head: Head) -> Operation:
    return read_operation(head, is_linked=False)


@given(st.binary())
def test_any_bytes_are_read_or_told_off(payload: bytes) -> None:
    read_everything(payload)


@given(JSON)
def test_any_json_is_read_or_told_off(value: object) -> None:
    read_everything(json.dumps(value).encode())


@given(st.sampled_from(sorted(names())), st.integers(0, 5000), st.binary(max_size=3))
def test_any_damaged_example_is_read_or_told_off(name: str, at: int, damage: bytes) -> None:
    payload = example(name)
    at %= len(payload)
    read_everything(payload[:at] + damage + payload[at + len(damage) :])
    read_everything(payload[:at])


@given(st.sampled_from([MOVE, ITEM, RECEIPT, OPEN, CANCELLED, COUNT, EXPIRE, ALERT, LINE]), st.data())
def test_any_value_in_any_field_is_read_or_told_off(body: dict[str, Any], data: st.DataObject) -> None:
    keys = ["epoch", "after", "ops", "seq", "tag", "run", "shop_ms", "seen", "uncertain", "at", "again", "parents"]
    keys += ["type", "sku", "qty", "reason", "receipt", "number", "kind", "status", "lines", "components", "marks"]
    keys += ["name", "unit", "barcodes", "price_minor", "low", "group", "of", "alert", "print", "total_minor"]
    keys += ["what", "id", "since", "limit", "counted", "took_ms", "includes_reserved", "edit", "why"]
    changed = data.draw(st.dictionaries(st.sampled_from(keys), JSON, min_size=1, max_size=4))
    operation = {"epoch": EPOCH, "seq": 2, "tag": TAG, "after": TAG, **body}
    read_everything(json.dumps(operation | changed).encode())
    read_everything(json.dumps({"epoch": EPOCH, "after": TAG, "ops": [operation | changed, MOVE | changed]}).encode())
    read_everything(json.dumps({"epoch": EPOCH, "seq": 1, **RECEIPT, "lines": [LINE | changed]}).encode())


@pytest.mark.parametrize("depth", [250, 260, 1000, 1030, 100_000])
@pytest.mark.parametrize(
    "payload",
    [
        b"%b",
        b'{"epoch":%b}',
        b'{"epoch":"5f0c8d1e-3b7a-4c61","ops":%b}',
        b'{"epoch":"5f0c8d1e-3b7a-4c61","seq":%b}',
        b'{"epoch":"5f0c8d1e-3b7a-4c61","seq":1,"type":"move","sku":"A","qty":"-1","reason":"sale","more":%b}',
        b'{"epoch":"5f0c8d1e-3b7a-4c61","seq":1,"type":"move","sku":%b}',
        b'{"id":"q1","what":%b}',
    ],
)
def test_json_of_any_depth_is_read_or_told_off(payload: bytes, depth: int) -> None:
    read_everything(payload % (b"[" * depth + b"]" * depth))


def test_json_that_could_not_be_kept_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="nested too deeply"):
        read_message(b'{"epoch":"%b","seq":1,"more":%b}' % (EPOCH.encode(), b"[" * 300 + b"]" * 300))


@pytest.mark.parametrize(
    ("payload", "complaint"),
    [
        (b"", "no JSON object"),
        (b"\x00\xff\x13", "no JSON object"),
        (b'{"epoch":', "no JSON object"),
        (b"[]", "no object: list"),
        (b'"text"', "no object: str"),
        (b'{"epoch":"\xed\xa0\x80"}', "no JSON object"),
        (b'{"seq":1}', "epoch is None"),
        (b'{"epoch":"short","seq":1}', "epoch is 'short'"),
        (b'{"epoch":"5f0c8d1e_3b7a_4c61","seq":1}', "epoch is '5f0c8d1e_3b7a_4c61'"),
        (b'{"epoch":"5f0c8d1e-3b7a-4c61","ops":{}}', "ops is no list"),
        (b'{"epoch":"5f0c8d1e-3b7a-4c61","ops":[]}', "ops is no list"),
    ],
)
def test_bytes_that_name_no_operation_are_unreadable(payload: bytes, complaint: str) -> None:
    with pytest.raises(Unreadable, match=complaint):
        read_message(payload)


@pytest.mark.parametrize("raw", [None, 1, "text", [], {}, *({"seq": seq} for seq in (0, -1, 1.0, "1", True, 2**53))])
def test_an_operation_without_a_sequence_number_is_unreadable(raw: object) -> None:
    with pytest.raises(Unreadable):
        identify(raw)


def test_the_largest_sequence_number_is_read() -> None:
    assert identify({"seq": SEQ_MAX}).seq == SEQ_MAX


def test_a_single_operation_is_the_same_as_a_batch_of_it() -> None:
    single = read_message(json.dumps({"epoch": EPOCH, "seq": 1, **MOVE}).encode())
    batch = read_message(json.dumps({"epoch": EPOCH, "ops": [{"seq": 1, **MOVE}]}).encode())
    assert single == batch


def test_unknown_keys_and_nulls_are_ignored() -> None:
    grown = {**MOVE, "colour": "red", "at": None, "tag": None, "run": None, "shop_ms": None, "seen": None}
    assert linked(identify({"seq": 1, **grown})) == linked(identify({"seq": 1, **MOVE}))


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ({"seq": 2, **MOVE}, "tag-missing"),
        ({"seq": 1, "tag": "B41E7F09D2C6A835", **MOVE}, "bad-tag"),
        ({"seq": 2, "tag": 5, **MOVE}, "bad-tag"),
        ({"seq": 1}, "bad-field"),
        ({"seq": 1, "type": 5}, "bad-field"),
        ({"seq": 1, "type": "theft"}, "unknown-type"),
        ({"seq": 1, **MOVE, "sku": ""}, "bad-sku"),
        ({"seq": 1, **MOVE, "sku": "x" * 129}, "bad-sku"),
        ({"seq": 1, **MOVE, "qty": "1,5"}, "bad-quantity"),
        ({"seq": 1, **MOVE, "qty": True}, "bad-quantity"),
        ({"seq": 1, **MOVE, "reason": "theft"}, "unknown-reason"),
        ({"seq": 1, **MOVE, "reason": None}, "unknown-reason"),
        ({"seq": 1, **MOVE, "at": "yesterday"}, "bad-field"),
        ({"seq": 1, **MOVE, "at": "2026-11-24T10:00:01"}, "bad-field"),
        ({"seq": 1, **MOVE, "run": "9c2f"}, "bad-stamp"),
        ({"seq": 1, **MOVE, "run": "9C2F", "shop_ms": 1}, "bad-stamp"),
        ({"seq": 1, **MOVE, "run": "9c2f", "shop_ms": -1}, "bad-stamp"),
        ({"seq": 1, **MOVE, "run": "9c2f", "shop_ms": 1.5}, "bad-stamp"),
        ({"seq": 1, **MOVE, "shop_ms": 1}, "bad-field"),
        ({"seq": 1, **MOVE, **STAMP, "uncertain": "no"}, "bad-field"),
        ({"seq": 1, **MOVE, **STAMP, "seen": -1}, "bad-field"),
        ({"seq": 1, **ITEM, "price_minor": 89.9}, "bad-field"),
        ({"seq": 1, **ITEM, "barcodes": [4607001234567]}, "bad-field"),
        ({"seq": 1, **ITEM, "low": "few"}, "bad-quantity"),
        ({"seq": 1, **ITEM, "of": ""}, "bad-sku"),
        ({"seq": 1, **ITEM, "components": [{"sku": "B"}]}, "bad-quantity"),
        ({"seq": 1, **RECEIPT, "receipt": "A1/000123"}, "bad-field"),
        ({"seq": 1, **RECEIPT, "receipt": None}, "bad-field"),
        ({"seq": 1, **RECEIPT, "status": "draft"}, "unknown-status"),
        ({"seq": 1, **RECEIPT, "kind": "gift"}, "unknown-kind"),
        ({"seq": 1, **RECEIPT, "lines": None}, "bad-field"),
        ({"seq": 1, **RECEIPT, "lines": [LINE] * (LINES_MAX + 1)}, "bad-field"),
        ({"seq": 1, **RECEIPT, "lines": [{**LINE, "sku": f"S{n}"} for n in range(LINES_MAX)]}, None),
        ({"seq": 1, **RECEIPT, "lines": [{**LINE, "qty": "1.2345"}]}, "bad-quantity"),
        ({"seq": 1, **RECEIPT, "total_minor": "179.80"}, "bad-field"),
        ({"seq": 1, **RECEIPT, "print": "yes"}, "bad-field"),
        ({"seq": 1, **RECEIPT, "of": "A1/000123"}, "bad-field"),
        ({"seq": 1, **RECEIPT, "edit": -1}, "bad-field"),
        ({"seq": 1, **RECEIPT, "lines": [{**LINE, "marks": [1]}]}, "bad-field"),
        ({"seq": 1, **RECEIPT, "lines": [{**LINE, "marks": ["x"] * (LINES_MAX + 1)}]}, "bad-field"),
        ({"seq": 1, **OPEN, "lines": None}, "bad-field"),
        ({"seq": 1, **OPEN, "kind": None}, "unknown-kind"),
        ({"seq": 1, **CANCELLED}, None),
        ({"seq": 1, **CANCELLED, "kind": "gift"}, "unknown-kind"),
        ({"seq": 1, **CANCELLED, "receipt": None}, "bad-field"),
        ({"seq": 1, **COUNT, "sku": None}, "bad-sku"),
        ({"seq": 1, **COUNT, "counted": None}, "bad-quantity"),
        ({"seq": 1, **COUNT, "counted": "a dozen"}, "bad-quantity"),
        ({"seq": 1, **COUNT, "took_ms": -1}, "bad-field"),
        ({"seq": 1, **COUNT, "took_ms": TOOK_MS_MAX}, None),
        ({"seq": 1, **COUNT, "took_ms": TOOK_MS_MAX + 1}, "bad-field"),
        ({"seq": 1, **COUNT, "includes_reserved": "yes"}, "bad-field"),
        ({"seq": 1, **EXPIRE}, "unknown-type"),
        ({"seq": 1, **ALERT, "alert": "Fork"}, "bad-field"),
        ({"seq": 1, **ALERT, "status": "active"}, "unknown-status"),
        ({"seq": 1, **MOVE, "more": "x" * OPERATION_BYTES_MAX}, "operation-too-large"),
    ],
)
def test_an_operation_is_taken_or_rejected_with_its_code(operation: dict[str, Any], code: str | None) -> None:
    head = identify(operation)
    if code is None:
        linked(head)
        return
    with pytest.raises(Rejected) as raised:
        linked(head)
    assert raised.value.code == code
    assert len(raised.value.detail) < DETAIL_MAX


def test_only_the_coordinator_says_that_a_receipt_expired() -> None:
    assert read_operation(identify({"seq": 1, **EXPIRE}), is_linked=True, is_own=True).body == Expire("R1", edit=1)


def test_what_a_count_does_not_say_is_the_least_that_it_can_mean() -> None:
    assert linked(identify({"seq": 1, **COUNT})).body == Count("A", 12_000, took_ms=0, includes_reserved=False)


def test_who_cancels_may_say_of_what_kind_it_was_and_need_not() -> None:
    def kind(operation: dict[str, Any]) -> ReceiptKind:
        body = linked(identify({"seq": 1, **operation})).body
        assert isinstance(body, Receipt)
        assert body.status is Status.CANCELLED
        return body.kind

    assert kind(CANCELLED) is ReceiptKind.SALE
    assert kind({**CANCELLED, "kind": "return"}) is ReceiptKind.RETURN


def test_a_code_that_is_no_mark_says_nothing_and_the_line_is_taken() -> None:
    codes = ["0104690257528523215FBC'm,t;2%Qz\x1d91EE06", "4690257528523", ""]
    body = linked(identify({"seq": 1, **RECEIPT, "lines": [{**LINE, "marks": codes}]})).body
    assert isinstance(body, Receipt)
    assert body.lines[0].marks == ("0104690257528523215FBC'm,t;2%Qz",)


def test_a_receipt_names_at_most_500_skus_with_all_its_components() -> None:
    def receipt(components: int) -> Head:
        line = {**LINE, "components": [{"sku": f"S{n}", "qty": "1"} for n in range(components)]}
        return identify({"seq": 1, **RECEIPT, "lines": [line, line]})

    assert isinstance(linked(receipt(LINES_MAX - 1)).body, Receipt)
    with pytest.raises(Rejected, match="lines name 501 SKUs"):
        linked(receipt(LINES_MAX))


def test_an_operation_that_does_not_say_what_it_comes_after_is_rejected() -> None:
    head = identify({"seq": 2, "tag": TAG, **MOVE})
    with pytest.raises(Rejected) as raised:
        unlinked(head)
    assert raised.value.code == "after-missing"


@pytest.mark.parametrize(
    ("reads", "operation"),
    [
        (read_parents, {"seq": 1, "parents": EPOCH}),
        (read_parents, {"seq": 1, "parents": ["short"]}),
        (read_parents, {"seq": 1, "parents": [EPOCH] * (PARENTS_MAX + 1)}),
        (is_again, {"seq": 1, "again": "yes"}),
    ],
)
def test_a_fork_that_cannot_be_read_is_rejected(reads: Callable[[Head], object], operation: dict[str, Any]) -> None:
    with pytest.raises(Rejected) as raised:
        reads(identify(operation))
    assert raised.value.code == "bad-field"


def test_parents_are_those_of_operation_1_only() -> None:
    assert read_parents(identify({"seq": 2, "parents": [EPOCH]})) == ()


def test_seen_without_a_stamp_means_nothing() -> None:
    assert linked(identify({"seq": 1, **MOVE, "seen": 9120})).seen == 0


def test_a_number_is_a_quantity_when_it_is_exactly_one() -> None:
    body = linked(identify({"seq": 1, **MOVE, "qty": -0.35})).body
    assert isinstance(body, Move)
    assert body.qty_milli == -350


def test_an_item_is_kept_as_the_contract_writes_it() -> None:
    body = linked(identify({"seq": 1, **ITEM, "low": 5.50, "components": [{"sku": "B", "qty": 0.5}]})).body
    assert isinstance(body, Item)
    assert body.details == {
        "name": "",
        "unit": "pcs",
        "barcodes": [],
        "price_minor": None,
        "low": "5.5",
        "group": None,
        "of": None,
        "components": [{"sku": "B", "qty": "0.5"}],
    }


@pytest.mark.parametrize("payload", [b"", b"\xff", b"[]", b'{"state":"away"}', b'{"state":"online","epoch":5}'])
def test_a_state_that_says_nothing_is_no_handshake(payload: bytes) -> None:
    assert read_state(payload).epoch is None


def test_a_state_is_online_only_when_it_says_so() -> None:
    assert read_state(b'{"epoch":"%b"}' % EPOCH.encode()) == State(is_online=False, epoch=EPOCH)


@pytest.mark.parametrize(
    ("said", "pending", "program"),
    [
        ('"pending":0,"app":"shelf"', 0, "shelf"),
        ('"pending":true,"version":"2"', None, "2"),
        ('"pending":-1,"app":7', None, ""),
        ('"pending":1e3,"app":"%s"' % ("x" * 99), None, "x" * 60),
    ],
)
def test_what_a_state_says_for_people_is_taken_only_when_it_can_be_shown(
    said: str, pending: object, program: str
) -> None:
    state = read_state(b'{"state":"online",%b}' % said.encode())
    assert (state.is_online, state.pending, state.program) == (True, pending, program)


@pytest.mark.parametrize(
    ("query", "asked", "code"),
    [
        (b"", None, "bad-query"),
        (b"[]", None, "bad-query"),
        (b'{"id":"q1"}', "q1", "unknown-query"),
        (b'{"id":"q1","what":"prices"}', "q1", "unknown-query"),
        (b'{"id":5,"what":"items"}', None, "bad-field"),
        (b'{"what":"items"}', None, "bad-field"),
        (b'{"id":"q1","what":"items","since":-1}', "q1", "bad-field"),
        (b'{"id":"q1","what":"items","since":"0"}', "q1", "bad-field"),
        (b'{"id":"q1","what":"items","limit":0}', "q1", "bad-field"),
        (b'{"id":"q1","what":"items","run":5}', "q1", "bad-field"),
        (b'{"id":"q1","what":"receipt"}', "q1", "bad-field"),
        (b'{"id":"q1","what":"history"}', "q1", "bad-sku"),
        (b'{"id":"q1","what":"history","sku":""}', "q1", "bad-sku"),
    ],
)
def test_a_question_that_cannot_be_answered_is_told_why(query: bytes, asked: str | None, code: str) -> None:
    with pytest.raises(BadQuery) as raised:
        read_query(query)
    said = orjson.loads(raised.value.payload)
    assert (said["id"], said["code"]) == (asked, code)


def test_a_question_gets_no_page_beyond_the_limit() -> None:
    assert read_query(b'{"id":"q1","what":"items","limit":1000000}').limit == QUERY_LIMIT_MAX
