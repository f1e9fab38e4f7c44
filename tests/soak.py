"""A year of a busy shop, pushed through the real coordinator and ledger: what must stay flat is sampled and shown.

    python -m tests.soak                                   a year of 5,000 receipts a day, two months kept: an hour
    python -m tests.soak --days 60 --receipts 500          less of it
    python -m tests.soak --box 20000                       and receipts through a running box, over its own broker
    python -m tests.soak --epochs 10000                    and what a sale costs beside so many dead epochs

Each day the tills sell, a delivery comes and shelves are counted; each week the box starts anew, each month a till is
wiped and goes on in a new epoch that names its old one. In the end the ledger must verify, and every balance be what a
sum beside it says.
"""

import ctypes
import gc
import logging
import os
import random
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from appliance.ledger.database import FILE_NAME
from appliance.ledger.verify import verify
from tests.box import PASSWORD, Box
from tests.broker import wire
from tests.evidence.result import Json, Result, bar, write
from tests.ledger.busy import BARE
from tests.shop import Shop, message, operation, tag

DEVICES = ("A1", "A2", "A3", "D")
DAY_MS = 24 * 3600 * 1000
OPEN_MS = 12 * 3600 * 1000
PER_MESSAGE = 10
"""Receipts of one message: a till that sells while a commit is under way sends what has gathered."""

LINES = 8
SKUS = 3000
COUNTED = 20
"""Shelves that are counted each evening."""

_LIBC = ctypes.CDLL(None)

SAMPLES = 12
UNDER_WAY = 8
"""Receipts that a till which talks to a box has sent and that are not acknowledged yet."""


@dataclass(frozen=True, slots=True)
class Sample:
    """How things stood at one moment. turn_ms: all turns since the last sample; prune_ms: the steps of pruning."""

    label: str
    receipts: int
    file_bytes: int
    resident_bytes: int
    descriptors: int
    turn_ms: list[float]
    prune_ms: list[float]


@dataclass(slots=True)
class _Till:
    device: str
    epoch: str
    seq: int = 0


