"""The files that hold secrets, looked at when the box starts: they are for their owner alone."""

import stat
from collections.abc import Iterable
from pathlib import Path


def open_to_others(paths: Iterable[Path]) -> list[Path]:
    """Return those of the files that there are which somebody besides their owner may read or write."""
    return [path for path in paths if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077]
