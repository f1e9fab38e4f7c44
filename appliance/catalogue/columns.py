"""Which column of a sheet is what: guessed by its heading, in Russian or English, or told by a person."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from appliance.catalogue.sheets import Row, Sheet, WrongSheet


class Field(StrEnum):
    """What a column may be. Its value is the heading that `export` writes."""

    SKU = "sku"
    NAME = "name"
    UNIT = "unit"
    BARCODES = "barcodes"
    PRICE = "price"
    LOW = "low"
    GROUP = "group"
    ON_HAND = "on_hand"
    COUNTED = "counted"


_HEADINGS: Mapping[Field, tuple[str, ...]] = {
    Field.SKU: ("sku", "артикул", "код", "код товара", "code", "item code", "product code", "id", "внутренний код"),
    Field.NAME: (
        "name", "наименование", "название", "товар", "номенклатура", "наименование товара", "product", "title", "item",
    ),
    Field.UNIT: ("unit", "ед", "ед изм", "единица", "единица измерения", "uom", "unit of measure"),
    Field.BARCODES: ("barcodes", "barcode", "штрихкод", "штрих код", "штрихкоды", "шк", "ean", "ean13", "gtin"),
    Field.PRICE: ("price", "цена", "цена продажи", "розничная цена", "цена розничная", "retail price", "sale price"),
    Field.LOW: (
        "low", "минимальный остаток", "неснижаемый остаток", "минимум", "мин остаток", "min stock", "low stock",
        "reorder level",
    ),
    Field.GROUP: ("group", "группа", "категория", "раздел", "category", "группа товаров"),
    Field.ON_HAND: (
        "on hand", "остаток", "остатки", "количество", "кол во", "кол", "qty", "quantity", "stock", "текущий остаток",
        "остаток на складе",
    ),
    Field.COUNTED: ("counted", "посчитано", "факт", "фактически", "фактический остаток", "фактическое количество"),
}  # fmt: skip

_BY_HEADING = {heading: field for field, headings in _HEADINGS.items() for heading in headings}

_ABOVE_MAX = 20
"""Rows in which the headings are looked for: accounting programs write a title and a date above them."""


@dataclass(frozen=True, slots=True)
class Columns:
    """at: the index of each field's column. heading: the row that names them."""

    at: Mapping[Field, int]
    heading: Row

    def title(self, field: Field) -> str:
        return self.heading.cells[self.at[field]]


def find(sheet: Sheet, told: Mapping[str, Field]) -> Columns:
    """Return where the fields are. told: what headings mean by a person's word, which goes before a guess.

    Raises WrongSheet when no row names a SKU, or a barcode to stand for it; that names what was found instead.
    """
    told = {plain(heading): field for heading, field in told.items()}
    best: Columns | None = None
    for row in sheet.rows[:_ABOVE_MAX]:
        at: dict[Field, int] = {}
        for index, cell in enumerate(row.cells):
            field = told.get(plain(cell)) or _guess(cell)
            if field is not None and (field not in at or plain(cell) in told):
                at[field] = index
        if (Field.SKU in at or Field.BARCODES in at) and (best is None or len(at) > len(best.at)):
            best = Columns(at, row)
    if best is None:
        seen = ", ".join(repr(cell) for row in sheet.rows[:1] for cell in row.cells if cell)
        raise WrongSheet(
            f"no column is called sku, артикул or штрихкод; the first row has {seen or 'nothing'}: "
            "say which it is, as in --map sku=КодТовара"
        )
    return best


def plain(heading: str) -> str:
    """Return a heading as headings are compared: lower case, single spaces, ё as е, no signs."""
    return re.sub(r"[\W_]+", " ", heading.casefold().replace("ё", "е")).strip()


def _guess(heading: str) -> Field | None:
    words = plain(heading)
    # The sheet of a stocktake says there, too, at which moment it was made.
    return Field.COUNTED if words.startswith("counted ") else _BY_HEADING.get(words)
