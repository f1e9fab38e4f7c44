"""Power cuts at every write and sync of a busy minute: what a cut leaves is opened again, and must hold what was said.

    record a minute ──▶ its log, its states, its promises ──▶ cut after entry 0, 1, 2, … ──▶ open, verify, compare

A *state* is what the ledger held when a COMMIT returned, a *promise* what a device had heard by then. After a cut the
ledger must be exactly as the last commit that returned left it, or the one then under way; it must verify, hold every
operation that was acked, and go on at no earlier a shop time than was told. Then the power may be cut once more while
that is found out, and in the end the tills send everything again.

    python -m tests.crash.power --cuts 10000

A failure prints the command that repeats it.
"""

import hashlib
import itertools
import logging
import os
import random
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any
from unittest import mock

import apsw
import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from appliance.contract.delivery import Channel
from appliance.contract.paper import Begin, End, JobState, PaperChange
from appliance.ledger import database, writer
from appliance.ledger.database import FILE_NAME, DiskFault, LedgerError
from appliance.ledger.verify import Violation, verify
from appliance.ledger.writer import KEEP_TIME_MS
from appliance.printing.jobs import PrintRules, Station
from tests.crash.disk import Entry, Platter, recorded
from tests.evidence.result import Json, Result, write
from tests.ledger.busy import any_day
from tests.shop import Shop, message, operation, rows, tag

STEPS = 120
"""Of a minute: about two operations and one commit a second, which take some 3,000 writes and syncs."""

CHECKPOINT_PAGES = 60
"""Checkpoints come every few seconds and not every 1,000 pages, so that many cuts fall into one."""

KEPT = (0.0, 0.3, 0.7, 1.0)
"""How much of what was not synced a cut leaves: nothing, all (as kill -9 does), or a mixture."""

CLERK, CLERK_EPOCH = "B", "epoch-of-the-clerk"


@dataclass(frozen=True, slots=True)
class Promise:
    """What had been told after some entry of the log. acked: by device and epoch, as (seq, tag)."""

    acked: dict[tuple[str, str], tuple[int, str | None]] = field(default_factory=dict)
    through_rev: int = 0
    shop_ms: int = 0


@dataclass(frozen=True, slots=True)
class Minute:
    """states, promises: each with the length of the log at that moment.

    said: every message, by its device. committed: every operation that came of it.
    """

    seed: int
    log: list[Entry]
    states: list[tuple[int, str]]
    promises: list[tuple[int, Promise]]
    said: list[tuple[str, bytes]]
    committed: frozenset[tuple[Any, ...]]


class Lost(Exception):
    """What a cut left is not what was promised."""


# --- the minute -------------------------------------------------------------------------------------------------------


class _BusyShop(Shop):
    """Writes down what devices say and hear."""

    def __init__(self, directory: Path, vfs: str, log: Sequence[Entry]) -> None:
        self.log = log
        self.said: list[tuple[str, bytes]] = []
        self.promises = [(0, Promise())]
        super().__init__(directory, vfs=vfs, printing=PrintRules(stations=(Station("main"),)))

    def start(self) -> None:
        super().start()
        self.link.heard = self._hear
        self.coordinator.install_printers()

    def hand(self, device: str, payload: bytes, channel: Channel = Channel.OP, size: int | None = None) -> None:
        self.said.append((device, payload))
        super().hand(device, payload, channel, size)

    def _hear(self, topic: str, payload: bytes) -> None:
        known = self.promises[-1][1]
        acked, through_rev, shop_ms = known.acked, known.through_rev, known.shop_ms
        said = orjson.loads(payload) if payload else {}
        match topic.removeprefix(self.topics.root).split("/"):
            case ["device", device, "ack"]:
                acked = acked | {(device, said["epoch"]): (said["seq"], said["tag"])}
            case ["changes"]:
                through_rev = said["to"]
            case ["tick"]:
                shop_ms = said["shop_ms"]
        self.promises.append((len(self.log), Promise(acked, through_rev, shop_ms)))


