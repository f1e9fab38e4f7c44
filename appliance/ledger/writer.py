"""The one writer: a turn looks up, collects and commits everything that waited, with one fsync.

    with writer.turn(now_ms, wall_ms) as turn:      # leaving it commits; an exception leaves nothing behind
        turn.apply(...); turn.reject(...); ...
    turn.committed()                                # what there is to announce, now that it is on the disk

A turn keeps what it touches in memory (epochs, SKUs) and writes it once at its end, so a hundred sales of one SKU in
one turn update its row once. Only one thread may use a Writer.
"""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import apsw

from appliance.contract.messages import Ack
from appliance.contract.paper import Printer
from appliance.ledger.acks import read_ack
from appliance.ledger.database import DISK_FAULTS, FILE_NAME, DiskFault, LedgerError, open_database, transaction
from appliance.ledger.jobs import JobReader
from appliance.ledger.pruning import prune_step
from appliance.ledger.runs import Runs
from appliance.ledger.turn import Turn
from appliance.ledger.words import Words


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant on the clocks that survive a process: the kernel's boot, its clock that runs in sleep, and the wall's.

    synchronised_wall_ms: the wall clock since 1970 where it can measure a power gap, None where it may be wrong.
    """

    boot: str
    boottime_ms: int
    synchronised_wall_ms: int | None


class Writer:
    """The ledger of one shop, open for writing."""

    def __init__(self, directory: Path, *, shop: str, new_ledger: str, vfs: str | None = None) -> None:
        """Open the ledger in `directory`, or begin one named `new_ledger` (a UUID).

        Raises LedgerError when it cannot be used, or belongs to another shop.
        """
        self._directory = directory
        self._connection = open_database(directory / FILE_NAME, writable=True, vfs=vfs)
        self._words = Words(self._connection)
        with self._transaction():
            self._connection.execute("INSERT OR IGNORE INTO ledger VALUES (1, ?, ?, 0, 0)", (new_ledger, shop))
        self.ledger, of_shop = self._connection.execute("SELECT ledger, shop FROM ledger").get
        if of_shop != shop:
            raise LedgerError(
                f"{directory} holds the ledger of shop {of_shop!r}, not of {shop!r}: set STOCK_SHOP back, "
                "or STOCK_DATA_DIR to another directory"
            )
        self._connection.set_wal_hook(self._note_log)  # In place of SQLite's own, which copies inside the commit.
        self._log_pages = 0
        self._run: int | None = None
        self._runs = Runs(self._connection.execute)
        self._kept_ms = 0
        self.is_gap_unknown = False
        """Whether this run began after a power cut of unknown length."""

    def begin_run(self, run: str, moment: Moment) -> int:
        """Record that a run begins, and return its first instant in shop time (milliseconds).

        Shop time goes on exactly where the kernel's clock can tell how long nothing ran, by the wall clock where it was
        synchronised at both ends; else from the last instant that may have been announced, and the gap is unknown.
        """
        start_ms, is_measured = self._resume(moment)
        with self._transaction():
            if not is_measured:
                self._connection.execute("UPDATE run SET is_measured = 0")
            self._connection.execute(
                "INSERT INTO run (run, first_rev, is_measured, is_whole, boot, boottime_ms, shop_ms, kept_ms, "
                "kept_wall_ms) VALUES (?, ?, 1, 1, ?, ?, ?, ?, ?)",
                (
                    run,
                    self.last_rev + 1,
                    moment.boot,
                    moment.boottime_ms,
                    start_ms,
                    start_ms,
                    moment.synchronised_wall_ms,
                ),
            )
            self._run = self._connection.last_insert_rowid()
        self._runs = Runs(self._connection.execute)
        self.is_gap_unknown = not is_measured
        self._kept_ms = start_ms
        return start_ms

    @property
    def last_rev(self) -> int:
        """The highest revision in the ledger, 0 while there is none."""
        return int(self._connection.execute("SELECT coalesce(max(revision), 0) FROM txn").get)

    @contextmanager
    def turn(self, now_ms: int, wall_ms: int) -> Iterator[Turn]:
        """One transaction at shop time `now_ms`. Raises DiskFault when the disk did not take it: nothing changed."""
        assert self._run is not None, "a run has begun"
        with self._transaction():
            turn = Turn(self._connection, self._words, self._runs, self._run, self.last_rev, now_ms, wall_ms)
            yield turn
            is_kept = turn.write()
        if is_kept:
            self._kept_ms = now_ms

    def keep_time(self, now_ms: int, synchronised_wall_ms: int | None) -> None:
        """Make shop time durable, with the wall clock that may measure a power cut (KEEP_TIME_MS). Raises DiskFault."""
        with self._transaction():
            self._connection.execute(
                "UPDATE run SET kept_ms = ?, kept_wall_ms = ? WHERE id = ?", (now_ms, synchronised_wall_ms, self._run)
            )
        self._kept_ms = now_ms

    def prune(self, now_ms: int, keep_months: int) -> bool:
        """Forget some of what is older than so many months. Returns whether there is more to do. Raises DiskFault."""
        with self._transaction():
            is_more = prune_step(self._connection.execute, now_ms, keep_months)
        self.checkpoint()
        return is_more

    def checkpoint(self) -> None:
        """Copy the log of commits into the database when it is long; to be called when what was committed is told.

        SQLite by itself does it within the commit that makes the log too long: one sale in 110 waited for two more
        syncs and hundreds of pages before it was acknowledged.
        """
        if self._log_pages >= CHECKPOINT_PAGES:
            with suppress(*DISK_FAULTS):  # What could not be copied stays in the log, and the next commit tells.
                self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)

    def may_announce(self, shop_ms: int) -> bool:
        """Whether a power cut now could not set shop time back behind this moment."""
        return shop_ms <= self._kept_ms + ANNOUNCED_AHEAD_MS

    def free_bytes(self) -> int:
        """Return how much room the ledger's disk has. Raises DiskFault when it does not say."""
        try:
            return shutil.disk_usage(self._directory).free
        except OSError as error:
            raise DiskFault(f"the ledger's disk failed: {error}") from error

    def ack(self, device: str, epoch: str) -> Ack:
        """Return the ack of an epoch as it is committed."""
        return read_ack(self._connection, self.ledger, device, epoch)

    def printers(self, now_ms: int) -> list[Printer]:
        """Return the printers of this run and their queues at shop time `now_ms`."""
        return JobReader(self._connection.execute).printers(now_ms)

    def close(self) -> None:
        self._connection.close()

    def _resume(self, moment: Moment) -> tuple[int, bool]:
        """Return where shop time goes on, and whether the time since the last run is known."""
        last = self._connection.execute(
            "SELECT boot, boottime_ms, shop_ms, kept_ms, kept_wall_ms FROM run ORDER BY id DESC LIMIT 1"
        ).get
        if last is None:
            return 0, True
        boot, boottime_ms, run_start_ms, kept_ms, kept_wall_ms = last
        newest_ms = max(
            kept_ms, self._connection.execute("SELECT shop_ms FROM turn ORDER BY last_rev DESC LIMIT 1").get or 0
        )
        if boot == moment.boot and moment.boottime_ms >= boottime_ms:
            return max(newest_ms, run_start_ms + moment.boottime_ms - boottime_ms), True
        wall_ms = moment.synchronised_wall_ms
        if wall_ms is not None and kept_wall_ms is not None and 0 <= wall_ms - kept_wall_ms <= GAP_MAX_MS:
            return max(newest_ms, kept_ms + wall_ms - kept_wall_ms), True
        return newest_ms + ANNOUNCED_AHEAD_MS, False

    def _note_log(self, connection: apsw.Connection, name: str, pages: int) -> int:
        del connection, name
        self._log_pages = pages
        return apsw.SQLITE_OK

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            with ExitStack() as unless_committed:
                unless_committed.callback(self._words.forget)
                with transaction(self._connection):
                    yield
                unless_committed.pop_all()
        except DISK_FAULTS as error:
            raise DiskFault(f"the ledger's disk failed: {error}") from error


CHECKPOINT_PAGES = 1000
"""Pages of the log after which it is copied into the database: SQLite's own number, 4 MiB."""

KEEP_TIME_MS = 60_000
"""Shop time is made durable this often, whatever else is committed; an fsync a minute is nothing to a card."""

GAP_MAX_MS = 366 * 24 * 3_600_000
"""A longer power cut is rather a time server that is wrong, which must not let all that is kept become old at once."""

ANNOUNCED_AHEAD_MS = KEEP_TIME_MS + 15_000
"""Ticks may have told devices a time this much later than the last durable one: a minute, and one tick of 10 s."""
