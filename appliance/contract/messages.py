"""Every other message of the wire contract: what devices ask, and all that the coordinator says.

Functions that write return the payload's bytes; a balance is encoded once and its bytes serve its own topic, the change
feed and the answers. A question that cannot be answered raises BadQuery, which carries what the device is told; a state
that cannot be read says that its device is gone.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import orjson

from appliance.contract.fields import Fields, read_object
from appliance.contract.limits import OPERATION_BYTES_MAX, PAYLOAD_MAX, QUERY_ID_MAX, QUERY_LIMIT_MAX, SEQ_MAX
from appliance.contract.operations import is_epoch
from appliance.contract.topics import check_sku
from appliance.stock.alerts import Raised
from appliance.stock.errors import Rejected
from appliance.stock.quantity import format_qty
from appliance.stock.stamps import rfc3339

# --- what a device says -----------------------------------------------------------------------------------------------

_PROGRAM_MAX = 60
"""Characters of a program's name and version that a person is shown."""


@dataclass(frozen=True, slots=True)
class State:
    """A device's own retained state. epoch: the one whose ack it asks for, None when it has no outbox.

    For people only: `pending`, how many operations it has to send, None when it does not say; `program`, what it runs.
    """

    is_online: bool
    epoch: str | None
    pending: int | None = None
    program: str = ""


def read_state(payload: bytes) -> State:
    """Return a device's state; what is unreadable is a device that says nothing, since its will may be anything."""
    try:
        raw = read_object(payload)
    except ValueError:
        return State(is_online=False, epoch=None)
    epoch, pending = raw.get("epoch"), raw.get("pending")
    program = " ".join(word for key in ("app", "version") if isinstance(word := raw.get(key), str))
    return State(
        raw.get("state") == "online",
        epoch if is_epoch(epoch) else None,
        pending if type(pending) is int and 0 <= pending <= SEQ_MAX else None,
        program[:_PROGRAM_MAX],
    )


class What(StrEnum):
    """What a query may ask for."""

    BALANCES = "balances"
    ITEMS = "items"
    HISTORY = "history"
    RECEIPT = "receipt"
    REJECTED = "rejected"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class Query:
    """One question of a device. since: a revision of `run`, from which on it wants to know; limit: rows of a page."""

    id: str
    what: What
    run: str | None
    since: int
    limit: int
    receipt: str
    sku: str


