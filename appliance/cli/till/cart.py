"""The cart: what one customer buys, or brings back, before it is paid. Pure: each change makes another cart.

It bears the identity of its receipt from its first line on. So a till that dies between paying and remembering that it
has paid says the same receipt once more, and the box takes it once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Any

from appliance.contract import marks
from appliance.stock.errors import Rejected
from appliance.stock.quantity import format_qty, parse_qty
from appliance.stock.reconcile import PIECES
from appliance.till import CatalogueItem

ONE_MILLI = 1000


class Why(Enum):
    """Why the cart does not do what a person wants."""

    NO_NUMBER = auto()
    NOT_POSITIVE = auto()
    WHOLE_PIECES = auto()
    MARKED = auto()
    MARK_TWICE = auto()


class Refused(ValueError):
    """Nothing has changed."""

    def __init__(self, why: Why) -> None:
        super().__init__(why.name)
        self.why = why


@dataclass(frozen=True, slots=True)
class Line:
    """One line. price_minor: None where the catalogue has none. marks: raw, as the scanner gave them."""

    sku: str
    name: str
    unit: str
    qty_milli: int
    price_minor: int | None
    components: tuple[Mapping[str, object], ...] = field(default=(), hash=False)
    marks: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return self.name or self.sku

    @property
    def qty(self) -> str:
        return format_qty(self.qty_milli)

    @property
    def is_measured(self) -> bool:
        """Whether it is weighed or measured, and so cannot be counted by pressing a key."""
        return is_measured(self.unit)

    @property
    def is_unknown(self) -> bool:
        """Whether nothing but its code is known of it."""
        return not self.name and not self.unit and self.price_minor is None

    @property
    def amount_minor(self) -> int:
        """Halves of the smallest coin are rounded up, as on the customer's receipt."""
        return 0 if self.price_minor is None else (self.qty_milli * self.price_minor + 500) // 1000

    def said(self) -> dict[str, object]:
        """Return the line in the wire's own keys."""
        said: dict[str, object] = {"sku": self.sku, "qty": self.qty, "amount_minor": self.amount_minor}
        told = {"name": self.name, "unit": self.unit, "price_minor": self.price_minor}
        said |= {key: value for key, value in told.items() if value not in ("", None)}
        many = {"components": list(self.components), "marks": list(self.marks)}
        return said | {key: value for key, value in many.items() if value}


