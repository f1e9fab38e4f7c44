"""How long it takes from a till's publish to another till's screen, at an even pace that leaves time to spare."""

from scripts.benchmark import disk
from scripts.benchmark.cases import TILLS, Goal, Measure, Site, selling
from scripts.benchmark.cases.throughput import WARM_UP
from scripts.benchmark.cases.usage import CPU, LOAD, Usage
from scripts.benchmark.cases.watch import Watch
from scripts.benchmark.contenders.all import CONTENDERS

PACE_PER_S = 100
"""Operations a second of the whole shop: 20 cashiers who scan five pieces a second each."""


class Freshness:
    """mosquitto alone keeps nothing, so the median of a sync is added to its times."""

    name = "freshness"
    title = f"publish to another till's screen, {TILLS} tills, {PACE_PER_S} operations a second"
    contenders = ("ours", "naive", "redis", "postgresql", "mosquitto")
    measures = (Measure("p50_ms", "half within, ms"), Measure("p99_ms", "99 % within, ms"), CPU, LOAD)
    goals = (Goal("p50_ms", 2, "mosquitto"), Goal("p99_ms", 5, "mosquitto"))

    def run(self, contender: str, site: Site) -> dict[str, float]:
        with selling(CONTENDERS[contender], site) as (running, tills):
            watch = Watch(running, tills)
            watch.sell(round(site.seconds * WARM_UP * PACE_PER_S), PACE_PER_S)
            watch.took_ms.clear()
            usage = Usage(running, tills)
            watch.sell(round(site.seconds * PACE_PER_S), PACE_PER_S)
            figures = usage.figures()
            p50_ms, p99_ms = watch.percentiles_ms()
            watch.close()
        sync_ms = disk.sync_ms(site.directory) if contender == "mosquitto" else 0
        return figures | {"p50_ms": p50_ms + sync_ms, "p99_ms": p99_ms + sync_ms}
