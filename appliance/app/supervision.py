"""Nothing fails unseen: a part that fails by our own fault ends the process, and systemd starts it anew."""

import asyncio
import logging
import os
import threading
from collections.abc import Callable
from typing import Any

log = logging.getLogger(__name__)

Died = Callable[[str, BaseException], None]
"""Is told which part fails, and of what, just before the process ends."""


class Supervisor:
    """Ends the process when one of its parts fails."""

    def __init__(self, died: Died) -> None:
        self._died = died

    def die_in_loop(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """End the process when the broker fails by our own fault.

        The world's faults the broker deals with itself, but for one: that nobody can be accepted, for want of a file
        descriptor or of memory. The loop goes on without, and tries again. What fails in a task or a connection is
        ours.
        """
        error = context.get("exception")
        if isinstance(error, OSError) and context.keys().isdisjoint({"future", "task", "transport"}):
            log.error("cannot accept a connection reason=%r", str(error))
            return
        loop.default_exception_handler(context)
        if error is not None:
            self._died("loop", error)
            os._exit(1)

    def start_part(self, name: str, run: Callable[[], None]) -> threading.Thread:
        """Run a part in a thread. When it fails the process ends at once: nothing else can be right."""

        def run_or_die() -> None:
            try:
                run()
            except BaseException as error:
                log.critical("died part=%s", name, exc_info=True)
                self._died(name, error)
                os._exit(1)

        thread = threading.Thread(target=run_or_die, name=name, daemon=True)
        thread.start()
        return thread
