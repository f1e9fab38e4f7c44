"""What happens when: the one order of events in a simulated shop.

Two events at one moment happen in the order in which they were planned. An event may itself let time pass, as a
printer does while it prints; what happens meanwhile happens within it.
"""

import heapq
from collections.abc import Callable
from itertools import count

Event = Callable[[], None]


class Schedule:
    def __init__(self, now_ms: int, told: Callable[[int], None]) -> None:
        """told: hears what time it is, before each event."""
        self.now_ms = now_ms
        self._told = told
        self._events: list[tuple[int, int, Event]] = []
        self._order = count()

    @property
    def next_ms(self) -> int | None:
        """When the next event is; None without one."""
        return self._events[0][0] if self._events else None

    def after(self, delay_ms: float, event: Event) -> None:
        heapq.heappush(self._events, (self.now_ms + max(0, int(delay_ms)), next(self._order), event))

    def run_next(self) -> None:
        """Let time pass until the next event, and let it happen."""
        when_ms, _, event = heapq.heappop(self._events)
        self._be(when_ms)
        event()

    def run_until(self, ends_ms: int) -> None:
        """Let everything happen until then."""
        while self._events and self._events[0][0] <= ends_ms:
            self.run_next()
        self._be(ends_ms)

    def _be(self, when_ms: int) -> None:
        if when_ms > self.now_ms:
            self.now_ms = when_ms
            self._told(when_ms)
