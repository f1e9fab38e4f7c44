"""The command `scripts/simulate`: plays many seeds, sums up what happened, and says of a failure how to repeat it.

seeds ──▶ processes, each plays one after the other ──▶ Tally, summed up
             └─ Broken ──▶ the shortest prefix of its steps that still fails ──▶ the command that repeats it

With `--mutants` the seeds are played without one protective rule after the other, until one goes wrong (`hunt`).
"""

import gc
import logging
import time
from collections.abc import Iterable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from tests.evidence.result import Json, Result, write
from tests.simulation import mix
from tests.simulation.hunt import Hunt, hunt
from tests.simulation.mutants import RULES
from tests.simulation.play import STEPS, Tally, play

SHORTENED_MAX = 3
"""Failures of which the shortest prefix is looked for; more of them usually have one cause."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A seed that does not come right. steps: the fewest of its steps that show it, as far as it was looked for."""

    seed: int
    steps: int
    error: str

    @property
    def command(self) -> str:
        return f"scripts/simulate --seed {self.seed} --steps {self.steps}"


def simulate(
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, each a day.")] = 200,
    start: Annotated[int, typer.Option(min=0, help="The first one.")] = 0,
    seed: Annotated[int | None, typer.Option(min=0, help="Only this one.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of each day.")] = STEPS,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
    json: Json = None,
    mutants: Annotated[bool, typer.Option("--mutants", help="See which seeds miss each protective rule.")] = False,
) -> None:
    """Play days of a simulated shop in which everything goes wrong, and check that each comes right."""
    if mutants:
        _hunt_all(range(start, start + seeds), jobs, json)
        return
    wanted = range(start, start + seeds) if seed is None else range(seed, seed + 1)
    began_s = time.monotonic()
    with ProcessPoolExecutor(jobs, initializer=_prepare) as pool:
        total, failures = _play_all(pool, wanted, steps)
    seconds = time.monotonic() - began_s
    console = Console()
    console.print(_table(total, len(wanted), seconds))
    for failure in failures:
        console.print(f"[red]seed {failure.seed}[/red] after {failure.steps} steps: {failure.error}", soft_wrap=True)
        console.print(f"    {failure.command}", soft_wrap=True)
    result = Result(len(wanted), len(failures), seconds, f"{total['operations']:,} operations")
    write(result, json, steps=steps, happened=total, failures=[asdict(one) for one in failures])
    if failures:
        raise typer.Exit(1)


def _hunt_all(seeds: range, jobs: int, json: Json) -> None:
    """Show what misses each rule. Fails when something is missed by nothing."""
    began_s = time.monotonic()
    with _progress() as progress, ProcessPoolExecutor(jobs, initializer=_prepare) as pool:
        task = progress.add_task("rules", total=len(RULES))
        hunts = {pool.submit(hunt, rule, seeds) for rule in RULES}
        found: dict[str, Hunt] = {}
        for future in as_completed(hunts):
            found[future.result().rule] = future.result()
            progress.advance(task)
    table = Table("rule", "missed by its trace", "by seed", "what does not hold there", "seconds")
    for one in map(found.__getitem__, RULES):
        by_seed = f"none of {one.played}" if one.seed is None else str(one.seed)
        table.add_row(one.rule, "yes" if one.is_traced else "no", by_seed, one.invariant, f"{one.seconds:.0f}")
    Console().print(table)
    survivors = sum(not one.is_missed for one in found.values())
    seeded = sum(one.seed is not None for one in found.values())
    result = Result(len(RULES), survivors, time.monotonic() - began_s, f"{seeded} of them by a random day, too")
    write(result, json, rules=[asdict(found[rule]) for rule in RULES])
    if survivors:
        raise typer.Exit(1)


def _prepare() -> None:
    """Make a process ready to play: what the product logs of all these faults is no news."""
    logging.disable(logging.CRITICAL)
    # What is imported stays; a day's garbage is a fraction of a second's.
    gc.freeze()


def _play_all(pool: Executor, wanted: range, steps: int) -> tuple[Tally, list[Failure]]:
    total = Tally()
    failed: list[tuple[int, str]] = []
    with _progress() as progress:
        task = progress.add_task("days", total=len(wanted))
        futures = {pool.submit(play, seed, steps): seed for seed in wanted}
        for future in as_completed(futures):
            if (error := future.exception()) is None:
                total += future.result()
            else:
                failed.append((futures[future], _said(error)))
            progress.update(task, advance=1, description=f"days, {len(failed)} wrong" if failed else "days")
            del futures[future]
    failures = [Failure(seed, steps, error) for seed, error in sorted(failed)]
    return total, [_shortened(pool, one) for one in failures[:SHORTENED_MAX]] + failures[SHORTENED_MAX:]


def _shortened(pool: Executor, failure: Failure) -> Failure:
    """Halve a failing day until one step less comes right."""
    low, shortest = 0, failure
    while shortest.steps - low > 1:
        half = (low + shortest.steps) // 2
        future: Future[Tally] = pool.submit(play, failure.seed, half)
        if (error := future.exception()) is None:
            low = half
        else:
            shortest = Failure(failure.seed, half, _said(error))
    return shortest


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


def _table(total: Tally, days: int, seconds: float) -> Table:
    table = Table(box=None, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("shop-days", f"{days:,}")
    table.add_row("seconds", f"{seconds:,.0f} ({days / seconds:.1f} days a second)")
    faults = mix.FAULTS | mix.EXTERNAL_FAULTS
    for names in (sorted(total.keys() - faults), sorted(total.keys() & faults)):
        _add(table, names, total)
    return table


def _add(table: Table, names: Iterable[str], total: Tally) -> None:
    table.add_section()
    for name in names:
        table.add_row(name, f"{total[name]:,}")


if __name__ == "__main__":
    typer.run(simulate)
