"""Changes that the box itself orders, by a command or a printer's thread, and the wait until the ledger has them."""

import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import TypeVar

_LOOK_S = 0.2
"""How often a wait looks whether it is given up."""

Verdict = TypeVar("Verdict")


class NotCommitted(Exception):
    """The wait was given up before the disk took the change. It may be committed yet."""


Put = Callable[[Callable[[Verdict], None]], None]
"""Hands a change on to the coordinator; what it is given is told the verdict, from the turn's thread."""


def committed(put: Put[Verdict], *, is_given_up: Callable[[], bool]) -> Verdict:
    """Put a change to the coordinator, and return its verdict once that is on the disk.

    Raises NotCommitted when `is_given_up` says so first.
    """
    [verdict] = all_committed([put], is_given_up=is_given_up)
    return verdict


def all_committed(puts: Sequence[Put[Verdict]], *, is_given_up: Callable[[], bool]) -> list[Verdict]:
    """Put many changes, and return their verdicts in the same order once all of them are on the disk.

    Raises NotCommitted when `is_given_up` says so first; the first ones may be on the disk by then.
    """
    told: SimpleQueue[Verdict] = SimpleQueue()
    for put in puts:
        put(told.put)  # One sender's changes are dealt with in their order, and so are its verdicts.
    verdicts: list[Verdict] = []
    while len(verdicts) < len(puts):
        try:
            verdicts.append(told.get(timeout=_LOOK_S))
        except Empty:
            if is_given_up():
                raise NotCommitted from None
    return verdicts


def within(wait_s: float) -> Callable[[], bool]:
    """Return an `is_given_up` that gives up after so many seconds from now."""
    ends_s = time.monotonic() + wait_s
    return lambda: time.monotonic() > ends_s
