"""`balance`: how much there is of one SKU, or of all."""

from typing import Annotated

import typer
from rich.table import Table

from appliance.cli import asking, completing
from appliance.cli.config import AsJson, Config, settings_from
from appliance.cli.failure import NOT_FOUND, Failure
from appliance.cli.screen import legible, local, print_json, screen
from appliance.ledger import report

_NEVER_COUNTED = "* never received or counted: nobody has told yet how much there was at first"


def balance(
    sku: Annotated[
        str | None, typer.Argument(help="The SKU; without one, all of them.", autocompletion=completing.skus)
    ] = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Show balances: on hand, reserved, available.

    Example: stock-coordinator balance 4607001234567
    """
    directory = settings_from(config).data_dir
    found = list(asking.rows(directory, "balance", lambda reader: report.balances(reader, sku), sku=sku))
    if sku is not None and not found:
        raise Failure(f"no operation has named the SKU {sku!r}", NOT_FOUND)
    if as_json:
        print_json(*found)
        return
    table = Table(box=None)
    table.add_column("SKU", overflow="fold")
    for column in ("on hand", "reserved", "available"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("changed", no_wrap=True)
    for row in found:
        mark = "" if row["counted"] else " *"
        table.add_row(
            legible(row["sku"]), row["on_hand"], row["reserved"], row["available"], f"{local(row['at'])}{mark}"
        )
    console = screen()
    console.print(table)
    if not all(row["counted"] for row in found):
        console.print(_NEVER_COUNTED)
