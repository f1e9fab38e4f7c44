"""What the coordinator says: the code writes each literal example byte for byte."""

from collections.abc import Callable
from datetime import datetime

import pytest

from appliance.contract import messages
from appliance.contract.limits import OPERATION_BYTES_MAX
from appliance.contract.messages import (
    Ack,
    Alert,
    BadQuery,
    Balance,
    Coordinator,
    Query,
    Refusal,
    Rejection,
    Row,
    read_query,
)
from appliance.contract.operations import identify, read_message, read_operation
from appliance.stock.alerts import Raised
from appliance.stock.operation import Item
from tests.contract.golden import example

EPOCH = "5f0c8d1e-3b7a-4c61-8e1f-0a9d2b6c4e75"
SALE = "0b9f6a52-7c1d-4e83-a5f4-3d2e1c0b9a87"
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


def conflict() -> Alert:
    raised = Raised(
        "receipt-conflict",
        SALE,
        "Receipt A1-000123 was paid twice with different goods; both were taken off",
        {"receipt": SALE, "number": "A1-000123"},
    )
    return Alert(
        alert=raised.alert,
        kind=raised.kind,
        status="active",
        since_ms=wall_ms("2026-11-24T07:00:08Z"),
        rev=9124,
        times=1,
        summary=raised.summary,
        facts=b'{"receipt":"%s","number":"A1-000123"}' % SALE.encode(),
    )


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
        9125,
        [Row(9123, messages.receipt(SALE, "sale", "paid", "A1-000123", 9123, "A1", wall_ms("2026-11-24T07:00:07Z")))],
        more=False,
    ),
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
    "alert": lambda: messages.alert(conflict()),
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
