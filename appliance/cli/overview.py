"""The whole box as a person sees it: the parts of the screen that `status` prints and `watch` keeps fresh.

Everything is made of the one row that scripts get (`app.overview`), and of how this machine is. What needs a person is
said in words, and the colour only repeats it.
"""

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any

from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from appliance.app.machine import Machine
from appliance.cli.screen import legible, local
from appliance.settings import variable
from appliance.till.freshness import span

Row = dict[str, Any]

GOOD, DOUBTFUL, BAD, QUIET = "green", "yellow", "bold red", "grey58"

HOT_C = 80
"""Where a Pi begins to run slower; at 85 it is throttled hard."""

ROOM_MIN_BYTES = 1_000_000_000
"""Less than this is worth a look: a month of 5,000 receipts a day takes a quarter of it."""

_ALERTS_MAX = 6
"""Alerts of one screen; `alert list` has them all."""

_CLOCK_RIGHT_S = 2
"""A till's clock that is off by less is right, as far as a person is concerned."""

_STATES = {"ready": GOOD, "online": GOOD, "unknown": DOUBTFUL}


def title(row: Row) -> Text:
    """The first line: which shop this is, and whether it is served."""
    if row["state"] == "stopped":
        return Text.assemble(_named(row), ("stopped", BAD), ": this is what its ledger holds; see `doctor`")
    where = f", {row['broker']} broker on port {row['port']}"
    return Text.assemble(_named(row), ("running", GOOD), f" for {span(row['up_s'])}, version {row['version']}{where}")


def facts(row: Row, machine: Machine, today: date) -> Table:
    """The box: its ledger, its copies, its clock and the machine."""
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 0))
    table.add_column(style=QUIET, no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("ledger", _ledger(row))
    if row["state"] == "running":
        table.add_row("backup", _backup(row["backup"]))
        table.add_row("clock", _clock(row["clock"]))
    table.add_row("machine", Text(", ").join(_machine(machine)))
    if machine.image is not None:
        table.add_row("image", f"of {machine.image}, {(today - machine.image).days} days old")
    return table


def tills(row: Row) -> Table:
    """The devices of the shop. Those that were thrown away are not among them."""
    table = _table("till", "", ">to send", "last seen", "its clock", "program")
    for till in row["tills"]:
        is_online, pending = till["state"] == "online", till["pending"]
        table.add_row(
            till["device"],
            Text(till["state"], _STATES.get(till["state"], BAD if pending else DOUBTFUL)),
            Text("" if pending is None else str(pending), DOUBTFUL if pending else ""),
            "now" if is_online else f"{span(till['seen_s'])} ago",
            _off(till["clock_off_s"]),
            _cut(legible(till["program"])),
        )
    return table


def printers(row: Row) -> Table:
    table = _table("printer", "", ">to print", "oldest", "")
    for printer in row.get("printers", ()):
        notes = [printer["reason"] or "", *(["paper is low"] if printer["paper_low"] else [])]
        table.add_row(
            printer["printer"],
            Text(printer["state"], _STATES.get(printer["state"], BAD)),
            str(printer["queued"]),
            span(printer["oldest_s"]) if printer["queued"] else "",
            _cut(legible(", ".join(filter(None, notes)))),
        )
    return table


def alerts(row: Row) -> Table:
    """The newest alerts, for `alert list` has them all."""
    table = _table("alert", "since", "what")
    newest = sorted(row["alerts"], key=lambda alert: str(alert["since"]), reverse=True)
    for alert in newest[:_ALERTS_MAX]:
        table.add_row(Text(alert["kind"], BAD), local(alert["since"])[5:-3], _cut(legible(alert["summary"])))
    if more := len(newest[_ALERTS_MAX:]):
        table.add_row("", "", f"and {more} more: stock-coordinator alert list")
    return table


def _named(row: Row) -> Text:
    return Text.assemble((row["shop"], "bold"), "  ")


def _ledger(row: Row) -> Text:
    counts = f"revision {row['rev']}, {row['skus']} SKUs, {row['receipts']} receipts, {decimal(row['size_bytes'])}"
    shown = Text(counts)
    for word in ("rejected", "quarantined"):
        if row[word]:
            shown.append(f", {row[word]} {word}", DOUBTFUL)
    return shown


def _backup(backup: Row | None) -> Text:
    if backup is None:
        return Text(f"no copies are made: {variable('backup', 'dir')} is not set", DOUBTFUL)
    if backup["fault"]:
        return Text(legible(backup["fault"]), BAD)
    if backup["made"] is None:
        return Text("there is no copy yet", DOUBTFUL)
    return Text(f"{span(backup['age_s'])} ago, through revision {backup['rev']}, {backup['kept']} kept")


def _clock(clock: str) -> Text:
    if clock == "synchronised":
        return Text("follows a time server")
    return Text("follows no time server, and may be wrong", DOUBTFUL)


def _machine(machine: Machine) -> Iterator[Text]:
    if (heat_c := machine.temperature_c) is None:
        yield Text("tells no temperature", QUIET)
    else:
        yield Text(f"{heat_c:.0f} °C", BAD if heat_c >= HOT_C else "")
    if machine.is_power_low:
        yield Text("its power supply is too weak", BAD)
    if (disk := machine.disk) is None:
        yield Text("tells nothing of its disk", BAD)
        return
    room = f"{decimal(disk.free_bytes)} free of {decimal(disk.size_bytes)}"
    yield Text(room, BAD if disk.free_bytes < ROOM_MIN_BYTES else "")
    if disk.is_read_only:
        yield Text("the disk has become read-only", BAD)


def _off(seconds: float | None) -> Text:
    if seconds is None:
        return Text("")
    if abs(seconds) < _CLOCK_RIGHT_S:
        return Text("right")
    return Text(f"{span(int(abs(seconds)))} {'ahead' if seconds > 0 else 'behind'}", DOUBTFUL)


def _table(*columns: str) -> Table:
    """An empty table. Only its last column gives way on a narrow screen, where its text is cut."""
    table = Table(box=None, header_style=QUIET, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(column.lstrip(">"), justify="right" if column.startswith(">") else "left", no_wrap=True)
    table.columns[-1].no_wrap = False
    return table


def _cut(text: str) -> Text:
    return Text(text, no_wrap=True, overflow="ellipsis")


def parts(row: Row, machine: Machine, today: date) -> Iterable[Text | Table]:
    """The whole screen, from top to bottom; a table that would be empty is left out."""
    yield title(row)
    yield facts(row, machine, today)
    for table in (tills(row), printers(row), alerts(row)):
        if table.row_count:
            yield table
