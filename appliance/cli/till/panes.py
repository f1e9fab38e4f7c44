"""What stands in the panes of the till's screen: pure pictures of what the till and the cart say.

The colour only repeats what is said in words or signs. Anybody's text is made legible first: a name cannot command the
terminal.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from appliance.cli.overview import BAD, DOUBTFUL, GOOD, QUIET
from appliance.cli.screen import legible, money
from appliance.cli.till.cart import Cart
from appliance.cli.till.sayings import Sayings
from appliance.stock.quantity import format_qty
from appliance.till import CatalogueItem, LocalBalance, Made
from appliance.till.freshness import span

CHOSEN = "on #0b4f7c"
"""As the panes' borders, but dark enough for every colour that stands on it."""

UNANSWERED_S = 3
"""An ack takes a moment; who waits for one longer than this looks at a cable. The connection notices it after 45 s."""

Balances = Callable[[str], LocalBalance | None]


@dataclass(frozen=True, slots=True)
class Standing:
    """How the till stands with its box. waiting_s: for how long something has waited for its ack."""

    is_connected: bool
    pending: int
    waiting_s: float
    acked_s: int | None
    rejected: int
    alerts: int


@dataclass(frozen=True, slots=True)
class Counted:
    """One SKU that was counted, and what the till showed of it before."""

    name: str
    before: str
    counted: str


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that was said. style: of `overview`."""

    at: datetime
    text: str
    style: str = ""


def header(say: Sayings, title: str, standing: Standing) -> Table:
    """The first line: which till this is, and how it stands with its box."""
    shown = Table.grid(expand=True, padding=(0, 1))
    shown.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    shown.add_column(no_wrap=True, justify="right")
    shown.add_row(Text(legible(title), "bold"), Text("   ").join(_standing(say, standing)))
    return shown


def _standing(say: Sayings, standing: Standing) -> Iterable[Text]:
    if standing.rejected:
        yield Text(say.rejected(standing.rejected), BAD)
    if standing.alerts:
        yield Text(say.alerts(standing.alerts), DOUBTFUL)
    if not standing.is_connected:
        yield Text(f"○ {say.offline}", BAD)
    elif standing.pending and standing.waiting_s >= UNANSWERED_S:
        yield Text(f"◌ {say.unanswered(span(int(standing.waiting_s)))}", DOUBTFUL)
    else:
        yield Text(f"● {say.online}", GOOD)
    yield Text(say.pending(standing.pending), DOUBTFUL if standing.pending else "")
    yield Text(say.never_acked if standing.acked_s is None else say.acked(span(standing.acked_s)), QUIET)


def cart(say: Sayings, cart: Cart, balances: Balances) -> Table:
    """The cart, with what there is of its goods in the shop."""
    shown = _table(say, "name", "qty", "price", "amount", "available")
    for place, line in enumerate(cart.lines):
        name = Text(legible(line.title), "bold" if place == cart.chosen else "")
        if line.marks:
            name.append(f" ▣{len(line.marks)}", QUIET)
        shown.add_row(
            name,
            f"{line.qty} {line.unit}" if line.is_measured else line.qty,
            "·" if line.price_minor is None else money(line.price_minor),
            "·" if line.price_minor is None else Text(money(line.amount_minor), "bold"),
            _available(balances(line.sku), 0 if cart.is_return else line.qty_milli),
            style=CHOSEN if place == cart.chosen else "",
        )
    return shown


def found(say: Sayings, items: Sequence[CatalogueItem], chosen: int, balances: Balances) -> Table:
    """What a search has found."""
    shown = _table(say, "name", "price", "available")
    for place, item in enumerate(items):
        name = Text.assemble(legible(item.name or item.sku), (f"  {legible(item.sku)}" if item.name else "", QUIET))
        price = "·" if item.price_minor is None else money(item.price_minor)
        shown.add_row(name, price, _available(balances(item.sku), 0), style=CHOSEN if place == chosen else "")
    return shown


def counted(say: Sayings, rows: Iterable[Counted]) -> Table:
    """What was counted since counting began, the newest first."""
    shown = _table(say, "name", "before", "counted")
    for row in rows:
        style = GOOD if row.before == row.counted else DOUBTFUL
        shown.add_row(legible(row.name), row.before, Text(row.counted, style))
    return shown


def outbox(say: Sayings, made: Iterable[Made], name_of: Callable[[str], str]) -> Table:
    """The newest operations of this till: ✓ is with the box, ↑ waits for its ack."""
    shown = Table.grid(padding=(0, 1, 0, 0), expand=True)
    shown.add_column(no_wrap=True, min_width=1)
    shown.add_column(no_wrap=True, min_width=1, justify="right", style=QUIET)
    shown.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    shown.add_column(no_wrap=True, justify="right")
    for one in made:
        sign = Text("✓", GOOD) if one.is_acked else Text("↑", DOUBTFUL)
        shown.add_row(sign, str(one.seq), title_of(say, one.operation, name_of), _sum_of(one.operation))
    return shown


def notices(said: Iterable[Notice]) -> Table:
    shown = Table.grid(padding=(0, 1, 0, 0), expand=True)
    shown.add_column(style=QUIET, no_wrap=True)
    shown.add_column(ratio=1, overflow="fold")
    for notice in said:
        shown.add_row(f"{notice.at:%H:%M:%S}", Text(legible(notice.text), notice.style))
    return shown


def title_of(say: Sayings, operation: dict[str, Any], name_of: Callable[[str], str]) -> str:
    """Return one operation in words: `sold A1-000012`."""
    match operation:
        case {"type": "receipt", "receipt": receipt, **rest}:
            kind, name = str(rest.get("kind", "sale")), str(rest.get("number") or receipt[:8])
        case {"type": "count", "sku": sku, "counted": qty}:
            kind, name = "count", f"{name_of(sku)}: {qty}"
        case {"type": "move", "sku": sku, "qty": qty, "reason": reason}:
            kind, name = str(reason), f"{name_of(sku)} {qty}"
        case {"type": kind, **rest}:
            name = name_of(str(rest.get("sku", "")))
        case _:
            return ""
    return legible(say.made(kind, name))


def _sum_of(operation: dict[str, Any]) -> str:
    total = operation.get("total_minor")
    return money(total) if isinstance(total, int) else ""


def _available(balance: LocalBalance | None, wanted_milli: int) -> Text:
    """How much of a SKU is for sale; in red where the cart wants more, for that is one of these numbers being wrong."""
    if balance is None:
        return Text("?", QUIET)
    left_milli = balance.on_hand_milli - balance.reserved_milli
    text = Text(format_qty(left_milli), BAD if left_milli < wanted_milli else "")
    if balance.pending_milli:
        text.append("↑", DOUBTFUL)
    return text


def _table(say: Sayings, *columns: str) -> Table:
    """An empty table as wide as its pane; only its first column gives way."""
    shown = Table(box=None, expand=True, header_style=QUIET, padding=(0, 1))
    for column in columns:
        if column == "name":
            shown.add_column(say.column(column), ratio=1, no_wrap=True, overflow="ellipsis")
        else:
            shown.add_column(say.column(column), justify="right", no_wrap=True)
    return shown
