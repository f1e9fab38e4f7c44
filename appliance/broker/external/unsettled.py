"""The messages of one connection that were taken and are not on disk yet, and the PUBACKs held back for them.

Between `connection`, which takes a message, and the broker, which waits for the PUBACK. The invariants: a PUBACK is
given out only when its own message and every earlier one are settled (MQTT-4.6.0-2), and what is held is bounded:
`is_full` says when to stop reading.
"""

from collections import deque
from dataclasses import dataclass

from appliance.broker.external.limits import Limits


@dataclass(slots=True, eq=False)
class Held:
    """One message. packet_id: None with QoS 0, which gets no PUBACK but counts."""

    packet_id: int | None
    size: int
    is_settled: bool = False


class Unsettled:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._queue: deque[Held] = deque()
        self._bytes = 0

    @property
    def is_full(self) -> bool:
        return len(self._queue) >= self._limits.unsettled_max or self._bytes >= self._limits.unsettled_bytes_max

    def hold(self, packet_id: int | None, size: int) -> Held:
        """size: the payload's bytes."""
        held = Held(packet_id, size)
        self._queue.append(held)
        self._bytes += size
        return held

    def settle(self, held: Held) -> list[int]:
        """Return the packet identifiers that may be acknowledged now, in the order of their receipt."""
        assert not held.is_settled, "settled() was called twice for one delivery"
        held.is_settled = True
        ready: list[int] = []
        while self._queue and self._queue[0].is_settled:
            first = self._queue.popleft()
            self._bytes -= first.size
            if first.packet_id is not None:
                ready.append(first.packet_id)
        return ready
