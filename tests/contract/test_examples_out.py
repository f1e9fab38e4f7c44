"""What the coordinator says: the code writes each literal example byte for byte."""

from collections.abc import Callable
from datetime import datetime

import orjson
import pytest

from appliance.contract import messages
from appliance.contract.limits import OPERATION_BYTES_MAX
from appliance.contract.messages import (
    Ack,
    Alert,
    BadQuery,
    Balance,
    Coordinator,
    Entry,
    Query,
    Refusal,
    Rejection,
    Row,
    read_query,
)
from appliance.contract.operations import identify, read_message, read_operation
from appliance.stock import alerts
from appliance.stock.alerts import Raised
from appliance.stock.operation import Item
from appliance.stock.order import Fact
from tests.contract.golden import example

EPOCH = "5f0c8d1e-3b7a-4c61-8e1f-0a9d2b6c4e75"
SALE = "0b9f6a52-7c1d-4e83-a5f4-3d2e1c0b9a87"
OTHER_SALE = "c4d5e6f7-0819-4a2b-8c3d-4e5f60718293"
TABLE_7 = "f1e2d3c4-b5a6-4978-8a6b-5c4d3e2f1a0b"
CORRECTION = "qty: '1,5' is not a quantity: write a decimal below 1000000000 with at most 3 fraction digits"

COORDINATOR = Coordinator(
    ledger="7d4a1f0e-5a0b-4b52-9d5e-2f6c1c0a9b11", run="9c2f4e1ab37d5068", clock="synchronised", version="0.1.0"
)
ACK = Ack(COORDINATOR.ledger, EPOCH, seq=18, tag="0c9d51ab7e3f2648", safe=11, rejected=(), rejected_total=0)
REJECTION = Rejection(15, "5d1e0f7a8b3c9264", "bad-quantity", CORRECTION)


def wall_ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 1000


MILK = Balance("4607001234567", 12_000, 1_000, True, rev=9121, at_ms=wall_ms("2026-11-24T07:00:02Z"))
CHEESE = Balance("сыр/весовой", -350, 0, False, rev=9123, at_ms=wall_ms("2026-11-24T07:00:04Z"))


def row(balance: Balance) -> Row:
    return Row(balance.rev, messages.balance(balance))


def milk_item() -> bytes:
    """The catalogue's entry as the example of its operation made it."""
    (raw,) = read_message(example("op-item")).operations
    body = read_operation(identify(raw), is_linked=True).body
    assert isinstance(body, Item)
    return messages.item(body.sku, 9125, body.details)


def answered(name: str) -> Query:
    return read_query(example(name))


def table_7() -> bytes:
    """The open receipt, with what its device had said."""
    (raw,) = read_message(example("op-receipt-open")).operations
    at_ms = wall_ms("2026-11-24T07:05:06Z")
    said = identify(raw).encoded()
    return messages.receipt(TABLE_7, "sale", "open", "A1-000125", 1, "A1", 9128, at_ms, said)


def entry(
    rev: int,
    at: str,
    device: str,
    cause: str,
    moved_milli: int,
    on_hand_milli: int,
    *,
    kind: str = "move",
    receipt: tuple[str | None, str | None] = (None, None),
    counted_milli: int | None = None,
) -> Row:
    moment_ms = wall_ms(f"2026-11-24T{at}Z")
    said = Entry(rev, moment_ms, device, kind, *receipt, cause, moved_milli, on_hand_milli, 0, counted_milli)
    return Row(rev, messages.entry(said))


HISTORY = [
    entry(9121, "07:00:02", "A1", "sale", -9000, 6000, kind="receipt", receipt=(SALE, "A1-000123")),
    entry(9126, "07:03:26", "H", "count", -4000, 2000, kind="count", counted_milli=2000),
    entry(9130, "06:58:41", "A2", "sale", -4000, -2000),
    entry(9130, "06:58:41", "A2", "counted-already", 4000, 2000),
]


def fact(device: str, rev: int, at: str, receipt: str | None = None) -> Fact:
    moment_ms = wall_ms(f"2026-11-24T{at}Z")
    return Fact(device, EPOCH, 1, rev, shop_ms=0, seen=0, is_uncertain=False, wall_ms=moment_ms, receipt=receipt)


def active(raised: Raised, since: str, rev: int) -> bytes:
    since_ms = wall_ms(f"2026-11-24T{since}Z")
    facts = orjson.dumps(raised.facts)
    return messages.alert(Alert(raised.alert, raised.kind, "active", since_ms, rev, 1, raised.summary, facts))


