"""The command: every attack whole, and a table of what it cost the box and the till that sold on it."""

import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tests.attacks.attacks import ATTACKS
from tests.attacks.scene import Part, Report, scene
from tests.evidence.result import Json, Result, write

_CALM_S = 5.0


def main(
    only: Annotated[str, typer.Option(metavar="WORDS", help="Make only the attacks with these words.")] = "",
    json: Json = None,
) -> None:
    """Make every attack whole on a box on which a till sells, and show what it cost both."""
    began_s = time.monotonic()
    made_of = [attack for attack in ATTACKS if only in attack.title]
    sold = 0
    table = Table(box=None)
    table.add_column("attack")
    for column in ("descriptors", "memory, MiB", "p99 of a sale, ms", "sold"):
        table.add_column(column, justify="right")
    console = Console(width=120)
    for attack in made_of:
        with tempfile.TemporaryDirectory() as folder, scene(Path(folder) / "box") as made:
            report = made.under(attack.make, attack.whole, _CALM_S)
            assert made.on_hand() == made.left()
            table.add_row(f"{attack.whole:,} {attack.title}", *_figures(report))
            sold += report.sold
            console.print(f"{attack.title}: done")
    console.print(table)
    # What loses anything raises.
    count = sum(attack.whole for attack in made_of)
    write(Result(count, 0, time.monotonic() - began_s, f"{sold:,} sales meanwhile"), json)


def _figures(report: Report) -> list[str]:
    parts = (report.before, report.during, report.after)

    def each(text: list[str]) -> str:
        return " / ".join(text)

    return [
        each([f"{part.most.descriptors}" for part in parts]),
        each([f"{part.most.memory_mib:.0f}" for part in parts]),
        each([f"{_p99(part)}" for part in parts]),
        f"{report.sold:,}",
    ]


def _p99(part: Part) -> str:
    return f"{part.p99_ms:.0f}"


if __name__ == "__main__":
    typer.run(main)
