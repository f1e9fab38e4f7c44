"""A thread whose end somebody waits for.

`link` lives in one, and each `connection` carries its packets in another. The invariant: an error in a thread reaches
whoever waits for it, so that it ends the process. The threads are daemons, and no executor's, because the interpreter
waits for an executor's threads: a process that ends by an error elsewhere would never be gone, nor started anew.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType


def in_thread(name: str, work: Callable[[], None]) -> Future[None]:
    """Start the work. Returns what is done when it has returned, or raises what it raised."""
    ended: Future[None] = Future()

    def run() -> None:
        with _Telling(ended):
            work()

    threading.Thread(target=run, name=name, daemon=True).start()
    return ended


class _Telling:
    """Tells a future how the block ended. An error is not swallowed: it is raised where the future is waited for."""

    def __init__(self, ended: Future[None]) -> None:
        self._ended = ended

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None:
            self._ended.set_result(None)
        else:
            self._ended.set_exception(error)
        return True
