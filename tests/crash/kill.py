"""kill -9 of the running box, again and again, while four tills sell and a printer prints what a fifth one opens.

    tills ──▶ box (a process) ──▶ pty ──▶ printer, which outlives every box
                └─ killed at a random moment, its ledger looked at, started anew

What was acknowledged must be in the ledger, exactly once; every receipt must be on a whole sheet, and on a second one
only where that says so. A kill does not test fsync (the page cache survives it); it tests that nothing is told before
its commit, that what was committed and not yet told is healed by the resend, and that what may be on paper is known.

    python -m tests.crash.kill --kills 1000
"""

import random
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from appliance.contract.paper import JobState
from appliance.control import ask
from appliance.ledger.verify import Violation, verify
from tests.box import PASSWORD, Box
from tests.broker import wire
from tests.evidence.result import Json, Result, bar, write
from tests.printing.emulator import Printer, PtyPrinter
from tests.shop import rows, tag
from tests.waiting import wait_until

DEVICES = ("A1", "A2", "A3", "A4")
DESK = "D"
"""Opens receipts, which are printed."""

WINDOW = 16
"""Messages that a device has on their way; enough to keep the disk busy, few enough to be resent quickly."""

LIFE_S = (0.02, 0.6)
"""For how long a box lives: a sheet takes some 0.2 s, so that some come out whole and many do not."""

PAPER_S = 120.0
"""How long the printer may take for what is left in the end; a sheet in doubt rests it for up to 60 s."""

ROOT = "stock/v1/shop/"

END = "К ОПЛАТЕ"
"""What every whole sheet has below its lines."""


@dataclass(frozen=True, slots=True)
class Toll:
    """What came of it.

    lost: what was acknowledged and is gone, or is there twice, in words. untold: kills between a commit and its
    announcement. copies: sheets that say that they are the second.
    """

    kills: int
    operations: int
    untold: int
    sheets: int
    copies: int
    lost: list[str]


class Device(threading.Thread):
    """One till that sends operation after operation and writes down what it was told.

    acked: through which seq the ack topic said so. pubacked: through which seq a PUBACK came. foreign: acks that are
    not of what it said.
    """

    def __init__(self, name: str, address: tuple[str, int], acked: int) -> None:
        super().__init__(name=name)
        self.device = name
        self.address = address
        self.epoch = f"epoch-of-device-{name}"
        self.acked = acked
        self.pubacked = acked
        self.foreign: list[dict[str, object]] = []

    def run(self) -> None:
        try:
            with wire.Client(self.address) as client:
                self._work(client)
        except ConnectionError:
            pass  # The box was killed: that is what this is about.

    def fields(self, seq: int) -> dict[str, Any]:
        """Return what the nth operation says; a resend says the same."""
        return {"type": "move", "sku": f"S{seq % 7}", "qty": "-1", "reason": "sale"}

    def sent_max(self) -> int:
        """Return the last seq that may be on its way now."""
        return self.acked + WINDOW

    def printed(self, said: dict[str, Any]) -> None:
        """Hear what became of a print job."""

    def _work(self, client: wire.Client) -> None:
        client.log_in(user=self.device, password=PASSWORD, client_id=self.device)
        client.subscribe((f"{ROOT}device/{self.device}/ack", 0), (f"{ROOT}device/{self.device}/print", 0))
        state = orjson.dumps({"state": "online", "epoch": self.epoch, "seq": self.acked, "pending": 1})
        client.send(wire.publish(f"{ROOT}device/{self.device}/state", state, qos=0, retain=True))
        sent = None
        while (packet := client.read()) is not None:
            if packet.kind == wire.PUBACK:
                self.pubacked = max(self.pubacked, self._seq(packet.packet_id, self.pubacked))
            elif packet.topic.endswith("/print"):
                self.printed(orjson.loads(packet.payload))
            else:
                self._hear(orjson.loads(packet.payload))
                sent = self.acked if sent is None else sent
            if sent is not None:
                while sent < self.sent_max():
                    sent += 1
                    client.send(self._operation(sent))

    def _hear(self, ack: dict[str, Any]) -> None:
        if ack["seq"] and (ack["epoch"] != self.epoch or ack["tag"] != tag(ack["seq"]) or ack["rejected"]):
            self.foreign.append(ack)
        self.acked = max(self.acked, ack["seq"])

    def _operation(self, seq: int) -> bytes:
        message = {"epoch": self.epoch, "ops": [{"seq": seq, "tag": tag(seq)} | self.fields(seq)]}
        if seq > 1:
            message["after"] = tag(seq - 1)
        return wire.publish(f"{ROOT}device/{self.device}/op", orjson.dumps(message), qos=1, packet_id=seq % 60_000 + 1)

    @staticmethod
    def _seq(packet_id: int, near: int) -> int:
        """The seq behind a packet id, which is the seq but for its multiples of 60,000."""
        return near + (packet_id - 1 - near) % 60_000


