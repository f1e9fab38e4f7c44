"""The cases, in the order in which they are run."""

from collections.abc import Sequence

from scripts.benchmark.cases import TILLS, Case, Goal
from scripts.benchmark.cases.backlog import Backlog
from scripts.benchmark.cases.catchup import Catchup
from scripts.benchmark.cases.freshness import Freshness
from scripts.benchmark.cases.growth import Growth
from scripts.benchmark.cases.reconnect import Reconnect
from scripts.benchmark.cases.start import Start
from scripts.benchmark.cases.throughput import PER_MESSAGE, Throughput


def _more_than(naive: float, databases: float | None = None) -> tuple[Goal, ...]:
    rate = "operations_per_s"
    beside = () if databases is None else (Goal(rate, databases, "redis"), Goal(rate, databases, "postgresql"))
    return (Goal(rate, naive, "naive"), *beside, Goal("cpu_us", 150))


_FRESHNESS = Freshness(
    name="freshness",
    title=f"publish to another till's screen, {TILLS} tills, 100 operations a second",
    tills=TILLS,
    screens=1,
    pace_per_s=100,  # 20 cashiers who scan five pieces a second each.
    floor_syncs=True,
    goals=(Goal("p50_ms", 2, "mosquitto"), Goal("p99_ms", 5, "mosquitto")),
)
_FANOUT = Freshness(
    name="fanout",
    title="publish of one till to the last of 50 screens, 20 operations a second",
    tills=1,
    screens=50,
    pace_per_s=20,  # Few enough that the load, which must read 50 messages for each, keeps up.
    floor_syncs=False,
    goals=(Goal("p50_ms", 3, "mosquitto"),),
)

CASES: Sequence[Case] = (
    Throughput(0, 1, _more_than(6)),
    Throughput(5, 1, _more_than(33, 1.5)),
    Throughput(30, 1, _more_than(130)),
    Throughput(0, PER_MESSAGE, ()),
    Throughput(5, PER_MESSAGE, ()),
    Throughput(30, PER_MESSAGE, ()),
    _FRESHNESS,
    _FANOUT,
    Reconnect(),
    Catchup(),
    Backlog(),
    Growth(),
    Start(),
)
