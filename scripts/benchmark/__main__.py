"""The command: measure every case in interleaved rounds, print the tables, write JSON, a page's table and the plot."""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from scripts.benchmark import machine, report
from scripts.benchmark.cases import Case, Site
from scripts.benchmark.cases.all import CASES
from scripts.benchmark.rounds import Result, measure
from scripts.processes import Failed

_ROUNDS, _SECONDS, _SCALE = 5, 10.0, 1.0
_QUICK_ROUNDS, _QUICK_SECONDS, _QUICK_SCALE = 1, 2.0, 0.1

_ON_DISK = Path("/var/tmp")  # noqa: S108  on a disk by convention, where /tmp may be memory; each run has its own folder


def bench(
    quick: Annotated[
        bool, typer.Option("--quick", help="One short round of each case, on a tenth of the goods.")
    ] = False,
    json: Annotated[Path | None, typer.Option(help="Write every figure of every run to this file.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the ratios into this file, .svg or .png.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write a table for a page into this file.")] = None,
    again: Annotated[
        Path | None, typer.Option("--from", help="Measure nothing: show what an earlier run has written with --json.")
    ] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="Rounds of each case.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="Measured seconds of each run.")] = None,
    scale: Annotated[
        float | None, typer.Option(min=0.001, max=1, help="Which part of the goods and tills' pasts.")
    ] = None,
    only: Annotated[str, typer.Option(help="Only the cases whose name begins with this.")] = "",
    directory: Annotated[Path, typer.Option(help="Where the databases are: on a disk.")] = _ON_DISK,
) -> None:
    """Measure the box beside what a shop would run instead."""
    rounds = rounds or (_QUICK_ROUNDS if quick else _ROUNDS)
    seconds = seconds or (_QUICK_SECONDS if quick else _SECONDS)
    scale = scale or (_QUICK_SCALE if quick else _SCALE)
    cases = [case for case in CASES if case.name.startswith(only)]
    if not cases:
        raise Failed(f"no case begins with {only!r}: there are {', '.join(case.name for case in CASES)}")
    if again is None:
        run: dict[str, Any] = {
            "machine": machine.describe(directory),
            "rounds": rounds,
            "seconds": seconds,
            "scale": scale,
        }
        results = _measured(cases, directory, rounds, seconds, scale)
    else:
        run = orjson.loads(again.read_bytes())
        results = report.from_json(cases, run.pop("results"))
    console = Console()
    for case in cases:
        console.print(report.table(case, [result for result in results if result.case == case.name]))
        console.print()
    where = ", ".join(f"{key}: {value}" for key, value in run["machine"].items())
    told = f"{run['rounds']} rounds, {run['seconds']:g} s measured in each run, scale {run['scale']:g}. {where}"
    console.print(told)
    if json is not None:
        report.write_json(json, {**run, "results": report.as_json(cases, results)})
    if markdown is not None:
        markdown.write_text(report.markdown(cases, results, told))
    if plot is not None:
        report.plot(plot, cases, results)


def _measured(cases: Sequence[Case], directory: Path, rounds: int, seconds: float, scale: float) -> list[Result]:
    results: list[Result] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with (
        Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress,
        tempfile.TemporaryDirectory(prefix="bench-", dir=directory) as name,
    ):
        # A contender under another user must reach its own directory in there, which is closed to all but itself.
        Path(name).chmod(0o711)
        site = Site(Path(name), seconds, scale)
        task = progress.add_task("measuring", total=sum(len(case.contenders) for case in cases) * rounds)
        for case in cases:
            progress.update(task, description=case.name)
            results += measure(case, site, rounds, lambda: progress.advance(task))
    return results


if __name__ == "__main__":
    try:
        typer.run(bench)
    except Failed as failure:
        sys.exit(f"bench: {failure}")