class BadQuery(Exception):
    """A query that cannot be answered. asked: its id, None when it has none. `payload` is the error's own answer."""

    def __init__(self, asked: str | None, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.payload = orjson.dumps({"id": asked, "code": code, "detail": detail})


def read_query(payload: bytes) -> Query:
    """Return a device's question. Raises BadQuery, which carries the answer to send."""
    try:
        raw = read_object(payload)
    except ValueError as error:
        raise BadQuery(None, "bad-query", f"no JSON object: {error}") from None
    fields = Fields(raw)
    asked: str | None = None
    try:
        # First, for every other error repeats it; and never one that is too long, or the answer would be so too.
        asked = fields.text("id", longest=QUERY_ID_MAX)
        what = fields.word("what", What, code="unknown-query")
        return Query(
            id=asked,
            what=what,
            run=fields.text("run", default="") or None,
            since=fields.integer("since", low=0, high=SEQ_MAX, default=0),
            limit=min(fields.integer("limit", low=1, high=SEQ_MAX, default=500), QUERY_LIMIT_MAX),
            receipt=fields.text("receipt", default=None if what is What.RECEIPT else ""),
            sku=fields.checked("sku", check_sku) if what is What.HISTORY else "",
        )
    except Rejected as error:
        raise BadQuery(asked, error.code, error.detail) from None


# --- what the coordinator says ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Balance:
    """What the ledger holds of one SKU, at the revision that changed it last. at_ms: wall clock, for people."""

    sku: str
    on_hand_milli: int
    reserved_milli: int
    counted: bool
    rev: int
    at_ms: int


def balance(of: Balance) -> bytes:
    return orjson.dumps(
        {
            "sku": of.sku,
            "on_hand": format_qty(of.on_hand_milli),
            "reserved": format_qty(of.reserved_milli),
            "available": format_qty(of.on_hand_milli - of.reserved_milli),
            "counted": of.counted,
            "rev": of.rev,
            "at": rfc3339(of.at_ms),
        }
    )


def item(sku: str, rev: int, details: dict[str, object]) -> bytes:
    return orjson.dumps({"sku": sku, **details, "rev": rev})


@dataclass(frozen=True, slots=True)
class Rejection:
    seq: int
    tag: str | None
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the message just heard was not committed: the device forks. Never part of the retained ack."""

    seq: int
    tag: str | None
    code: str


@dataclass(frozen=True, slots=True)
class Ack:
    """Through which operation of one epoch everything is on disk."""

    ledger: str
    epoch: str
    seq: int
    tag: str | None
    safe: int
    rejected: tuple[Rejection, ...]
    rejected_total: int


@dataclass(frozen=True, slots=True)
class Covered:
    """Through which operation of one epoch every kept backup has it: an ack's `safe` to be."""

    device: str
    epoch: str
    seq: int


_DETAIL_MAX = 200
"""Characters of a rejection's detail inside an ack, so that 32 stay a small message; `rejected` answers it whole."""


def ack(of: Ack, *, gap: bool = False, refused: Refusal | None = None) -> bytes:
    said: dict[str, object] = {
        "ledger": of.ledger,
        "epoch": of.epoch,
        "seq": of.seq,
        "tag": of.tag,
        "safe": of.safe,
        "rejected": [
            {"seq": row.seq, "tag": row.tag, "code": row.code, "detail": row.detail[:_DETAIL_MAX]}
            for row in of.rejected
        ],
        "rejected_total": of.rejected_total,
    }
    if gap:
        said["gap"] = True
    if refused is not None:
        said["refused"] = {"seq": refused.seq, "tag": refused.tag, "code": refused.code}
    return orjson.dumps(said)


@dataclass(frozen=True, slots=True)
class Coordinator:
    """Who speaks: one ledger, in one run of the process."""

    ledger: str
    run: str
    clock: str
    version: str


def online(of: Coordinator, rev: int) -> bytes:
    return orjson.dumps(
        {
            "state": "online",
            "ledger": of.ledger,
            "run": of.run,
            "rev": rev,
            "clock": of.clock,
            "version": of.version,
        }
    )


def offline(of: Coordinator) -> bytes:
    """The coordinator's last will, and its last word when it is stopped."""
    return orjson.dumps({"state": "offline", "ledger": of.ledger, "run": of.run, "version": of.version})


def tick(of: Coordinator, shop_ms: int, rev: int) -> bytes:
    return orjson.dumps({"ledger": of.ledger, "run": of.run, "shop_ms": shop_ms, "rev": rev})


_ENVELOPE_BYTES = 1024
"""Room for everything around the items of a page or a part: 0.7 KiB with the longest id, ledger, run and numbers."""


@dataclass(frozen=True, slots=True)
class Row:
    """One encoded item of a page, and the revision at which it stands."""

    rev: int
    encoded: bytes


def parts(rows: Sequence[Row], *, size_max: int = PAYLOAD_MAX - _ENVELOPE_BYTES) -> Iterator[list[Row]]:
    """Cut rows in order of their revision into parts that fit one payload. A part never splits a revision.

    One revision is one operation, whose 500 lines of balances at 128 bytes of SKU fit a payload; so a part that must
    exceed `size_max` to stay whole still fits.
    """
    part: list[Row] = []
    size = 0
    for row in rows:
        if part and size + len(row.encoded) + 1 > size_max and row.rev != part[-1].rev:
            yield part
            part, size = [], 0
        part.append(row)
        size += len(row.encoded) + 1
    if part:
        yield part


def changes(run: str, since: int, through: int, rows: Sequence[Row]) -> Iterator[bytes]:
    """What commits changed after revision `since` and through `through`, in as many parts as it needs.

    Revisions that changed no balance are told too, by a part without items; readers would else take them for missed.
    """
    if since == through:
        return
    cut = list(parts(rows)) or [[]]
    for place, part in enumerate(cut):
        to = through if place == len(cut) - 1 else part[-1].rev
        yield _page({"run": run, "from": since, "to": to}, (row.encoded for row in part))
        since = to


def answer(query: Query, of: Coordinator, since: int, to: int, rows: Iterable[Row], *, more: bool) -> bytes:
    said = {"id": query.id, "ledger": of.ledger, "run": of.run, "from": since, "to": to, "more": more}
    return _page(said, (row.encoded for row in rows))


def _page(said: dict[str, object], items: Iterable[bytes]) -> bytes:
    """Add already encoded items to an object, without decoding them."""
    return orjson.dumps(said)[:-1] + b',"items":[' + b",".join(items) + b"]}"


def rejected(device: str, epoch: str, row: Rejection, rev: int, operation: bytes) -> bytes:
    """One rejected operation with its JSON, for whoever puts it right; one that was too large is not repeated."""
    is_shown = len(operation) <= OPERATION_BYTES_MAX
    return orjson.dumps(
        {
            "device": device,
            "epoch": epoch,
            "seq": row.seq,
            "tag": row.tag,
            "rev": rev,
            "code": row.code,
            "detail": row.detail,
            "operation": orjson.Fragment(operation) if is_shown else None,
        }
    )


def receipt(
    receipt: str,
    kind: str,
    state: str,
    number: str,
    edit: int,
    device: str,
    rev: int,
    at_ms: int,
    operation: bytes | None,
) -> bytes:
    """What the ledger knows of a receipt: its state, the device that put it there at `rev`, and what that device said.

    operation: the JSON of that operation, with the lines; None when the receipt expired or its text was pruned.
    """
    return orjson.dumps(
        {
            "receipt": receipt,
            "kind": kind,
            "state": state,
            "number": number,
            "edit": edit,
            "device": device,
            "rev": rev,
            "at": rfc3339(at_ms),
            "operation": None if operation is None else orjson.Fragment(operation),
        }
    )


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a SKU's history, with what it left. counted_milli: what was counted, where a count caused it."""

    rev: int
    at_ms: int
    device: str
    kind: str
    receipt: str | None
    number: str | None
    cause: str
    effect_milli: int
    on_hand_milli: int
    reserved_milli: int
    counted_milli: int | None


def entry(of: Entry) -> bytes:
    return orjson.dumps(
        {
            "rev": of.rev,
            "at": rfc3339(of.at_ms),
            "device": of.device,
            "type": of.kind,
            "receipt": of.receipt,
            "number": of.number or None,
            "cause": of.cause,
            "effect": format_qty(of.effect_milli),
            "on_hand": format_qty(of.on_hand_milli),
            "reserved": format_qty(of.reserved_milli),
            "counted": None if of.counted_milli is None else format_qty(of.counted_milli),
        }
    )


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that a person must know. since_ms: wall clock, for people. times: how often it was raised since.

    facts: a JSON object of the kind's own, encoded.
    """

    alert: str
    kind: str
    status: str
    since_ms: int
    rev: int
    times: int
    summary: str
    facts: bytes


def first_alert(raised: Raised, since_ms: int, rev: int) -> Alert:
    """Return an alert as it stands when it is raised for the first time."""
    facts = orjson.dumps(raised.facts)
    return Alert(raised.alert, raised.kind, "active", since_ms, rev, 1, raised.summary, facts)


def alert(of: Alert) -> bytes:
    return orjson.dumps(
        {
            "alert": of.alert,
            "kind": of.kind,
            "status": of.status,
            "since": rfc3339(of.since_ms),
            "rev": of.rev,
            "times": of.times,
            "summary": of.summary,
            "facts": orjson.Fragment(of.facts),
        }
    )
