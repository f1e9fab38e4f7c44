"""What devices say: each literal example is read into the value that it means."""

from collections.abc import Iterator

import pytest

from appliance.contract.messages import Query, State, What, read_query, read_state
from appliance.contract.operations import (
    identify,
    is_again,
    is_history_gap,
    read_message,
    read_operation,
    read_parents,
)
from appliance.stock.operation import (
    AlertAcknowledged,
    Component,
    Count,
    Item,
    Line,
    Move,
    Operation,
    Reason,
    Receipt,
    ReceiptKind,
    Stamp,
    Status,
)
from tests.contract.golden import example

EPOCH = "5f0c8d1e-3b7a-4c61-8e1f-0a9d2b6c4e75"
RUN = "9c2f4e1ab37d5068"
SALE = "0b9f6a52-7c1d-4e83-a5f4-3d2e1c0b9a87"
TABLE_7 = "f1e2d3c4-b5a6-4978-8a6b-5c4d3e2f1a0b"
MILK = "4607001234567"
CHEESE = "сыр/весовой"
MILK_NAME = "Молоко 3,2 % 1 л"

OPERATIONS = {
    "op-move": [Operation(Move("A", -1000, Reason.SALE), stamp=None, seen=0, at=None)],
    "op-batch": [
        Operation(
            Move(MILK, -2000, Reason.SALE),
            Stamp(RUN, 86_395_000, uncertain=False),
            seen=9120,
            at="2026-11-24T10:00:01+03:00",
        ),
        Operation(
            Move(CHEESE, 350, Reason.RECEIVE),
            Stamp(RUN, 86_397_500, uncertain=True),
            seen=9120,
            at="2026-11-24T10:00:03.5+03:00",
        ),
    ],
    "op-receipt": [
        Operation(
            Receipt(
                receipt=SALE,
                kind=ReceiptKind.SALE,
                status=Status.PAID,
                lines=(
                    Line(MILK, 2000, name=MILK_NAME, unit="pcs", price_minor=8990, amount_minor=17980),
                    Line(
                        "breakfast",
                        1000,
                        name="Завтрак",
                        unit="pcs",
                        price_minor=25000,
                        discount_minor=500,
                        amount_minor=24500,
                        components=(Component("egg", 2000), Component(CHEESE, 50)),
                    ),
                    Line(
                        "shoe-42",
                        1000,
                        name="Туфли, 42",
                        unit="pcs",
                        price_minor=350_000,
                        amount_minor=350_000,
                        marks=("0104690257528523215FBC'm,t;2%Qz",),
                    ),
                ),
                number="A1-000123",
            ),
            Stamp(RUN, 86_401_000, uncertain=False),
            seen=9122,
            at="2026-11-24T10:00:07+03:00",
        )
    ],
    "op-return": [
        Operation(
            Receipt(
                receipt="c4d5e6f7-0819-4a2b-8c3d-4e5f60718293",
                kind=ReceiptKind.RETURN,
                status=Status.PAID,
                of=SALE,
                lines=(Line(MILK, 1000, name=MILK_NAME, unit="pcs", price_minor=8990, amount_minor=8990),),
                number="A1-000124",
            ),
            Stamp(RUN, 86_520_000, uncertain=False),
            seen=9123,
            at="2026-11-24T10:02:06+03:00",
        )
    ],
    "op-item": [
        Operation(
            Item(
                sku=MILK,
                unit="pcs",
                low_milli=5000,
                details={
                    "name": MILK_NAME,
                    "unit": "pcs",
                    "barcodes": [MILK],
                    "price_minor": 8990,
                    "low": "5",
                    "group": "dairy",
                    "of": None,
                    "components": [],
                },
            ),
            Stamp(RUN, 86_530_000, uncertain=False),
            seen=9124,
            at="2026-11-24T10:02:16+03:00",
        )
    ],
    "op-receipt-open": [
        Operation(
            Receipt(
                receipt=TABLE_7,
                kind=ReceiptKind.SALE,
                status=Status.OPEN,
                lines=(Line(MILK, 1000),),
                number="A1-000125",
            ),
            Stamp(RUN, 86_700_000, uncertain=False),
            seen=9127,
            at="2026-11-24T10:05:06+03:00",
        )
    ],
    "op-receipt-cancelled": [
        Operation(
            Receipt(receipt=TABLE_7, kind=ReceiptKind.SALE, status=Status.CANCELLED, lines=()),
            Stamp(RUN, 86_800_000, uncertain=False),
            seen=9128,
            at="2026-11-24T10:06:46+03:00",
        )
    ],
    "op-count": [
        Operation(
            Count(MILK, 12_000, took_ms=42_000, includes_reserved=True),
            Stamp(RUN, 86_600_000, uncertain=False),
            seen=9126,
            at="2026-11-24T10:03:26+03:00",
        )
    ],
    "op-counts": [
        Operation(
            Count(sku, counted_milli, took_ms=180_000),
            Stamp(RUN, 86_900_000, uncertain=False),
            seen=9129,
            at="2026-11-24T10:08:26+03:00",
        )
        for sku, counted_milli in (("egg", 120_000), (CHEESE, 4_650))
    ],
    "op-alert": [
        Operation(
            AlertAcknowledged("receipt-conflict-fedb9dc70bf3754c"),
            Stamp(RUN, 86_540_000, uncertain=False),
            seen=9125,
            at="2026-11-24T10:02:26+03:00",
        )
    ],
}
# A fork sends the same operations again: under new names, and otherwise as they were.
OPERATIONS["op-fork"] = OPERATIONS["op-batch"]
OPERATIONS["op-fork-gap"] = OPERATIONS["op-batch"][1:]


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_example_is_read_into_what_happened(name: str) -> None:
    assert list(operations_of(name)) == OPERATIONS[name]


