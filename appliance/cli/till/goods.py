"""What is for sale, for a person who types a word and for a scanner that knows a code.

It is made of the catalogue that the SDK has heard. The last one is kept in the till's directory as well: a till that is
switched on while its cable lies on the floor must know names and prices too.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from appliance import durable
from appliance.contract import marks
from appliance.till import CatalogueItem

_GTIN_LENGTHS = (8, 12, 13, 14)
"""EAN-8, UPC-A, EAN-13 and GTIN-14: one number, with as many zeros before it as a form wants."""


class Goods:
    """The catalogue. Of SKUs that it does not name only the code is known."""

    def __init__(self) -> None:
        self.items: dict[str, CatalogueItem] = {}
        self._by_code: dict[str, CatalogueItem] = {}
        self._told: list[tuple[str, CatalogueItem]] = []

    def take(self, items: Iterable[CatalogueItem], skus: Iterable[str] = ()) -> bool:
        """Take the whole catalogue, and the SKUs that have a balance besides. Returns whether anything is new.

        An empty catalogue says that the box has not told it yet, and takes nothing away.
        """
        heard = {item.sku: item for item in items} or {sku: one for sku, one in self.items.items() if one.rev}
        for sku in skus:
            if sku not in heard:
                heard[sku] = self.items.get(sku) or CatalogueItem(sku, "", "", (), None, (), 0)
        if heard == self.items:
            return False
        self.items = heard
        self._by_code = {}
        for code, item in _codes(heard.values()):
            self._by_code.setdefault(code, item)
        by_name = sorted(heard.values(), key=lambda item: (item.name.casefold() or item.sku, item.sku))
        self._told = [(" ".join((item.sku, item.name, *item.barcodes)).casefold(), item) for item in by_name]
        return True

    def named(self, code: str) -> CatalogueItem | None:
        """Return what a code names: a SKU, a barcode in any of its lengths, or the mark of a single piece."""
        for key in (code, _gtin(code), _gtin(gtin_of_mark(code) or "")):
            if key and key in self._by_code:
                return self._by_code[key]
        return None

    def search(self, text: str, limit: int) -> list[CatalogueItem]:
        """Return the first items, by name, that have every word of a text in code, barcodes or name."""
        words = text.casefold().split()
        return list(islice((item for told, item in self._told if all(word in told for word in words)), limit))

    # --- kept ---------------------------------------------------------------------------------------------------------

    def save(self, path: Path) -> None:
        """Keep the catalogue for a start without the box. Raises OSError."""
        durable.replace(path, orjson.dumps([item for item in self.items.values() if item.rev]))

    def load(self, path: Path) -> None:
        """Take the catalogue that was kept, if there is one that can be read."""
        try:
            rows = orjson.loads(path.read_bytes())
            self.take([_item(row) for row in rows])
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            return  # There is none, or an older version wrote it: the box will tell it anew.


def is_code(text: str) -> bool:
    """Whether a text can only be a scanned code, so that an item is sold by it even when nobody has named it."""
    return gtin_of_mark(text) is not None or (text.isascii() and text.isdigit() and len(text) in _GTIN_LENGTHS)


def gtin_of_mark(code: str) -> str | None:
    """Return the GTIN of a marked item's code, None when it is no mark."""
    identity = marks.identity(code)
    return None if identity is None else identity[2:16]


def _item(row: Mapping[str, Any]) -> CatalogueItem:
    return CatalogueItem(**{**row, "barcodes": tuple(row["barcodes"]), "components": tuple(row["components"])})


def _codes(items: Iterable[CatalogueItem]) -> Iterator[tuple[str, CatalogueItem]]:
    """Every code with its item: where two items claim one, a SKU comes first, then a barcode, then a longer form."""
    known = list(items)
    yield from ((item.sku, item) for item in known)
    yield from ((barcode, item) for item in known for barcode in item.barcodes)
    yield from ((key, item) for item in known for code in (item.sku, *item.barcodes) if (key := _gtin(code)))


def _gtin(code: str) -> str:
    """The number of a GTIN in all its lengths; "" for what is none. The dot keeps it from being taken for a SKU."""
    return f"gtin.{code.lstrip('0')}" if code.isascii() and code.isdigit() and len(code) in _GTIN_LENGTHS else ""
