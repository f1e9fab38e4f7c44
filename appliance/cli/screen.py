"""Where the commands write for a person: a terminal, or a pipe."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson
from rich.console import Console

_PIPED_WIDTH = 100_000
"""Columns where there is no terminal: a line of a file or of a pipe is never broken for a screen's sake."""


def screen() -> Console:
    """Return standard output. What stands in brackets is not taken for markup: a SKU is anybody's text."""
    console = Console(markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console.width = _PIPED_WIDTH
    return console


def print_json(*rows: Mapping[str, Any]) -> None:
    """Print each row as a line of JSON, for scripts."""
    for row in rows:
        print(orjson.dumps(row).decode())


def legible(text: str) -> str:
    """Return anybody's text as one line that cannot command the terminal: what is not printable is escaped."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def local(at: str) -> str:
    """Return a moment of the wire (RFC 3339) on the wall clock of whoever reads it."""
    return datetime.fromisoformat(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def money(minor: int) -> str:
    """Return a sum of minor units, of which a hundred are one, without its currency."""
    whole, cents = divmod(abs(minor), 100)
    return f"{'-' if minor < 0 else ''}{whole}.{cents:02d}"
