"""Runs of a case, in interleaved rounds, and the ratios that are made of them.

In a round every contender of a case takes its turn, so that a machine that grows slower or busier hurts all of them; a
ratio is taken within each round, and the median of those is the result. The invariant: a run whose database does not
hold exactly what was counted as durable gives no figures at all.
"""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from scripts.benchmark.cases import Case, Goal, Measure, Site
from scripts.processes import Failed


@dataclass(frozen=True, slots=True)
class Result:
    """One measure of a case: the figures of each contender, by its name, round by round.

    A contender that has no such figure is not there. `subject` is whose figures are divided by the others'.
    """

    case: str
    measure: Measure
    subject: str
    runs: Mapping[str, tuple[float, ...]]

    @property
    def peers(self) -> list[str]:
        """Whom the subject stands beside, when a ratio says anything."""
        if self.measure.better is None or self.subject not in self.runs:
            return []
        return [name for name in self.runs if name != self.subject]

    def median(self, contender: str) -> float:
        return statistics.median(self.runs[contender])

    def ratios(self, peer: str) -> list[float]:
        """The subject's figure divided by a peer's, in each round."""
        return [ours / theirs for ours, theirs in zip(self.runs[self.subject], self.runs[peer], strict=True)]

    def reached(self, goal: Goal) -> float:
        """Return what is to be held against the goal: a ratio's median, or the subject's own."""
        return statistics.median(self.ratios(goal.peer)) if goal.peer else self.median(self.subject)

    def is_met(self, goal: Goal) -> bool:
        reached = self.reached(goal)
        return reached >= goal.bound if self.measure.better == "more" else reached <= goal.bound


def measure(case: Case, site: Site, rounds: int, done: Callable[[], None]) -> list[Result]:
    """Return a result for each measure of a case. done: called after every run. Raises Failed."""
    runs: dict[str, list[dict[str, float]]] = {contender: [] for contender in case.contenders}
    for _ in range(rounds):
        for contender, figures in runs.items():
            try:
                figures.append(case.run(contender, site))
            except Failed as failure:
                raise Failed(f"{case.name} with {failure}") from None
            done()
    return [
        Result(
            case.name,
            one,
            case.contenders[0],
            {
                contender: tuple(run[one.name] for run in figures)
                for contender, figures in runs.items()
                if one.name in figures[0]
            },
        )
        for one in case.measures
    ]
