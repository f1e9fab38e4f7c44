"""How long it takes from a till's publish to other tills' screens, at an even pace that leaves time to spare."""

from dataclasses import dataclass

from scripts.benchmark import disk
from scripts.benchmark.cases import Goal, Measure, Site, selling
from scripts.benchmark.cases.throughput import WARM_UP
from scripts.benchmark.cases.usage import CPU, LOAD, Usage
from scripts.benchmark.cases.watch import Watch
from scripts.benchmark.contenders.all import CONTENDERS


@dataclass(frozen=True, slots=True)
class Freshness:
    """pace_per_s: operations of the whole shop.

    floor_syncs: whether the median of a sync is added to the times of mosquitto, which keeps nothing and so is ahead.
    """

    name: str
    title: str
    tills: int
    screens: int
    pace_per_s: int
    floor_syncs: bool
    goals: tuple[Goal, ...]

    contenders = ("ours", "naive", "redis", "postgresql", "mosquitto")
    measures = (Measure("p50_ms", "half within, ms"), Measure("p99_ms", "99 % within, ms"), CPU, LOAD)

    def run(self, contender: str, site: Site) -> dict[str, float]:
        with selling(CONTENDERS[contender], site, self.tills) as (running, tills):
            watch = Watch(running, tills, self.screens)
            watch.sell(round(site.seconds * WARM_UP * self.pace_per_s), self.pace_per_s)
            watch.took_ms.clear()
            usage = Usage(running, tills)
            watch.sell(round(site.seconds * self.pace_per_s), self.pace_per_s)
            figures = usage.figures()
            p50_ms, p99_ms = watch.percentiles_ms()
            watch.close()
        sync_ms = disk.sync_ms(site.directory) if self.floor_syncs and contender == "mosquitto" else 0
        return figures | {"p50_ms": p50_ms + sync_ms, "p99_ms": p99_ms + sync_ms}
