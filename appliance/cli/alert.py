"""`alert`: what a person must know of, and saying that it is known."""

from typing import Annotated

import typer
from rich.table import Table

from appliance.cli import asking, completing
from appliance.cli.config import AsJson, Config, settings_from
from appliance.cli.failure import NOT_FOUND, Failure
from appliance.cli.screen import legible, local, print_json, screen
from appliance.control import Rows
from appliance.ledger import report
from appliance.ledger.reader import Reader

app = typer.Typer(help="What a person must know of: list it, and acknowledge it.", no_args_is_help=True)


@app.command("list")
def show(as_json: AsJson = False, config: Config = None) -> None:
    """Show the active alerts.

    Example: stock-coordinator alert list --json
    """
    found = list(asking.rows(settings_from(config).data_dir, "alerts", report.alerts))
    if as_json:
        print_json(*found)
        return
    if not found:
        print("there is no active alert")
        return
    table = Table(box=None)
    table.add_column("alert", no_wrap=True)
    table.add_column("since")
    table.add_column("times", justify="right")
    table.add_column("what")
    for row in found:
        table.add_row(row["alert"], local(row["since"]), str(row["times"]), legible(row["summary"]))
    screen().print(table)


@app.command()
def acknowledge(
    alert: Annotated[
        str, typer.Argument(help="The alert's name, as `alert list` shows it.", autocompletion=completing.alerts)
    ],
    config: Config = None,
) -> None:
    """Say that an alert is known: it goes from every screen, and stays silent for as long as its cause lasts.

    Example: stock-coordinator alert acknowledge oversell-5e1f0a9d2b6c4e75
    """
    directory = settings_from(config).data_dir
    for row in asking.rows(directory, "acknowledge", _refuse, alert=alert):
        print(f"acknowledged: {legible(row['summary'])}")
        return
    raise Failure(f"no active alert is named {alert!r}: `stock-coordinator alert list` shows them", NOT_FOUND)


def _refuse(_: Reader) -> Rows:
    raise Failure("the coordinator does not run, and only it may write the ledger: start it, then acknowledge")
