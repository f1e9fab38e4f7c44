"""Tills sell on while the network between them and the box loses packets, is cut, or is cut in one direction only.

    tills ──▶ a line with faults ──▶ box                            embedded
    tills ──▶ a line with faults ──▶ mosquitto ──▶ box              far
    tills ──▶ mosquitto ──▶ a line with faults ──▶ box              near

One fault follows the other, and now and then the box dies and starts anew behind it. In the end the line heals:
everything must be acknowledged, in the ledger exactly once, and every till must show what the ledger says.

    python -m tests.crash.network --faults 50 --where near
"""

import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tests.box import PASSWORD, Box
from tests.broker import mosquitto
from tests.broker.mosquitto import Mosquitto
from tests.crash.shift import Shift
from tests.crash.sides import BOX, FAULTS, TILLS, Sides, within
from tests.evidence.result import Json, Result, bar, write

FAULT_S = (0.5, 5.0)
"""How long a fault lasts: a TCP connection outlives some, and what waits behind it gets old."""

KILLED = 0.2
"""In how many faults the box dies, too."""

PORT = 1883


class Where(StrEnum):
    """Which broker there is, and on which side."""

    EMBEDDED = "embedded"
    FAR = "far"
    NEAR = "near"


def sell_through(
    directory: Path, where: Where, faults: list[str], chance: random.Random, told: Callable[[], None]
) -> tuple[int, list[str]]:
    """Let tills sell through these faults, one after the other; return how much they sold, and what is wrong."""
    with (
        Sides() as line,
        _house(directory, where, line) as (box, host, password),
        Shift(directory, host, PORT, password) as shift,
    ):
        for fault in faults:
            line.break_(fault)
            dies = chance.random() < KILLED
            if dies:
                box.kill()
            threading.Event().wait(chance.uniform(*FAULT_S))  # Nothing is waited for: so long the fault lasts.
            if dies:
                if where is Where.NEAR:
                    line.heal()  # It has started when it has reached its broker.
                box.start()
            told()
        line.heal()
        wrong = shift.over(box)
        return shift.sold.total(), wrong


@contextmanager
def _house(directory: Path, where: Where, line: Sides) -> Iterator[tuple[Box, str, str]]:
    """A box on its side, and a broker where it is to be; yields the broker's host and its password, too."""
    with ExitStack() as stack:
        settings = {"STOCK_BROKER__PORT": str(PORT), "STOCK_BROKER__PLAIN": "lan"}
        host, password = BOX, PASSWORD
        if where is not Where.EMBEDDED:
            host, inside = (BOX, line.at_box) if where is Where.FAR else (TILLS, ())
            password = mosquitto.PASSWORD
            broker = Mosquitto(_new(directory / "mosquitto"), PORT, host=host, inside=inside)
            stack.callback(broker.close)
            settings |= {
                "STOCK_BROKER__MODE": "external",
                "STOCK_BROKER__HOST": host,
                "STOCK_BROKER__USER": mosquitto.COORDINATOR,
                "STOCK_BROKER__PASSWORD": password,
            }
        box = Box(directory / "data", **settings)
        box.inside = line.at_box
        yield stack.enter_context(box), host, password


def _new(directory: Path) -> Path:
    directory.mkdir()
    return directory


def sell(
    faults: Annotated[int, typer.Option(min=1, help="How many, one after the other.")] = 100,
    where: Annotated[Where, typer.Option(help="Where the broker is.")] = Where.EMBEDDED,
    seed: Annotated[int, typer.Option(help="Decides which, when and how long.")] = 1,
    json: Json = None,
) -> None:
    """Let tills sell through a network that fails, and look for what is lost."""
    began_s = time.monotonic()
    chance = random.Random(seed)
    chosen = [name for _ in range(0, faults, len(FAULTS)) for name in chance.sample(sorted(FAULTS), len(FAULTS))]
    with tempfile.TemporaryDirectory() as directory, bar(f"faults, {where}", faults) as told:
        sold, wrong = sell_through(Path(directory), where, chosen[:faults], chance, told)
    seconds = time.monotonic() - began_s
    print(f"{faults} faults, {where}: {sold} sales, {len(wrong)} wrong, {seconds:.0f} s")
    for what in wrong:
        print(f"LOST: {what}")
    write(Result(faults, len(wrong), seconds, f"{sold:,} sales"), json)
    if wrong:
        raise typer.Exit(1)


_INSIDE = "inside"
"""The word by which the command knows that it is on the tills' side already."""

if __name__ == "__main__":
    if sys.argv[1:2] != [_INSIDE]:
        command = within("tests.crash.network", _INSIDE, *sys.argv[1:])
        os.execvp(command[0], command)
    del sys.argv[1]
    typer.run(sell)
