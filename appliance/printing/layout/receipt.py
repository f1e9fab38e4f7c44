"""What a pre-check says, read from the till's own receipt operation.

The operation has been through the contract before it got here, so nothing is checked again. What the till left out is
worked out where that is plain arithmetic, and otherwise is None and not printed: paper never shows a made-up sum.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from appliance.printing.layout.characters import is_visible
from appliance.stock.operation import ReceiptKind, Status
from appliance.stock.quantity import parse_qty


@dataclass(frozen=True, slots=True)
class Shop:
    """Who sells."""

    name: str
    inn: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class PreCheckLine:
    """One line. amount_minor: after the discount, which is what the till took off the whole line."""

    name: str
    sku: str
    qty_milli: int
    unit: str
    price_minor: int | None
    discount_minor: int
    amount_minor: int | None


class Purpose(StrEnum):
    """What a sheet is for: a guest who is to pay or has paid, or a cook, whom no sum concerns."""

    PAY = "pay"
    PAID = "paid"
    ORDER = "order"


class Heading(StrEnum):
    """What a sheet must say of itself, because it is not the first and only one, or no guest's at all."""

    COPY = "copy"
    EDITED = "edited"
    REPEAT = "repeat"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class PreCheck:
    """One sheet to print. at: RFC 3339 or "". before: the lines of the edit before, for an EDITED sheet."""

    shop: Shop
    receipt: str
    number: str
    kind: ReceiptKind
    purpose: Purpose
    at: str
    device: str
    cashier: str
    table: str
    lines: tuple[PreCheckLine, ...]
    discount_minor: int
    total_minor: int | None
    currency: str
    headings: tuple[Heading, ...] = ()
    before: tuple[PreCheckLine, ...] = ()


def read_receipt(
    operation: Mapping[str, Any],
    *,
    shop: Shop,
    device: str,
    headings: tuple[Heading, ...] = (),
    before: Mapping[str, Any] | None = None,
) -> PreCheck:
    """Return the pre-check of a receipt operation, as the wire has it.

    headings: printed at the top, in this order. before: the operation that an EDITED sheet replaces.
    """
    lines = _lines(operation)
    discount = operation.get("discount_minor") or 0
    total = operation.get("total_minor")
    return PreCheck(
        shop=shop,
        receipt=operation["receipt"],
        number=operation.get("number") or "",
        kind=ReceiptKind(operation.get("kind") or ReceiptKind.SALE),
        purpose=Purpose.PAID if operation.get("status") == Status.PAID else Purpose.PAY,
        at=operation.get("at") or "",
        device=device,
        cashier=operation.get("cashier") or "",
        table=operation.get("table") or "",
        lines=lines,
        discount_minor=discount,
        # With a discount it is unknown: nobody said whether the lines hold it.
        total_minor=total if total is not None or discount else cost_of(lines),
        currency=operation.get("currency") or "",
        headings=headings,
        before=() if before is None else _lines(before),
    )


def _lines(operation: Mapping[str, Any]) -> tuple[PreCheckLine, ...]:
    return tuple(_line(line) for line in operation.get("lines") or ())


def _line(line: Mapping[str, Any]) -> PreCheckLine:
    qty_milli, price, discount = parse_qty(line["qty"]), line.get("price_minor"), line.get("discount_minor") or 0
    amount = line.get("amount_minor")
    if amount is None and price is not None:
        amount = _times(price, qty_milli) - discount
    return PreCheckLine(
        name=name if is_visible(name := line.get("name") or "") else line["sku"],
        sku=line["sku"],
        qty_milli=qty_milli,
        unit=line.get("unit") or "",
        price_minor=price,
        discount_minor=discount,
        amount_minor=amount,
    )


def _times(price_minor: int, qty_milli: int) -> int:
    """Return price × quantity in minor units, halves away from zero, as tills round."""
    product = price_minor * qty_milli
    rounded = (abs(product) + 500) // 1000
    return -rounded if product < 0 else rounded


def cost_of(lines: tuple[PreCheckLine, ...]) -> int | None:
    """Return what lines cost together; None when nobody knows it of one of them."""
    amounts = [line.amount_minor for line in lines if line.amount_minor is not None]
    return sum(amounts) if len(amounts) == len(lines) else None
