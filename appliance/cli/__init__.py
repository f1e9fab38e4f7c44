"""The commands that a person types: `stock-coordinator`, one file for each noun.

What concerns the box or the stock as a whole is a verb (`status`, `explain`); everything else is a noun and a verb
(`printer test`). Exit codes are told at the end of `--help`, and are made in `failure`.
"""

import io
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from appliance.cli.failure import Failure

_NAME = "stock-coordinator"

_EXIT_CODES = (
    "It exits with 0 when it is done; 1 when it failed, and a sentence on standard error says why; 2 when the command "
    "line is wrong; 3 when there is no such thing; 4 when what it looked at is not as it should be."
)

_WHERE = {
    "run": "run.run",
    "status": "status.status",
    "watch": "watch.watch",
    "till": "till.command.till",
    "doctor": "doctor.doctor",
    "balance": "balance.balance",
    "explain": "explain.explain",
    "verify": "verify.verify",
    "health": "health.health",
    "import": "catalogue.import_",
    "export": "catalogue.export",
    "alert": "alert.app",
    "backup": "backup.app",
    "card": "card.app",
    "device": "device.app",
    "password": "password.app",
    "printer": "printer.app",
    "receipt": "receipt.app",
    "broker": "broker.app",
    "check-config": "about.check_config",
    "version": "about.version",
}
"""Each command's module, and its name there."""

_STYLE: dict[str, Any] = {"no_args_is_help": True, "pretty_exceptions_enable": False, "rich_markup_mode": None}


@cache
def _loaded(name: str) -> Any:
    """Return a command. Its module is imported only now: the box, which lives for long, needs few of them."""
    module, _, attribute = _WHERE[name].rpartition(".")
    found = getattr(import_module(f"appliance.cli.{module}"), attribute)
    alone = typer.Typer(**_STYLE)
    if isinstance(found, typer.Typer):
        alone.add_typer(found, name=name)
    else:
        alone.command(name)(found)
    return typer.main.get_group(alone).commands[name]


class _Commands(Mapping[str, Any]):
    """Every command by its name, loaded when it is looked up."""

    def __getitem__(self, name: str) -> Any:
        return _loaded(name)

    def __iter__(self) -> Iterator[str]:
        return iter(_WHERE)

    def __len__(self) -> int:
        return len(_WHERE)


class _Group(TyperGroup):
    def __init__(self, **of: Any) -> None:
        super().__init__(**of)
        self.commands = _Commands()  # type: ignore[assignment]  # It is never written to.


app = typer.Typer(
    name=_NAME,
    cls=_Group,
    help="Keeps one shop's balances true, between tills that come and go.",
    epilog=_EXIT_CODES,
    **_STYLE,
)


@app.callback()
def _before() -> None:
    """With it Typer takes this for a group, although it knows of no command."""


def main() -> None:
    """Run a command; what a person can mend is one sentence on standard error, everything else a traceback."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # A terminal that has no Cyrillic shows ?, and ends no command.
    try:
        app(prog_name=_NAME)  # Also when it is run as a module: a shell completes it by this name.
    except Failure as failure:
        print(f"stock-coordinator: {failure}", file=sys.stderr)
        sys.exit(failure.exit_code)
