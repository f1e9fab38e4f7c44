"""The command `scripts/conformance`: plays the box against a till, and lists the rules that it keeps and breaks."""

import json as json_module
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tests.tills.report import Verdict, print_report, sum_up
from tests.tills.scene import Pace
from tests.tills.scenes import SCENES
from tests.tills.stage import Played, play_all

BROKEN, UNPLAYABLE = 1, 2
"""Exit codes."""

JOBS = 3


def conformance(
    command: Annotated[list[str], typer.Argument(help="The driver of the till, behind --.")],
    quick: Annotated[bool, typer.Option("--quick", help="Without the scenes that wait for half a minute.")] = False,
    only: Annotated[str, typer.Option(help="Only the scenes whose name begins so.")] = "",
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    jobs: Annotated[int, typer.Option(min=1, help="Scenes at a time.")] = JOBS,
) -> None:
    """Play the box against a till under test. Exit code 0: no rule broken. 1: one is. 2: its driver fails."""
    scenes = [one for one in SCENES if one.name.startswith(only) and not (quick and one.is_slow)]
    if not scenes:
        raise typer.BadParameter(f"no scene begins with {only!r}: there are {', '.join(one.name for one in SCENES)}")
    progress = Console(stderr=True)

    def over(played: Played) -> None:
        broken = sorted({finding.rule for finding in played.findings if not finding.is_kept})
        progress.print(f"{played.scene}: {'; '.join(broken) if broken else played.unplayable or 'ok'}", soft_wrap=True)

    with tempfile.TemporaryDirectory(prefix="till-") as home:
        played = play_all(scenes, command, Path(home), Pace(), jobs, over)
    told = sum_up(played)
    unplayable = {one.scene: one.unplayable for one in played if one.unplayable}
    if json:
        print(json_module.dumps({"rules": [one.as_json() for one in told], "unplayable": unplayable}, indent=2))
    else:
        print_report(Console(), told)
        for scene, why in unplayable.items():
            Console().print(f"[red]{scene}[/red] could not be played: {why}", soft_wrap=True)
    if any(one.verdict is Verdict.BROKEN for one in told):
        raise typer.Exit(BROKEN)
    if unplayable:
        raise typer.Exit(UNPLAYABLE)


if __name__ == "__main__":
    typer.run(conformance)
