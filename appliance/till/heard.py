"""What the coordinator says, read by a till: the reading half of `contract.messages`.

A till is told by many versions of the coordinator, and by whatever else may publish in a badly kept shop; what it
cannot read says nothing, so a reader of a payload returns None for it. A reader of a row of one raises Rejected, and
whoever reads the rows leaves that one out: one that it cannot read must not hide the others. Unknown keys are ignored.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeVar

import orjson

from appliance.contract.fields import Fields
from appliance.contract.limits import PAYLOAD_MAX, SEQ_MAX
from appliance.contract.messages import Ack, Refusal, Rejection
from appliance.contract.topics import check_sku
from appliance.stock.errors import Rejected

T = TypeVar("T")

_BALANCE = re.compile(r"-?[0-9]{1,13}(\.[0-9]{1,3})?", re.ASCII)
"""A sum of quantities may be far larger than any of them (wire contract, "Values"): it comes to at most 9 * 10^12."""


@dataclass(frozen=True, slots=True)
class Presence:
    """The retained `coordinator`. Offline it names no revision (0)."""

    is_online: bool
    ledger: str
    run: str
    rev: int


@dataclass(frozen=True, slots=True)
class Tick:
    ledger: str
    run: str
    shop_ms: int
    rev: int


@dataclass(frozen=True, slots=True)
class Told:
    """An ack, and what is only said when the message just sent was not taken."""

    ack: Ack
    is_gap: bool
    refused: Refusal | None


@dataclass(frozen=True, slots=True)
class Balance:
    """What the coordinator has of one SKU since revision `rev`."""

    sku: str
    on_hand_milli: int
    reserved_milli: int
    counted: bool
    rev: int


@dataclass(frozen=True, slots=True)
class Changes:
    """What the commits after revision `since` and through `to` have changed. items: balances, read by whoever asked."""

    run: str
    since: int
    to: int
    items: tuple[Fields, ...]


@dataclass(frozen=True, slots=True)
class CatalogueItem:
    """What the catalogue says of a SKU since revision `rev`.

    price_minor: None where it has no price. components: of a kit, in the wire's own keys, as a line of a receipt takes
    them.
    """

    sku: str
    name: str
    unit: str
    barcodes: tuple[str, ...]
    price_minor: int | None
    components: tuple[dict[str, object], ...] = field(hash=False)
    rev: int


@dataclass(frozen=True, slots=True)
class Page:
    """One answer to a query. items: JSON objects, read by whoever asked."""

    id: str
    ledger: str
    run: str
    since: int
    to: int
    more: bool
    items: tuple[Fields, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """An answer that is none: why the coordinator could not answer the query `id`."""

    id: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class DeviceState:
    """Another device's retained `state`. pending: what it had to send when it said so; None when it does not say."""

    is_online: bool
    pending: int | None


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that a person must know. since: RFC 3339, for people. facts: a JSON object of the kind's own."""

    alert: str
    kind: str
    status: str
    since: str
    summary: str
    facts: dict[str, object] = field(hash=False)


