"""What one operation does to the stock: the heart of the pure rules.

`reconcile` looks up what it needs through a View and returns an Outcome; it changes nothing. The coordinator hands the
Outcome to the ledger, which records all of it or none.

    operation ──▶ reconcile(operation, view) ──▶ Outcome(effects, receipt, item, alerts …) ──▶ ledger
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from appliance.stock.alerts import Raised
from appliance.stock.errors import Rejected
from appliance.stock.operation import (
    INWARD,
    OUTWARD,
    AlertAcknowledged,
    Item,
    Line,
    Move,
    Operation,
    Reason,
    Receipt,
    ReceiptKind,
)
from appliance.stock.quantity import format_qty, multiply


@dataclass(frozen=True, slots=True)
class Effect:
    """One entry to be: what it adds to a SKU's on_hand, in thousandths, and why.

    is_stocked: goods were received or counted here, so from now on a balance below zero is a contradiction.
    """

    sku: str
    effect_milli: int
    cause: str
    is_stocked: bool = False


@dataclass(frozen=True, slots=True)
class ReceiptState:
    """What the ledger keeps of a receipt for ever. goods: digests of the lines that it has moved."""

    receipt: str
    kind: str
    state: str
    number: str
    goods: frozenset[str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that one operation changes."""

    effects: tuple[Effect, ...] = ()
    item: Item | None = None
    receipt: ReceiptState | None = None
    acknowledged: str | None = None
    alerts: tuple[Raised, ...] = ()


class View(Protocol):
    """What the rules may look up; the ledger's turn satisfies it."""

    def is_known(self, sku: str) -> bool: ...

    def receipt(self, receipt: str) -> ReceiptState | None: ...


def reconcile(operation: Operation, view: View) -> Outcome:
    """Return what an operation changes. Raises Rejected when it contradicts itself; then it changes nothing."""
    match operation.body:
        case Move() as move:
            return Outcome(effects=(_moved(move),))
        case Receipt() as receipt:
            return _paid(receipt, view)
        case Item() as item:
            # A SKU's first operation creates it at 0; that too is an entry, so that its history has a beginning.
            created = () if view.is_known(item.sku) else (Effect(item.sku, 0, "item"),)
            return Outcome(effects=created, item=item)
        case AlertAcknowledged(alert):
            return Outcome(acknowledged=alert)


def _moved(move: Move) -> Effect:
    if (move.reason in OUTWARD and move.qty_milli > 0) or (move.reason in INWARD and move.qty_milli < 0):
        wanted = "negative" if move.reason in OUTWARD else "positive"
        raise Rejected("bad-quantity", f"qty {format_qty(move.qty_milli)}: {move.reason} moves a {wanted} quantity")
    stocked = move.reason in (Reason.RECEIVE, Reason.TRANSFER_IN)
    return Effect(move.sku, move.qty_milli, move.reason, stocked)


def _paid(receipt: Receipt, view: View) -> Outcome:
    """Pay a receipt: once for the same goods, whoever pays it; a second time for others, and a person is told.

    The goods have left the shop in either case, so nothing is refused.
    """
    goods = _digest(receipt)
    before = view.receipt(receipt.receipt)
    if before is not None and goods in before.goods:
        return Outcome()
    return Outcome(
        effects=tuple(_sold(receipt)),
        receipt=ReceiptState(
            receipt=receipt.receipt,
            kind=receipt.kind,
            state="paid",
            number=receipt.number,
            goods=frozenset({goods}) if before is None else before.goods | {goods},
        ),
        alerts=() if before is None else (_conflict(receipt),),
    )


def _sold(receipt: Receipt) -> Iterator[Effect]:
    sign = 1 if receipt.kind is ReceiptKind.RETURN else -1
    cause = Reason.RETURN if receipt.kind is ReceiptKind.RETURN else Reason.SALE
    for line in receipt.lines:
        for sku, qty_milli in _goods(line):
            yield Effect(sku, sign * qty_milli, cause)


def _goods(line: Line) -> Iterator[tuple[str, int]]:
    """What a line takes from the shelf: a kit's parts instead of the kit."""
    if not line.components:
        yield line.sku, line.qty_milli
    for part in line.components:
        yield part.sku, multiply(line.qty_milli, part.qty_milli)


def _digest(receipt: Receipt) -> str:
    """A name for the goods of a receipt, whatever its lines' order, split and price.

    Two tills that pay one receipt may print the lines differently; the goods are what must not be moved twice.
    """
    goods: Counter[str] = Counter()
    for line in receipt.lines:
        for sku, qty_milli in _goods(line):
            goods[sku] += qty_milli
    return hashlib.blake2b(repr((str(receipt.kind), sorted(goods.items()))).encode(), digest_size=16).hexdigest()


def _conflict(receipt: Receipt) -> Raised:
    return Raised(
        kind="receipt-conflict",
        subject=receipt.receipt,
        summary=f"Receipt {receipt.number or receipt.receipt} was paid twice with different goods; both were taken off",
        facts={"receipt": receipt.receipt, "number": receipt.number},
    )