class _Clerk:
    """What else happens in the minute: batches of several devices in one commit, sheets that move on, ticks."""

    def __init__(self, shop: _BusyShop, seed: int, synchronous: int) -> None:
        self._shop = shop
        self._chance = random.Random(f"clerk {seed}")
        self._synchronous = synchronous
        self._seq = 0

    def __call__(self) -> None:
        shop, connection = self._shop, self._shop.writer._connection
        connection.pragma("synchronous", self._synchronous)
        match self._chance.randrange(8):
            case 0:
                self._batch()
            case 1:
                self._print()
            case 2:
                shop.writer.keep_time(shop.clock.now_ms, None)
            case 3:
                shop.hand(CLERK, b"this is no message")
                shop.coordinator.turn()
        shop.clock.now_ms += self._chance.choice((0, 10_000, KEEP_TIME_MS))
        shop.coordinator.tick()

    def _batch(self) -> None:
        operations = [
            operation(self._seq + n, sku=self._chance.choice(("milk", "bread", "salt"))) for n in range(1, 20)
        ]
        after = tag(self._seq) if self._seq else None
        self._shop.hand(CLERK, orjson.dumps(message(*operations, epoch=CLERK_EPOCH, after=after)))
        self._shop.hand("C", orjson.dumps(message(operation(1), epoch=f"epoch-of-a-visitor-{self._seq}")))
        self._seq += len(operations)
        self._shop.coordinator.turn()

    def _print(self) -> None:
        waiting = [job for job in self._shop.reader.jobs.queue() if job.state is JobState.QUEUED]
        for job in waiting[:2]:
            if self._changed(Begin(job.id, job.printer, "marker")):
                self._changed(End(job.id, self._chance.choice((JobState.CONFIRMED, JobState.DOUBTFUL))))

    def _changed(self, change: PaperChange) -> bool:
        verdicts: list[str] = []
        self._shop.coordinator.change_paper(change, verdicts.append)
        self._shop.coordinator.turn()
        return verdicts == [""]


def record(seed: int, *, steps: int = STEPS, synchronous: int = 2) -> Minute:
    """Let a busy minute happen on a recorded disk. synchronous: SQLite's pragma, which the ledger sets to 2 (FULL)."""
    with tempfile.TemporaryDirectory() as directory, recorded(f"minute-{seed}") as disk, _states(disk.log) as states:
        shop = _BusyShop(Path(directory), disk.name, disk.log)
        any_day(shop, seed, steps=steps, then=_Clerk(shop, seed, synchronous))
        return Minute(seed, list(disk.log), list(states), shop.promises, shop.said, _committed(shop.directory))


@contextmanager
def _states(log: Sequence[Entry]) -> Iterator[list[tuple[int, str]]]:
    """Write down what the ledger holds whenever a COMMIT has returned."""
    states: list[tuple[int, str]] = []
    real = database.transaction

    @contextmanager
    def transaction(connection: apsw.Connection) -> Iterator[None]:
        with real(connection):
            yield
        states.append((len(log), digest_of(connection)))

    with (
        mock.patch.object(database, "transaction", transaction),
        mock.patch.object(writer, "transaction", transaction),
        mock.patch.object(writer, "CHECKPOINT_PAGES", CHECKPOINT_PAGES),
    ):
        yield states


def digest_of(connection: apsw.Connection) -> str:
    """Return a digest of all that a ledger holds but its runs, which grow whenever one looks."""
    digest = hashlib.blake2b(digest_size=16)
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'run' ORDER BY name")
    for table in [name for (name,) in tables]:
        for row in connection.execute(f"SELECT * FROM {table}"):
            digest.update(repr((table, row)).encode())
    return digest.hexdigest()


# --- the cut ----------------------------------------------------------------------------------------------------------


def cuts(minute: Minute, at: Iterable[int]) -> Iterator[tuple[int, str]]:
    """Cut the power after each of these entries of the log; yield those where something was lost, and what."""
    platter, taken = Platter(), 0
    with recorded(f"after-{minute.seed}") as disk:
        for index in sorted(at):
            for entry in minute.log[taken:index]:
                platter.take(entry)
            taken = index
            chance = random.Random(f"{minute.seed} {index}")
            files = platter.cut(chance, chance.choice(KEPT))
            try:
                for _ in range(2):  # The second cut comes while the box starts again after the first.
                    with tempfile.TemporaryDirectory() as directory:
                        _lay(files, Path(directory))
                        disk.log.clear()
                        _check(minute, index, Path(directory), disk.name)
                        again = Platter(files)
                        for entry in disk.log[: chance.randrange(len(disk.log) + 1)]:
                            again.take(entry)
                        files = again.cut(chance, chance.choice(KEPT))
                        if chance.random() < RESENT:
                            _resend(minute, Path(directory), disk.name)
            except (Lost, Violation, LedgerError, DiskFault, apsw.Error) as error:
                yield index, f"{type(error).__name__}: {error}"


RESENT = 0.03
"""After how many cuts the tills send the whole minute again, which takes as long as the minute did."""


def _lay(files: dict[str, bytes], directory: Path) -> None:
    for name, content in files.items():
        (directory / name).write_bytes(content)


