"""What is done to a contender, what is read off meanwhile, and where we want to be.

    throughput   durable operations a second, one a message and many, on disks of three speeds
    freshness    from a till's publish to another till's screen, or to the last of fifty
    catchup      a till that comes back after a night, and what the others notice
    backlog      tills that come back after a day offline, and what a selling one notices
    reconnect    a crowd that logs in at once
    growth       the same work on a small ledger and on a large one
    start        from starting a full ledger to the first ack, and the memory that takes

A case runs one contender from start to kill, checks it, and returns a figure for each of its measures.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from scripts.benchmark import disk
from scripts.benchmark.contenders import Contender, Kept, Running
from scripts.benchmark.load.tills import RECEIVED, SKUS, Tills
from scripts.processes import Failed, last_words

TILLS = 10


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure of a case. better: `more` or `less`; None is the benchmark's own, of which no ratio is made."""

    name: str
    unit: str
    better: str | None = "less"


@dataclass(frozen=True, slots=True)
class Goal:
    """Where we want to be: the median of a measure, ours ÷ `peer` or (without one) ours alone, within a bound.

    bound: at least that when more is better, else at most.
    """

    measure: str
    bound: float
    peer: str | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """Where and how long a case runs. directory: on a real disk; scale: 1, or less of everything for a quick look."""

    directory: Path
    seconds: float
    scale: float


class Case(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def contenders(self) -> Sequence[str]:
        """By name; ratios are the first one's figures divided by each other one's."""
        ...

    @property
    def measures(self) -> Sequence[Measure]: ...
    @property
    def goals(self) -> Sequence[Goal]: ...

    def run(self, contender: str, site: Site) -> dict[str, float]:
        """Return the contender's figures by their measures' names. Raises Failed when it did not keep its word."""
        ...


@contextmanager
def empty_directory(contender: str, site: Site) -> Iterator[Path]:
    """Give a directory of its own; a Failed that leaves the block says whose it is, with the ends of the logs there."""
    with tempfile.TemporaryDirectory(dir=site.directory) as name:
        try:
            yield Path(name)
        except Failed as failure:
            raise Failed(f"{contender}: {failure}\n{last_words(Path(name))}") from None


@contextmanager
def selling(
    contender: Contender, site: Site, tills: int = TILLS, skus: Sequence[str] = SKUS, delay_ms: float = 0
) -> Iterator[tuple[Running, Tills]]:
    """Give a contender and tills with every SKU on their shelf; check afterwards what its database holds."""
    with empty_directory(contender.name, site) as directory:
        with contender.running(directory, disk.slower_by(delay_ms, site.directory)) as running:
            shop = Tills([running.till(f"till-{n}") for n in range(tills)], skus)
            shop.receive()
            yield running, shop
            shop.drain()
            shop.close()
        if (kept := contender.kept(directory)) is not None:
            check(kept, shop)


def check(kept: Kept, tills: Tills) -> None:
    """Raise Failed unless a database holds exactly what its tills were told is durable."""
    if kept.operations != tills.durable:
        raise Failed(f"{tills.durable} operations were called durable, {kept.operations} are in the database")
    if kept.on_hand_milli != {sku: (RECEIVED - tills.sold[sku]) * 1000 for sku in tills.skus}:
        raise Failed("the balances in the database are not what was received and sold")