@pytest.mark.parametrize(
    ("name", "epoch", "after", "places"),
    [
        ("op-move", EPOCH, None, [(1, None)]),
        ("op-batch", EPOCH, "77a0c3e19b4d5f28", [(17, "b41e7f09d2c6a835"), (18, "0c9d51ab7e3f2648")]),
        ("op-receipt", EPOCH, "0c9d51ab7e3f2648", [(19, "d7f2a6b81c3e4950")]),
        (
            "op-fork",
            "e81b6c04-92ad-4f3e-b7c5-16d0f3a85b29",
            None,
            [(1, "b41e7f09d2c6a835"), (2, "0c9d51ab7e3f2648")],
        ),
    ],
)
def test_an_example_has_its_place_in_an_epoch(
    name: str, epoch: str, after: str | None, places: list[tuple[int, str | None]]
) -> None:
    message = read_message(example(name))
    heads = [identify(raw) for raw in message.operations]
    assert (message.epoch, message.after) == (epoch, after)
    assert [(head.seq, head.tag) for head in heads] == places


def test_a_fork_says_that_it_sends_again_and_where_it_comes_from() -> None:
    first, second = (identify(raw) for raw in read_message(example("op-fork")).operations)
    assert (is_again(first), is_again(second)) == (True, True)
    assert (read_parents(first), read_parents(second)) == ((EPOCH,), ())


def test_a_fork_says_that_it_has_lost_operations() -> None:
    (head,) = (identify(raw) for raw in read_message(example("op-fork-gap")).operations)
    assert read_parents(head) == (EPOCH,)
    assert is_history_gap(head)


def test_a_fork_that_has_lost_none_does_not_say_so() -> None:
    first, _ = (identify(raw) for raw in read_message(example("op-fork")).operations)
    assert not is_history_gap(first)


def test_what_is_no_fork_does_not_say_so() -> None:
    (head,) = (identify(raw) for raw in read_message(example("op-move")).operations)
    assert not is_again(head)
    assert read_parents(head) == ()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("query-balances", Query("q1", What.BALANCES, RUN, since=9121, limit=500, receipt="", sku="")),
        ("query-items", Query("q2", What.ITEMS, RUN, since=0, limit=500, receipt="", sku="")),
        ("query-receipt", Query("q3", What.RECEIPT, None, since=0, limit=500, receipt=TABLE_7, sku="")),
        ("query-rejected", Query("q4", What.REJECTED, RUN, since=0, limit=500, receipt="", sku="")),
        ("query-history", Query("q5", What.HISTORY, RUN, since=9100, limit=500, receipt="", sku=MILK)),
    ],
)
def test_an_example_is_read_into_a_question(name: str, expected: Query) -> None:
    assert read_query(example(name)) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("state-online", State(True, EPOCH, pending=3, program="shelf 2.4")),
        ("state-offline", State(is_online=False, epoch=None)),
    ],
)
def test_an_example_is_read_into_a_device_s_state(name: str, expected: State) -> None:
    assert read_state(example(name)) == expected


def operations_of(name: str) -> Iterator[Operation]:
    message = read_message(example(name))
    heads = [identify(raw) for raw in message.operations]
    is_linked = heads[0].seq == 1 or message.after is not None
    for head in heads:
        yield read_operation(head, is_linked=is_linked)