def _check(minute: Minute, index: int, directory: Path, vfs: str) -> None:
    """Raises Lost, Violation, or what the ledger says when it cannot be opened."""
    promise = [promise for at, promise in minute.promises if at <= index][-1]
    held = [number for number, (at, _) in enumerate(minute.states) if at <= index]
    if held:  # The first one is the schema's: before it there is no ledger yet, and it may be begun anew.
        with closing(apsw.Connection(str(directory / FILE_NAME), vfs=vfs)) as connection:
            found = digest_of(connection)
        if found not in [state for _, state in minute.states[held[-1] : held[-1] + 2]]:
            known = [number for number, (_, state) in enumerate(minute.states) if state == found]
            raise Lost(f"the ledger is as after commit {known or 'unknown'}, and {held[-1]} had returned")
    shop = Shop(directory, vfs=vfs, run=f"{time.monotonic_ns():016x}", boot="after the cut")
    try:
        verify(directory)
        if shop.writer.last_rev < promise.through_rev:
            raise Lost(f"revision {promise.through_rev} was announced, and {shop.writer.last_rev} is the last")
        for (device, epoch), (seq, _) in promise.acked.items():
            if (ack := shop.writer.ack(device, epoch)).seq < seq:
                raise Lost(f"{device} {epoch} was acked through {seq}, and stands at {ack.seq}")
        if shop.clock.now_ms < promise.shop_ms:
            raise Lost(f"shop time {promise.shop_ms} was told, and it goes on at {shop.clock.now_ms}")
    finally:
        shop.stop()


def _resend(minute: Minute, directory: Path, vfs: str) -> None:
    """Let every device send all that it ever said, and demand that the ledger has each operation of it once."""
    shop = Shop(directory, vfs=vfs, run="ffffffff", boot="the last one")
    try:
        for device, payload in minute.said:
            shop.hand(device, payload)
        while shop.coordinator.turn():
            pass
        if missing := minute.committed - _committed(directory):
            raise Lost(f"sent again, and not in the ledger: {sorted(missing, key=repr)[:5]}")
        verify(directory)
    finally:
        shop.stop()


def _committed(directory: Path) -> frozenset[tuple[Any, ...]]:
    statement = (
        "SELECT name, epoch.epoch, txn.seq, txn.tag, code IS NULL FROM txn JOIN epoch ON epoch.id = txn.epoch "
        "JOIN device ON device.id = device WHERE name <> '_shop'"
    )
    return frozenset(rows(directory, statement))


# --- many of them -----------------------------------------------------------------------------------------------------


def lost(seed: int, share: slice, *, steps: int = STEPS, synchronous: int = 2) -> tuple[int, list[tuple[int, str]]]:
    """Cut a minute's power at a share of the entries of its log; return how often, and what was lost where."""
    minute = record(seed, steps=steps, synchronous=synchronous)
    at = range(len(minute.log) + 1)[share]
    return 2 * len(at), list(cuts(minute, at))


def main(
    cuts: Annotated[int, typer.Option(help="How many power cuts at least.")] = 10_000,
    seed: Annotated[int, typer.Option(help="The first minute's.")] = 1,
    at: Annotated[int | None, typer.Option(help="Cut only here, to repeat a failure.")] = None,
    json: Json = None,
) -> None:
    """Cut the power of one busy minute after the other, at every write and sync."""
    logging.disable()
    console = Console(stderr=True)
    if at is not None:
        shares: Iterator[tuple[int, slice]] = iter([(seed, slice(at, at + 1))])
    else:
        shares = ((minute, slice(part, None, PARTS)) for minute in itertools.count(seed) for part in range(PARTS))
    done, failed, began_s = 0, 0, time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress, ProcessPoolExecutor() as pool:
        task = progress.add_task("power cuts", total=cuts)
        waiting = {pool.submit(lost, *share): share for share in itertools.islice(shares, os.cpu_count())}
        while waiting:
            ended, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in ended:
                minute, _ = waiting.pop(future)
                count, found = future.result()
                done += count
                failed += len(found)
                progress.update(task, completed=done)
                for index, what in found:
                    console.print(f"LOST: {what}\n  python -m tests.crash.power --seed {minute} --at {index}")
                if done < cuts and (share := next(shares, None)) is not None:
                    waiting[pool.submit(lost, *share)] = share
    seconds = time.monotonic() - began_s
    print(f"{done} power cuts, {failed} of them lost something, {seconds:.0f} s")
    write(Result(done, failed, seconds), json)
    if failed:
        raise typer.Exit(1)


PARTS = 16
"""Into how many shares a minute is cut, so that every core has work and the bar moves."""


if __name__ == "__main__":
    typer.run(main)
