"""How long it takes from a till's publish to the last of fifty screens."""

from scripts.benchmark.cases import Goal, Measure, Site, selling
from scripts.benchmark.cases.throughput import WARM_UP
from scripts.benchmark.cases.usage import CPU, LOAD, Usage
from scripts.benchmark.cases.watch import Watch
from scripts.benchmark.contenders.all import CONTENDERS

SCREENS = 50

PACE_PER_S = 20
"""Few enough that the load, which must read 50 messages for each, keeps up."""


class Fanout:
    """mosquitto alone keeps nothing, and has that head start here."""

    name = "fanout"
    title = f"publish of one till to the last of {SCREENS} screens, {PACE_PER_S} operations a second"
    contenders = ("ours", "naive", "redis", "postgresql", "mosquitto")
    measures = (Measure("p50_ms", "half within, ms"), Measure("p99_ms", "99 % within, ms"), CPU, LOAD)
    goals = (Goal("p50_ms", 3, "mosquitto"),)

    def run(self, contender: str, site: Site) -> dict[str, float]:
        with selling(CONTENDERS[contender], site, tills=1) as (running, tills):
            watch = Watch(running, tills, SCREENS)
            watch.sell(round(site.seconds * WARM_UP * PACE_PER_S), PACE_PER_S)
            watch.took_ms.clear()
            usage = Usage(running, tills)
            watch.sell(round(site.seconds * PACE_PER_S), PACE_PER_S)
            figures = usage.figures()
            p50_ms, p99_ms = watch.percentiles_ms()
            watch.close()
        return figures | {"p50_ms": p50_ms, "p99_ms": p99_ms}
