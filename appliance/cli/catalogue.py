"""`import` and `export`: the catalogue, opening balances and stocktakes as spreadsheets."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from appliance import durable
from appliance.catalogue import changes, columns, lines, sheets
from appliance.catalogue.changes import Changes, Known, Moment
from appliance.catalogue.columns import Columns, Field
from appliance.catalogue.sheets import WrongSheet
from appliance.cli import asking
from appliance.cli.config import Config, settings_from
from appliance.cli.failure import Failure
from appliance.cli.screen import legible, screen
from appliance.ledger import report

_KEPT = "import-columns.json"
"""In the data directory: what headings mean by a person's word, for next time."""

_AT_ONCE = 500
"""Operations of a request; a receipt of a till that comes meanwhile waits for a few hundredths of a second."""

_SHOWN = 20
"""Rejected operations that are told one by one; the rest is counted."""


class What(StrEnum):
    CATALOGUE = "catalogue"
    MOVEMENTS = "movements"
    STOCKTAKE = "stocktake"


def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A .csv or .xlsx file.")],
    yes: Annotated[bool, typer.Option("--yes", help="Write without asking.")] = False,
    map_: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="FIELD=HEADING", help="What a column is, when it was not guessed; kept."),
    ] = None,
    config: Config = None,
) -> None:
    """Take items and opening balances from a spreadsheet, or the counts of a stocktake's sheet.

    It shows first what would change, and every line that is wrong; nothing is written while one is. `on_hand` opens the
    balance of goods that nobody has received or counted yet; what the box knows better is left, and listed.

    Example: stock-coordinator import goods.xlsx --map on_hand="Остаток склад"
    """
    directory = settings_from(config).data_dir
    told = _told(directory, map_ or [])
    try:
        sheet = sheets.read(file)
        found = columns.find(sheet, told)
        good, faults = lines.read(sheet, found)
    except (WrongSheet, OSError) as error:
        raise Failure(str(error)) from error
    console = screen()
    console.print(_mapping(found))
    if faults:
        console.print(_faults(faults))
        raise Failure(f"{len(faults)} of {len(faults) + len(good)} lines are wrong: nothing was written")
    known = {
        row["sku"]: Known(row["item"], row["on_hand"], row["counted"])
        for row in asking.rows(directory, "catalogue", report.catalogue)
    }
    [now] = asking.running(directory, "moment")
    counting = changes.read_moment(found.title(Field.COUNTED)) if Field.COUNTED in found.at else None
    try:
        wanted = changes.find(good, known, counting, now["shop_ms"])
    except WrongSheet as error:
        raise Failure(str(error)) from error
    console.print(_preview(wanted, len(good)))
    if not wanted.operations:
        return
    if not yes and not _agreed():
        raise Failure("nothing was written")
    _write(directory, wanted.operations)
    if told:
        durable.replace(directory / _KEPT, orjson.dumps(told))


def export(
    file: Annotated[Path, typer.Argument(dir_okay=False, help="A new .csv or .xlsx file.")],
    what: Annotated[
        What, typer.Option(help="The catalogue with balances, every movement, or a sheet to count by.")
    ] = What.CATALOGUE,
    config: Config = None,
) -> None:
    """Write the catalogue, the movements, or a stocktake's sheet as a spreadsheet.

    `import` takes the catalogue back, and the stocktake's sheet once its column `counted` is filled; selling may go on
    while people count.

    Example: stock-coordinator export count.xlsx --what stocktake
    """
    directory = settings_from(config).data_dir
    if file.exists():
        raise Failure(f"{file} is there already: name another one, or delete it")
    rows: Iterable[list[str | Decimal]]
    heading: Sequence[str] = [field for field in Field if field is not Field.COUNTED]
    match what:
        case What.CATALOGUE:
            rows = map(_catalogue_row, asking.rows(directory, "catalogue", report.catalogue))
        case What.MOVEMENTS:
            heading = _MOVEMENT
            rows = map(_movement_row, asking.rows(directory, "movements", report.movements))
        case What.STOCKTAKE:
            [now] = asking.running(directory, "moment")
            # What is expected is there to be compared, and is no balance that somebody tells.
            heading = [*heading[:-1], "expected", Moment(now["run"], now["shop_ms"], now["rev"]).heading()]
            rows = ([*_catalogue_row(row), ""] for row in asking.rows(directory, "catalogue", report.catalogue))
    try:
        count = sheets.write(file, heading, rows)
    except (WrongSheet, OSError) as error:
        file.unlink(missing_ok=True)
        raise Failure(str(error)) from error
    print(f"{file}: {count:,} rows")


