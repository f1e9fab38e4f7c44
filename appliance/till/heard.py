"""What the coordinator says, read by a till: the reading half of `contract.messages`.

A till is told by many versions of the coordinator, and by whatever else may publish in a badly kept shop; what it
cannot read says nothing, so every reader returns None for it and none raises. Unknown keys are ignored.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import orjson

from appliance.contract.fields import Fields
from appliance.contract.limits import PAYLOAD_MAX, SEQ_MAX
from appliance.contract.messages import Ack, Refusal, Rejection
from appliance.contract.topics import check_sku
from appliance.stock.errors import Rejected
from appliance.stock.quantity import parse_qty

T = TypeVar("T")


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
    """What the commits after revision `since` and through `to` have changed."""

    run: str
    since: int
    to: int
    items: tuple[Balance, ...]


@dataclass(frozen=True, slots=True)
class Unit:
    """In which unit a SKU is counted, as the catalogue has it since revision `rev`."""

    sku: str
    unit: str
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
        items = tuple(read_balance(item) for item in _objects(fields, "items"))
        return Changes(fields.text("run"), _integer(fields, "from"), _integer(fields, "to"), items)

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


def read_balance(fields: Fields) -> Balance:
    """Return a balance of a page or of `changes`. Raises Rejected."""
    return Balance(
        sku=fields.checked("sku", check_sku),
        on_hand_milli=fields.checked("on_hand", parse_qty),
        reserved_milli=fields.checked("reserved", parse_qty),
        counted=fields.flag("counted", default=False),
        rev=_integer(fields, "rev"),
    )


def read_unit(fields: Fields) -> Unit:
    """Return what an item of a page says of its unit. Raises Rejected."""
    return Unit(fields.checked("sku", check_sku), fields.text("unit", default="pcs"), _integer(fields, "rev"))


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
