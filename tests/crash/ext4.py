"""Power cuts under a real kernel: a shop sells on ext4, and what its disk holds at a random instant is mounted anew.

    seller ──▶ ledger ──▶ ext4 ──▶ loop device ──▶ image in a second ext4, which is frozen ──▶ copy ──▶ mount, verify

The image on the frozen file system is the disk at that instant: what the kernel had not written yet is not in it, and
while it is copied nothing can be. The seller says a sale when its commit has returned; every sale that was said before
the freeze must be in the copy. It needs root, or a sudo that asks for nothing.

    python -m tests.crash.ext4 cut --cuts 100
"""

import logging
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from appliance.ledger.database import LedgerError
from appliance.ledger.verify import Violation, verify
from tests.crash.mounts import as_root, mounted, mounted_ext4
from tests.evidence.result import Json, Result, write
from tests.shop import Shop, message, operation, rows
from tests.waiting import wait_until

DISK_MIB = 48
"""Of the shop; the outer one has room for it. Small, for every cut copies it."""

SALES_MIN, SALES_MAX = 20, 150
"""Between two cuts."""

app = typer.Typer()


@app.command()
def sell(directory: Path, synchronous: int) -> None:
    """Sell for ever, and print the number of each sale when its commit has returned."""
    logging.disable()
    shop = Shop(directory)
    shop.writer._connection.pragma("synchronous", synchronous)
    seq = shop.writer.last_rev
    while True:
        seq += 1
        assert shop.say("A1", message(operation(seq)))["seq"] == seq
        print(seq, flush=True)


@app.command()
def cut(
    cuts: Annotated[int, typer.Option(help="How many power cuts.")] = 100,
    seed: Annotated[int, typer.Option(help="Decides when.")] = 1,
    json: Json = None,
) -> None:
    """Cut the power of a selling shop at random instants."""
    began_s = time.monotonic()
    losses = track(lost(cuts, random.Random(seed)), "power cuts", cuts, console=Console(stderr=True))
    found = [loss for loss in losses if loss]
    seconds = time.monotonic() - began_s
    print(f"{cuts} power cuts on ext4, {len(found)} of them lost something, {seconds:.0f} s")
    write(Result(cuts, len(found), seconds), json)
    for loss in found:
        print(f"LOST: {loss}")
    if found:
        raise typer.Exit(1)


def lost(cuts: int, chance: random.Random, *, synchronous: int = 2) -> Iterator[str]:
    """Cut the power so often; yield for each cut what was said and is gone, "" where nothing is."""
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        base = Path(directory)
        outer = stack.enter_context(mounted_ext4(base / "outer.img", 3 * DISK_MIB, base / "outer"))
        inner = stack.enter_context(mounted_ext4(outer / "inner.img", DISK_MIB, base / "inner"))
        seller = stack.enter_context(_Seller(inner / "data", synchronous))
        for number in range(cuts):
            wanted = seller.said + chance.randint(SALES_MIN, SALES_MAX)
            wait_until(lambda wanted=wanted: seller.said >= wanted)  # type: ignore[misc]
            # A file of its own each time: where another namespace still holds the mount of the last one, its kernel may
            # write into that file yet.
            copy = base / f"copy-{number}.img"
            said = seller.said
            as_root("fsfreeze", "--freeze", outer)
            try:
                as_root("cp", "--sparse=always", outer / "inner.img", copy)
            finally:
                as_root("fsfreeze", "--unfreeze", outer)
            if what := missing(copy, base / f"copy-{number}", said):
                kept, where = tempfile.mkstemp(suffix=".img")
                os.close(kept)
                what = f"{what} (the disk is kept as {shutil.copy(copy, where)})"
            copy.unlink()
            yield what


class _Seller:
    """The selling process. said: the number of the last sale whose commit has returned."""

    def __init__(self, directory: Path, synchronous: int) -> None:
        directory.mkdir()
        self.said = 0
        command = [sys.executable, "-m", "tests.crash.ext4", "sell", str(directory), str(synchronous)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._listener = threading.Thread(target=self._listen)

    def __enter__(self) -> "_Seller":
        self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._listener.join()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self.said = int(line)


def missing(image: Path, where: Path, said: int) -> str:
    """Mount what the cut left, and return what is missing of the sales that were said."""
    with mounted(where, "-o", "loop", image):
        try:
            verify(where / "data")
        except (Violation, LedgerError) as error:
            return str(error)
        [(found,)] = rows(where / "data", "SELECT coalesce(max(seq), 0) FROM txn")
    return "" if found >= said else f"sale {said} was said, and {found} is the last in the ledger"


if __name__ == "__main__":
    app()
