"""The commands that a person types: `stock-coordinator`, one file for each noun.

Exit codes: 0 done; 1 it failed, and a sentence on standard error says why; 2 the command line is wrong; 3 what was
asked for does not exist; 4 what was looked at is not as it should be.
"""

import io
import sys

import typer

from appliance.cli import (
    alert,
    backup,
    balance,
    broker,
    card,
    catalogue,
    config,
    device,
    doctor,
    explain,
    password,
    printer,
    run,
    status,
    verify,
    watch,
)
from appliance.cli.failure import Failure

app = typer.Typer(
    name="stock-coordinator",
    help="Keeps one shop's balances true, between tills that come and go.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("run")(run.run)
app.command("status")(status.status)
app.command("watch")(watch.watch)
app.command("doctor")(doctor.doctor)
app.command("balance")(balance.balance)
app.command("explain")(explain.explain)
app.command("verify")(verify.verify)
app.command("import")(catalogue.import_)
app.command("export")(catalogue.export)
app.add_typer(alert.app, name="alert")
app.add_typer(backup.app, name="backup")
app.add_typer(card.app, name="card")
app.add_typer(device.app, name="device")
app.add_typer(password.app, name="password")
app.add_typer(printer.app, name="printer")
app.add_typer(broker.app, name="broker")
app.command("check-config")(config.check_config)
app.command("version")(config.version)


def main() -> None:
    """Run a command; what a person can mend is one sentence on standard error, everything else a traceback."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # A terminal that has no Cyrillic shows ?, and ends no command.
    try:
        app()
    except Failure as failure:
        print(f"stock-coordinator: {failure}", file=sys.stderr)
        sys.exit(failure.exit_code)