CONFLICT = alerts.receipt_conflict(
    SALE,
    "A1-000123",
    "was paid twice for different goods; both were entered",
    fact("D", 9124, "07:00:08", SALE),
)
OVERSELL = alerts.oversell(
    "4607001234567",
    -1000,
    [(fact("A2", 9132, "07:10:31", OTHER_SALE), -1000), (fact("A1", 9131, "07:09:58", SALE), -1000)],
)
RECOUNT = alerts.recount("4607001234567", fact("H", 9126, "07:03:26"), [fact("A2", 9130, "07:03:24", SALE)])


def unknown_query() -> bytes:
    with pytest.raises(BadQuery) as raised:
        read_query(b'{"id":"q9","what":"prices"}')
    return raised.value.payload


WRITTEN: dict[str, Callable[[], bytes]] = {
    "coordinator-online": lambda: messages.online(COORDINATOR, 9123),
    "coordinator-offline": lambda: messages.offline(COORDINATOR),
    "tick": lambda: messages.tick(COORDINATOR, 86_400_123, 9123),
    "balance": lambda: messages.balance(CHEESE),
    "item": milk_item,
    "changes": lambda: b"".join(messages.changes(COORDINATOR.run, 9120, 9123, [row(MILK), row(CHEESE)])),
    "ack": lambda: messages.ack(ACK),
    "ack-unknown": lambda: messages.ack(
        Ack(COORDINATOR.ledger, "e81b6c04-92ad-4f3e-b7c5-16d0f3a85b29", 0, None, 0, (), 0)
    ),
    "ack-rejected": lambda: messages.ack(Ack(COORDINATOR.ledger, EPOCH, 18, "0c9d51ab7e3f2648", 11, (REJECTION,), 1)),
    "ack-gap": lambda: messages.ack(ACK, gap=True),
    "ack-refused": lambda: messages.ack(ACK, refused=Refusal(18, "e6a1b90c4d72f385", "sequence-reused")),
    "answer-balances": lambda: messages.answer(
        answered("query-balances"), COORDINATOR, 9121, 9123, [row(CHEESE)], more=False
    ),
    "answer-items": lambda: messages.answer(
        answered("query-items"), COORDINATOR, 0, 9125, [Row(9125, milk_item())], more=True
    ),
    "answer-receipt": lambda: messages.answer(
        answered("query-receipt"),
        COORDINATOR,
        0,
        9128,
        [Row(9128, table_7())],
        more=False,
    ),
    "answer-history": lambda: messages.answer(answered("query-history"), COORDINATOR, 9100, 9130, HISTORY, more=False),
    "answer-rejected": lambda: messages.answer(
        answered("query-rejected"),
        COORDINATOR,
        0,
        9125,
        [
            Row(
                9118,
                messages.rejected(
                    "A1",
                    EPOCH,
                    REJECTION,
                    9118,
                    b'{"seq":15,"tag":"5d1e0f7a8b3c9264","type":"move","sku":"egg","qty":"1,5","reason":"receive"}',
                ),
            )
        ],
        more=False,
    ),
    "answer-error": unknown_query,
    "alert": lambda: active(CONFLICT, "07:00:08", 9124),
    "alert-oversell": lambda: active(OVERSELL, "07:12:00", 9132),
    "alert-recount": lambda: active(RECOUNT, "07:12:00", 9130),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_the_code_writes_the_example_byte_for_byte(name: str) -> None:
    assert WRITTEN[name]().decode() == example(name).decode()


def test_an_ack_without_rejections_is_at_most_200_bytes() -> None:
    assert len(example("ack")) <= 200


def test_a_rejection_s_detail_is_cut_in_the_ack_and_whole_in_the_answer() -> None:
    long = Rejection(15, None, "bad-field", "x" * 300)
    ack = messages.ack(Ack(COORDINATOR.ledger, EPOCH, 18, None, 0, (long,), 1))
    assert b'"' + b"x" * 200 + b'"' in ack
    assert b'"' + b"x" * 300 + b'"' in messages.rejected("A1", EPOCH, long, 9118, b"{}")


def test_a_rejected_operation_that_was_too_large_is_not_repeated() -> None:
    operation = b'{"name":"%s"}' % (b"x" * OPERATION_BYTES_MAX)
    assert messages.rejected("A1", EPOCH, REJECTION, 9118, operation).endswith(b'"operation":null}')
