"""From the bytes of a `device/{device}/op` message to operations: the reading half of the wire contract.

It happens in three steps, because each failure has its own remedy. `read_message` finds the envelope and `identify` an
operation's place in it: what fails there cannot be attributed and goes to quarantine (Unreadable). `read_operation`
reads the rest: what fails there has a name, so it is committed as rejected with a code (Rejected) and its device goes
on.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TypeGuard, cast

import orjson

from appliance.contract import marks
from appliance.contract.fields import Fields, read_object
from appliance.contract.limits import (
    LINES_MAX,
    OPERATION_BYTES_MAX,
    PARENTS_MAX,
    SEQ_MAX,
    TEXT_MAX,
    TOOK_MS_MAX,
)
from appliance.contract.topics import check_sku
from appliance.stock.errors import Rejected
from appliance.stock.operation import (
    AlertAcknowledged,
    Body,
    Component,
    Count,
    Expire,
    Item,
    Line,
    Move,
    Operation,
    PrintCopy,
    Reason,
    Receipt,
    ReceiptKind,
    Stamp,
    Status,
)
from appliance.stock.quantity import format_qty, parse_qty

_EPOCH = re.compile(r"[A-Za-z0-9-]{16,64}", re.ASCII)
_TAG = re.compile(r"[0-9a-f]{16}", re.ASCII)
_RUN = re.compile(r"[0-9a-f]{1,32}", re.ASCII)
_RECEIPT = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)
_ALERT = re.compile(r"[a-z-]{1,32}-[a-z0-9]{1,32}", re.ASCII)
_RFC_3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})", re.ASCII
)
_BARCODES_MAX = 100


class Unreadable(Exception):
    """Bytes that name no operation. They are kept in quarantine; the text says what is wrong with them."""


@dataclass(frozen=True, slots=True)
class Message:
    """The envelope of one message: operations of one epoch, still as JSON objects.

    after: the tag of the operation before the first one, None when the message does not say.
    """

    epoch: str
    after: str | None
    operations: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Head:
    """What identifies an operation within its epoch.

    tag: None when the operation has none, or one that is no tag; then its bytes stand for it (`encoded`).
    """

    seq: int
    tag: str | None
    raw: dict[str, object]

    @property
    def kind(self) -> str:
        """The operation's type where it is one of the contract's, else `unknown`: a device cannot invent words."""
        kind = self.raw.get("type")
        return kind if isinstance(kind, str) and kind in _OWN_BODIES else "unknown"

    def encoded(self) -> bytes:
        """Return the operation's own JSON, as it is kept when the ledger keeps an operation's bytes."""
        return orjson.dumps(self.raw)


def is_epoch(value: object) -> TypeGuard[str]:
    """Whether a value may name an epoch."""
    return isinstance(value, str) and _EPOCH.fullmatch(value) is not None


def read_message(payload: bytes) -> Message:
    """Return the envelope of an `op` payload; a message without `ops` is itself one operation. Raises Unreadable."""
    try:
        raw = read_object(payload)
    except ValueError as error:
        raise Unreadable(f"no JSON object: {error}") from None
    epoch = raw.get("epoch")
    if not is_epoch(epoch):
        raise Unreadable(f"epoch is {epoch!r:.80}: write 16 to 64 of A-Z, a-z, 0-9 and -")
    after = raw.get("after")
    operations = raw.get("ops", None)
    if operations is None:
        operations = [{key: value for key, value in raw.items() if key not in ("epoch", "after")}]
    if not isinstance(operations, list) or not operations:
        raise Unreadable("ops is no list of operations")
    return Message(epoch, after if isinstance(after, str) else None, tuple(operations))


def identify(raw: object) -> Head:
    """Return where an operation stands in its epoch. Raises Unreadable when it has no sequence number."""
    if not isinstance(raw, dict):
        raise Unreadable(f"an operation is no object: {raw!r:.80}")
    seq = raw.get("seq")
    if not isinstance(seq, int) or isinstance(seq, bool) or not 1 <= seq <= SEQ_MAX:
        raise Unreadable(f"seq is {seq!r:.80}: write a whole number from 1")
    tag = raw.get("tag")
    return Head(seq, tag if isinstance(tag, str) and _TAG.fullmatch(tag) else None, raw)


def read_parents(head: Head) -> tuple[str, ...]:
    """Return the epochs that a fork's first operation comes from, newest first; () when it is no fork.

    Raises Rejected("bad-field"). They are read apart from the rest, for a fork holds whatever else is wrong.
    """
    if head.seq != 1:
        return ()
    fields = Fields(head.raw)
    parents = fields.texts("parents", longest=PARENTS_MAX)
    if not all(is_epoch(parent) for parent in parents):
        raise fields.wrong("parents", "a list of epochs")
    return parents


def is_again(head: Head) -> bool:
    """Whether the device has sent this operation in another epoch before. Raises Rejected("bad-field")."""
    return Fields(head.raw).flag("again", default=False)


def is_history_gap(head: Head) -> bool:
    """Whether a fork's first operation says that the device no longer has what the ledger asked for."""
    return head.raw.get("why") == "history-gap"


