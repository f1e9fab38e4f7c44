"""An operation before it has a place: what a cashier does, in the wire's fields and checked by the coordinator's rules.

A sequence number is spent for ever, and a bad operation is recorded as rejected for ever. So a draft is read here by
the same code that will read it there; what that would reject raises ValueError instead, and the person can mend it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import orjson

from appliance.contract.limits import OPERATION_BYTES_MAX, PARENTS_MAX
from appliance.contract.operations import Head, read_operation
from appliance.stock.errors import Rejected
from appliance.stock.operation import Operation, Receipt
from appliance.stock.quantity import format_qty, parse_qty
from appliance.stock.reconcile import ReceiptState, reconcile
from appliance.till.view import Effects

FORK_ROOM_BYTES = PARENTS_MAX * 67 + 64
"""What a fork may add to an operation: its parents' names, a longer seq and `again`. It must stay within the limit."""

_PLACE = Head(1, "0" * 16, {})


@dataclass(frozen=True, slots=True)
class Draft:
    """A checked operation: the fields to send, and what they add to the stock."""

    fields: dict[str, object]
    operation: Operation
    effects: Effects


def move(sku: str, qty: object, reason: str) -> dict[str, object]:
    """qty: signed as the wire has it, decimal text or an integer."""
    return {"type": "move", "sku": sku, "qty": _decimal(qty), "reason": reason}


def negated(qty: object) -> str:
    """Return a quantity that leaves the shelf, as the wire has it."""
    return format_qty(-_milli(qty))


def receipt(
    receipt_id: str, kind: str, lines: Sequence[Mapping[str, object]], header: Mapping[str, object]
) -> dict[str, object]:
    """lines, header: the wire's own keys (`sku`, `qty`, `price_minor` …; `number`, `cashier`, `total_minor` …)."""
    written = [{**line, "qty": _decimal(line.get("qty"))} for line in lines]
    return {"type": "receipt", "receipt": receipt_id, "kind": kind, "status": "paid", **header, "lines": written}


def item(sku: str, details: Mapping[str, object]) -> dict[str, object]:
    """details: the wire's own keys (`name`, `unit`, `barcodes`, `price_minor`, `low`, `group`, `of`, `components`)."""
    return {"type": "item", "sku": sku, **details}


class _Fresh:
    """What the rules may look up here: nothing. Only the ledger knows what was before."""

    def is_known(self, sku: str) -> bool:
        return True

    def receipt(self, receipt: str) -> ReceiptState | None:
        return None


def check(fields: dict[str, object], unit_of: Callable[[str], str | None]) -> Draft:
    """Return a draft of stamped fields. unit_of: the unit of a SKU as far as the till knows it.

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
        outcome = reconcile(operation, _Fresh())
    except Rejected as error:
        raise ValueError(str(error)) from None
    effects = tuple((effect.sku, effect.effect_milli) for effect in outcome.effects)
    _check_whole(operation, effects, unit_of)
    return Draft(fields, operation, effects)


def effects(encoded: bytes) -> Effects:
    """Return what an operation that was checked when it was made adds to the stock."""
    raw = orjson.loads(encoded)
    outcome = reconcile(read_operation(Head(raw["seq"], raw["tag"], raw), is_linked=True), _Fresh())
    return tuple((effect.sku, effect.effect_milli) for effect in outcome.effects)


def _check_whole(operation: Operation, effects: Effects, unit_of: Callable[[str], str | None]) -> None:
    """Prevent a part of something that is counted in pieces (wire contract: the till prevents it)."""
    told = {line.sku: line.unit for line in operation.body.lines} if isinstance(operation.body, Receipt) else {}
    for sku, effect_milli in effects:
        if effect_milli % 1000 and (told.get(sku) or unit_of(sku)) == "pcs":
            raise ValueError(
                f"{format_qty(abs(effect_milli))} of {sku}, which is counted in pcs: enter a whole number,"
                " or give the item another unit"
            )


def _decimal(qty: object) -> str:
    return format_qty(_milli(qty))


def _milli(qty: object) -> int:
    try:
        return parse_qty(qty)
    except Rejected as error:
        raise ValueError(error.detail) from None
