"""What is done to a contender, and what is read off meanwhile.

A case gets a running contender and tills with every SKU on their shelf already; it warms up, measures for the seconds
it is given, and returns a figure for each of its measures. What it counted is checked afterwards (`pairs`).
"""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Protocol

from scripts.benchmark.contenders import Running
from scripts.benchmark.crowd import CROWD, seconds_until_all_are_in, waiting_for_answers
from scripts.benchmark.tills import RECEIVED, SKUS, Screen, Tills
from scripts.processes import Failed, cpu_s

IN_FLIGHT = 64
"""Operations of a till that may be without an ack: a backlog after a night, not a cashier."""

PACE_PER_S = 100
"""Operations a second of the whole shop: 20 cashiers who scan five pieces a second each."""

_WARM_UP = 0.2
"""The part of the measured time that goes before it, unmeasured: caches fill, and what is imported late is there."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure of a case. better: `more` or `less`; None is the benchmark's own, of which no ratio is made."""

    name: str
    unit: str
    better: str | None


class Case(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def measures(self) -> Sequence[Measure]: ...

    def run(self, running: Running, tills: Tills, seconds: float) -> dict[str, float]:
        """Return the figure of each measure, by name. Raises Failed when the contender did not keep its word."""
        ...


_CPU = Measure("cpu_us", "CPU, µs an operation", "less")
_LOAD = Measure("load_cpu", "CPU of the load, %", None)


class Throughput:
    """How many operations a second become durable when tills empty their outboxes."""

    name = "throughput"
    title = f"durable operations, {IN_FLIGHT} in flight at each, one a message"
    measures = (Measure("operations_per_s", "operations a second", "more"), _CPU, _LOAD)

    def run(self, running: Running, tills: Tills, seconds: float) -> dict[str, float]:
        tills.sell_for(seconds * _WARM_UP, IN_FLIGHT)
        usage = _Usage(running, tills)
        tills.sell_for(seconds, IN_FLIGHT)
        return usage.figures()


class Freshness:
    """How long it takes from a till's publish to another till's screen, at an even pace that leaves time to spare."""

    name = "freshness"
    title = f"publish to another till's screen, {PACE_PER_S} operations a second"
    measures = (Measure("p50_ms", "half within, ms", "less"), Measure("p99_ms", "99 % within, ms", "less"), _CPU, _LOAD)

    def run(self, running: Running, tills: Tills, seconds: float) -> dict[str, float]:
        screen = Screen(running)
        sent_s: dict[str, float] = {}
        took_ms: list[float] = []

        def heard() -> None:
            skus = screen.read()
            now_s = time.perf_counter()
            took_ms.extend((now_s - sent_s.pop(sku)) * 1000 for sku in skus if sku in sent_s)

        def sell_paced(count: int) -> None:
            began_s = time.perf_counter()
            for n, till in zip(range(count), cycle(tills.all), strict=False):
                tills.listen_until(began_s + n / PACE_PER_S)
                sku = tills.sell(till)
                if sku in sent_s:
                    raise Failed(f"the screen did not show the last sale of {sku}, and now comes the next")
                sent_s[sku] = time.perf_counter()
                till.flush()
            tills.listen_while(lambda: bool(sent_s))

        tills.hear(screen, heard)
        # What is retained is fed first, and must not be taken for news.
        tills.listen_while(lambda: len(screen.on_hand) < len(SKUS))
        sell_paced(round(seconds * _WARM_UP * PACE_PER_S))
        took_ms.clear()
        usage = _Usage(running, tills)
        sell_paced(round(seconds * PACE_PER_S))
        tills.drain()
        figures = usage.figures()
        screen.close()
        if screen.on_hand != {sku: str(RECEIVED - tills.sold[sku]) for sku in SKUS}:
            raise Failed("the screen shows other balances than what was sold")
        percentiles = statistics.quantiles(took_ms, n=100, method="inclusive")
        return {"p50_ms": percentiles[49], "p99_ms": percentiles[98], **figures}


class Reconnect:
    """How long a large shop takes to be back after a power cut, and how long who is in waits for an answer meanwhile.

    That wait is the contender's longest stall, with the machine's own in it.
    """

    name = "reconnect"
    title = f"{CROWD} further tills come at once, log in and subscribe"
    measures = (
        Measure("all_in_s", "until all are in, s", "less"),
        Measure("stall_ms", "longest answer to who is in, ms", "less"),
    )

    def run(self, running: Running, tills: Tills, seconds: float) -> dict[str, float]:
        took_s: list[float] = []
        with waiting_for_answers(running, seconds) as longest:
            while not longest.done() or not took_s:
                took_s.append(seconds_until_all_are_in(running))
            return {"all_in_s": statistics.median(took_s), "stall_ms": longest.result()}


CASES: Sequence[Case] = (Throughput(), Freshness(), Reconnect())


class _Usage:
    """What the contender, and the load itself, use from now on."""

    def __init__(self, running: Running, tills: Tills) -> None:
        self._running = running
        self._tills = tills
        self._began = self._read()

    def figures(self) -> dict[str, float]:
        at_s, contender_s, load_s, durable = (now - began for now, began in zip(self._read(), self._began, strict=True))
        return {
            "operations_per_s": durable / at_s,
            "cpu_us": contender_s / durable * 1e6,
            "load_cpu": load_s / at_s * 100,
        }

    def _read(self) -> tuple[float, float, float, int]:
        return time.perf_counter(), cpu_s(self._running.pids), time.process_time(), self._tills.durable
