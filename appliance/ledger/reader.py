"""Reading the ledger beside its writer: pages for devices that catch up, balances for people.

A reader sees one committed state for as long as one call lasts, and never waits for the writer (WAL). Only one thread
at a time may use a Reader.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import apsw
import orjson

from appliance.contract import messages, paper
from appliance.contract.messages import Ack, Alert, Balance, Covered, Entry, Rejection, Row
from appliance.contract.paper import Job, Sheet
from appliance.contract.topics import SHOP_DEVICE
from appliance.ledger.acks import read_ack
from appliance.ledger.coverage import Stand, newly_covered
from appliance.ledger.database import FILE_NAME, open_database, tag_to_text
from appliance.ledger.devices import LastCommit, last_commits
from appliance.ledger.feed import Done, matching, name_of, newest
from appliance.ledger.history import History
from appliance.ledger.jobs import JobReader
from appliance.ledger.receipts import Receipts
from appliance.ledger.runs import Runs
from appliance.stock.order import Fact

_BALANCE = "SELECT code, on_hand_milli, reserved_milli, is_stocked, revision, wall_ms FROM sku"
_ITEM = "SELECT code, item.revision, details FROM item JOIN sku ON sku.id = item.sku"
_ALERT = "SELECT alert, kind, status, since_ms, revision, times, summary, facts FROM alert WHERE status = 'active'"
_CATALOGUE = (
    "SELECT code, on_hand_milli, reserved_milli, is_stocked, sku.revision, wall_ms, details FROM sku "
    "LEFT JOIN item ON item.sku = sku.id WHERE code > ? ORDER BY code LIMIT ?"
)
_CHANGED = "SELECT revision FROM sku WHERE revision > ? ORDER BY revision LIMIT 1 OFFSET ?"
_CHANGED_ITEMS = "SELECT revision FROM item WHERE revision > ? ORDER BY revision LIMIT 1 OFFSET ?"

_ENTRIES = (
    "SELECT txn.revision, txn.shop_ms, device.name, kind.word, receipt.receipt, receipt.number, cause.word, "
    "effect_milli, reserved_milli, counted_milli, previous FROM entry JOIN txn USING (revision) "
    "JOIN word kind ON kind.id = txn.kind JOIN word cause ON cause.id = entry.cause "
    "JOIN epoch ON epoch.id = txn.epoch JOIN device ON device.id = epoch.device "
    "LEFT JOIN receipt ON receipt.id = txn.receipt LEFT JOIN count USING (revision) "
    "WHERE entry.revision = ? AND entry.sku = ? ORDER BY n"
)

CLOSING = "closing"
"""The type, and the cause, of what a history begins with when its oldest entries are pruned."""

_CHUNK = 500
"""Rows that a long walk reads at a time; between two chunks the database is free for a checkpoint."""


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in order of their revision, after `since` and through `to`. more: there is something behind them."""

    since: int
    to: int
    rows: tuple[Row, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class Totals:
    """How much the ledger holds; `quarantined` are messages."""

    rev: int
    skus: int
    receipts: int
    rejected: int
    quarantined: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Story:
    """What became of a receipt. sheet: the open that won, or the last payment, while its text is kept.

    returned: what came back of it, in thousandths by SKU.
    """

    sheet: Sheet | None
    payments: tuple[Fact, ...]
    returned: Mapping[str, int]
    jobs: tuple[Job, ...]


class Reader:
    """The ledger, open for reading."""

    def __init__(self, directory: Path, *, vfs: str | None = None) -> None:
        """Raises LedgerError when there is no ledger yet, or it cannot be read."""
        self._path = directory / FILE_NAME
        self._connection = open_database(self._path, writable=False, vfs=vfs)
        self._sql = self._connection.execute
        self._history = History(self._sql)
        self.jobs = JobReader(self._sql)
        self.ledger = str(self._sql("SELECT ledger FROM ledger").get)

    def close(self) -> None:
        self._connection.close()

    @property
    def last_rev(self) -> int:
        return int(self._sql("SELECT coalesce(max(revision), 0) FROM txn").get)

    def known_since(self, run: str | None, since: int) -> int:
        """Return the revision up to which a device's copy is true: `since`, or 0 when that proves nothing here.

        A revision of a run holds as far as this ledger has that run; after a restore the numbers above come again.
        """
        known = None if run is None else Runs(self._sql).find(run, self.last_rev)
        return since if known is not None and since <= known.last_rev else 0

    def balances(self, since: int, limit: int) -> Page:
        """Return the balances that changed after a revision, each as it stands now."""
        return self._page(_CHANGED, self._balances_between, since, limit)

    def items(self, since: int, limit: int) -> Page:
        """Return the catalogue's items that changed after a revision."""
        return self._page(_CHANGED_ITEMS, self._items_between, since, limit)

    def rejected(self, device: str, since: int, limit: int) -> Page:
        """Return a device's rejected operations after a revision, with their bytes."""
        with self._snapshot():
            found = self._sql(
                "SELECT revision, epoch.epoch, txn.seq, txn.tag, word, detail, operation FROM txn "
                "JOIN epoch ON epoch.id = txn.epoch JOIN device ON device.id = device "
                "JOIN word ON word.id = code JOIN body USING (revision) "
                "WHERE name = ? AND revision > ? ORDER BY revision LIMIT ?",
                (device, since, limit + 1),
            )
            rows = [
                Row(rev, messages.rejected(device, epoch, Rejection(seq, tag_to_text(tag), *why), rev, operation))
                for rev, epoch, seq, tag, *why, operation in found
            ]
            return self._cut(rows[:limit], since, is_whole=len(rows) <= limit)

    def stale(self, since: int, limit: int) -> Page:
        """Return the print jobs that were skipped as stale, of operations after a revision."""
        with self._snapshot():
            rows = [Row(rev, paper.stale_job(job, rev)) for rev, job in self.jobs.stale(since)]
            return self._cut_at(rows, since, limit)

    def receipt(self, receipt: str) -> Page:
        """Return what the ledger keeps of a receipt, as a page of one row or none."""
        with self._snapshot():
            row = self._sql(
                "SELECT receipt.kind, state, number, edit, device, receipt.revision, shop_ms, operation FROM receipt "
                "JOIN txn USING (revision) LEFT JOIN body USING (revision) WHERE receipt.receipt = ?",
                (receipt,),
            ).get
            if row is None:
                return Page(0, self.last_rev, (), more=False)
            kind, state, number, edit, device, rev, shop_ms, operation = row
            at_ms = self._history.wall_ms(rev, shop_ms)
            said = messages.receipt(receipt, kind, state, number, edit, device, rev, at_ms, operation)
            return Page(0, self.last_rev, (Row(rev, said),), more=False)

    def receipts_called(self, name: str, limit: int) -> list[str]:
        """Return the receipt of this id, or else the newest receipts of this number, the newest first."""
        if self._sql("SELECT 1 FROM receipt WHERE receipt = ?", (name,)).get is not None:
            return [name]
        found = self._sql("SELECT receipt FROM receipt WHERE number = ? ORDER BY revision DESC LIMIT ?", (name, limit))
        return [receipt for (receipt,) in found]

    def receipt_story(self, receipt: str) -> Story:
        """Return what became of a receipt that there is."""
        with self._snapshot():
            receipts = Receipts(self._sql, self._history)
            return Story(
                receipts.sheet(receipt),
                self._history.payments(receipt),
                receipts.returned(receipt),
                tuple(self.jobs.of_receipt(receipt)),
            )

    def history(self, sku: str, since: int, limit: int) -> Page:
        """Return a SKU's entries after a revision, with the balance that each left, in the order of the ledger."""
        with self._snapshot():
            rows = [Row(entry.rev, messages.entry(entry)) for entry in self._entries(sku) if entry.rev > since]
            return self._cut_at(rows, since, limit)

    def explain(self, sku: str) -> list[Entry]:
        """Return all entries of a SKU, in the order of the ledger; the last one's balance is the SKU's."""
        with self._snapshot():
            return self._entries(sku)

    def balance(self, sku: str) -> Balance | None:
        """Return one balance, None when no operation has named the SKU."""
        row = self._sql(f"{_BALANCE} WHERE code = ?", (sku,)).get
        return None if row is None else _balance(row)

    def all_balances(self) -> Iterator[Balance]:
        """Walk all balances in order of their SKU, without holding the database in between."""
        return map(_balance, self._walk(f"{_BALANCE} WHERE code > ? ORDER BY code LIMIT ?"))

    def newest(self, since: int, limit: int) -> list[Done]:
        """Return the newest operations after a revision, at most `limit`, the oldest of them first."""
        with self._snapshot():
            return newest(self._sql, self._history, since, limit)

    def search(self, text: str, limit: int) -> list[tuple[Balance, str]]:
        """Return the first SKUs that have every word of a text in code, barcodes or name; each with its name.

        It walks them all: 100,000 in about a second, without holding the database in between.
        """
        rows = self._walk(_CATALOGUE)
        return [(_balance(row), name_of(details)) for *row, details in islice(matching(rows, text), limit)]

    def catalogue(self) -> Iterator[tuple[Balance, str | None]]:
        """Walk all SKUs, each with its item's details as JSON, None where the catalogue does not have it."""
        return ((_balance(row), details) for *row, details in self._walk(_CATALOGUE))

    def item(self, sku: str) -> bytes | None:
        """Return one item's message, None when the catalogue does not have it."""
        row = self._sql(f"{_ITEM} WHERE code = ?", (sku,)).get
        return None if row is None else _item(row)

    def all_items(self) -> Iterator[tuple[str, bytes]]:
        """Walk the catalogue: each SKU with its item's message."""
        return ((row[0], _item(row)) for row in self._walk(f"{_ITEM} WHERE code > ? ORDER BY code LIMIT ?"))

    def ack(self, device: str) -> Ack | None:
        """Return the ack of the epoch in which a device committed last, None when it never did."""
        epoch = self._sql(
            "SELECT epoch.epoch FROM device JOIN epoch ON epoch.id = device.epoch WHERE name = ?", (device,)
        ).get
        return None if epoch is None else read_ack(self._connection, self.ledger, device, epoch)

    def all_acks(self) -> Iterator[tuple[str, Ack]]:
        """Walk the acks of all devices that ever committed something."""
        for (device,) in self._walk(
            f"SELECT name FROM device WHERE epoch IS NOT NULL AND name <> '{SHOP_DEVICE}' AND name > ? "  # noqa: S608
            "ORDER BY name LIMIT ?"
        ):
            ack = self.ack(device)
            if ack is not None:
                yield device, ack

    def last_commits(self) -> list[LastCommit]:
        """Return the devices that ever committed something, each with its newest operation."""
        with self._snapshot():
            return last_commits(self._sql, self._history)

    def newly_covered(self, kept: Iterable[Stand]) -> list[Covered]:
        """Return the epochs of which every kept backup has more than devices have been told."""
        with self._snapshot():
            return newly_covered(self._sql, kept)

    def alerts(self) -> list[Alert]:
        """Return the active alerts."""
        return [_alert(row) for row in self._sql(f"{_ALERT} ORDER BY alert")]

    def damage(self) -> str:
        """Return the first damage that SQLite finds in the file, "" when it finds none; that reads all of it."""
        try:
            found = str(self._sql("PRAGMA quick_check(1)").get)
        except (apsw.CorruptError, apsw.IOError) as error:
            return str(error)
        return "" if found == "ok" else found

    def totals(self) -> Totals:
        with self._snapshot():
            skus, receipts, rejected, quarantined = self._sql(
                "SELECT (SELECT count(*) FROM sku), (SELECT count(*) FROM receipt), "
                "(SELECT coalesce(sum(rejected), 0) FROM epoch), (SELECT count(*) FROM quarantine)"
            ).get
            size_bytes = sum(part.stat().st_size for part in self._path.parent.glob(f"{FILE_NAME}*"))
            return Totals(self.last_rev, skus, receipts, rejected, quarantined, size_bytes)

    def _entries(self, sku: str) -> list[Entry]:
        row = self._sql("SELECT id, revision FROM sku WHERE code = ?", (sku,)).get
        if row is None:
            return []
        number, rev = row
        closing = self._closing(number)
        back: list[list[Any]] = []
        while rev > (closing.rev if closing else 0):
            found = self._sql(_ENTRIES, (rev, number)).fetchall()
            back.append(found)
            rev = found[0][-1]
        entries = [closing] if closing else []
        on_hand_milli, reserved_milli = (closing.on_hand_milli, closing.reserved_milli) if closing else (0, 0)
        for columns in (columns for found in reversed(back) for columns in found):
            rev, shop_ms, device, kind, receipt, receipt_number, cause, effect, reserved, counted, _ = columns
            on_hand_milli += effect
            reserved_milli += reserved
            entries.append(
                Entry(
                    rev,
                    self._history.wall_ms(rev, shop_ms),
                    device,
                    kind,
                    receipt,
                    receipt_number,
                    cause,
                    effect,
                    on_hand_milli,
                    reserved_milli,
                    counted,
                )
            )
        return entries

    def _closing(self, sku: int) -> Entry | None:
        """Return what a SKU's history begins with, where its oldest entries are pruned."""
        row = self._sql(
            "SELECT revision, on_hand_milli, reserved_milli, pruned_ms FROM closing, ledger WHERE sku = ?", (sku,)
        ).get
        if row is None:
            return None
        rev, on_hand_milli, reserved_milli, pruned_ms = row
        at_ms = self._history.wall_ms(rev, pruned_ms)
        return Entry(
            rev, at_ms, SHOP_DEVICE, CLOSING, None, None, CLOSING, on_hand_milli, on_hand_milli, reserved_milli, None
        )

    def _balances_between(self, after: int, to: int) -> Iterator[Row]:
        rows = self._sql(f"{_BALANCE} WHERE revision > ? AND revision <= ? ORDER BY revision, code", (after, to))
        return (Row(balance.rev, messages.balance(balance)) for balance in map(_balance, rows))

    def _items_between(self, after: int, to: int) -> Iterator[Row]:
        rows = self._sql(
            f"{_ITEM} WHERE item.revision > ? AND item.revision <= ? ORDER BY item.revision, code", (after, to)
        )
        return (Row(row[1], _item(row)) for row in rows)

    def _page(self, changed: str, between: Callable[[int, int], Iterable[Row]], since: int, limit: int) -> Page:
        """Cut a page of `limit` rows, or a little more, for it never splits a revision.

        changed: asks for the revision of the nth row after a revision. between: the rows between two revisions.
        """
        with self._snapshot():
            to = self._sql(changed, (since, limit - 1)).get
            is_whole = to is None or self._sql(changed, (to, 0)).get is None
            return self._cut(list(between(since, self.last_rev if is_whole else to)), since, is_whole=is_whole)

    def _cut_at(self, rows: list[Row], since: int, limit: int) -> Page:
        """Make a page of `limit` of all the rows that there are, or a little more."""
        if len(rows) <= limit:
            return self._cut(rows, since, is_whole=True)
        last = rows[limit - 1].rev
        return self._cut([row for row in rows if row.rev <= last], since, is_whole=rows[-1].rev == last)

    def _cut(self, rows: list[Row], since: int, *, is_whole: bool) -> Page:
        """Make a page of what fits one payload. One that holds all there is reaches to the ledger's newest revision."""
        fitting = next(messages.parts(rows), [])
        if is_whole and len(fitting) == len(rows):
            return Page(since, max(since, self.last_rev), tuple(fitting), more=False)
        return Page(since, fitting[-1].rev, tuple(fitting), more=True)

    def _walk(self, statement: str) -> Iterator[tuple[Any, ...]]:
        """Read a table in chunks, in order of its first column, a text that is never empty."""
        last = ""
        rows: list[tuple[Any, ...]]
        while rows := self._sql(statement, (last, _CHUNK)).fetchall():
            yield from rows
            last = rows[-1][0]

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        self._sql("BEGIN")
        try:
            yield
        finally:
            self._sql("COMMIT")


def _balance(row: Iterable[Any]) -> Balance:
    code, on_hand_milli, reserved_milli, is_stocked, revision, wall_ms = row
    return Balance(code, on_hand_milli, reserved_milli, bool(is_stocked), revision, wall_ms)


def _item(row: tuple[Any, ...]) -> bytes:
    code, revision, details = row
    return messages.item(code, revision, orjson.loads(details))


def _alert(row: tuple[Any, ...]) -> Alert:
    alert, kind, status, since_ms, revision, times, summary, facts = row
    return Alert(alert, kind, status, since_ms, revision, times, summary, facts.encode())
