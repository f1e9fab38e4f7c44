"""Runs of a case, in interleaved pairs, and the ratios that are made of them.

Ours and the peer take turns (A B A B), so that a machine that grows slower or busier hurts both; a ratio is taken
within each pair, and the median of those is the result. The invariant: a run whose database does not hold exactly what
was counted as durable gives no figures at all.
"""

import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmark.cases import IN_FLIGHT, Case, Measure
from scripts.benchmark.contenders import Contender, Kept
from scripts.benchmark.tills import RECEIVED, SKUS, Tills
from scripts.processes import Failed, last_words

TILLS = 4
"""A small shop, and few enough that the load leaves the machine's two cores to the contender."""


@dataclass(frozen=True, slots=True)
class Result:
    """The figures of one measure in every run, pair by pair, first ours."""

    case: str
    measure: Measure
    ours: tuple[float, ...]
    peer: str
    theirs: tuple[float, ...]

    @property
    def ratios(self) -> list[float]:
        """Ours divided by theirs, in each pair."""
        return [ours / theirs for ours, theirs in zip(self.ours, self.theirs, strict=True)]

    def as_json(self) -> dict[str, object]:
        """Return the result with its medians; `ratio` is ours ÷ theirs, None for the benchmark's own figures."""
        ratios = self.ratios
        return {
            "case": self.case,
            "measure": self.measure.name,
            "unit": self.measure.unit,
            "better": self.measure.better,
            "ours": {"median": statistics.median(self.ours), "runs": list(self.ours)},
            self.peer: {"median": statistics.median(self.theirs), "runs": list(self.theirs)},
            "ratio": {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios), "pairs": ratios}
            if self.measure.better
            else None,
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is run: pairs of each case, seconds of each run, and the directory on whose disk it happens."""

    pairs: int
    seconds: float
    directory: Path


def compare(case: Case, ours: Contender, peer: Contender, plan: Plan, done: Callable[[], None]) -> list[Result]:
    """Return a result for each measure of a case. done: called after every run. Raises Failed."""
    runs: tuple[list[dict[str, float]], list[dict[str, float]]] = ([], [])
    for _ in range(plan.pairs):
        for contender, figures in zip((ours, peer), runs, strict=True):
            figures.append(_run(case, contender, plan))
            done()
    results = []
    for measure in case.measures:
        mine, theirs = (tuple(figures[measure.name] for figures in side) for side in runs)
        results.append(Result(case.name, measure, mine, peer.name, theirs))
    return results


def _run(case: Case, contender: Contender, plan: Plan) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="bench-", dir=plan.directory) as name:
        directory = Path(name)
        try:
            with contender.running(directory) as running:
                tills = Tills(running, TILLS)
                tills.receive(IN_FLIGHT)
                figures = case.run(running, tills, plan.seconds)
                tills.drain()
                tills.close()
            check(contender.kept(directory), tills)
        except Failed as failure:
            raise Failed(f"{case.name} with {contender.name}: {failure}\n{last_words(directory)}") from None
    return figures


def check(kept: Kept, tills: Tills) -> None:
    """Raise Failed unless a database holds exactly what its tills were told is durable."""
    if kept.operations != tills.durable:
        raise Failed(f"{tills.durable} operations were called durable, {kept.operations} are in the database")
    if kept.on_hand_milli != {sku: (RECEIVED - tills.sold[sku]) * 1000 for sku in SKUS}:
        raise Failed("the balances in the database are not what was received and sold")
