"""`explain`: why a balance is what it is, entry by entry.

The words are made here, from the same rows that a device gets by the query `history`; the rules that they tell of are
in `stock/README.md`.
"""

from collections.abc import Iterator
from decimal import Decimal
from itertools import groupby, pairwise
from typing import Annotated, Any

import typer
from rich.table import Table

from appliance.cli import asking, completing
from appliance.cli.config import AsJson, Config, settings_from
from appliance.cli.failure import NOT_FOUND, Failure
from appliance.cli.screen import legible, local, print_json, screen
from appliance.ledger import report
from appliance.stock.quantity import format_qty

Row = dict[str, Any]
"""An entry as on the wire (`messages.entry`)."""

_LATE = "In the order in which it reached the box: what came late happened before what stands above it."

REASONS = {
    "sale": "sold",
    "write_off": "written off",
    "transfer_out": "sent away",
    "return": "came back",
    "receive": "received",
    "transfer_in": "came from elsewhere",
    "adjust": "adjusted",
    "count": "counted",
    "counted-already": "counted already",
    "item": "entered in the catalogue",
    "reserved": "reserved",
    "released": "released",
    "paid-again": "paid again",
    "closing": "brought forward",
}
"""What a cause is called to a person."""


def explain(
    sku: Annotated[str, typer.Argument(help="The SKU.", autocompletion=completing.skus)],
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Tell the story of a balance: who moved, counted and reserved what, and what a count has absorbed.

    Example: stock-coordinator explain 4607001234567
    """
    directory = settings_from(config).data_dir
    rows = list(asking.rows(directory, "explain", lambda reader: report.history(reader, sku), sku=sku))
    if not rows:
        raise Failure(f"no operation has named the SKU {sku!r}", NOT_FOUND)
    if as_json:
        print_json(*rows)
        return
    console = screen()
    console.print(_table(rows))
    if any(before["at"] > row["at"] for before, row in pairwise(rows)):
        console.print(_LATE)
    console.print(_end(sku, rows[-1]))


def _table(rows: list[Row]) -> Table:
    # Columns that say nothing are left out: a terminal is narrow, and the words need the room.
    is_reserved = any(row["reserved"] != "0" for row in rows)
    has_receipts = any(row["receipt"] for row in rows)
    table = Table(box=None)
    table.add_column("happened", no_wrap=True)
    table.add_column("device")
    if has_receipts:
        table.add_column("receipt", overflow="fold")
    table.add_column("what", no_wrap=True)
    for column in ("effect", "on hand", *(["reserved"] if is_reserved else [])):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("why", overflow="fold")
    for row, note in _story(rows):
        table.add_row(
            local(row["at"]),
            row["device"],
            *([legible(row["number"] or row["receipt"] or "")] if has_receipts else []),
            REASONS.get(row["cause"], row["cause"]),
            _signed(_milli(row["effect"])),
            row["on_hand"],
            *([row["reserved"]] if is_reserved else []),
            note,
        )
    return table


def _end(sku: str, last: Row) -> str:
    end = f"{legible(sku)}: {last['on_hand']} on hand"
    if last["reserved"] == "0":
        return end
    available = format_qty(_milli(last["on_hand"]) - _milli(last["reserved"]))
    return f"{end}, {last['reserved']} of it reserved by open receipts, {available} available"


def _story(rows: list[Row]) -> Iterator[tuple[Row, str]]:
    """Walk the entries, each with what explains it besides its own numbers."""
    newest: Row | None = None
    reserved_milli = 0
    for _, revision in groupby(rows, key=lambda row: row["rev"]):
        together = list(revision)
        causes = {row["cause"] for row in together}
        for row in together:
            held_milli = _milli(row["reserved"]) - reserved_milli
            reserved_milli += held_milli
            match row["cause"]:
                case "count":
                    yield row, _counted(row)
                    # One that corrects nothing may be older than the newest count: the time that it names decides.
                    if newest is None or row["effect"] != "0" or row["at"] >= newest["at"]:
                        newest = row
                case "closing":
                    yield row, "what came before is no longer kept entry by entry"
                case "counted-already":
                    yield row, _absorbed(row, newest)
                case "reserved":
                    yield row, f"an open receipt holds {format_qty(held_milli)} more"
                case "released":
                    yield row, _released(row, -held_milli, is_paid="sale" in causes)
                case "paid-again":
                    yield row, "the same payment had come before: its goods moved once"
                case _:
                    yield row, "reached the box after a count that had seen it" if "counted-already" in causes else ""


def _counted(row: Row) -> str:
    counted_milli, effect_milli, on_hand_milli = (_milli(row[key]) for key in ("counted", "effect", "on_hand"))
    after_milli = on_hand_milli - counted_milli
    if effect_milli == after_milli == 0:
        return f"counted {row['counted']}, as expected"
    if effect_milli == 0:
        return f"counted {row['counted']}; what is known since then, a newer count or later movements, stands"
    expected = format_qty(counted_milli - effect_milli)
    note = f"counted {row['counted']} where {expected} were expected: corrected by {_signed(effect_milli)}"
    return f"{note}; {_signed(after_milli)} moved after it stays" if after_milli else note


def _absorbed(row: Row, newest: Row | None) -> str:
    """newest: the count that has seen a movement already, by which the entry takes it back."""
    happened, twice = ("left", "taken off") if _milli(row["effect"]) > 0 else ("came", "added")
    counted = "the last count"  # It is no longer kept as an entry.
    if newest is not None:
        counted = f"{newest['device']} counted {newest['counted']} at {local(newest['at'])}"
    return f"{happened} before {counted}: it is in that count already, and not {twice} twice"


def _released(row: Row, held_milli: int, *, is_paid: bool) -> str:
    held = format_qty(held_milli)
    if is_paid:
        return f"paid: the {held} that it held are sold"
    if row["type"] == "expire":
        return f"the receipt was open for too long: the {held} that it held are for sale again"
    return f"the receipt was cancelled or edited: {held} are for sale again"


def _milli(qty: str) -> int:
    return int(Decimal(qty) * 1000)


def _signed(milli: int) -> str:
    return f"+{format_qty(milli)}" if milli > 0 else format_qty(milli)
