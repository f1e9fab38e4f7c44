"""An operation before it has a place: what a cashier does, in the wire's fields and checked by the coordinator's rules.

A sequence number is spent for ever, and a bad operation is recorded as rejected for ever. So a draft is read here by
the same code that will read it there; what that would reject raises ValueError instead, and the person can mend it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import orjson

from appliance.contract.limits import OPERATION_BYTES_MAX, PARENTS_MAX
from appliance.contract.operations import Head, read_operation
from appliance.stock.counts import Past
from appliance.stock.errors import Rejected
from appliance.stock.operation import Body, Count, Move, Operation, Receipt
from appliance.stock.order import Fact
from appliance.stock.quantity import format_qty, parse_qty
from appliance.stock.receipts import ReceiptState, goods
from appliance.stock.reconcile import PIECES, Outcome, Stock, reconcile

FORK_ROOM_BYTES = PARENTS_MAX * 67 + 96
"""What a fork may add to an operation: its parents' names, a longer seq, `again` and `why`. It must stay within the
limit."""

_PLACE = Head(1, "0" * 16, {})


class Known(Protocol):
    """What this till knows of the shop; its view satisfies it."""

    def unit(self, sku: str) -> str | None:
        """The unit of a SKU, None when the catalogue has not told it yet."""
        ...

    def receipt(self, receipt: str) -> ReceiptState | None:
        """What became of a receipt, None when nothing is known of it here."""
        ...


@dataclass(frozen=True, slots=True)
class Draft:
    """A checked operation: the fields to send, and what it changes as far as this till can tell.

    A count's effect is all that was counted: `stock.reconcile.Effect.is_anchor` says that nothing before it matters.
    """

    fields: dict[str, object]
    operation: Operation
    outcome: Outcome


def move(sku: str, qty: object, reason: str) -> dict[str, object]:
    """qty: signed as the wire has it, decimal text or an integer."""
    return {"type": "move", "sku": sku, "qty": _decimal(qty), "reason": reason}


def negated(qty: object) -> str:
    """Return a quantity that leaves the shelf, as the wire has it."""
    return format_qty(-_milli(qty))


def receipt(
    receipt_id: str, kind: str, status: str, lines: Sequence[Mapping[str, object]], header: Mapping[str, object]
) -> dict[str, object]:
    """lines, header: the wire's own keys (`sku`, `qty`, `price_minor` …; `number`, `edit`, `of`, `total_minor` …)."""
    written = [{**line, "qty": _decimal(line.get("qty"))} for line in lines]
    return {"type": "receipt", "receipt": receipt_id, "kind": kind, "status": status, **header, "lines": written}


def cancelled(receipt_id: str) -> dict[str, object]:
    """Who cancels need not know what there was on the receipt."""
    return {"type": "receipt", "receipt": receipt_id, "status": "cancelled"}


def count(sku: str, counted: object, took_ms: int, *, includes_reserved: bool) -> dict[str, object]:
    """counted: what was physically there when counting began, `took_ms` ago."""
    return {
        "type": "count",
        "sku": sku,
        "counted": _decimal(counted),
        "took_ms": took_ms,
        "includes_reserved": includes_reserved,
    }


def item(sku: str, details: Mapping[str, object]) -> dict[str, object]:
    """details: the wire's own keys (`name`, `unit`, `barcodes`, `price_minor`, `low`, `group`, `of`, `components`)."""
    return {"type": "item", "sku": sku, **details}


def acknowledged(alert: str) -> dict[str, object]:
    """alert: its name on the wire, `{kind}-[a-z0-9]{1,32}`."""
    return {"type": "alert", "alert": alert, "status": "acknowledged"}


class _Here:
    """What the rules may look up on a till: receipts as far as it knows them. The rest only the ledger knows."""

    def __init__(self, known: Known) -> None:
        self.receipt = known.receipt

    def stock(self, sku: str) -> Stock | None:
        return Stock()

    def past(self, sku: str, after_rev: int) -> Iterator[Past]:
        return iter(())

    def payments(self, receipt: str) -> Iterable[Fact]:
        return ()

    def sold(self, receipt: str) -> Mapping[str, int]:
        return {}

    def returned(self, receipt: str) -> Mapping[str, int]:
        return {}

    def sold_on(self, mark: str) -> Mapping[str, int]:
        return {}


def check(fields: dict[str, object], device: str, known: Known) -> Draft:
    """Return a draft of stamped fields, which `device` makes knowing what it knows.

    Raises ValueError, whose text names the field, its value and the remedy.
    """
    try:
        encoded = orjson.dumps({"seq": _PLACE.seq, "tag": _PLACE.tag, **fields})
    except TypeError as error:
        raise ValueError(f"the operation cannot be written as JSON: {error}") from None
    if len(encoded) > OPERATION_BYTES_MAX - FORK_ROOM_BYTES:
        raise ValueError(
            f"the operation has {len(encoded)} bytes: at most {OPERATION_BYTES_MAX - FORK_ROOM_BYTES} fit, so split it"
        )
    try:
        operation = read_operation(Head(_PLACE.seq, _PLACE.tag, orjson.loads(encoded)), is_linked=True)
        outcome = _outcome(operation.body, device, known)
    except Rejected as error:
        raise ValueError(str(error)) from None
    _check_whole(operation.body, known)
    return Draft(fields, operation, outcome)


def outcome(encoded: bytes, device: str, known: Known) -> Outcome:
    """Return what an operation that was checked when it was made changes.

    Since then this till may have been restarted and have forgotten what it knew: what the rules reject for want of it,
    such as a copy of a receipt that is acked long since, changes nothing here.
    """
    raw = orjson.loads(encoded)
    body = read_operation(Head(raw["seq"], raw["tag"], raw), is_linked=True).body
    try:
        return _outcome(body, device, known)
    except Rejected:
        return Outcome()


def _outcome(body: Body, device: str, known: Known) -> Outcome:
    here = Fact(device, epoch="", seq=1, rev=1, shop_ms=0, seen=0, is_uncertain=False)
    return reconcile(body, here, _Here(known))


def _check_whole(body: Body, known: Known) -> None:
    """Prevent a part of something that is counted in pieces (wire contract: the till prevents it)."""
    told = {line.sku: line.unit for line in body.lines} if isinstance(body, Receipt) else {}
    for sku, qty_milli in _quantities(body):
        if qty_milli % 1000 and (unit := told.get(sku) or known.unit(sku)) in PIECES:
            raise ValueError(
                f"{format_qty(abs(qty_milli))} of {sku}, which is counted in {unit}: enter a whole number,"
                " or give the item another unit"
            )


def _quantities(body: Body) -> Iterable[tuple[str, int]]:
    match body:
        case Move(sku, qty_milli) | Count(sku, qty_milli):
            return ((sku, qty_milli),)
        case Receipt(lines=lines):
            return goods(lines).items()
        case _:
            return ()


def _decimal(qty: object) -> str:
    return format_qty(_milli(qty))


def _milli(qty: object) -> int:
    try:
        return parse_qty(qty)
    except Rejected as error:
        raise ValueError(error.detail) from None
