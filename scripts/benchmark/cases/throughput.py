"""How many operations a second become durable when tills empty their outboxes."""

import statistics
from dataclasses import dataclass

from scripts.benchmark import disk
from scripts.benchmark.cases import TILLS, Goal, Measure, Site, selling
from scripts.benchmark.cases.usage import CPU, LOAD, PAGES, Usage
from scripts.benchmark.contenders.all import CONTENDERS

IN_FLIGHT = 64
"""Operations of a till that may be without an ack: a backlog after a night, not a cashier."""

PER_MESSAGE = 100
"""Operations of a message, of which a till may have four in flight, when it sends many."""

WARM_UP = 0.2
"""The part of the measured time that goes before it, unmeasured: caches fill, and what is imported late is there."""

DISK = "disk"
"""What the disk allows to who writes and syncs one operation after another."""


@dataclass(frozen=True, slots=True)
class Throughput:
    """delay_ms: how much longer each sync takes."""

    delay_ms: float
    per_message: int
    goals: tuple[Goal, ...]

    contenders = ("ours", "naive", "redis", "postgresql", DISK)
    measures = (Measure("operations_per_s", "operations a second", better="more"), CPU, PAGES, LOAD)

    @property
    def name(self) -> str:
        return f"throughput-{self.per_message}-a-message-{self.delay_ms:g}-ms"

    @property
    def title(self) -> str:
        what = "one a message" if self.per_message == 1 else f"{self.per_message} a message"
        return f"durable operations, {TILLS} tills, {what}, each sync {self.delay_ms:g} ms slower"

    def run(self, contender: str, site: Site) -> dict[str, float]:
        if contender == DISK:
            took_ms = disk.syncs_ms(site.directory, site.seconds, self.delay_ms)
            return {"operations_per_s": 1000 / statistics.mean(took_ms)}
        in_flight = IN_FLIGHT if self.per_message == 1 else 4 * self.per_message
        with selling(CONTENDERS[contender], site, delay_ms=self.delay_ms) as (running, tills):
            tills.sell_for(site.seconds * WARM_UP, in_flight, self.per_message)
            usage = Usage(running, tills)
            tills.sell_for(site.seconds, in_flight, self.per_message)
            return usage.figures()
