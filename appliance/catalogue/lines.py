"""The lines of a sheet, checked by the contract's own rules before anything is written."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from appliance.catalogue.columns import Columns, Field
from appliance.catalogue.sheets import Row, Sheet
from appliance.contract.operations import Head, read_operation
from appliance.stock.errors import Rejected
from appliance.stock.operation import Item
from appliance.stock.quantity import parse_qty

_UNITS = {
    "шт": "pcs",
    "штука": "pcs",
    "штук": "pcs",
    "pc": "pcs",
    "кг": "kg",
    "г": "g",
    "гр": "g",
    "л": "l",
    "мл": "ml",
}
_CURRENCY = re.compile(r"\s*(₽|руб\.?|р\.|rub|€|\$)$", re.IGNORECASE)
_ROUNDED = re.compile(r"\d[.,]\d+[eE]\+\d+")
_BETWEEN_BARCODES = re.compile(r"[,;|\s]+")
_TAG = "0" * 16


@dataclass(frozen=True, slots=True)
class Line:
    """item: the fields of an item that the sheet has, as on the wire. Quantities are thousandths, None where empty."""

    number: int
    sku: str
    item: Mapping[str, object]
    on_hand_milli: int | None
    counted_milli: int | None


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong in a line, for the person who must mend it in the spreadsheet."""

    line: int
    column: str
    text: str


class _Wrong(Exception):
    def __init__(self, field: Field, text: str) -> None:
        super().__init__(text)
        self.field = field


def read(sheet: Sheet, columns: Columns) -> tuple[list[Line], list[Fault]]:
    """Return every line below the headings that is right, and what is wrong with the others, in their order."""
    lines: list[Line] = []
    faults: list[Fault] = []
    seen: dict[str, int] = {}
    for row in sheet.rows:
        if row.number <= columns.heading.number:
            continue
        try:
            line = _line(row, columns, has_decimal_comma=sheet.has_decimal_comma)
            if (before := seen.setdefault(line.sku, line.number)) != line.number:
                raise _Wrong(Field.SKU, f"{line.sku!r} is on line {before} already: keep one of them")
        except _Wrong as wrong:
            column = columns.title(wrong.field) if wrong.field in columns.at else wrong.field
            faults.append(Fault(row.number, column, str(wrong)))
        else:
            lines.append(line)
    return lines, faults


def normalised(sku: str, item: Mapping[str, object]) -> Item:
    """Return an item as the ledger would keep it. Raises Rejected."""
    operation = read_operation(Head(1, _TAG, {"type": "item", "sku": sku, **item}), is_linked=True)
    assert isinstance(operation.body, Item)
    return operation.body


def _line(row: Row, columns: Columns, *, has_decimal_comma: bool) -> Line:
    cells = {field: row.cells[index] for field, index in columns.at.items() if index < len(row.cells)}

    def number(field: Field) -> str | None:
        text = cells.get(field, "")
        return _plain_number(field, text, has_decimal_comma=has_decimal_comma) if text else None

    def milli(field: Field) -> int | None:
        if (text := number(field)) is None:
            return None
        try:
            return parse_qty(text)
        except Rejected as error:
            raise _Wrong(field, error.detail) from None

    barcodes = [code for code in _BETWEEN_BARCODES.split(cells.get(Field.BARCODES, "")) if code]
    if _ROUNDED.fullmatch(cells.get(Field.BARCODES, "")):
        raise _Wrong(
            Field.BARCODES,
            f"{cells[Field.BARCODES]!r} was rounded by the spreadsheet: make the column text, and enter it again",
        )
    sku = cells.get(Field.SKU, "")
    if Field.SKU not in columns.at and barcodes:
        sku = barcodes[0]
    if not sku:
        raise _Wrong(Field.SKU, "it is empty: every line needs one")
    item: dict[str, object] = {}
    if Field.NAME in cells:
        item["name"] = cells[Field.NAME]
    if cells.get(Field.UNIT):
        item["unit"] = _UNITS.get(cells[Field.UNIT].casefold().rstrip("."), cells[Field.UNIT])
    if Field.BARCODES in cells:
        item["barcodes"] = barcodes
    if Field.PRICE in cells:
        item["price_minor"] = _minor(cells[Field.PRICE], has_decimal_comma=has_decimal_comma)
    if Field.LOW in cells:
        item["low"] = number(Field.LOW)
    if Field.GROUP in cells:
        item["group"] = cells[Field.GROUP]
    try:
        normalised(sku, item)
    except Rejected as error:
        field = next((field for field, key in _KEYS if key in error.detail), Field.SKU)
        raise _Wrong(field, error.detail) from None
    counted_milli = milli(Field.COUNTED)
    if counted_milli is not None and counted_milli < 0:
        raise _Wrong(Field.COUNTED, f"{cells[Field.COUNTED]!r} is below zero: nobody counts less than nothing")
    return Line(row.number, sku, item, milli(Field.ON_HAND), counted_milli)


_KEYS = ((Field.NAME, "name"), (Field.UNIT, "unit"), (Field.BARCODES, "barcodes"), (Field.GROUP, "group"))


def _minor(text: str, *, has_decimal_comma: bool) -> int | None:
    """A price in hundredths; None where there is none."""
    if not text:
        return None
    amount = Decimal(_plain_number(Field.PRICE, _CURRENCY.sub("", text), has_decimal_comma=has_decimal_comma)) * 100
    if amount != amount.to_integral_value() or amount < 0:
        raise _Wrong(Field.PRICE, f"{text!r} is no price: write 89.90")
    return int(amount)


def _plain_number(field: Field, text: str, *, has_decimal_comma: bool) -> str:
    """A number as the wire writes it: a point, no spaces, no zeros that say nothing."""
    digits = re.sub(r"[\s\u00a0\u202f']", "", text)
    if "," in digits and "." in digits:  # The one that comes last parts the fraction.
        thousands = "," if digits.rindex(".") > digits.rindex(",") else "."
        digits = digits.replace(thousands, "")
    elif not has_decimal_comma and re.fullmatch(r"-?\d{1,3}(,\d{3})+", digits):
        digits = digits.replace(",", "")
    digits = digits.replace(",", ".")
    if not re.fullmatch(r"-?\d{1,15}(\.\d+)?", digits, re.ASCII):
        raise _Wrong(field, f"{text!r} is no number")
    return digits.rstrip("0").rstrip(".") if "." in digits else digits
