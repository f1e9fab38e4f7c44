"""The one way from other threads into the event loop.

The committer's thread settles and announces hundreds of messages for one commit; each crossing of its own would cost a
system call. Calls queue here and cross together. The invariant: calls run in the order they were posted, none is lost.
"""

import asyncio
from collections import deque
from collections.abc import Callable

_SLICE = 256
"""Calls that run before the event loop's other work gets its turn: about 5 ms."""


class Doorway:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._calls: deque[Callable[[], None]] = deque()
        self._armed = False

    def post(self, call: Callable[[], None]) -> None:
        """Run a call in the event loop, soon. Thread-safe, never blocks. After the loop has closed it does nothing."""
        self._calls.append(call)
        # Both threads may see `_armed` late, but `_run` clears it before it looks into the queue, and the call is in
        # there before `_armed` is read here: the worst that can happen is one empty run.
        if not self._armed:
            self._armed = True
            try:
                self._loop.call_soon_threadsafe(self._run)
            except RuntimeError:  # The loop is closed: nobody is left who could be told.
                self._calls.clear()

    def _run(self) -> None:
        self._armed = False
        for _ in range(_SLICE):
            if not self._calls:
                return
            self._calls.popleft()()
        if self._calls and not self._armed:
            self._armed = True
            self._loop.call_soon(self._run)
