"""What a long run found, in the one shape that the table of evidence is made of.

Every command that looks for loss writes it to the file that `--json` names, and shows its bar meanwhile. The command
fails when something was lost, and prints how to repeat it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Json = Annotated[Path | None, typer.Option("--json", help="Also write what came of it to this file.")]


@dataclass(frozen=True, slots=True)
class Result:
    """count: how many days, cuts, kills … there were. lost: how many of them lost something. beside: what else, in
    words.
    """

    count: int
    lost: int
    seconds: float
    beside: str = ""


def write(result: Result, json: Path | None, **more: Any) -> None:
    """Write a result where a command was told to. more: what else the command has to say of its run."""
    if json is not None:
        json.write_bytes(orjson.dumps(asdict(result) | more, option=orjson.OPT_INDENT_2))


@contextmanager
def bar(what: str, total: int) -> Iterator[Callable[[], None]]:
    """Show how far a run has come; yields what tells that one more is done."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(what, total=total)
        yield lambda: progress.advance(task)
