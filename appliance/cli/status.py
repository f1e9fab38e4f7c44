"""`status`: the whole box on one screen, or in one row for scripts."""

from dataclasses import asdict
from datetime import date

import typer

from appliance.app import machine
from appliance.app.overview import stopped
from appliance.cli import asking, overview
from appliance.cli.config import AsJson, Config, settings_from
from appliance.cli.failure import NOT_WELL
from appliance.cli.screen import print_json, screen


def status(as_json: AsJson = False, config: Config = None) -> None:
    """Show the box, its tills and printers. With the service down, show what its ledger holds, and exit with 4.

    Example: stock-coordinator status --json
    """
    settings = settings_from(config)
    [row] = asking.rows(settings.data_dir, "status", lambda reader: iter([stopped(reader, settings)]))
    found = machine.look(settings.data_dir)
    if as_json:
        print_json({**row, "machine": asdict(found)})
    else:
        console = screen()
        for number, part in enumerate(overview.parts(row, found, date.today())):  # noqa: DTZ011  a person's day
            if number:
                console.print()
            console.print(part)
    if row["state"] != "running":
        raise typer.Exit(NOT_WELL)
