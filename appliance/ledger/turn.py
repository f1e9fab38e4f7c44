"""One turn of the writer: what the rules look up, what the coordinator records, and what there is to announce after.

It is put together from what a turn touches: `sequences` (who said it), `shelf` (SKUs), `receipts`, `jobs`, `notices`.
Reading sees what the turn itself has recorded; `write`, which the writer calls last, writes what stayed in memory.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import apsw

from appliance.contract.messages import Alert, Balance, Covered
from appliance.contract.operations import Head
from appliance.contract.paper import Job, PaperChange, Printer, Sheet, Wanted
from appliance.ledger.database import tag_to_integer
from appliance.ledger.history import History
from appliance.ledger.jobs import JobReader, Jobs
from appliance.ledger.notices import Notices
from appliance.ledger.receipts import Receipts
from appliance.ledger.runs import Runs
from appliance.ledger.sequences import Sequences
from appliance.ledger.shelf import Shelf
from appliance.ledger.words import Words
from appliance.stock.alerts import Cleared, Raised
from appliance.stock.counts import Past
from appliance.stock.errors import Rejected
from appliance.stock.operation import Expire, Operation, PrintCopy, Receipt
from appliance.stock.order import Fact
from appliance.stock.receipts import ReceiptState
from appliance.stock.reconcile import Outcome, Stock
from appliance.stock.sequence import EpochState
from appliance.stock.stamps import Run, When


@dataclass(frozen=True, slots=True)
class Committed:
    """What a turn has changed, to be announced when it is on the disk.

    since, through: the last revisions before and after it. balances, items and alerts: as they stand after it; an alert
    whose status is not `active` has gone. jobs, printers: those of which something is other than before.
    """

    since: int
    through: int
    balances: list[Balance]
    items: list[tuple[str, int, dict[str, object]]]
    alerts: list[Alert]
    jobs: list[Job]
    printers: list[Printer]


class Turn:
    """One transaction under way; it satisfies the rules' `reconcile.View`."""

    def __init__(
        self,
        connection: apsw.Connection,
        words: Words,
        runs: Runs,
        run: int,
        last_rev: int,
        now_ms: int,
        wall_ms: int,
    ) -> None:
        self.now_ms = now_ms
        self._sql = connection.execute
        self._words = words
        self._run = run
        self._wall_ms = wall_ms
        self._since = self._rev = last_rev
        self._history = History(self._sql, (now_ms, wall_ms))
        self._runs = runs
        self._sequences = Sequences(self._sql)
        self._shelf = Shelf(self._sql, words, self._history, wall_ms)
        self._receipts = Receipts(self._sql, self._history)
        self._jobs = Jobs(self._sql, now_ms)
        self._notices = Notices(self._sql, wall_ms)

    # --- what can be looked up ---------------------------------------------------------------------------------------

    @property
    def next_rev(self) -> int:
        """The revision that the next operation gets."""
        return self._rev + 1

    def epoch(self, device: str, epoch: str) -> EpochState:
        return self._sequences.state(device, epoch)

    def tag_at(self, device: str, epoch: str, seq: int) -> str | None:
        return self._sequences.tag_at(device, epoch, seq)

    def is_committed_at(self, device: str, epoch: str, head: Head) -> bool:
        return self._sequences.is_committed_at(device, epoch, head)

    def committed_before(self, device: str, tag: str | None) -> int | None:
        return self._sequences.committed_before(device, tag, self._rev)

    def run(self, run: str) -> Run | None:
        """Return what the ledger knows of a run, None when it is not one of its own."""
        return self._runs.find(run, self._rev)

    def wall_ms(self, shop_ms: int) -> int:
        """Return a moment of shop time on the box's own wall clock, for people."""
        return self._wall_ms - (self.now_ms - shop_ms)

    def stock(self, sku: str) -> Stock | None:
        return self._shelf.stock(sku)

    def past(self, sku: str, after_rev: int) -> Iterator[Past]:
        return self._shelf.past(sku, after_rev)

    def receipt(self, receipt: str) -> ReceiptState | None:
        return self._receipts.state(receipt)

    def payments(self, receipt: str) -> tuple[Fact, ...]:
        return self._history.payments(receipt)

    def sold(self, receipt: str) -> Mapping[str, int]:
        return self._receipts.sold(receipt)

    def returned(self, receipt: str) -> Mapping[str, int]:
        return self._receipts.returned(receipt)

    def sold_on(self, mark: str) -> Mapping[str, int]:
        return self._receipts.sold_on(mark)

    def sheet(self, receipt: str) -> Sheet | None:
        return self._receipts.sheet(receipt)

    def shown(self, receipt: str, printer: str) -> Sheet | None:
        """Return what a printer's newest sheet of a receipt shows, None when it has none."""
        return self._jobs.shown(self._receipts.number(receipt, ""), printer)

    def group(self, sku: str) -> str | None:
        """Return a SKU's item group, None when the catalogue has none."""
        return self._shelf.group(sku)

    def printers(self) -> list[Printer]:
        return JobReader(self._sql).printers(self.now_ms)

    def expiring(self, opened_before_ms: int) -> list[tuple[str, int]]:
        return self._receipts.expiring(opened_before_ms)

    # --- what can be recorded ----------------------------------------------------------------------------------------

    def apply(self, device: str, epoch: str, head: Head, operation: Operation, when: When, outcome: Outcome) -> int:
        """Record an operation with all that it changes; return its revision."""
        body = operation.body
        rev = self._commit(device, epoch, head, operation=operation, when=when)
        if head.tag is None or isinstance(body, Receipt):
            self._sql("INSERT INTO body VALUES (?, ?, NULL)", (rev, head.encoded()))
        for n, effect in enumerate(outcome.effects):
            self._shelf.enter(rev, n, effect)
        if outcome.item is not None:
            self._shelf.keep_item(rev, outcome.item)
        if outcome.count is not None:
            is_anchor = any(effect.is_anchor for effect in outcome.effects)
            self._shelf.keep_count(rev, outcome.count, is_anchor=is_anchor)
        if outcome.receipt is not None:
            self._receipts.keep(rev, outcome.receipt)
        if isinstance(body, Receipt):
            self._receipts.keep_marks(body.receipt, outcome.marks)
        self._receipts.keep_returned(outcome.returned)
        if outcome.acknowledged is not None:
            self._notices.acknowledge(outcome.acknowledged, rev)
        for alert in outcome.alerts:
            self._notices.put(alert, rev)
        return rev

    def reject(self, device: str, epoch: str, head: Head, error: Rejected) -> int:
        """Record an operation as rejected, with its bytes and the reason; return its revision."""
        rev = self._commit(device, epoch, head, code=error.code)
        self._sql("INSERT INTO body VALUES (?, ?, ?)", (rev, head.encoded(), error.detail))
        return rev

    def repeat(self, device: str, epoch: str, head: Head, same_as: int) -> int:
        """Record that an operation was committed in an earlier epoch; its new name changes nothing else."""
        return self._commit(device, epoch, head, same_as=same_as)

    def fork(self, device: str, epoch: str, parents: tuple[str, ...]) -> None:
        """Close the epochs that a new one comes from, also those that this ledger has never met."""
        for parent in parents:
            if parent != epoch:
                self._sequences.close(device, parent)

    def cover(self, covered: Covered) -> None:
        """Let a device be told how far the kept backups cover one of its epochs."""
        self._sequences.cover(covered)

    def quarantine(self, device: str, reason: str, size: int, head: bytes) -> None:
        self._notices.quarantine(self._sequences.device(device), reason, size, head)

    def queue(self, wanted: Wanted, receipt: str, device: str, stale_at_ms: int) -> None:
        """Queue a sheet of a receipt. device: who hears what becomes of it."""
        self._jobs.queue(wanted, self._receipts.number(receipt, ""), device, stale_at_ms)

    def cancel_jobs(self, receipt: str, reason: str, *, is_cooked: bool) -> None:
        """Cancel a receipt's jobs that have not begun. is_cooked: but for those of the stations."""
        for alert in self._jobs.cancel(self._receipts.number(receipt, ""), reason, is_cooked=is_cooked):
            self.put_alert(alert)

    def change_paper(self, change: PaperChange) -> str:
        """Do what the spool or a person says of a job; return why it is not done, "" when it is."""
        verdict, said = self._jobs.change(change)
        for alert in said:
            self.put_alert(alert)
        return verdict

    def put_alert(self, alert: Raised | Cleared) -> None:
        self._notices.put(alert, self._rev)

    # --- the end ------------------------------------------------------------------------------------------------------

    def write(self) -> bool:
        """Write what stayed in memory. Returns whether the turn's own time is kept with it."""
        self._sequences.write()
        self._shelf.write()
        if self._rev == self._since:
            return False
        self._sql("INSERT INTO turn VALUES (?, ?, ?, ?)", (self._rev, self._run, self.now_ms, self._wall_ms))
        return True

    def committed(self) -> Committed:
        """Return what this turn has changed."""
        return Committed(
            self._since,
            self._rev,
            self._shelf.balances(),
            self._shelf.items(),
            self._notices.changed(),
            self._jobs.changed(),
            self._jobs.printers(),
        )

    def _commit(
        self,
        device: str,
        epoch: str,
        head: Head,
        *,
        operation: Operation | None = None,
        when: When | None = None,
        code: str | None = None,
        same_as: int | None = None,
    ) -> int:
        """Record an operation's identity under the next revision, and move its epoch on."""
        into = self._sequences.advance(device, epoch, head, is_rejected=code is not None)
        self._rev += 1
        stamp = operation.stamp if operation else None
        at_ms, at_offset_s = _wall(operation.at if operation else None)
        self._sql(
            "INSERT INTO txn VALUES (?, ?, ?, ?, ?, (SELECT id FROM run WHERE run = ?), ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                self._rev,
                into.id,
                head.seq,
                tag_to_integer(head.tag),
                self._words.id(head.kind),
                stamp.run if stamp else None,
                when.shop_ms if when else self.now_ms,
                when.seen if when else 0,
                when.is_uncertain if when else False,
                at_ms,
                at_offset_s,
                self._receipt_number(operation),
                None if code is None else self._words.id(code),
                same_as,
            ),
        )
        return self._rev

    def _receipt_number(self, operation: Operation | None) -> int | None:
        match operation and operation.body:
            case Receipt(receipt=receipt, kind=kind):
                return self._receipts.number(receipt, kind)
            case Expire(receipt=receipt) | PrintCopy(receipt=receipt):
                return self._receipts.number(receipt, "")
            case _:
                return None


def _wall(at: str | None) -> tuple[int | None, int | None]:
    """A device's own time as milliseconds since 1970 and its offset in seconds."""
    if at is None:
        return None, None
    said = datetime.fromisoformat(at)
    offset = said.utcoffset()
    assert offset is not None, "the contract takes no time without an offset"
    return round(said.timestamp() * 1000), round(offset.total_seconds())