@dataclass(frozen=True, slots=True)
class FoundReceipt:
    """What the coordinator knows of a receipt.

    state: `open`, `paid`, `cancelled` or `expired`. edit: of the open that won, or of the payment. device: who put it
    into this state, at revision `rev`. lines: what that device said, in the wire's own keys, as `Till.receipt` takes
    them; () when its text is gone or never had any. operation: all that it said; None when there is no such text.
    """

    receipt: str
    kind: str
    state: str
    number: str
    edit: int
    device: str
    rev: int
    at: str
    operation: dict[str, object] | None = field(hash=False)

    @property
    def lines(self) -> tuple[dict[str, object], ...]:
        lines = [] if self.operation is None else self.operation.get("lines")
        return tuple(line for line in lines if isinstance(line, dict)) if isinstance(lines, list) else ()


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One entry of a SKU's history; quantities are decimal text. on_hand, reserved: what it left.

    cause: the contract's word (`sale`, `count`, `counted-already` …). counted: what was counted, where it was a count.
    """

    rev: int
    at: str
    device: str
    type: str
    receipt: str | None
    number: str | None
    cause: str
    effect: str
    on_hand: str
    reserved: str
    counted: str | None


def read_presence(payload: bytes) -> Presence | None:
    def read(fields: Fields) -> Presence:
        is_online = fields.text("state") == "online"
        return Presence(is_online, fields.text("ledger"), fields.text("run"), _integer(fields, "rev", default=0))

    return _read(payload, read)


def read_tick(payload: bytes) -> Tick | None:
    def read(fields: Fields) -> Tick:
        return Tick(
            fields.text("ledger"), fields.text("run"), _integer(fields, "shop_ms"), _integer(fields, "rev", default=0)
        )

    return _read(payload, read)


def read_ack(payload: bytes) -> Told | None:
    return _read(payload, _told)


def read_changes(payload: bytes) -> Changes | None:
    def read(fields: Fields) -> Changes:
        return Changes(fields.text("run"), _integer(fields, "from"), _integer(fields, "to"), _objects(fields, "items"))

    return _read(payload, read)


def read_page(payload: bytes) -> Page | None:
    """Return an answer; an answer that tells an error is none, and the question is asked again later."""

    def read(fields: Fields) -> Page:
        return Page(
            id=fields.text("id"),
            ledger=fields.text("ledger"),
            run=fields.text("run"),
            since=_integer(fields, "from"),
            to=_integer(fields, "to"),
            more=fields.flag("more", default=False),
            items=_objects(fields, "items"),
        )

    return _read(payload, read)


def read_failure(payload: bytes) -> Failure | None:
    def read(fields: Fields) -> Failure:
        return Failure(fields.text("id"), fields.text("code"), fields.text("detail", default=""))

    return _read(payload, read)


def read_device_state(payload: bytes) -> DeviceState | None:
    def read(fields: Fields) -> DeviceState:
        is_told = fields.raw.get("pending") is not None
        return DeviceState(fields.text("state") == "online", _integer(fields, "pending") if is_told else None)

    return _read(payload, read)


def read_alert(payload: bytes) -> Alert | None:
    def read(fields: Fields) -> Alert:
        facts = fields.raw.get("facts")
        return Alert(
            alert=fields.text("alert"),
            kind=fields.text("kind"),
            status=fields.text("status", default="active"),
            since=fields.text("since", default=""),
            summary=fields.text("summary", default="", longest=PAYLOAD_MAX),
            facts=facts if isinstance(facts, dict) else {},
        )

    return _read(payload, read)


def read_receipt(fields: Fields) -> FoundReceipt:
    """Return what a page says of a receipt. Raises Rejected."""
    operation = fields.raw.get("operation")
    return FoundReceipt(
        receipt=fields.text("receipt"),
        kind=fields.text("kind"),
        state=fields.text("state"),
        number=fields.text("number", default=""),
        edit=_integer(fields, "edit", default=0),
        device=fields.text("device", default=""),
        rev=_integer(fields, "rev"),
        at=fields.text("at", default=""),
        operation=operation if isinstance(operation, dict) else None,
    )


def read_entry(fields: Fields) -> HistoryEntry:
    """Return one entry of a page of a SKU's history. Raises Rejected."""
    return HistoryEntry(
        rev=_integer(fields, "rev"),
        at=fields.text("at", default=""),
        device=fields.text("device"),
        type=fields.text("type", default=""),
        receipt=fields.text("receipt", default="") or None,
        number=fields.text("number", default="") or None,
        cause=fields.text("cause"),
        effect=fields.text("effect"),
        on_hand=fields.text("on_hand"),
        reserved=fields.text("reserved", default="0"),
        counted=fields.text("counted", default="") or None,
    )


def read_balance(fields: Fields) -> Balance:
    """Return a balance of a page or of `changes`. Raises Rejected."""
    return Balance(
        sku=fields.checked("sku", check_sku),
        on_hand_milli=fields.checked("on_hand", _parse_balance),
        reserved_milli=fields.checked("reserved", _parse_balance),
        counted=fields.flag("counted", default=False),
        rev=_integer(fields, "rev"),
    )


def read_item(fields: Fields) -> CatalogueItem:
    """Return an item of a page, or what this till itself has said of one, with a revision. Raises Rejected."""
    return CatalogueItem(
        sku=fields.checked("sku", check_sku),
        name=fields.text("name", default=""),
        unit=fields.text("unit", default="pcs"),
        barcodes=fields.texts("barcodes", longest=PAYLOAD_MAX),
        price_minor=None if fields.raw.get("price_minor") is None else fields.money("price_minor"),
        components=tuple(part.raw for part in _objects(fields, "components")),
        rev=_integer(fields, "rev"),
    )


def _parse_balance(value: object) -> int:
    """Return a balance in thousandths."""
    if not isinstance(value, str) or _BALANCE.fullmatch(value) is None:
        raise Rejected("bad-quantity", f"{value!r:.80} is not a balance: write a decimal below 10000000000000")
    return int(Decimal(value) * 1000)


def _told(fields: Fields) -> Told:
    ack = Ack(
        ledger=fields.text("ledger"),
        epoch=fields.text("epoch"),
        seq=_integer(fields, "seq"),
        tag=_tag(fields),
        safe=_integer(fields, "safe", default=0),
        rejected=tuple(
            Rejection(_integer(row, "seq"), _tag(row), row.text("code"), row.text("detail", default=""))
            for row in _objects(fields, "rejected")
        ),
        rejected_total=_integer(fields, "rejected_total", default=0),
    )
    refused = fields.raw.get("refused")
    return Told(
        ack, fields.flag("gap", default=False), _refusal(Fields(refused)) if isinstance(refused, dict) else None
    )


def _refusal(fields: Fields) -> Refusal:
    return Refusal(_integer(fields, "seq"), _tag(fields), fields.text("code"))


def _tag(fields: Fields) -> str | None:
    return fields.text("tag", default="") or None


def _integer(fields: Fields, key: str, *, default: int | None = None) -> int:
    return fields.integer(key, low=0, high=SEQ_MAX, default=default)


def _objects(fields: Fields, key: str) -> tuple[Fields, ...]:
    return tuple(fields.objects(key, longest=PAYLOAD_MAX))


def _read(payload: bytes, read: Callable[[Fields], T]) -> T | None:
    try:
        raw = orjson.loads(payload)
        return read(Fields(raw)) if isinstance(raw, dict) else None
    except (orjson.JSONDecodeError, Rejected):
        return None
