"""A till that comes back after a night, and what the others notice of it."""

import statistics
import time
from collections.abc import Callable
from concurrent.futures import Future

from scripts.benchmark.cases import TILLS, Goal, Measure, Site, selling
from scripts.benchmark.cases.watch import Watch
from scripts.benchmark.contenders.all import CONTENDERS
from scripts.benchmark.load import back
from scripts.benchmark.load.back import CaughtUp
from scripts.processes import Failed, another_process

SKUS = 50_000
CHANGED = 500

_PACE_PER_S = 50
"""Operations a second of the others, who must not use up the SKUs that the screen waits for."""


class Catchup:
    """Ours answers queries; mosquitto retains every balance, and sends them all whenever somebody subscribes."""

    name = "catchup"
    title = f"a till back after a night, {CHANGED} of {SKUS:,} SKUs changed, while {TILLS} others sell"
    contenders = ("ours", "mosquitto")
    measures = (
        Measure("changed_ms", "what changed, ms"),
        Measure("all_ms", "all there is, ms"),
        Measure("others_p99", "the others' p99 meanwhile ÷ before"),
    )
    goals = (Goal("changed_ms", 50), Goal("all_ms", 1, "mosquitto"), Goal("others_p99", 2))

    def run(self, contender: str, site: Site) -> dict[str, float]:
        skus = [str(4_600_000_000_000 + n) for n in range(round(SKUS * site.scale))]
        figures: dict[str, float] = {}
        with (
            selling(CONTENDERS[contender], site, skus=skus) as (running, tills),
            another_process(back.ask) as process,
        ):
            broker = running.broker
            assert broker is not None
            comes_back: Callable[[], Future[CaughtUp]]
            if contender == "mosquitto":
                back.retain(broker, skus)
                comes_back = lambda: process.submit(back.subscribe, broker, len(skus))  # noqa: E731
            else:
                comes_back = lambda: process.submit(back.ask, broker, 0)  # noqa: E731
                evening = back.ask(broker, 0)
                changed = round(CHANGED * site.scale)
                tills.sell_paced(changed, 10 * _PACE_PER_S, lambda sku: None)
                tills.drain()
                morning = process.submit(back.ask, broker, evening.rev).result()
                if morning.told != changed:
                    raise Failed(f"{changed} SKUs were sold, and the till was told of {morning.told}")
                figures["changed_ms"] = morning.took_ms
            watch = Watch(running, tills)
            watch.sell(round(site.seconds / 2 * _PACE_PER_S), _PACE_PER_S)
            _, before_ms = watch.percentiles_ms()
            watch.took_ms.clear()
            all_ms: list[float] = []
            ends_s = time.perf_counter() + site.seconds / 2
            while time.perf_counter() < ends_s:
                coming = comes_back()
                while not coming.done():
                    watch.sell(5, _PACE_PER_S)
                all_ms.append(coming.result().took_ms)
            _, meanwhile_ms = watch.percentiles_ms()
            watch.close()
        return figures | {"all_ms": statistics.median(all_ms), "others_p99": meanwhile_ms / before_ms}