class Desk(Device):
    """Opens one receipt after the other, the next one when the last is on paper: no faster than the printer."""

    def __init__(self, address: tuple[str, int], acked: int) -> None:
        super().__init__(DESK, address, acked)
        self._opened_max = acked + 1

    def fields(self, seq: int) -> dict[str, Any]:
        said = {"type": "receipt", "receipt": f"receipt-{seq:06}", "number": number(seq), "kind": "sale"}
        return said | {"status": "open", "lines": [{"sku": "milk", "name": "Молоко", "qty": "1", "price_minor": 8990}]}

    def sent_max(self) -> int:
        return self._opened_max

    def printed(self, said: dict[str, Any]) -> None:
        if said["state"] == "confirmed":
            self._opened_max = self.acked + 1


class Watcher(threading.Thread):
    """A screen that follows the box until it is gone.

    through: the last revision that it was shown. state: what the coordinator last said that it is.
    """

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(name="watcher")
        self.through = 0
        self.state = ""
        self._client = wire.Client(address).log_in(user="screen", password=PASSWORD, client_id="screen")
        self._client.subscribe((f"{ROOT}changes", 0), (f"{ROOT}coordinator", 0))

    def run(self) -> None:
        with self._client as client:
            while (packet := client.read()) is not None:
                said = orjson.loads(packet.payload)
                if packet.topic.endswith("/changes"):
                    self.through = said["to"]
                else:
                    self.state = said["state"]


def number(seq: int) -> str:
    """The number on the nth receipt of the desk."""
    return f"D-{seq:06}"


def kill_again_and_again(directory: Path, kills: int, chance: random.Random) -> Toll:
    """Kill a box on a new ledger in `directory` so often, have the rest printed, and return what came of it."""
    with PtyPrinter(Printer(bytes_per_s=20_000), directory / "printer") as printer:
        box = Box(
            directory / "data",
            STOCK_PRINTER__URL=f"serial://{printer.link}?baud=115200",
            STOCK_PRINTER__WIDTH="32",
            STOCK_PRINTER__ANSWERS="marker",
        )
        acked = dict.fromkeys((*DEVICES, DESK), 0)
        untold = 0
        lost: list[str] = []
        for count in range(1, kills + 1):
            box.start()
            watcher = Watcher(box.address)
            devices = [Device(name, box.address, acked[name]) for name in DEVICES]
            devices.append(Desk(box.address, acked[DESK]))
            with working(watcher, *devices):
                assert box.process is not None
                try:
                    code = box.process.wait(chance.uniform(*LIFE_S))
                    lost.append(f"kill {count}: the box had ended by itself, with code {code}")
                except subprocess.TimeoutExpired:
                    pass
                box.kill()
            committed = dict(rows(box.directory, "SELECT name, seq FROM epoch JOIN device ON device.id = device"))
            untold += rows(box.directory, "SELECT max(revision) FROM txn") != [(watcher.through,)]
            for device in devices:
                said, kept = max(device.acked, device.pubacked), committed.get(device.device, 0)
                if kept < said:
                    lost.append(f"kill {count}: {device.device} was acknowledged through {said}, and has {kept}")
                lost += [f"kill {count}: {device.device} heard {ack}" for ack in device.foreign]
                acked[device.device] = device.acked
        with box:
            _print_the_rest(box)
        lost += _wrong_in_ledger(box.directory)
        opened = committed[DESK]
        sheets = printer.sheets()
        lost += _wrong_on_paper(sheets, opened)
    [(operations,)] = rows(box.directory, "SELECT count(*) FROM txn")
    return Toll(kills, operations, untold, len(sheets), sum("ПОВТОР" in sheet for sheet in sheets), lost)


