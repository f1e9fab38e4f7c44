"""The table of evidence: what was kept of the runs, and how tests/README.md shows it."""

from dataclasses import dataclass
from pathlib import Path

import orjson

from tests.evidence.result import Result
from tests.evidence.runs import RUNS

README = Path(__file__).parent.parent / "README.md"
KEPT = Path(__file__).parent / "evidence.json"

_BEGIN, _END = "<!-- scripts/evidence writes from here -->", "<!-- to here -->"


@dataclass(frozen=True, slots=True)
class Kept:
    """A result, and where it was got. load: the machine's, over the last quarter of an hour of the run."""

    result: Result
    machine: str
    load: float
    date: str


def load() -> dict[str, Kept]:
    """Return what was kept, by the run's name."""
    found = orjson.loads(KEPT.read_bytes()) if KEPT.exists() else {}
    return {name: Kept(**{**kept, "result": Result(**kept["result"])}) for name, kept in found.items()}


def table(found: dict[str, Kept]) -> str:
    """Return the table in Markdown, and below it where its figures come from."""
    lines = ["| what | how many | beside | lost | took | CI runs |", "|---|---|---|---|---|---|"]
    for run in RUNS:
        if run.name in found:
            one = found[run.name].result
            lost = f"**{one.lost:,}**" if one.lost else "nothing"
            cells = run.title, f"{one.count:,}", one.beside, lost, _took(one.seconds), run.in_ci
            lines.append(f"| {' | '.join(cells)} |")
    places: dict[str, list[Kept]] = {}
    for kept in found.values():
        places.setdefault(f"On {kept.machine}, on {kept.date}", []).append(kept)
    for place, there in places.items():
        loads = sorted(round(kept.load) for kept in there)
        span = f"{loads[0]}" if loads[0] == loads[-1] else f"{loads[0]} to {loads[-1]}"
        lines += ["", f"{place}, at a load average of {span}."]
    return "\n".join(lines)


def with_table(readme: str, text: str) -> str:
    """Return the page with another table in the place of its own."""
    before, rest = readme.split(_BEGIN)
    _, after = rest.split(_END)
    return f"{before}{_BEGIN}\n{text}\n{_END}{after}"


def _took(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min"
