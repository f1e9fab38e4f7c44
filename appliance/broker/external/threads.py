"""A thread whose end somebody waits for.

`link` lives in one, and each `connection` carries its packets in another. The invariant: an error in a thread reaches
whoever waits for it, so that it ends the process. The threads are daemons, and no executor's, because the interpreter
waits for an executor's threads: a process that ends by an error elsewhere would never be gone, nor started anew.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future


def in_thread(name: str, work: Callable[[], None]) -> Future[None]:
    """Start the work. Returns what is done when it has returned, or raises what it raised."""
    ended: Future[None] = Future()

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  Nothing is swallowed: it is raised where the future is waited for.
            ended.set_exception(error)
        else:
            ended.set_result(None)

    threading.Thread(target=run, name=name, daemon=True).start()
    return ended
