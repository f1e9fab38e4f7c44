"""`check-config` and `version`: what this box is set to, and what it is."""

from typing import Any

from rich.table import Table

from appliance import __version__
from appliance.cli.config import AsJson, Config, settings_from
from appliance.cli.screen import legible, print_json, screen
from appliance.settings import variable


def check_config(as_json: AsJson = False, config: Config = None) -> None:
    """Check the settings, and show them as they are in force. Secrets are not shown.

    Example: stock-coordinator check-config
    """
    shown = {variable(*path): value for path, value in _leaves(settings_from(config).model_dump(mode="json"))}
    if as_json:
        print_json(shown)
        return
    table = Table("setting", box=None)
    table.add_column("value", overflow="fold")
    for name, value in shown.items():
        table.add_row(name, "" if value is None else legible(str(value)))
    screen().print(table)


def version() -> None:
    """Print the version.

    Example: stock-coordinator version
    """
    print(__version__)


def _leaves(tree: dict[str, Any], above: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    rows: list[tuple[tuple[str, ...], Any]] = []
    for name, value in tree.items():
        rows += _leaves(value, (*above, name)) if isinstance(value, dict) else [((*above, name), value)]
    return rows
