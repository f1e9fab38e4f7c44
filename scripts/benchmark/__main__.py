"""The command: measure every case in interleaved pairs, print the table, write the JSON."""

import statistics
import sys
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from scripts.benchmark import machine
from scripts.benchmark.cases import CASES
from scripts.benchmark.contenders import Naive, Ours
from scripts.benchmark.pairs import TILLS, Plan, Result, compare
from scripts.processes import Failed

_PAIRS, _SECONDS = 5, 10.0
_QUICK_PAIRS, _QUICK_SECONDS = 2, 4.0

_ON_DISK = Path("/var/tmp")  # noqa: S108  on a disk by convention, where /tmp may be memory; each run has its own folder


def bench(
    quick: Annotated[bool, typer.Option("--quick", help="Two short pairs of each case.")] = False,
    json: Annotated[Path | None, typer.Option(help="Write every figure of every run to this file.")] = None,
    pairs: Annotated[int | None, typer.Option(min=1, help="Pairs of each case.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="Measured seconds of each run.")] = None,
    directory: Annotated[Path, typer.Option(help="Where the databases are: on a disk.")] = _ON_DISK,
) -> None:
    """Measure the box beside mosquitto and a callback that commits each message."""
    plan = Plan(
        pairs=pairs or (_QUICK_PAIRS if quick else _PAIRS),
        seconds=seconds or (_QUICK_SECONDS if quick else _SECONDS),
        directory=directory,
    )
    place = machine.describe(directory)
    ours, peer = Ours(), Naive()
    results: list[Result] = []
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("measuring", total=len(CASES) * plan.pairs * 2)
        for case in CASES:
            progress.update(task, description=case.name)
            results += compare(case, ours, peer, plan, lambda: progress.advance(task))
    console = Console()
    for case in CASES:
        console.print(_table(f"{TILLS} tills: {case.title}", [row for row in results if row.case == case.name]))
    console.print(
        f"{plan.pairs} pairs of runs of {plan.seconds:g} s. "
        + ", ".join(f"{name}: {value}" for name, value in place.items())
    )
    if json is not None:
        report = {
            "machine": place,
            "pairs": plan.pairs,
            "seconds": plan.seconds,
            "tills": TILLS,
            "results": [result.as_json() for result in results],
        }
        json.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))


def _table(title: str, results: list[Result]) -> Table:
    peer = results[0].peer
    table = Table(title=title, title_justify="left", box=None)
    table.add_column("medians")
    for column in ("ours", peer, f"ours ÷ {peer}", "of the pairs"):
        table.add_column(column, justify="right")
    table.add_column("better")
    for row in results:
        medians = (_figure(statistics.median(side)) for side in (row.ours, row.theirs))
        if row.measure.better is None:
            table.add_row(row.measure.unit, *medians)
            continue
        ratios = row.ratios
        spread = f"{_figure(min(ratios))} .. {_figure(max(ratios))}"
        table.add_row(row.measure.unit, *medians, _figure(statistics.median(ratios)), spread, row.measure.better)
    return table


def _figure(value: float) -> str:
    """Three digits, which is as much as a repeated run confirms, and never an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    try:
        typer.run(bench)
    except Failed as failure:
        sys.exit(f"bench: {failure}")
