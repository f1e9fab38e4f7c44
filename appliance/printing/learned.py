"""What `printer setup` has learned, kept in `printers.json` in the data directory.

    printer setup ──keep──▶ printers.json ──load──▶ a printer's thread, at the start and after each set-up

It is no part of the ledger, for it is no fact of the shop but of the units beside this box, and it must be kept when no
coordinator runs, which alone may write the ledger. A setting that a person has made goes before it; `app` sees to that.
The invariant: what was learned is kept for a unit under a name that stays the unit's own (`units.identity`), so that
another unit in the same plug is not taken for it.
"""

import fcntl
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import orjson

from appliance import durable

FILE_NAME = "printers.json"


class WrongFile(Exception):
    """The file cannot be read. The text names it and the remedy."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What one unit was found to be, as the settings say it. codepage, table: None where no line was readable."""

    answers: str
    width: int
    codepage: str | None = None
    table: int | None = None


@dataclass(frozen=True, slots=True)
class Learned:
    """urls: where a person found each printer, by its name. units: what each unit is, by its identity."""

    urls: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, Unit] = field(default_factory=dict)


def load(directory: Path) -> Learned:
    """Return what is kept in a data directory; nothing, when there was no set-up. Raises WrongFile."""
    path = directory / FILE_NAME
    try:
        kept = orjson.loads(path.read_bytes())
        urls = {printer: _text(url) for printer, url in kept["urls"].items()}
        return Learned(urls, {unit: Unit(**found) for unit, found in kept["units"].items()})
    except FileNotFoundError:
        return Learned()
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise WrongFile(
            f"{path} cannot be read ({error}): remove it, and run: stock-coordinator printer setup"
        ) from error


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is no address")
    return value


def keep(directory: Path, printer: str, url: str, identity: str | None, unit: Unit) -> None:
    """Keep where a printer is and what its unit is, beside what is kept already. Raises WrongFile or OSError.

    identity: None for a unit that has no name of its own; then only its place is kept.
    """
    beside = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(beside, fcntl.LOCK_EX)  # Two printers may be set up at once, each from a terminal of its own.
        known = load(directory)
        units = known.units if identity is None else {**known.units, identity: unit}
        now = replace(known, urls={**known.urls, printer: url}, units=units)
        durable.replace(directory / FILE_NAME, orjson.dumps(asdict(now), option=orjson.OPT_INDENT_2))
    finally:
        os.close(beside)
