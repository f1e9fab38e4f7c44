"""The commands that a person types: `stock-coordinator`, one file for each noun.

What concerns the box or the stock as a whole is a verb (`status`, `explain`); everything else is a noun and a verb
(`printer test`). Exit codes are told at the end of `--help`, and are made in `failure`.
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
    health,
    password,
    printer,
    receipt,
    run,
    status,
    verify,
    watch,
)
from appliance.cli.failure import Failure

_NAME = "stock-coordinator"

_EXIT_CODES = (
    "It exits with 0 when it is done; 1 when it failed, and a sentence on standard error says why; 2 when the command "
    "line is wrong; 3 when there is no such thing; 4 when what it looked at is not as it should be."
)

app = typer.Typer(
    name=_NAME,
    help="Keeps one shop's balances true, between tills that come and go.",
    epilog=_EXIT_CODES,
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
app.command("health")(health.health)
app.command("import")(catalogue.import_)
app.command("export")(catalogue.export)
app.add_typer(alert.app, name="alert")
app.add_typer(backup.app, name="backup")
app.add_typer(card.app, name="card")
app.add_typer(device.app, name="device")
app.add_typer(password.app, name="password")
app.add_typer(printer.app, name="printer")
app.add_typer(receipt.app, name="receipt")
app.add_typer(broker.app, name="broker")
app.command("check-config")(config.check_config)
app.command("version")(config.version)


def main() -> None:
    """Run a command; what a person can mend is one sentence on standard error, everything else a traceback."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # A terminal that has no Cyrillic shows ?, and ends no command.
    try:
        app(prog_name=_NAME)  # Also when it is run as a module: a shell completes it by this name.
    except Failure as failure:
        print(f"stock-coordinator: {failure}", file=sys.stderr)
        sys.exit(failure.exit_code)
