"""The same work on a small ledger and on a large one: what an operation costs must not grow with what is kept."""

from dataclasses import dataclass

from scripts.benchmark.cases import Goal, Measure, Site, check, empty_directory
from scripts.benchmark.cases.throughput import IN_FLIGHT, PER_MESSAGE
from scripts.benchmark.cases.usage import CPU, PAGES, Usage
from scripts.benchmark.contenders.database import stored_bytes
from scripts.benchmark.contenders.ours import Ours
from scripts.benchmark.load.tills import Tills


@dataclass(frozen=True, slots=True)
class Size:
    """A shop's. movements: how many are in the ledger before anything is measured."""

    skus: int
    movements: int
    tills: int


SIZES = {"grown": Size(100_000, 1_000_000, 200), "young": Size(1_000, 100_000, 2)}
"""A hundred times the goods, and what a small shop moves in three years. The goal speaks of ten times as much still."""


class Growth:
    name = "growth"
    title = " beside ".join(
        f"{size.skus:,} SKUs, {size.movements:,} movements, {size.tills} tills" for size in SIZES.values()
    )
    contenders = tuple(SIZES)
    measures = (
        Measure("operations_per_s", "operations a second", better="more"),
        CPU,
        PAGES,
        Measure("bytes", "bytes of the file a movement"),
    )
    goals = (Goal("cpu_us", 1.5, "young"), Goal("pages", 1.5, "young"), Goal("pages", 0.4), Goal("bytes", 60))

    def run(self, contender: str, site: Site) -> dict[str, float]:
        size = SIZES[contender]
        skus = [str(4_600_000_000_000 + n) for n in range(round(size.skus * site.scale))]
        ours = Ours()
        with empty_directory(contender, site) as directory:
            with ours.running(directory) as running:
                tills = Tills([running.till(f"till-{n}") for n in range(size.tills)], skus)
                tills.receive()
                movements = round(size.movements * site.scale)
                while tills.durable < movements:
                    tills.sell_for(0.5, 4 * PER_MESSAGE, PER_MESSAGE)
                tills.drain()
                # As many in flight at the whole shop, however many tills it has: else batches would differ.
                in_flight = max(1, 2 * IN_FLIGHT // size.tills)
                usage = Usage(running, tills)
                tills.sell_for(site.seconds, in_flight)
                figures = usage.figures()
                tills.drain()
                tills.close()
            check(ours.kept(directory), tills)
            return figures | {"bytes": stored_bytes(directory / "ledger.db", ("txn", "entry", "turn")) / tills.durable}
