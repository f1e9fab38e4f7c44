"""Receipts: what an open one reserves, what a paid one moves, and who wins when two devices hold the same one.

    none ──open──▶ open ◀─edit─┐           open ──cancelled──▶ cancelled
     │              │ └────────┘           open ──12 h───────▶ expired ──open (a later edit)──▶ open
     └───paid────▶ paid ◀──paid (from any state)

Where a receipt ends does not depend on the order in which its operations arrive: among opens the highest
`(edit, device)` wins and of two alike, which only clones send, the later one; `paid` wins over everything, `cancelled`
over `open`. What contradicts itself (paid after cancelled or expired, cancelled after paid, paid twice for different
goods) is recorded, and a person is told.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from appliance.stock.operation import Expire, Line, Receipt, ReceiptKind, Status
from appliance.stock.quantity import multiply

EXPIRED = "expired"
"""The state of a receipt that reserved for too long; the others are those of `Status`."""


@dataclass(frozen=True, slots=True)
class ReceiptState:
    """What the ledger keeps of a receipt for ever.

    edit, device: of the open that won. opened_ms: its shop time, from which it expires. paid: digests of the goods that
    it has moved. reserved: what it holds, in thousandths by SKU.
    """

    receipt: str
    kind: str
    state: str
    number: str = ""
    edit: int = 0
    device: str = ""
    opened_ms: int = 0
    paid: frozenset[str] = frozenset()
    reserved: Mapping[str, int] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Settled:
    """What a receipt operation comes to.

    state: None when nothing of it changes. moved, reserved: changes in thousandths by SKU. again: the SKUs of a payment
    that repeats an earlier one. conflict: what a person must know, "" when nothing.
    """

    state: ReceiptState | None = None
    moved: Mapping[str, int] = field(default_factory=dict)
    reserved: Mapping[str, int] = field(default_factory=dict)
    again: tuple[str, ...] = ()
    conflict: str = ""


def settle(receipt: Receipt, device: str, shop_ms: int, before: ReceiptState | None) -> Settled:
    """Return what an operation makes of a receipt. before: None when nobody has named it yet."""
    known = before or ReceiptState(receipt.receipt, receipt.kind, "")
    match receipt.status:
        case Status.OPEN:
            return _open(receipt, device, shop_ms, known)
        case Status.PAID:
            return _pay(receipt, device, known)
        case Status.CANCELLED:
            return _cancel(receipt, device, known)


def expire(wanted: Expire, before: ReceiptState | None) -> Settled:
    """Release what an open receipt has reserved for too long, unless it was edited or ended meanwhile."""
    if before is None or before.state != Status.OPEN or before.edit != wanted.edit:
        return Settled()
    return _release(before, EXPIRED)


def goods(lines: tuple[Line, ...]) -> dict[str, int]:
    """Return what lines take from the shelf, in thousandths by SKU: a kit's parts instead of the kit."""
    taken: Counter[str] = Counter()
    for line in lines:
        if not line.components:
            taken[line.sku] += line.qty_milli
        for part in line.components:
            taken[part.sku] += multiply(line.qty_milli, part.qty_milli)
    return dict(taken)


def _open(receipt: Receipt, device: str, shop_ms: int, known: ReceiptState) -> Settled:
    if known.state in (Status.PAID, Status.CANCELLED):
        return Settled()
    if (receipt.edit, device, shop_ms) < (known.edit, known.device, known.opened_ms):
        return Settled()
    # What will come back to the shelf reserves nothing.
    reserved = goods(receipt.lines) if receipt.kind is ReceiptKind.SALE else {}
    return Settled(
        state=ReceiptState(
            receipt.receipt,
            receipt.kind,
            Status.OPEN,
            receipt.number or known.number,
            receipt.edit,
            device,
            shop_ms,
            known.paid,
            reserved,
        ),
        reserved=_difference(reserved, known.reserved),
    )


def _pay(receipt: Receipt, device: str, known: ReceiptState) -> Settled:
    taken = goods(receipt.lines)
    digest = _digest(receipt.kind, taken)
    if digest in known.paid:
        return Settled(again=tuple(taken))
    conflict = ""
    if known.paid:
        conflict = "was paid twice for different goods; both were entered"
    elif known.state == Status.CANCELLED:
        conflict = "was paid although it had been cancelled; the payment was entered"
    elif known.state == EXPIRED:
        conflict = "was paid although its reservation had expired; the payment was entered"
    sign = 1 if receipt.kind is ReceiptKind.RETURN else -1
    return Settled(
        state=ReceiptState(
            receipt.receipt,
            receipt.kind,
            Status.PAID,
            receipt.number or known.number,
            receipt.edit,
            device,
            0,
            known.paid | {digest},
        ),
        moved={sku: sign * qty_milli for sku, qty_milli in taken.items()},
        reserved=_difference({}, known.reserved),
        conflict=conflict,
    )


def _cancel(receipt: Receipt, device: str, known: ReceiptState) -> Settled:
    if known.state == Status.PAID:
        return Settled(conflict="was cancelled although it had been paid; the payment stands")
    if known.state == Status.CANCELLED:
        return Settled()
    return _release(
        ReceiptState(
            receipt.receipt,
            known.kind,
            known.state,
            receipt.number or known.number,
            max(known.edit, receipt.edit),
            device,
            0,
            known.paid,
            known.reserved,
        ),
        Status.CANCELLED,
    )


def _release(known: ReceiptState, state: str) -> Settled:
    return Settled(
        state=ReceiptState(known.receipt, known.kind, state, known.number, known.edit, known.device, 0, known.paid, {}),
        reserved=_difference({}, known.reserved),
    )


def _difference(wanted: Mapping[str, int], present: Mapping[str, int]) -> dict[str, int]:
    changes = {sku: wanted.get(sku, 0) - present.get(sku, 0) for sku in [*wanted, *present]}
    return {sku: change for sku, change in changes.items() if change}


def _digest(kind: str, taken: Mapping[str, int]) -> str:
    """A name for the goods of a payment, whatever its lines' order, split and price.

    Two tills that are paid for one receipt may print its lines differently; its goods must not be moved twice.
    """
    return hashlib.blake2b(repr((str(kind), sorted(taken.items()))).encode(), digest_size=16).hexdigest()
