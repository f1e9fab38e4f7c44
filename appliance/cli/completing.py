"""What the shell proposes for a word that is typed: asked of the running coordinator, and nothing when none answers.

A person who presses Tab waits for it, and must never be shown an error, so whatever stands in the way proposes nothing.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from appliance.control import ControlError, NotRunning, ask
from appliance.settings import WrongSettings, load_settings

Proposed = list[tuple[str, str]]
"""Each word with what explains it."""

_SKUS = 50


def alerts(context: typer.Context, incomplete: str) -> Proposed:
    return _starting(incomplete, ((row["alert"], row["summary"]) for row in _asked(context, "alerts")))


def devices(context: typer.Context, incomplete: str) -> Proposed:
    return _starting(incomplete, ((row["device"], f"since {row['since']}") for row in _asked(context, "devices")))


def jobs(context: typer.Context, incomplete: str) -> Proposed:
    rows = _asked(context, "print-queue")
    return _starting(incomplete, ((str(row["job"]), f"{row['printer']}: {row['state']}") for row in rows))


def printers(context: typer.Context, incomplete: str) -> Proposed:
    return _starting(incomplete, ((row["printer"], row["state"]) for row in _asked(context, "printers")))


def skus(context: typer.Context, incomplete: str) -> Proposed:
    rows = _asked(context, "search", text=incomplete, limit=_SKUS)
    return _starting(incomplete, ((row["sku"], row["name"]) for row in rows))


def _starting(incomplete: str, proposed: Iterator[tuple[str, str]]) -> Proposed:
    return [(word, why) for word, why in proposed if word.startswith(incomplete)]


def _asked(context: typer.Context, do: str, **wanted: Any) -> list[dict[str, Any]]:
    config = context.params.get("config")
    try:
        return list(ask(load_settings(None if config is None else Path(config)).data_dir, do, **wanted))
    except (WrongSettings, NotRunning, ControlError):
        return []
