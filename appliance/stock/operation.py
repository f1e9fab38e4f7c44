"""Operations: what a device says has happened, as values.

`contract.operations` makes these from JSON; `stock.reconcile` turns them into effects. All quantities are integer
thousandths (`_milli`), all money is integer minor units (`_minor`).
"""

from dataclasses import dataclass, field
from enum import StrEnum


class Reason(StrEnum):
    """Why goods moved, and in which direction they may."""

    SALE = "sale"
    WRITE_OFF = "write_off"
    TRANSFER_OUT = "transfer_out"
    RETURN = "return"
    RECEIVE = "receive"
    TRANSFER_IN = "transfer_in"
    ADJUST = "adjust"


OUTWARD = frozenset({Reason.SALE, Reason.WRITE_OFF, Reason.TRANSFER_OUT})
INWARD = frozenset({Reason.RETURN, Reason.RECEIVE, Reason.TRANSFER_IN})


@dataclass(frozen=True, slots=True)
class Move:
    """One movement of one SKU."""

    sku: str
    qty_milli: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class Component:
    """One part of a kit: how much of a SKU one piece of the kit holds."""

    sku: str
    qty_milli: int


@dataclass(frozen=True, slots=True)
class Item:
    """What the catalogue says of a SKU. low_milli: the low-stock level. details: the wire's own object, for readers."""

    sku: str
    unit: str
    low_milli: int | None
    details: dict[str, object] = field(hash=False)


class ReceiptKind(StrEnum):
    SALE = "sale"
    RETURN = "return"


class Status(StrEnum):
    """What a receipt operation asks for. `open` reserves, `paid` moves the goods, `cancelled` releases."""

    OPEN = "open"
    PAID = "paid"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a receipt, with the money as the till worked it out.

    `components` are the kit's parts as the till knew them: no movement depends on when the kit's `item` arrives.
    `marks` are identities of marked goods, not raw codes.
    """

    sku: str
    qty_milli: int
    name: str = ""
    unit: str = ""
    price_minor: int = 0
    discount_minor: int = 0
    amount_minor: int = 0
    marks: tuple[str, ...] = ()
    components: tuple[Component, ...] = ()


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a device says of a receipt. of: the sale that a return belongs to, None when it is not known.

    is_printed: whether it is to be printed, None for what the shop has set.
    """

    receipt: str
    kind: ReceiptKind
    status: Status
    lines: tuple[Line, ...]
    edit: int = 1
    number: str = ""
    of: str | None = None
    is_printed: bool | None = None


@dataclass(frozen=True, slots=True)
class PrintCopy:
    """Somebody wants a receipt on paper once more."""

    receipt: str


@dataclass(frozen=True, slots=True)
class Expire:
    """The coordinator's own: an open receipt has reserved for too long. edit: the one that it has seen."""

    receipt: str
    edit: int


@dataclass(frozen=True, slots=True)
class Count:
    """At one moment there were physically `counted_milli` of a SKU, goods of open receipts included.

    took_ms: how long counting lasted. includes_reserved: the counter looked for the reserved goods too.
    """

    sku: str
    counted_milli: int
    took_ms: int = 0
    includes_reserved: bool = False


@dataclass(frozen=True, slots=True)
class AlertAcknowledged:
    """A person has seen an alert."""

    alert: str


Body = Move | Item | Receipt | PrintCopy | Expire | Count | AlertAcknowledged


@dataclass(frozen=True, slots=True)
class Stamp:
    """When something happened, in the shop time of one run of the coordinator."""

    run: str
    shop_ms: int
    uncertain: bool


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation with what the device knew when it made it.

    stamp: None means now, on arrival. seen: the highest revision that the device had heard of in `stamp.run`.
    at: RFC 3339 text, for people only.
    """

    body: Body
    stamp: Stamp | None
    seen: int
    at: str | None