def read_operation(head: Head, *, is_linked: bool, is_own: bool = False) -> Operation:
    """Return the operation itself. Raises Rejected with a code of the contract and a sentence for a person.

    is_linked: whether its message starts at seq 1 or says what it comes `after`. is_own: it is the coordinator's.
    """
    if head.tag is None:
        _forgive_no_tag(head)
    if not is_linked:
        raise Rejected("after-missing", "a message whose first seq is not 1 carries `after`: the tag before it")
    if (size := len(head.encoded())) > OPERATION_BYTES_MAX:
        raise Rejected("operation-too-large", f"{size} bytes: at most {OPERATION_BYTES_MAX} are allowed")
    fields = Fields(head.raw)
    kind = fields.text("type")
    read_body = (_OWN_BODIES if is_own else _BODIES).get(kind)
    if read_body is None:
        raise Rejected("unknown-type", f"type is {kind!r:.80}: write one of {', '.join(_BODIES)}")
    stamp = _stamp(fields)
    return Operation(
        body=read_body(fields),
        stamp=stamp,
        seen=fields.integer("seen", low=0, high=SEQ_MAX, default=0) if stamp else 0,
        at=fields.checked("at", _time_for_people),
    )


def _forgive_no_tag(head: Head) -> None:
    if head.raw.get("tag") is not None:
        raise Rejected("bad-tag", f"tag is {head.raw['tag']!r:.80}: write 16 lower-case hex digits")
    if head.seq > 1:
        raise Rejected("tag-missing", "tag is required from seq 2 on: 16 random lower-case hex digits")


def _stamp(fields: Fields) -> Stamp | None:
    if fields.raw.get("run") is None and fields.raw.get("shop_ms") is None:
        return None
    run = fields.text("run")
    if _RUN.fullmatch(run) is None:
        raise fields.wrong("run", "the run of a tick", code="bad-stamp")
    return Stamp(
        run=run,
        shop_ms=fields.integer("shop_ms", low=0, high=SEQ_MAX, code="bad-stamp"),
        uncertain=fields.flag("uncertain", default=False),
    )


def _time_for_people(value: object) -> str | None:
    """A time with its offset. It decides nothing, but one that nobody can read would explain nothing."""
    if value is None:
        return None
    if isinstance(value, str) and _RFC_3339.fullmatch(value) is not None:
        with suppress(ValueError):  # The 31st of February.
            datetime.fromisoformat(value)
            return value
    raise Rejected("bad-field", f"{value!r:.80} is not a time: write RFC 3339 with an offset")


def _move(fields: Fields) -> Move:
    return Move(
        sku=fields.checked("sku", check_sku),
        qty_milli=fields.checked("qty", parse_qty),
        reason=fields.word("reason", Reason, code="unknown-reason"),
    )


def _item(fields: Fields) -> Item:
    components = _components(fields)
    low = fields.raw.get("low")
    details: dict[str, object] = {
        "name": fields.text("name", default=""),
        "unit": fields.text("unit", default="pcs", longest=16),
        "barcodes": list(fields.texts("barcodes", longest=_BARCODES_MAX)),
        "price_minor": fields.money("price_minor") if fields.raw.get("price_minor") is not None else None,
        "low": None if low is None else _rewritten(fields, "low"),
        "group": fields.text("group", default="") or None,
        "of": None if fields.raw.get("of") is None else fields.checked("of", check_sku),
        "components": [{"sku": part.sku, "qty": format_qty(part.qty_milli)} for part in components],
    }
    return Item(
        sku=fields.checked("sku", check_sku),
        unit=cast("str", details["unit"]),
        low_milli=None if low is None else fields.checked("low", parse_qty),
        details=details,
    )


