"""The publishes of one connection that were taken and are not on disk yet, and the PUBACKs held back for them.

Between `protocol`, which takes a publish, and its sender, who waits for the PUBACK. The invariants: a PUBACK is given
out only when its own publish and every earlier one of the connection are settled (MQTT-4.6.0-2), and what is held is
bounded: `is_full` says when to stop reading.
"""

from collections import deque

from appliance.broker.embedded.limits import Limits


class Held:
    """One publish; `packet_id` is None with QoS 0, which gets no PUBACK but counts."""

    __slots__ = ("marked", "packet_id", "settled", "size")

    def __init__(self, packet_id: int | None, size: int) -> None:
        self.packet_id = packet_id
        self.size = size
        self.marked = False
        self.settled = False

    def mark(self) -> None:
        """Note, in whatever thread, that `settled` was called. A second call is a bug of the caller."""
        assert not self.marked, "settled() was called twice for one delivery"
        self.marked = True


class Unsettled:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._queue: deque[Held] = deque()
        self._bytes = 0

    @property
    def is_full(self) -> bool:
        return len(self._queue) >= self._limits.unsettled_max or self._bytes >= self._limits.unsettled_bytes_max

    def hold(self, packet_id: int | None, size: int) -> Held:
        """size: the bytes that wait with it."""
        held = Held(packet_id, size)
        self._queue.append(held)
        self._bytes += size
        return held

    def settle(self, held: Held) -> list[int]:
        """Return the packet identifiers that may be acknowledged now, in the order of their receipt."""
        held.settled = True
        ready: list[int] = []
        while self._queue and self._queue[0].settled:
            first = self._queue.popleft()
            self._bytes -= first.size
            if first.packet_id is not None:
                ready.append(first.packet_id)
        return ready
