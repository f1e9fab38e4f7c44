"""The cases, in the order in which they are run."""

from collections.abc import Sequence

from scripts.benchmark.cases import Case, Goal
from scripts.benchmark.cases.backlog import Backlog
from scripts.benchmark.cases.catchup import Catchup
from scripts.benchmark.cases.fanout import Fanout
from scripts.benchmark.cases.freshness import Freshness
from scripts.benchmark.cases.growth import Growth
from scripts.benchmark.cases.reconnect import Reconnect
from scripts.benchmark.cases.start import Start
from scripts.benchmark.cases.throughput import PER_MESSAGE, Throughput


def _more_than(naive: float, databases: float | None = None) -> tuple[Goal, ...]:
    rate = "operations_per_s"
    beside = () if databases is None else (Goal(rate, databases, "redis"), Goal(rate, databases, "postgresql"))
    return (Goal(rate, naive, "naive"), *beside, Goal("cpu_us", 150))


CASES: Sequence[Case] = (
    Throughput(0, 1, _more_than(6)),
    Throughput(5, 1, _more_than(33, 1.5)),
    Throughput(30, 1, _more_than(130)),
    Throughput(0, PER_MESSAGE, ()),
    Throughput(5, PER_MESSAGE, ()),
    Throughput(30, PER_MESSAGE, ()),
    Freshness(),
    Fanout(),
    Reconnect(),
    Catchup(),
    Backlog(),
    Growth(),
    Start(),
)
