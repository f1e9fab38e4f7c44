"""What waits for the coordinator's next turn, shared out fairly between those who sent it.

A till that comes back with a day's backlog must not keep the others waiting: so every sender has a queue of its own,
and a turn takes one piece of work from each in turn, up to a budget of bytes. The order of one sender is kept.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Generic, TypeVar

W = TypeVar("W")


@dataclass(frozen=True, slots=True)
class Waiting(Generic[W]):
    """One piece of work. size: its bytes, by which a turn is bounded."""

    sender: str
    work: W
    size: int


class Inbox(Generic[W]):
    """May be used by any threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._queues: dict[str, deque[Waiting[W]]] = {}
        """In the order in which their senders are served; an empty one is not kept."""

    def put(self, sender: str, work: W, size: int) -> None:
        with self._lock:
            self._queues.setdefault(sender, deque()).append(Waiting(sender, work, size))

    def take(self, size_max: int) -> list[Waiting[W]]:
        """Return what one turn deals with: at least one piece if any waits, and no more once `size_max` is reached."""
        with self._lock:
            batch: list[Waiting[W]] = []
            size = 0
            while self._queues and size < size_max:
                sender = next(iter(self._queues))
                queue = self._queues.pop(sender)
                batch.append(queue.popleft())
                size += batch[-1].size
                if queue:
                    self._queues[sender] = queue  # At the end: the others are served first.
            return batch

    def put_back(self, batch: Sequence[Waiting[W]]) -> None:
        """Let a turn's work wait again, before all that has come since."""
        with self._lock:
            for waiting in reversed(batch):
                self._queues.setdefault(waiting.sender, deque()).appendleft(waiting)

    def __bool__(self) -> bool:
        return bool(self._queues)
