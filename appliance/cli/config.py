"""The options that most commands have, and the settings that they name."""

from pathlib import Path
from typing import Annotated

import typer

from appliance.cli.failure import Failure
from appliance.settings import Settings, WrongSettings, load_settings

Config = Annotated[
    Path | None,
    typer.Option(help="The settings file; else what STOCK_CONFIG names, else stock-coordinator.toml here."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def settings_from(config: Path | None) -> Settings:
    """Return the settings, or fail with a line for each fault."""
    try:
        return load_settings(config)
    except WrongSettings as error:
        raise Failure(f"the settings cannot be used:\n{error}") from error