def _rewritten(fields: Fields, key: str) -> str:
    return format_qty(fields.checked(key, parse_qty))


def _receipt(fields: Fields) -> Receipt:
    status = fields.word("status", Status, code="unknown-status")
    for money in ("discount_minor", "total_minor"):
        fields.money(money)
    for text in ("cashier", "table", "currency"):
        fields.text(text, default="")
    # Who cancels need not know what there was on it, nor that it was a return.
    is_whole = status is not Status.CANCELLED
    has_kind = is_whole or fields.raw.get("kind") is not None
    lines = tuple(_line(line) for line in fields.objects("lines", longest=LINES_MAX, required=is_whole))
    named = {line.sku for line in lines} | {part.sku for line in lines for part in line.components}
    if (count := len(named)) > LINES_MAX:
        # One revision's balances are one message, so how many an operation may change is bounded.
        raise Rejected("bad-field", f"lines name {count} SKUs, components included: at most {LINES_MAX} are allowed")
    return Receipt(
        receipt=_receipt_id(fields, "receipt"),
        kind=fields.word("kind", ReceiptKind, code="unknown-kind") if has_kind else ReceiptKind.SALE,
        status=status,
        lines=lines,
        edit=fields.integer("edit", low=0, high=SEQ_MAX, default=1),
        number=fields.text("number", default=""),
        of=None if fields.raw.get("of") is None else _receipt_id(fields, "of"),
        is_printed=None if fields.raw.get("print") is None else fields.flag("print", default=False),
    )


def _print(fields: Fields) -> PrintCopy:
    return PrintCopy(_receipt_id(fields, "receipt"))


def _receipt_id(fields: Fields, key: str) -> str:
    receipt = fields.text(key, longest=64)
    if _RECEIPT.fullmatch(receipt) is None:
        raise fields.wrong(key, "1 to 64 of A-Z, a-z, 0-9 and -: a UUID, never used again")
    return receipt


def _line(fields: Fields) -> Line:
    return Line(
        sku=fields.checked("sku", check_sku),
        qty_milli=fields.checked("qty", _not_negative),
        name=fields.text("name", default=""),
        unit=fields.text("unit", default="", longest=16),
        price_minor=fields.money("price_minor"),
        discount_minor=fields.money("discount_minor"),
        amount_minor=fields.money("amount_minor"),
        marks=_marks(fields),
        components=_components(fields),
    )


def _expire(fields: Fields) -> Expire:
    return Expire(_receipt_id(fields, "receipt"), fields.integer("edit", low=0, high=SEQ_MAX))


def _count(fields: Fields) -> Count:
    return Count(
        sku=fields.checked("sku", check_sku),
        counted_milli=fields.checked("counted", _not_negative),
        took_ms=fields.integer("took_ms", low=0, high=TOOK_MS_MAX, default=0),
        includes_reserved=fields.flag("includes_reserved", default=False),
    )


def _marks(fields: Fields) -> tuple[str, ...]:
    """Identities of the marked goods on a line. A code that is no mark stays in the receipt's text and says nothing."""
    found = (marks.identity(code) for code in fields.texts("marks", longest=LINES_MAX))
    return tuple(mark for mark in found if mark is not None)


def _not_negative(value: object) -> int:
    """A quantity on a receipt or of a count. What goes back is a receipt of kind `return`, not a line below nothing."""
    milli = parse_qty(value)
    if milli < 0:
        raise Rejected("bad-quantity", f"{value!r:.80} is negative: write 0 or more")
    return milli


def _components(fields: Fields) -> tuple[Component, ...]:
    return tuple(
        Component(part.checked("sku", check_sku), part.checked("qty", _not_negative))
        for part in fields.objects("components", longest=LINES_MAX)
    )


def _alert(fields: Fields) -> AlertAcknowledged:
    alert = fields.text("alert", longest=TEXT_MAX)
    if _ALERT.fullmatch(alert) is None:
        raise fields.wrong("alert", "the name of an alert")
    if fields.text("status") != "acknowledged":
        raise fields.wrong("status", "acknowledged", code="unknown-status")
    return AlertAcknowledged(alert)


_BODIES: dict[str, Callable[[Fields], Body]] = {
    "move": _move,
    "item": _item,
    "receipt": _receipt,
    "count": _count,
    "alert": _alert,
    "print": _print,
}
_OWN_BODIES = _BODIES | {"expire": _expire}
"""What the coordinator's own device says besides."""