def _told(directory: Path, said: Sequence[str]) -> dict[str, Field]:
    """What headings mean: what was said before, and what is said now."""
    kept = directory / _KEPT
    told = (
        {heading: Field(field) for heading, field in orjson.loads(kept.read_bytes()).items()} if kept.exists() else {}
    )
    for one in said:
        field, equals, heading = one.partition("=")
        if not equals or field not in {*Field}:
            raise Failure(f"--map {one}: write FIELD=HEADING, where FIELD is one of {', '.join(Field)}")
        told[columns.plain(heading)] = Field(field)
    return told


def _mapping(found: Columns) -> Table:
    table = Table("column", "is taken as", box=None)
    taken = {index: field for field, index in found.at.items()}
    for index, title in enumerate(found.heading.cells):
        if title:
            table.add_row(legible(title), taken.get(index, "not taken"))
    if Field.SKU not in found.at:
        table.add_row("(no column is called sku)", "the first barcode is the SKU")
    return table


def _faults(faults: Sequence[lines.Fault]) -> Table:
    table = Table("line", "column", "what is wrong", box=None)
    for fault in faults:
        table.add_row(str(fault.line), legible(fault.column), legible(fault.text))
    return table


def _preview(wanted: Changes, count: int) -> Table:
    table = Table("", "", "such as", box=None)
    table.columns[1].justify = "right"
    untouched = count - len({id(line) for group in _groups(wanted).values() for line in group})
    for label, group in _groups(wanted).items():
        if group:
            some = ", ".join(legible(str(line.item.get("name") or line.sku)) for line in group[:3])
            table.add_row(label, f"{len(group):,}", some)
    if untouched:
        table.add_row("as the box has it", f"{untouched:,}", "")
    return table


def _groups(wanted: Changes) -> dict[str, list[lines.Line]]:
    return {
        "new items": wanted.new,
        "changed items": wanted.changed,
        "balances opened": wanted.opened,
        "counts": wanted.counted,
        "balance left as the box has it: received or counted before": wanted.left,
        "balance not taken, for it is below zero: count it": wanted.below,
    }


def _agreed() -> bool:
    try:
        return typer.confirm("Write this?")
    except typer.Abort:
        return False


def _write(directory: Path, operations: Sequence[dict[str, Any]]) -> None:
    rejected: list[str] = []
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("writing", total=len(operations))
        for at in range(0, len(operations), _AT_ONCE):
            some = operations[at : at + _AT_ONCE]
            for row in asking.running(directory, "record", operations=some):
                rejected.append(f"{some[row['index']]['sku']}: {row['code']}: {row['detail']}")
            progress.advance(task, len(some))
    if rejected:
        told = "\n".join(map(legible, rejected[:_SHOWN]))
        raise Failure(f"{len(rejected)} of {len(operations)} operations were rejected:\n{told}")
    print(f"{len(operations):,} operations are in the ledger")


def _catalogue_row(row: dict[str, Any]) -> list[str | Decimal]:
    item = row["item"] or {}
    price = item.get("price_minor")
    return [
        row["sku"],
        item.get("name") or "",
        item.get("unit") or "",
        " ".join(item.get("barcodes") or ()),
        "" if price is None else Decimal(price).scaleb(-2),
        "" if item.get("low") is None else Decimal(item["low"]),
        item.get("group") or "",
        # Nobody has told how much there was at first, so what was sold since is no balance to begin with elsewhere.
        Decimal(row["on_hand"]) if row["counted"] else "",
    ]


_MOVEMENT = ("sku", "at", "device", "type", "receipt", "number", "cause", "effect", "on_hand", "reserved", "counted")


def _movement_row(entry: dict[str, Any]) -> list[str | Decimal]:
    numbers = ("effect", "on_hand", "reserved", "counted")
    return [
        "" if (value := entry.get(key)) is None else Decimal(value) if key in numbers else str(value)
        for key in _MOVEMENT
    ]
