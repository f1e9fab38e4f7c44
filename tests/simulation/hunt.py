"""Look for what misses a rule: its fixed trace, and the first seed of the simulated shop that goes wrong without it.

    rule ──▶ trace, whole and without it ──▶ seeds without it ──▶ the first that is noticed ──▶ the same seed, whole

`python -m tests.simulation.hunt` searches for every rule over 200 seeds, and shows a table.
"""

import logging
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import apsw
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from appliance.ledger.verify import Violation
from tests.simulation.broken import Broken
from tests.simulation.mutants import RULES
from tests.simulation.play import play
from tests.simulation.traces import TRACES

SEEDS = 200
"""What a rule may take to be missed by chance; those that are missed more rarely have their traces."""


@dataclass(frozen=True, slots=True)
class Search:
    """What was found of one rule.

    traced: whether its trace comes right with it, and is noticed to go wrong without it. seed: the first that is
    noticed to go wrong without the rule, None when none of `played` is. invariant: what does not hold there.
    is_whole: whether that seed comes right with the rule.
    """

    rule: str
    traced: bool
    seed: int | None
    played: int
    invariant: str
    is_whole: bool
    seconds: float

    @property
    def is_missed(self) -> bool:
        return self.is_whole and (self.traced or self.seed is not None)


def hunt(rule: str, seeds: Iterable[int]) -> Search:
    """Look for what misses a rule, up to the first seed that does."""
    began_s = time.monotonic()
    traced = not _trace(rule, nullcontext()) and bool(_trace(rule, RULES[rule]()))
    played = 0
    for seed in seeds:
        played += 1
        if invariant := _play(seed, RULES[rule]()):
            is_whole = not _play(seed, nullcontext())
            return Search(rule, traced, seed, played, invariant, is_whole, time.monotonic() - began_s)
    return Search(rule, traced, None, played, "", True, time.monotonic() - began_s)


def _trace(rule: str, without: AbstractContextManager[None]) -> str:
    """Return what a rule's trace ends with, "" when it comes right."""
    with without, tempfile.TemporaryDirectory() as directory:
        try:
            TRACES[rule](Path(directory))
        except (AssertionError, Violation) as error:
            return str(error)
    return ""


def _play(seed: int, without: AbstractContextManager[None]) -> str:
    """Return the invariant that a seed breaks, "" when it comes right."""
    with without:
        try:
            play(seed)
        except Broken as broken:
            return broken.invariant
        except (AssertionError, apsw.Error) as error:
            return f"the product's own {type(error).__name__}"
    return ""


def main(
    seeds: Annotated[int, typer.Option(min=0, help="How many to play without each rule, at most.")] = SEEDS,
    start: Annotated[int, typer.Option(min=0, help="The first of them.")] = 0,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
    rule: Annotated[list[str] | None, typer.Option(help="Only these rules.")] = None,
) -> None:
    """Take each protective rule away, and look for what misses it. Fails when a rule is missed by nothing."""
    unknown = [name for name in rule or () if name not in RULES]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]!r} is no rule; there are: {', '.join(RULES)}")
    console = Console()
    found: dict[str, Search] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with (
        Progress(*columns, console=console, transient=True) as progress,
        ProcessPoolExecutor(jobs, initializer=logging.disable) as pool,
    ):
        task = progress.add_task("rules", total=len(rule or RULES))
        for done in as_completed(pool.submit(hunt, name, range(start, start + seeds)) for name in rule or RULES):
            search = done.result()
            found[search.rule] = search
            progress.advance(task)
    console.print(_table([found[name] for name in rule or RULES]))
    if not all(search.is_missed for search in found.values()):
        sys.exit(1)


def _table(searches: Iterable[Search]) -> Table:
    table = Table("rule", "by its trace", "by a seed", "what does not hold there", "seconds")
    for one in searches:
        by_seed = f"none of {one.played}" if one.seed is None else f"{one.seed}{'' if one.is_whole else ', also whole'}"
        table.add_row(one.rule, "yes" if one.traced else "no", by_seed, one.invariant, f"{one.seconds:.1f}")
    return table


if __name__ == "__main__":
    typer.run(main)
