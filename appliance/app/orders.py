"""Changes that the box itself orders, by a command or a printer's thread, and the wait until the ledger has them."""

import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TypeVar

_LOOK_S = 0.2
"""How often a wait looks whether it is given up."""

Verdict = TypeVar("Verdict")


class NotCommitted(Exception):
    """The wait was given up before the disk took the change. It may be committed yet."""


def committed(put: Callable[[Callable[[Verdict], None]], None], *, is_given_up: Callable[[], bool]) -> Verdict:
    """Put a change to the coordinator, and return its verdict once that is on the disk.

    put: hands the change on; what it is given is told the verdict, from the turn's thread.
    Raises NotCommitted when `is_given_up` says so first.
    """
    verdicts: SimpleQueue[Verdict] = SimpleQueue()
    put(verdicts.put)
    while not is_given_up():
        try:
            return verdicts.get(timeout=_LOOK_S)
        except Empty:
            continue
    raise NotCommitted


def within(wait_s: float) -> Callable[[], bool]:
    """Return an `is_given_up` that gives up after so many seconds from now."""
    ends_s = time.monotonic() + wait_s
    return lambda: time.monotonic() > ends_s
