"""Asking the box from a command: the running coordinator, or its ledger when the service is down."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from appliance.cli.failure import Failure
from appliance.control import ControlError, NotRunning, Rows, ask
from appliance.ledger.database import DiskFault, LedgerError
from appliance.ledger.reader import Reader


def rows(directory: Path, do: str, from_ledger: Callable[[Reader], Rows], **wanted: Any) -> Iterator[dict[str, Any]]:
    """Yield what the coordinator answers to `do`, or what `from_ledger` makes of the ledger when none runs."""
    try:
        yield from ask(directory, do, **wanted)
    except NotRunning:
        yield from _offline(directory, from_ledger)
    except ControlError as error:
        raise Failure(str(error)) from error


def running(directory: Path, do: str, **wanted: Any) -> list[dict[str, Any]]:
    """Return what the running coordinator answers to `do`, which nobody else may do or know. Raises Failure."""
    try:
        return list(ask(directory, do, **wanted))
    except (NotRunning, ControlError) as error:
        raise Failure(str(error)) from error


def _offline(directory: Path, from_ledger: Callable[[Reader], Rows]) -> Rows:
    try:
        reader = Reader(directory)
    except (LedgerError, DiskFault) as error:
        raise Failure(str(error)) from error
    try:
        yield from from_ledger(reader)
    finally:
        reader.close()
