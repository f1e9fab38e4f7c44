"""What waits for the coordinator's next turn, shared out fairly between those who sent it.

A till that comes back with a day's backlog must not keep the others waiting: so every sender has a queue of its own,
and they share the bytes of the turns evenly. Each piece is due when its sender would have had it if all who wait were
served a byte at a time (fair queueing by virtual finish times), and what is due first is taken first: a sale of 300
bytes goes before 20 messages of 150 KiB, also before those that have waited longer. A piece of each in turn, whatever
its size, kept that sale waiting for 20 turns of 63 ms. The order of one sender is kept.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from threading import Lock
from typing import Generic, TypeVar

W = TypeVar("W")


@dataclass(frozen=True, slots=True)
class Waiting(Generic[W]):
    """One piece of work. size: its bytes, by which a turn is bounded. due: its place among all that waits, in bytes."""

    sender: str
    work: W
    size: int
    due: int


class Inbox(Generic[W]):
    """May be used by any threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._queues: dict[str, deque[Waiting[W]]] = {}
        """An empty one is not kept."""
        self._line: list[tuple[int, str]] = []
        """A heap: when the first piece of each queue is due, and its sender."""
        self._served = 0
        """How many bytes whoever has waited all the time has had of its share."""

    def put(self, sender: str, work: W, size: int) -> None:
        with self._lock:
            queue = self._queues.setdefault(sender, deque())
            due = (queue[-1].due if queue else self._served) + size
            queue.append(Waiting(sender, work, size, due))
            if len(queue) == 1:
                heappush(self._line, (due, sender))

    def take(self, size_max: int) -> list[Waiting[W]]:
        """Return what one turn deals with: at least one piece if any waits, and no more once `size_max` is reached."""
        with self._lock:
            batch: list[Waiting[W]] = []
            size = 0
            while self._line and size < size_max:
                _, sender = heappop(self._line)
                queue = self._queues[sender]
                first = queue.popleft()
                batch.append(first)
                size += first.size
                self._served = max(self._served, first.due - first.size)
                if queue:
                    heappush(self._line, (queue[0].due, sender))
                else:
                    del self._queues[sender]
            return batch

    def put_back(self, batch: Sequence[Waiting[W]]) -> None:
        """Let a turn's work wait again, before all that its sender has sent since, and due as it was."""
        with self._lock:
            for waiting in reversed(batch):
                self._queues.setdefault(waiting.sender, deque()).appendleft(waiting)
            self._served = min([self._served, *(waiting.due - waiting.size for waiting in batch)])
            self._line = [(queue[0].due, sender) for sender, queue in self._queues.items()]
            heapify(self._line)

    def __bool__(self) -> bool:
        return bool(self._queues)
