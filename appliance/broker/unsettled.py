"""The messages of one connection that were taken and are not on disk yet, and the PUBACKs held back for them.

Between the connection that takes a message, in either link, and its sender, who waits for the PUBACK. The invariants:
a PUBACK is given out only when its own message and every earlier one of the connection are settled (MQTT-4.6.0-2), and
what is held is bounded: `is_full` says when to stop reading.
"""

from collections import deque


class Held:
    """One message; `packet_id` is None with QoS 0, which gets no PUBACK but counts."""

    __slots__ = ("is_settled", "packet_id", "size")

    def __init__(self, packet_id: int | None, size: int) -> None:
        self.packet_id = packet_id
        self.size = size
        self.is_settled = False

    def settle(self) -> None:
        """Note that what it caused is on disk; in any thread. A second call is a bug of the caller."""
        assert not self.is_settled, "settled() was called twice for one delivery"
        self.is_settled = True


class Unsettled:
    """Belongs to one thread, or to a lock's holder; only `Held.settle` does not."""

    def __init__(self, count_max: int, bytes_max: int) -> None:
        self._count_max = count_max
        self._bytes_max = bytes_max
        self._queue: deque[Held] = deque()
        self._bytes = 0

    @property
    def size(self) -> int:
        """Bytes that wait for the disk."""
        return self._bytes

    @property
    def is_full(self) -> bool:
        return len(self._queue) >= self._count_max or self._bytes >= self._bytes_max

    def hold(self, packet_id: int | None, size: int) -> Held:
        """size: the bytes that wait with it."""
        held = Held(packet_id, size)
        self._queue.append(held)
        self._bytes += size
        return held

    def release(self) -> list[int]:
        """Return the packet identifiers that may be acknowledged now, in the order of their receipt."""
        ready: list[int] = []
        while self._queue and self._queue[0].is_settled:
            first = self._queue.popleft()
            self._bytes -= first.size
            if first.packet_id is not None:
                ready.append(first.packet_id)
        return ready