@contextmanager
def working(*threads: threading.Thread) -> Iterator[None]:
    """Let them work until the box is gone, which ends them."""
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join()


def _print_the_rest(box: Box) -> None:
    """Wait until nothing is left to be printed; a person wants again what was given up."""

    def is_done() -> bool:
        jobs = list(ask(box.directory, "print-queue"))
        for job in jobs:
            if job["state"] == JobState.DOUBTFUL:
                list(ask(box.directory, "print-retry", job=job["job"], on=""))
        return not jobs

    wait_until(is_done, PAPER_S)


def _wrong_in_ledger(directory: Path) -> Iterator[str]:
    """Walk what is not there exactly once, in order and without a gap."""
    operations = rows(
        directory,
        "SELECT name, count(*), min(txn.seq), max(txn.seq), count(DISTINCT txn.seq) FROM txn "
        "JOIN epoch ON epoch.id = txn.epoch JOIN device ON device.id = device GROUP BY name",
    )
    for name, count, first, last, distinct in operations:
        if (first, last, distinct) != (1, count, count):
            yield f"{name} has {count} operations, {distinct} of {first} to {last}"
    sold = sum(count for name, count, *_ in operations if name in DEVICES)
    [(taken_milli,)] = rows(directory, "SELECT -sum(on_hand_milli) FROM sku")
    if taken_milli != 1000 * sold:
        yield f"{sold} sales took {taken_milli} thousandths off"
    try:
        verify(directory)
    except Violation as violation:
        yield str(violation)


def _wrong_on_paper(sheets: list[str], opened: int) -> Iterator[str]:
    """Walk the receipts that no whole sheet has, and those that two have which do not say so."""
    whole = [sheet for sheet in sheets if END in sheet]
    for name in map(number, range(1, opened + 1)):
        found = [sheet for sheet in whole if name in sheet]
        if not found:
            yield f"{name} is on no whole sheet"
        if sum("ПОВТОР" not in sheet for sheet in found) > 1:
            yield f"{name} is on two sheets that do not say so"


SHARE = 50
"""Kills of one ledger: enough for a history, and few enough that shares keep every process busy."""


def _share(seed: int, kills: int) -> Toll:
    with tempfile.TemporaryDirectory() as directory:
        return kill_again_and_again(Path(directory), kills, random.Random(seed))


def main(
    kills: Annotated[int, typer.Option(min=1, help="How many.")] = 1000,
    seed: Annotated[int, typer.Option(help="Decides when, for the first share; the next has the next.")] = 1,
    jobs: Annotated[int, typer.Option(min=1, help="Boxes at a time.")] = 2,
    json: Json = None,
) -> None:
    """Kill running boxes at random moments while tills sell and a printer prints, and look for what is lost."""
    began_s = time.monotonic()
    shares = [min(SHARE, kills - done) for done in range(0, kills, SHARE)]
    operations = untold = sheets = copies = lost = 0
    with bar(f"times {SHARE} kills", len(shares)) as told, ProcessPoolExecutor(jobs) as pool:
        made = {pool.submit(_share, seed + place, share): seed + place for place, share in enumerate(shares)}
        for future in as_completed(made):
            told()
            try:
                toll = future.result()
            except AssertionError as error:  # The box did not start, or did not print what was left.
                print(f"LOST: {str(error)[-2000:]}\n  python -m tests.crash.kill --kills {SHARE} --seed {made[future]}")
                lost += 1
                continue
            for what in toll.lost:
                print(f"LOST: {what}\n  python -m tests.crash.kill --kills {toll.kills} --seed {made[future]}")
            operations, untold = operations + toll.operations, untold + toll.untold
            sheets, copies = sheets + toll.sheets, copies + toll.copies
            lost += len(toll.lost)
    seconds = time.monotonic() - began_s
    beside = f"{operations:,} operations, {sheets:,} sheets, {copies:,} of which say that they are a second one"
    print(f"{kills} kills, {untold} between a commit and its announcement, {beside}, {lost} lost, {seconds:.0f} s")
    write(Result(kills, lost, seconds, beside), json)
    if lost:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
