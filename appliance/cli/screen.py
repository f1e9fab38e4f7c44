"""Where the commands write for a person: a terminal, or a pipe."""

from rich.console import Console

_PIPED_WIDTH = 240
"""Columns where there is no terminal: a line of a file or of a pipe is not broken for a screen's sake."""


def screen() -> Console:
    """Return standard output. A SKU or a receipt's number is anybody's text: nothing in it is taken for markup."""
    console = Console(markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console.width = _PIPED_WIDTH
    return console
