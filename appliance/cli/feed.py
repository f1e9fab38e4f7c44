"""What the shop does, a line for each operation, for a person who looks on."""

from collections.abc import Iterable
from typing import Any

from rich.table import Table
from rich.text import Text

from appliance.cli.explain import REASONS
from appliance.cli.overview import BAD, GOOD, QUIET
from appliance.cli.screen import legible, local, money

_TYPES = {"item": "catalogue", "alert": "alert acknowledged", "print": "print again", "expire": "receipt expired"}


def table(rows: Iterable[dict[str, Any]]) -> Table:
    """Return the operations as lines of a screen, however wide it is; what does not fit of a line is cut.

    rows: of `report.newest`, in the order in which they are to stand.
    """
    shown = Table.grid(padding=(0, 1, 0, 0), expand=True)
    for ratio in (None, None, None, 1, None):
        shown.add_column(no_wrap=True, overflow="ellipsis", ratio=ratio)
    shown.columns[-1].justify = "right"
    for row in rows:
        shown.add_row(Text(local(row["at"])[11:], QUIET), Text(row["device"], "bold"), *_told(row))
    return shown


def _told(row: dict[str, Any]) -> tuple[Text, Text, Text]:
    """What was done, to which goods, and for how much."""
    if row["code"] is not None:
        return Text("rejected", BAD), Text(row["code"]), Text()
    names = [(legible(one["name"] or one["sku"]), one["effect"]) for one in row["lines"]]
    goods = [name if effect == "0" else f"{name} {effect}" for name, effect in names]
    total = "" if row["total_minor"] is None else money(row["total_minor"])
    is_paid = row["status"] == "paid"
    return Text(_what(row), GOOD if is_paid else ""), Text(", ".join(goods)), Text(total, "bold")


def _what(row: dict[str, Any]) -> str:
    kind: str = row["type"]
    if kind == "receipt":
        return f"{row['status'] or 'receipt'} {legible(row['number'] or row['receipt'][:8])}"
    if kind in _TYPES or not row["lines"]:
        return _TYPES.get(kind, kind)
    cause: str = row["lines"][0]["cause"]
    return REASONS.get(cause, cause)
