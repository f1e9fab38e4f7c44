"""What is shown of the results: a table a case, JSON with every figure, a table for a page, a plot of the ratios.

Page and plot are made of the JSON as well as of a run, so that what is published can be made anew without measuring.
"""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
from matplotlib import rc_context
from matplotlib.figure import Figure
from rich.table import Table

from scripts.benchmark.cases import Case, Goal
from scripts.benchmark.rounds import Result
from scripts.processes import Failed


def table(case: Case, results: Sequence[Result]) -> Table:
    """Return a case's medians, how ours stand to each contender's, with the spread over the rounds, and the goals."""
    shown = Table(title=f"{case.title} ({case.name})", title_justify="left", box=None)
    shown.add_column("medians")
    shown.add_column("of")
    for column in ("figure", f"{case.contenders[0]} ÷ it", "of the rounds"):
        shown.add_column(column, justify="right")
    shown.add_column("goal")
    for result in results:
        label = result.measure.unit
        for contender in result.runs:
            goals = [goal for goal in _goals(case, result) if (goal.peer or result.subject) == contender]
            ratio, spread = "", ""
            if contender in result.peers:
                ratios = result.ratios(contender)
                ratio, spread = _figure(statistics.median(ratios)), f"{_figure(min(ratios))} .. {_figure(max(ratios))}"
            told = ", ".join(_goal(result, goal) for goal in goals)
            shown.add_row(label, contender, _figure(result.median(contender)), ratio, spread, told)
            label = ""
    return shown


def as_json(cases: Sequence[Case], results: Sequence[Result]) -> list[dict[str, object]]:
    """Return the results with every figure: `contenders` by name, ratios of the rounds by peer, goals with `met`."""
    return [
        {
            "case": result.case,
            "measure": result.measure.name,
            "unit": result.measure.unit,
            "better": result.measure.better,
            "contenders": {name: {"median": result.median(name), "runs": runs} for name, runs in result.runs.items()},
            "ratios": {
                peer: {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios), "rounds": ratios}
                for peer in result.peers
                for ratios in [result.ratios(peer)]
            },
            "goals": [
                {"bound": goal.bound, "peer": goal.peer, "reached": result.reached(goal), "met": result.is_met(goal)}
                for goal in _goals(case, result)
            ],
        }
        for case in cases
        for result in results
        if result.case == case.name
    ]


def from_json(cases: Sequence[Case], rows: Sequence[dict[str, Any]]) -> list[Result]:
    """Return the results that `as_json` has written, of the cases that are wanted."""
    return [
        Result(
            case.name,
            measure,
            case.contenders[0],
            {contender: tuple(figures["runs"]) for contender, figures in row["contenders"].items()},
        )
        for case in cases
        for measure in case.measures
        for row in rows
        if (row["case"], row["measure"]) == (case.name, measure.name)
    ]


def markdown(cases: Sequence[Case], results: Sequence[Result], told: str) -> str:
    """Return one table of all cases: the first measure of each, and those with a goal. told: where, and how."""
    lines = ["| case | figure | ours | beside it (ours ÷ it) | goal |", "|---|---|---|---|---|"]
    for case in cases:
        title = case.title
        of_case = [result for result in results if result.case == case.name]
        for place, result in enumerate(of_case):
            goals = _goals(case, result)
            if place and not goals:
                continue
            cells = (
                title,
                result.measure.unit,
                _figure(result.median(result.subject)) if result.subject in result.runs else "",
                ", ".join(_beside(result, contender) for contender in result.runs if contender != result.subject),
                "; ".join(f"{goal.peer or ''} {_goal(result, goal)}".strip() for goal in goals),
            )
            lines.append(f"| {' | '.join(cells)} |")
            title = ""
    return "\n".join([*lines, "", f"Medians. **Bold** is who is better than ours there. {told}", ""])


def write_json(path: Path, report: dict[str, object]) -> None:
    path.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))


def plot(path: Path, cases: Sequence[Case], results: Sequence[Result]) -> None:
    """Draw how many times as good ours are as each contender, in the first measure of a case that it has too."""
    bars = []
    for case in cases:
        first = next((result for result in results if result.case == case.name and result.peers), None)
        if first is None:
            continue
        for peer in first.peers:
            ratios = first.ratios(peer)
            if first.measure.better == "less":
                ratios = [1 / ratio for ratio in ratios]
            middle = statistics.median(ratios)
            bars.append((f"{case.name}: {peer}", middle, middle - min(ratios), max(ratios) - middle))
    if not bars:
        raise Failed("nobody was measured beside ours, so there is nothing to draw: leave --plot out")
    figure = Figure(figsize=(9, 1 + 0.28 * len(bars)), layout="constrained")
    axes = figure.subplots()
    names, middles, below, above = zip(*reversed(bars), strict=True)
    colours = ["tab:green" if middle >= 1 else "tab:red" for middle in middles]
    axes.barh(names, [middle - 1 for middle in middles], left=1, xerr=(below, above), color=colours, capsize=2)
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xlabel("times as good as it: right of 1 we are better, left of it the other is")
    with rc_context({"svg.fonttype": "none"}):  # Else every letter is a drawing of its own.
        figure.savefig(path)


def _beside(result: Result, contender: str) -> str:
    text = f"{contender} {_figure(result.median(contender))}"
    if contender not in result.peers:
        return text
    ratio = statistics.median(result.ratios(contender))
    is_better = ratio < 1 if result.measure.better == "more" else ratio > 1
    text = f"{text} ({_figure(ratio)})"
    return f"**{text}**" if is_better else text


def _goals(case: Case, result: Result) -> list[Goal]:
    return [
        goal
        for goal in case.goals
        if goal.measure == result.measure.name and (goal.peer or result.subject) in result.runs
    ]


def _goal(result: Result, goal: Goal) -> str:
    sign = "≥" if result.measure.better == "more" else "≤"
    return (
        f"{sign} {_figure(goal.bound)}: {'met' if result.is_met(goal) else f'missed ({_figure(result.reached(goal))})'}"
    )


def _figure(value: float) -> str:
    """Three digits, which is as much as a repeated run confirms, and never an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
