"""Wait for something to become true, with a deadline: the only way in which a test lets time pass.

A fixed sleep is too short on a busy machine and too long on every other. The deadline only bounds a failing test, so it
is generous, and nothing is ever asserted about how long a condition took.
"""

import asyncio
import time
from collections.abc import Callable

POLL_INTERVAL_S = 0.01
DEADLINE_S = 30.0


def wait_until(condition: Callable[[], object], deadline_s: float = DEADLINE_S) -> None:
    """Return as soon as `condition()` is true; raise AssertionError when it is not within `deadline_s` seconds."""
    ends_s = time.monotonic() + deadline_s
    while not condition():
        _check(condition, ends_s, deadline_s)
        time.sleep(POLL_INTERVAL_S)


async def wait_until_async(condition: Callable[[], object], deadline_s: float = DEADLINE_S) -> None:
    """As `wait_until`, but let the event loop run meanwhile."""
    ends_s = time.monotonic() + deadline_s
    while not condition():
        _check(condition, ends_s, deadline_s)
        await asyncio.sleep(POLL_INTERVAL_S)


def _check(condition: Callable[[], object], ends_s: float, deadline_s: float) -> None:
    if time.monotonic() >= ends_s:
        raise AssertionError(f"not true within {deadline_s} s: {condition!r}")
