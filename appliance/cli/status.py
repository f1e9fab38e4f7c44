"""`status`: whether the box runs, and how much its ledger holds."""

from rich.filesize import decimal
from rich.table import Table

from appliance.cli import asking
from appliance.cli.config import AsJson, Config, settings_from
from appliance.cli.screen import print_json, screen
from appliance.control import Rows
from appliance.ledger import report
from appliance.ledger.reader import Reader


def status(as_json: AsJson = False, config: Config = None) -> None:
    """Show the state of the box. With the service down, show what its ledger holds."""
    settings = settings_from(config)

    def stopped(reader: Reader) -> Rows:
        yield {"state": "stopped", "shop": settings.shop, **report.totals(reader)}

    [row] = asking.rows(settings.data_dir, "status", stopped)
    if as_json:
        print_json(row)
        return
    row["size"] = decimal(row.pop("size_bytes"))
    table = Table(box=None, show_header=False)
    for name, value in row.items():
        table.add_row(name, str(value))
    screen().print(table)