@dataclass(frozen=True, slots=True)
class Cart:
    """One receipt in the making. receipt: its identity. of: of a return, the identity of its sale, "" if not known.

    chosen: the place of the line that keys work on.
    """

    receipt: str
    is_return: bool = False
    of: str = ""
    lines: tuple[Line, ...] = ()
    chosen: int = 0

    @property
    def line(self) -> Line | None:
        return self.lines[self.chosen] if self.lines else None

    @property
    def total_minor(self) -> int:
        return sum(line.amount_minor for line in self.lines)

    @property
    def is_priced(self) -> bool:
        """Whether every line has a price, so that the total is what there is to pay."""
        return all(line.price_minor is not None for line in self.lines)

    def qty_milli(self, sku: str) -> int:
        """How much of a SKU is in the cart."""
        return sum(line.qty_milli for line in self.lines if line.sku == sku)

    def add(self, item: CatalogueItem, qty_milli: int = ONE_MILLI, mark: str = "") -> "Cart":
        """Return the cart with some of an item more, which is then chosen. mark: its raw code, of a marked piece."""
        identity = marks.identity(mark)
        if identity and any(marks.identity(known) == identity for line in self.lines for known in line.marks):
            raise Refused(Why.MARK_TWICE)
        found = next((place for place, line in enumerate(self.lines) if line.sku == item.sku), None)
        if found is None:
            line = Line(item.sku, item.name, item.unit, qty_milli, item.price_minor, item.components)
            cart = replace(self, lines=(*self.lines, line), chosen=len(self.lines))
        else:
            chosen = replace(self, chosen=found)
            cart = _with(chosen, lambda line: replace(line, qty_milli=line.qty_milli + qty_milli))
        return _with(cart, lambda line: replace(line, marks=(*line.marks, mark))) if identity else cart

    def changed(self, by_milli: int) -> "Cart":
        """Return the cart with more or less of the chosen line, of which at least one piece stays."""
        line = self.line
        if line is None or line.qty_milli + by_milli < ONE_MILLI:
            return self
        return self.with_qty(line.qty_milli + by_milli)

    def with_qty(self, qty_milli: int) -> "Cart":
        """Return the cart with another quantity of the chosen line."""
        if self.line is not None and qty_milli < len(self.line.marks) * ONE_MILLI:
            raise Refused(Why.MARKED)  # Nobody can tell which of the marked pieces goes back to the shelf.
        return _with(self, lambda line: replace(line, qty_milli=qty_milli))

    def without(self) -> "Cart":
        """Return the cart without the chosen line."""
        lines = self.lines[: self.chosen] + self.lines[self.chosen + 1 :]
        return replace(self, lines=lines, chosen=max(0, min(self.chosen, len(lines) - 1)))

    def told(self, items: Mapping[str, CatalogueItem]) -> "Cart":
        """Return the cart with names and prices of what was scanned before the catalogue told them."""
        lines = tuple(
            replace(line, name=item.name, unit=item.unit, price_minor=item.price_minor, components=item.components)
            if line.is_unknown and (item := items.get(line.sku)) is not None
            else line
            for line in self.lines
        )
        return replace(self, lines=lines)

    def moved(self, by: int) -> "Cart":
        """Return the cart with another line chosen."""
        return replace(self, chosen=max(0, min(self.chosen + by, len(self.lines) - 1)))

    def said(self) -> list[dict[str, object]]:
        """Return the lines in the wire's own keys."""
        return [line.said() for line in self.lines]


def _with(cart: Cart, change: Callable[[Line], Line]) -> Cart:
    lines = tuple(change(line) if place == cart.chosen else line for place, line in enumerate(cart.lines))
    return replace(cart, lines=lines)


def is_measured(unit: str) -> bool:
    return bool(unit) and unit not in PIECES


def read_qty(text: str, unit: str) -> int:
    """Return the thousandths of what a person has typed, with a comma or a point. Raises Refused."""
    try:
        qty_milli = parse_qty(text.strip().replace(",", "."))
    except Rejected:
        raise Refused(Why.NO_NUMBER) from None
    if qty_milli < 0:
        raise Refused(Why.NOT_POSITIVE)
    if qty_milli % 1000 and unit in PIECES:
        raise Refused(Why.WHOLE_PIECES)
    return qty_milli


def brought_back(receipt: str, sale: Mapping[str, Any]) -> Cart:
    """Return the cart of a return with all the lines of a sale. sale: its operation, as this till made it."""
    lines = tuple(
        Line(
            sku=line["sku"],
            name=line.get("name", ""),
            unit=line.get("unit", ""),
            qty_milli=parse_qty(line["qty"]),
            price_minor=line.get("price_minor"),
            components=tuple(line.get("components", ())),
            marks=tuple(line.get("marks", ())),
        )
        for line in sale["lines"]
    )
    return Cart(receipt, is_return=True, of=sale["receipt"], lines=lines)


def load(kept: Mapping[str, Any]) -> Cart:
    """Return the cart that orjson has written. Raises KeyError, TypeError or ValueError for what is none."""
    lines = tuple(
        Line(**{**line, "components": tuple(line["components"]), "marks": tuple(line["marks"])})
        for line in kept["lines"]
    )
    cart = Cart(**{**kept, "lines": lines})
    if lines and not 0 <= cart.chosen < len(lines):
        raise ValueError(f"there is no line {cart.chosen}")
    return cart