class Year:
    """One shop's year, day by day; what each balance must be is summed up beside it."""

    def __init__(self, directory: Path, keep_months: int) -> None:
        """keep_months: STOCK_LEDGER__KEEP_MONTHS."""
        self.shop = Shop(directory)
        self.receipts = 0
        self._directory = directory
        self._keep_months = keep_months
        self._chance = random.Random(1)
        self._tills = [_Till(device, f"{device}-epoch-number-{1:06}") for device in DEVICES]
        self._sold_milli: Counter[str] = Counter()
        self.turn_ms: list[float] = []
        self.prune_ms: list[float] = []

    def day(self, number: int, receipts: int) -> None:
        """Sell so many receipts, take in what was sold, count some shelves, and forget what is old."""
        morning_ms = self.shop.clock.now_ms
        messages = max(1, receipts // PER_MESSAGE)
        for place in range(messages):
            self.shop.clock.now_ms = morning_ms + OPEN_MS * place // messages
            till = self._chance.choice(self._tills)
            self._say(till, [self._receipt() for _ in range(PER_MESSAGE)])
        self._evening()
        if number % 30 == 29:
            self._wipe(self._chance.choice(self._tills))
        if number % 7 == 6:
            self.shop.restart()
        self.shop.clock.now_ms = morning_ms + DAY_MS
        self.shop.coordinator.turn()
        self.shop.writer.keep_time(self.shop.clock.now_ms, None)
        while self._timed(self.prune_ms, self._prune):
            pass

    def sample(self, label: str) -> Sample:
        # What was freed goes back to the kernel first: the weekly starts, which are new processes in a shop, leave
        # holes in the heap of this one, which grew by 60 MiB in 240 days while what is in use did not grow at all.
        gc.collect()
        _LIBC.malloc_trim(0)
        taken = Sample(
            label, self.receipts, size_bytes(self._directory), *process(os.getpid()), self.turn_ms, self.prune_ms
        )
        self.turn_ms, self.prune_ms = [], []
        return taken

    def check(self) -> None:
        """The ledger verifies, and its balances are the sums that were kept beside it."""
        found = {balance.sku: balance.on_hand_milli for balance in self.shop.reader.all_balances()}
        assert found == {sku: milli for sku, milli in self._sold_milli.items() if sku in found}
        assert len(found) == len(self._sold_milli)
        verify(self._directory)

    def dead_epochs(self, count: int) -> None:
        """Let a device without a storage sell so often: each time in an epoch of its own."""
        for number in range(count):
            self.shop.hand("shell", orjson.dumps(message(operation(1, sku="shell"), epoch=f"dead-epoch-{number:08}")))
            if number % 100 == 99:
                self.shop.coordinator.turn()
                self.shop.link.log.clear()
        self.shop.coordinator.turn()
        self._sold_milli["shell"] -= 1000 * count

    def sell(self, messages: int) -> None:
        """Sell, and do nothing else."""
        for _ in range(messages):
            self._say(self._tills[0], [self._receipt() for _ in range(PER_MESSAGE)])

    # --- inside -------------------------------------------------------------------------------------------------------

    def _receipt(self) -> dict[str, Any]:
        self.receipts += 1
        said = receipt(self._chance, self.receipts)
        for line in said["lines"]:
            self._sold_milli[line["sku"]] -= 1000
        return said

    def _evening(self) -> None:
        desk = self._tills[-1]
        short = [sku for sku, milli in self._sold_milli.items() if milli < -50_000][:400]
        received = [{"type": "move", "sku": sku, "qty": "60", "reason": "receive"} for sku in short]
        for sku in short:
            self._sold_milli[sku] += 60_000
        counts = []
        for sku in self._chance.sample(sorted(self._sold_milli), min(COUNTED, len(self._sold_milli))):
            counted = self._chance.randrange(50)
            counts.append({"type": "count", "sku": sku, "counted": str(counted), "includes_reserved": True})
            self._sold_milli[sku] = 1000 * counted
        # No stamp: what is said now happens now, after all that the day has brought.
        for first in range(0, len(received), 100):
            self._say(desk, received[first : first + 100])
        self._say(desk, counts)

    def _wipe(self, till: _Till) -> None:
        parent = till.epoch
        till.epoch, till.seq = f"{till.device}-epoch-number-{int(parent[-6:]) + 1:06}", 0
        self._say(till, [{**self._receipt(), "again": True, "parents": [parent]}])

    def _say(self, till: _Till, said: list[dict[str, Any]]) -> None:
        first = till.seq + 1
        operations = [{"seq": seq, "tag": self._tag(till, seq), **body} for seq, body in enumerate(said, first)]
        after = self._tag(till, till.seq) if till.seq else None
        till.seq += len(said)
        ack = self._timed(
            self.turn_ms, lambda: self.shop.say(till.device, message(*operations, epoch=till.epoch, after=after))
        )
        assert (ack["epoch"], ack["seq"], ack["rejected"]) == (till.epoch, till.seq, [])
        self.shop.link.log.clear()  # The shop's wire is kept for tests that read it; here it would grow for a year.

    @staticmethod
    def _tag(till: _Till, seq: int) -> str:
        return tag(seq + int(till.epoch[-6:]) * 10**9 + DEVICES.index(till.device) * 10**15)

    def _prune(self) -> bool:
        return self.shop.writer.prune(self.shop.clock.now_ms, self._keep_months)

    @staticmethod
    def _timed(spent_ms: list[float], do: Callable[[], Any]) -> Any:
        began_s = time.perf_counter()
        done = do()
        spent_ms.append((time.perf_counter() - began_s) * 1000)
        return done


def receipt(chance: random.Random, number: int) -> dict[str, Any]:
    """Return a paid receipt of eight goods, as long as a real one."""
    skus = [f"{4_600_000_000_000 + chance.randrange(SKUS)}" for _ in range(LINES)]
    lines = [{"sku": sku, "name": "Молоко 3,2 % 1 л", "qty": "1", "unit": "pcs", "price_minor": 8990} for sku in skus]
    name = f"{chance.getrandbits(128):032x}"
    said = {"type": "receipt", "receipt": name, "kind": "sale", "status": "paid", "lines": lines}
    return {**said, "number": f"A1-{number:06}", "cashier": "Иванова", "total_minor": 8990 * LINES}


def size_bytes(directory: Path) -> int:
    """Return the size of a ledger's file; its log, which is emptied again and again, is at most 4 MB more."""
    return (directory / FILE_NAME).stat().st_size


def process(pid: int) -> tuple[int, int]:
    """Return the resident bytes of a process, and how many descriptors it holds."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE"), len(list(Path(f"/proc/{pid}/fd").iterdir()))


def live(year: Year, days: int, receipts: int, told: Callable[[], None] = lambda: None) -> list[Sample]:
    """Live so many days; return samples from along the way."""
    samples: list[Sample] = []
    marks = {days * part // SAMPLES for part in range(1, SAMPLES + 1)}
    for number in range(days):
        year.day(number, receipts)
        if number + 1 in marks:
            samples.append(year.sample(f"day {number + 1}"))
        told()
    return samples


def through_box(directory: Path, receipts: int, told: Callable[[], None] = lambda: None) -> list[Sample]:
    """Sell through a running box; return samples of its process. turn_ms: from the sending to the PUBACK."""
    samples: list[Sample] = []
    chance = random.Random(1)
    with Box(directory) as box, wire.Client(box.address) as till:
        assert box.process is not None
        till.log_in(user="A1", password=PASSWORD, client_id="A1")
        sent = acked = 0
        sent_s: dict[int, float] = {}
        waited_ms: list[float] = []
        while acked < receipts:
            while sent < min(receipts, acked + UNDER_WAY):
                sent += 1
                said = message(operation(sent, **BARE, **receipt(chance, sent)))
                number = sent % 60_000 + 1
                till.send(wire.publish("stock/v1/shop/device/A1/op", orjson.dumps(said), qos=1, packet_id=number))
                sent_s[number] = time.perf_counter()
            packet = till.read()
            assert packet is not None, "the box has closed the connection"
            if packet.kind != wire.PUBACK:
                continue
            acked += 1
            waited_ms.append((time.perf_counter() - sent_s.pop(packet.packet_id)) * 1000)
            if acked * SAMPLES // receipts > (acked - 1) * SAMPLES // receipts:
                figures = process(box.process.pid)
                samples.append(Sample(f"{acked}", acked, size_bytes(directory), *figures, waited_ms, []))
                waited_ms = []
            told()
    assert verify(directory).receipts == receipts
    return samples


def beside_dead_epochs(directory: Path, count: int, messages: int = 200) -> tuple[float, float]:
    """Return what a message of receipts costs, as the median in ms, without dead epochs and with so many."""
    year = Year(directory, keep_months=1)
    year.sell(messages)
    year.turn_ms.clear()
    year.sell(messages)
    alone_ms = statistics.median(year.turn_ms)
    year.dead_epochs(count)
    year.turn_ms.clear()
    year.sell(messages)
    beside_ms = statistics.median(year.turn_ms)
    year.check()
    year.shop.stop()
    return alone_ms, beside_ms


# --- the command ------------------------------------------------------------------------------------------------------


def main(
    days: Annotated[int, typer.Option(help="How many days.")] = 365,
    receipts: Annotated[int, typer.Option(help="How many receipts a day.")] = 5000,
    keep_months: Annotated[int, typer.Option(help="STOCK_LEDGER__KEEP_MONTHS.")] = 2,
    box: Annotated[int, typer.Option(help="How many receipts then go through a running box.")] = 0,
    epochs: Annotated[int, typer.Option(help="Beside how many dead epochs a sale is then measured.")] = 0,
    json: Json = None,
) -> None:
    """Push a busy shop's year through the coordinator and the ledger, and show what must stay flat."""
    logging.disable(logging.WARNING)  # A week has thousands of oversold goods and recounts.
    console = Console()
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as home:
        if days:
            year = Year(_new(home, "year"), keep_months)
            with bar("days", days) as told:
                samples = live(year, days, receipts, told)
            console.print(_table(f"{days} days of {receipts} receipts, {keep_months} months kept", samples))
            year.check()
            year.shop.stop()
            console.print(f"{year.receipts} receipts: every balance is the sum kept beside it, and the ledger verifies")
            write(Result(days, 0, time.monotonic() - began_s, f"{year.receipts:,} receipts"), json)
        if box:
            with bar("receipts", box) as told:
                samples = through_box(_new(home, "box"), box, told)
            console.print(_table(f"{box} receipts through a box, {UNDER_WAY} under way", samples))
        if epochs:
            alone_ms, beside_ms = beside_dead_epochs(_new(home, "epochs"), epochs)
            console.print(f"a message of {PER_MESSAGE} receipts, alone: {alone_ms:.2f} ms")
            console.print(f"and beside {epochs} dead epochs: {beside_ms:.2f} ms")


def _new(home: str, name: str) -> Path:
    directory = Path(home) / name
    directory.mkdir()
    return directory


def _table(title: str, samples: list[Sample]) -> Table:
    table = Table(title=title, box=None)
    for column in ("until", "receipts", "MB", "memory", "files", "p50 ms", "p99 ms", "max ms", "prune"):
        table.add_column(column, justify="right")
    for one in samples:
        table.add_row(
            one.label,
            str(one.receipts),
            f"{one.file_bytes / 1e6:.1f}",
            f"{one.resident_bytes / 1e6:.1f}",
            str(one.descriptors),
            f"{statistics.median(one.turn_ms):.2f}",
            f"{sorted(one.turn_ms)[len(one.turn_ms) * 99 // 100]:.2f}",
            f"{max(one.turn_ms):.1f}",
            f"{max(one.prune_ms):.1f}" if one.prune_ms else "",
        )
    return table


if __name__ == "__main__":
    typer.run(main)
