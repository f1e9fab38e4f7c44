"""A shop full of tills, which sell as fast as they are told, or at an even pace.

What a till and a screen of any contender can do is declared here; `mqtt`, and the contenders that are no brokers,
provide them.
"""

import itertools
import selectors
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

from scripts.processes import Failed

SKUS = [str(4_600_000_000_000 + n) for n in range(1000)]
"""A small shop's shelf, as EANs."""

RECEIVED = 10_000
"""Pieces of each SKU that the tills receive first: more than a run can sell, so that nothing is oversold."""

RECEIVED_AT_ONCE = 100
"""Operations a message while the shelf is filled, which no case measures."""

AT = "2026-11-24T10:00:01+03:00"
"""What a till's wall clock said; it is for people only."""

STALLED_S = 30.0
"""A contender that says nothing for so long has lost something; only a failing run waits for it."""


class Till(ABC):
    """A till that has its `seq`, and knows how many of its operations are durable."""

    def __init__(self) -> None:
        self.seq = 0
        self.durable = 0
        self._unsent: list[tuple[str, int, str]] = []

    @property
    def in_flight(self) -> int:
        return self.seq - self.durable

    def move(self, sku: str, pieces: int, reason: str) -> None:
        """Add one operation to what `flush` sends."""
        self.seq += 1
        self._unsent.append((sku, pieces, reason))

    def flush(self, per_message: int = 1) -> None:
        """Send what was added, with so many operations a message (the last may carry fewer)."""
        first = self.seq - len(self._unsent) + 1
        messages = [self._unsent[at : at + per_message] for at in range(0, len(self._unsent), per_message)]
        if messages:
            self._send(first, messages)
        self._unsent.clear()

    @abstractmethod
    def fileno(self) -> int: ...

    @abstractmethod
    def read(self) -> None:
        """Take what came, and so move `durable` on. Raises Failed when the contender refused something or is gone."""

    @abstractmethod
    def close(self) -> None: ...

    @abstractmethod
    def _send(self, first: int, messages: list[list[tuple[str, int, str]]]) -> None:
        """Send messages of (SKU, pieces, reason); first: the `seq` of the first operation."""


class Screen(Protocol):
    """Another till's screen: it hears what every other till sold."""

    @property
    def shows_balances(self) -> bool:
        """Whether it hears balances, and not the operations themselves."""
        ...

    @property
    def on_hand(self) -> dict[str, str]:
        """The balances that it shows, by their SKU."""
        ...

    def fileno(self) -> int: ...

    def read(self) -> list[str]:
        """Take what came, and return the SKUs that it is about."""
        ...

    def close(self) -> None: ...


class Tills:
    """The shop's tills, selling one piece of each SKU in turn; what they sold is kept for the check afterwards."""

    def __init__(self, tills: Sequence[Till], skus: Sequence[str] = SKUS) -> None:
        self.all = tills
        self.skus = skus
        self.sold: Counter[str] = Counter()
        self._next = 0
        self._selector = selectors.SelectSelector()  # epoll would round a wait up to whole milliseconds.
        for till in self.all:
            self._selector.register(till, selectors.EVENT_READ, till.read)

    @property
    def durable(self) -> int:
        return sum(till.durable for till in self.all)

    def hear(self, screen: Screen, heard: Callable[[], object]) -> None:
        """Have `heard` called, too, when something came for the screen."""
        self._selector.register(screen, selectors.EVENT_READ, heard)

    def hear_no_more(self, screen: Screen) -> None:
        self._selector.unregister(screen)

    def receive(self) -> None:
        """Put every SKU on the shelf, and wait until that is durable."""
        waiting = iter(self.skus)

        def one_more(till: Till) -> bool:
            if (sku := next(waiting, None)) is None:
                return False
            till.move(sku, RECEIVED, "receive")
            return True

        in_flight = 4 * RECEIVED_AT_ONCE
        self._fill(self.all, one_more, in_flight, RECEIVED_AT_ONCE)
        while self._is_anything_in_flight():
            self._fill(self._wait(), one_more, in_flight, RECEIVED_AT_ONCE)

    def sell_for(self, seconds: float, in_flight: int, per_message: int = 1) -> None:
        """Sell as fast as the contender allows, with so many operations of each till in flight."""

        def one_more(till: Till) -> bool:
            self.sell(till)
            return True

        ends_s = time.perf_counter() + seconds
        self._fill(self.all, one_more, in_flight, per_message)
        while time.perf_counter() < ends_s:
            self._fill(self._wait(), one_more, in_flight, per_message)

    def sell_paced(self, count: int, per_s: float, sold: Callable[[str], object]) -> None:
        """Sell `count` pieces at an even pace, the tills in turn. sold: called with the SKU just before it is sent."""
        began_s = time.perf_counter()
        for n, till in zip(range(count), itertools.cycle(self.all), strict=False):
            self.listen_until(began_s + n / per_s)
            sold(self.sell(till))
            till.flush()

    def sell(self, till: Till) -> str:
        """Have a till sell a piece of the next SKU, which is returned; `flush` sends it."""
        sku = self.skus[self._next % len(self.skus)]
        self._next += 1
        self.sold[sku] += 1
        till.move(sku, -1, "sale")
        return sku

    def listen_until(self, until_s: float) -> None:
        """Take what comes until an instant of `time.perf_counter()`."""
        while (left_s := until_s - time.perf_counter()) > 0:
            self._ready(left_s)

    def listen_while(self, condition: Callable[[], bool]) -> None:
        """Take what comes for as long as a condition holds. Raises Failed when nothing comes any more."""
        while condition():
            self._wait()

    def drain(self) -> None:
        """Wait until everything sent is durable."""
        self.listen_while(self._is_anything_in_flight)

    def close(self) -> None:
        self._selector.close()
        for till in self.all:
            till.close()

    def _is_anything_in_flight(self) -> bool:
        return any(till.in_flight for till in self.all)

    def _wait(self) -> list[Till]:
        """Take what came, and return the tills among those who heard something. Raises Failed when nothing came."""
        if not (ready := self._ready(STALLED_S)):
            raise Failed(f"the contender said nothing for {STALLED_S:.0f} s")
        return [listener for listener in ready if isinstance(listener, Till)]

    def _ready(self, timeout_s: float) -> list[object]:
        ready = self._selector.select(timeout_s)
        for key, _ in ready:
            key.data()
        return [key.fileobj for key, _ in ready]

    def _fill(self, tills: Sequence[Till], one_more: Callable[[Till], bool], in_flight: int, per_message: int) -> None:
        for till in tills:
            while till.in_flight < in_flight and one_more(till):
                pass
            till.flush(per_message)
