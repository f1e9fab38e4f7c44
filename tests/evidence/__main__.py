"""The command `scripts/evidence`: makes the long runs, keeps what they found, and writes the table in tests/README.md.

    run ──▶ its command ──▶ Result ──▶ evidence.json ──▶ the table

Figures get into the table in no other way. Each run is kept as soon as it is made, so that a night that ends early has
not been for nothing. A run that lost something is not kept: its command says how to repeat it, and this one fails.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import orjson
import typer

from scripts.benchmark import machine
from tests.evidence.result import Result
from tests.evidence.runs import RUNS, Run
from tests.evidence.table import KEPT, README, Kept, load, table, with_table

NAMES = {run.name: run for run in RUNS}


def evidence(
    names: Annotated[list[str] | None, typer.Argument(help=f"Only these: {', '.join(NAMES)}.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Short runs; their figures are shown, and not kept.")] = False,
) -> None:
    """Look for loss in every way there is, for hours, and write what was found into tests/README.md."""
    if unknown := set(names or ()) - NAMES.keys():
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: name some of {', '.join(NAMES)}")
    failed = []
    found: dict[str, Kept] = {}
    for run in RUNS:
        if names and run.name not in names:
            continue
        print(f"== {run.title}", file=sys.stderr)
        if (kept := make(run, run.quick if quick else run.whole)) is None:
            failed.append(run.name)
            continue
        found[run.name] = kept
        if not quick:
            everything = load() | {run.name: kept}
            KEPT.write_bytes(orjson.dumps(everything, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
            README.write_text(with_table(README.read_text(), table(everything)))
    print(table(found))
    if failed:
        print(f"FAILED: {', '.join(failed)}", file=sys.stderr)
        raise typer.Exit(1)


def make(run: Run, words: tuple[str, ...]) -> Kept | None:
    """Make one run; return what it found, None when it failed or lost something."""
    with tempfile.TemporaryDirectory() as directory:
        json = Path(directory) / "result.json"
        command = [sys.executable, "-m", *words, "--json", str(json)]
        if subprocess.run(command, check=False, stdout=sys.stderr).returncode:
            return None
        said = orjson.loads(json.read_bytes())
    result = Result(said["count"], said["lost"], said["seconds"], said["beside"])
    place = (
        f"{len(os.sched_getaffinity(0))} cores of {machine.cpu()}, {machine.file_system(Path(tempfile.gettempdir()))}"
    )
    return Kept(result, place, os.getloadavg()[2], time.strftime("%Y-%m-%d"))


if __name__ == "__main__":
    typer.run(evidence)
