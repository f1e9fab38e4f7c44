"""Print jobs: queued with the operation that wants them, and moved on by what the spool and a person say.

`Jobs` is a part of a turn, `JobReader` what the spool and the commands read. The invariants: a job is `printing` on the
disk before its first byte leaves, it leaves that state once, and what nobody knows to be printed has one copy at most,
which says so on its head.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import orjson

from appliance.contract.paper import (
    REPEAT,
    Before,
    Begin,
    Cancel,
    End,
    Installed,
    Job,
    JobState,
    Look,
    Material,
    PaperChange,
    Printer,
    Retry,
    SamplePage,
    Seen,
    Sheet,
    Unmade,
    Wanted,
)
from appliance.ledger.history import Sql
from appliance.stock import alerts
from appliance.stock.alerts import Cleared, Raised
from appliance.stock.operation import Status

COPIES_MAX = 3
"""Copies of one sheet that are made without a person: a printer that loses four in a row will lose the fifth."""

FAILURES_MAX = 2
"""How often a sheet may end the process, so that one that cannot be made stops the others no longer than that."""

_JOB = (
    "SELECT print_job.id, print_job.printer, receipt.receipt, print_job.device, print_job.state, CASE WHEN "
    "print_job.state = 'queued' AND printer.printer IS NULL THEN 'its printer is not set up any more: retry it on "
    "another one, or cancel it' ELSE print_job.reason END, skus, headings, attempts, copy_of, queued_ms FROM print_job "
    "LEFT JOIN receipt ON receipt.id = print_job.receipt LEFT JOIN printer ON printer.printer = print_job.printer"
)
_OPEN = """print_job.state IN ('queued', 'printing', 'skipped-stale', 'failed') OR (print_job.state = 'doubtful'
    AND NOT EXISTS (SELECT 1 FROM print_job copy WHERE copy.copy_of = print_job.id))"""
_SHOWN = (
    "SELECT revision, operation, skus, state FROM print_job JOIN body USING (revision) "
    "WHERE receipt = ? AND printer = ? AND (attempts > 0 OR state = 'queued')"
)
"""What a printer shows of a receipt: it has begun it, or is to print it. What was skipped or cancelled nobody reads."""

_FAILED_REASON = "its sheet cannot be made, by a fault of this program: a retry tries it anew, best after an update"
_STALE_REASON = "it was too old to be printed unasked: a retry prints it"


class Jobs:
    """Print jobs as one turn sees and changes them. now_ms: shop time."""

    def __init__(self, sql: Sql, now_ms: int) -> None:
        self._sql = sql
        self._now_ms = now_ms
        self._reader = JobReader(sql)
        self._changed: dict[int, None] = {}
        self._printers: dict[str, None] = {}

    def queue(self, wanted: Wanted, receipt: int, device: str, stale_at_ms: int) -> None:
        """Queue a job, or skip it where its operation is too old already. receipt: its number in the ledger."""
        skus = None if wanted.skus is None else _texts(wanted.skus)
        what = (receipt, device, wanted.rev, skus, _texts(wanted.headings))
        self._insert(wanted.printer, what, copy_of=None, copies=0, stale_at_ms=stale_at_ms)

    def cancel(self, receipt: int, reason: str, *, is_cooked: bool) -> list[Raised | Cleared]:
        """What of a receipt has not begun is not printed; return what a person is told now.

        is_cooked: the stations are still to make what is on it.
        """
        waiting = "SELECT id FROM print_job WHERE receipt = ? AND state IN ('queued', 'failed')"
        if is_cooked:
            waiting += " AND skus IS NULL"
        jobs = [job for (job,) in self._sql(waiting, (receipt,)).fetchall()]
        return [alert for job in jobs for alert in self._end_waiting(job, reason)]

    def shown(self, receipt: int, printer: str) -> Sheet | None:
        """Return what a printer's newest sheet of a receipt shows: one that has begun, or still waits."""
        row = self._sql(f"{_SHOWN} ORDER BY id DESC LIMIT 1", (receipt, printer)).get
        return None if row is None else Sheet(row[0], orjson.loads(row[1]))

    def change(self, change: PaperChange) -> tuple[str, list[Raised | Cleared]]:
        """Do what the spool or a person says; return why it is not done ("" when it is), and what a person is told."""
        match change:
            case Begin(job, printer, marker):
                return self._begin(job, printer, marker), []
            case End(job, state, reason):
                return "", self._end(job, state, reason)
            case Unmade(job):
                return "", self._fail(job)
            case Retry(job, on):
                return self._retry(job, on)
            case Cancel(job):
                return self._cancel(job)
            case SamplePage(printer):
                return self._test(printer), []
            case Seen(printer, state, reason, is_paper_low):
                self._sql(
                    "UPDATE printer SET state = ?, reason = ?, is_paper_low = ? WHERE printer = ?",
                    (state, reason, is_paper_low, printer),
                )
                self._printers[printer] = None
            case Installed(printers):
                return "", self._install(printers)
            case Look():
                self._printers |= {one.printer: None for one in self._reader.printers(self._now_ms) if one.queued}
        return "", []

    def changed(self) -> list[Job]:
        """Return the jobs that this turn has changed, as they stand now."""
        return [self._job(job) for job in self._changed]

    def printers(self) -> list[Printer]:
        """Return the printers whose state or queue this turn has changed, as they stand now."""
        if not self._printers:
            return []  # As after most turns: looking would be one statement in seventeen.
        return [one for one in self._reader.printers(self._now_ms) if one.printer in self._printers]

    # --- the state machine --------------------------------------------------------------------------------------------

    def _install(self, printers: Iterable[str]) -> list[Raised | Cleared]:
        """Know the printers of this run, and tell of those that are gone, and of what still waits for them."""
        before = {printer for (printer,) in self._sql("SELECT printer FROM printer").fetchall()}
        self._sql("DELETE FROM printer")
        for printer in printers:
            self._sql("INSERT INTO printer VALUES (?, 'unknown', '', 0, ?)", (printer, self._now_ms))
            self._printers[printer] = None
        said: list[Raised | Cleared] = []
        for job, printer in self._sql("SELECT id, printer FROM print_job WHERE state = 'printing'").fetchall():
            if not self._is_installed(printer):
                said += self._end(job, JobState.DOUBTFUL, "the box stopped in the middle of it")
        waiting = self._sql("SELECT DISTINCT printer FROM print_job WHERE state = 'queued'").fetchall()
        left = before | {printer for (printer,) in waiting}
        return said + [alert for printer in sorted(left) for alert in self._missed(printer)]

    def _begin(self, job: int, printer: str, marker: str) -> str:
        state, of_printer, stale_at_ms = self._sql(
            "SELECT state, printer, stale_at_ms FROM print_job WHERE id = ?", (job,)
        ).get
        if state != JobState.QUEUED:
            return f"job {job} is {state}"
        if of_printer != printer:
            return f"job {job} is now the printer {of_printer}'s"
        if self._is_stale(stale_at_ms):
            self._set(job, JobState.SKIPPED_STALE, _STALE_REASON)
            return f"job {job} is stale"
        self._sql("UPDATE print_job SET marker = ?, attempts = attempts + 1 WHERE id = ?", (marker, job))
        self._set(job, JobState.PRINTING, "", has_moved=False)
        return ""

    def _end(self, job: int, state: JobState, reason: str) -> list[Raised | Cleared]:
        assert self._job(job).state is JobState.PRINTING, "only what has begun can end"
        self._set(job, state, reason)
        return [] if state is not JobState.DOUBTFUL else self._doubt(job, reason)

    def _doubt(self, job: int, reason: str) -> list[Raised | Cleared]:
        """Queue the one copy of a sheet that may have been printed, or ask for a person."""
        found = self._job(job)
        copies, stale_at_ms = self._sql("SELECT copies, stale_at_ms FROM print_job WHERE id = ?", (job,)).get
        if found.receipt is None:
            return []  # Who asked for a test page stands beside the printer.
        if unwanted := self._unwanted(job):
            self._set(job, JobState.CANCELLED, f"it may be on paper ({reason}), and is not repeated: it {unwanted}")
            return []
        if copies >= COPIES_MAX:
            return [alerts.print_given_up(found.printer, job, found.receipt, reason)]
        self._copy(job, copies + 1, stale_at_ms)
        return []

    def _fail(self, job: int) -> list[Raised | Cleared]:
        """A sheet has ended the process. The next time it is set aside, for the others wait behind it."""
        self._sql("UPDATE print_job SET failures = failures + 1 WHERE id = ?", (job,))
        failures = self._sql("SELECT failures FROM print_job WHERE id = ?", (job,)).get
        found = self._job(job)
        if failures < FAILURES_MAX or found.state is not JobState.QUEUED:
            return []
        self._set(job, JobState.FAILED, _FAILED_REASON)
        return [] if found.receipt is None else [alerts.print_failed(found.printer, job, found.receipt, _FAILED_REASON)]

    def _retry(self, job: int, on: str) -> tuple[str, list[Raised | Cleared]]:
        row = self._sql("SELECT state, printer, attempts FROM print_job WHERE id = ?", (job,)).get
        if row is None:
            return f"there is no job {job}", []
        state, printer, attempts = row
        if unwanted := self._unwanted(job):
            return f"job {job} {unwanted}", []
        if not self._is_installed(on or printer):
            return f"there is no printer {on or printer!r}: retry job {job} on another one (--on)", []
        match JobState(state):
            case JobState.QUEUED if on not in ("", printer):
                self._queue_anew(job, on)
                return "", self._missed(printer)
            case JobState.DOUBTFUL | JobState.CANCELLED if attempts:
                if (copy := self._copied_by(job)) is not None:
                    return f"job {job} is repeated by job {copy}", []
                self._copy(job, 1, None, on=on)
                return "", [Cleared("printer", alerts.print_job(job))]
            case JobState.CANCELLED | JobState.SKIPPED_STALE | JobState.FAILED:
                self._queue_anew(job, on or printer)
                return "", [Cleared("printer", alerts.print_job(job))]
            case JobState.QUEUED | JobState.PRINTING:
                return f"job {job} waits for its printer already", []
            case _:
                return f"job {job} is printed: ask for a copy of its receipt", []

    def _unwanted(self, job: int) -> str:
        """Return why a sheet would tell a guest or a cook what is true no more, "" when it would not."""
        row = self._sql(
            "SELECT receipt.id, receipt.state, sheet, printer, print_job.revision, skus FROM print_job "
            "JOIN receipt ON receipt.id = print_job.receipt WHERE print_job.id = ?",
            (job,),
        ).get
        if row is None:
            return ""  # A test page tells nobody anything.
        receipt, state, sheet, printer, rev, skus = row
        if state == Status.CANCELLED:
            return "is of a receipt that was cancelled"
        newer = "SELECT max(id) FROM print_job WHERE receipt = ? AND printer = ? AND revision > ?"
        if (newest := self._sql(newer, (receipt, printer, rev)).get) is not None:
            return f"is out of date: job {newest} shows its receipt as it is now"
        return "is out of date: ask for a copy of its receipt" if skus is None and sheet != rev else ""

    def _cancel(self, job: int) -> tuple[str, list[Raised | Cleared]]:
        state = self._sql("SELECT state FROM print_job WHERE id = ?", (job,)).get
        match state:
            case None:
                return f"there is no job {job}", []
            case JobState.QUEUED | JobState.SKIPPED_STALE | JobState.FAILED:
                return "", self._end_waiting(job, "a person cancelled it")
            case JobState.DOUBTFUL:
                if (copy := self._copied_by(job)) is not None:
                    return f"job {job} is repeated by job {copy}", []
                return "", self._end_waiting(job, "a person has looked whether it was printed")
            case _:
                return f"job {job} is {state}: only what waits or is in doubt can be cancelled", []

    def _end_waiting(self, job: int, reason: str) -> list[Raised | Cleared]:
        self._set(job, JobState.CANCELLED, reason)
        return [Cleared("printer", alerts.print_job(job)), *self._missed(self._job(job).printer)]

    def _test(self, printer: str) -> str:
        if not self._is_installed(printer):
            return f"there is no printer {printer!r}"
        self._insert(printer, (None, "", None, None, "[]"), copy_of=None, copies=0, stale_at_ms=None)
        return ""

    def _copied_by(self, job: int) -> int | None:
        """Return the copy of a doubtful job, None when nobody has wanted one yet."""
        row = self._sql("SELECT id FROM print_job WHERE copy_of = ?", (job,)).fetchone()
        return None if row is None else int(row[0])

    def _copy(self, job: int, copies: int, stale_at_ms: int | None, on: str = "") -> None:
        printer, *what, headings = self._sql(
            "SELECT printer, receipt, device, revision, skus, headings FROM print_job WHERE id = ?", (job,)
        ).get
        kept = [heading for heading in orjson.loads(headings) if heading != REPEAT]
        self._insert(
            on or printer, (*what, _texts((*kept, REPEAT))), copy_of=job, copies=copies, stale_at_ms=stale_at_ms
        )

    def _insert(
        self, printer: str, what: tuple[Any, ...], *, copy_of: int | None, copies: int, stale_at_ms: int | None
    ) -> None:
        """what: receipt, device, revision, skus and headings, as the table has them."""
        is_stale = self._is_stale(stale_at_ms)
        if not is_stale:
            self._begin_to_wait(printer)
        self._sql(
            "INSERT INTO print_job (printer, receipt, device, revision, skus, headings, state, reason, "
            "attempts, failures, copy_of, copies, queued_ms, stale_at_ms) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?, ?, ?, ?)",
            (
                printer,
                *what,
                JobState.SKIPPED_STALE if is_stale else JobState.QUEUED,
                _STALE_REASON if is_stale else "",
                copy_of,
                copies,
                self._now_ms,
                stale_at_ms,
            ),
        )
        self._changed[self._sql("SELECT last_insert_rowid()").get] = None
        self._printers[printer] = None

    def _queue_anew(self, job: int, printer: str) -> None:
        """A person wants the job: it waits from now on, and never becomes stale."""
        self._begin_to_wait(printer)
        self._sql(
            "UPDATE print_job SET printer = ?, failures = 0, stale_at_ms = NULL, queued_ms = ? WHERE id = ?",
            (printer, self._now_ms, job),
        )
        self._set(job, JobState.QUEUED, "", has_moved=False)

    def _missed(self, printer: str) -> list[Raised | Cleared]:
        """Return what a person is told of a printer that is gone: that sheets wait for it, or that none does any more.

        Of a printer that there is the coordinator says it.
        """
        self._printers[printer] = None
        if self._is_installed(printer):
            return []
        gone = alerts.printer_gone(printer)
        waits = self._sql("SELECT 1 FROM print_job WHERE printer = ? AND state = 'queued' LIMIT 1", (printer,)).get
        return [Cleared(gone.kind, gone.subject) if waits is None else gone]

    def _is_installed(self, printer: str) -> bool:
        return self._sql("SELECT 1 FROM printer WHERE printer = ?", (printer,)).get is not None

    def _begin_to_wait(self, printer: str) -> None:
        """A queue that was empty begins to wait now."""
        waits = "SELECT 1 FROM print_job WHERE printer = ? AND state IN ('queued', 'printing') LIMIT 1"
        if self._sql(waits, (printer,)).get is None:
            self._sql("UPDATE printer SET moved_ms = ? WHERE printer = ?", (self._now_ms, printer))

    def _set(self, job: int, state: JobState, reason: str, *, has_moved: bool = True) -> None:
        self._sql("UPDATE print_job SET state = ?, reason = ? WHERE id = ?", (state, reason, job))
        printer = self._job(job).printer
        if has_moved:
            self._sql("UPDATE printer SET moved_ms = ? WHERE printer = ?", (self._now_ms, printer))
        self._changed[job] = None
        self._printers[printer] = None

    def _is_stale(self, stale_at_ms: int | None) -> bool:
        return stale_at_ms is not None and stale_at_ms < self._now_ms

    def _job(self, job: int) -> Job:
        return _read(self._sql(f"{_JOB} WHERE print_job.id = ?", (job,)).get)


class JobReader:
    """Print jobs as one connection sees them; it satisfies the spool's store."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    def next(self, printer: str) -> Job | None:
        """Return the first job of a printer's queue."""
        row = self._sql(
            f"{_JOB} WHERE print_job.printer = ? AND print_job.state = 'queued' ORDER BY print_job.id LIMIT 1",
            (printer,),
        ).get
        return None if row is None else _read(row)

    def begun(self, printer: str) -> list[int]:
        """Return the jobs whose first byte may have left, and that nobody has ended."""
        found = self._sql("SELECT id FROM print_job WHERE printer = ? AND state = 'printing' ORDER BY id", (printer,))
        return [job for (job,) in found]

    def material(self, job: int) -> Material:
        """Return what is on a job's sheet."""
        row = self._sql(
            "SELECT device.name, operation, shop_ms, print_job.receipt, printer, revision FROM print_job "
            "JOIN txn USING (revision) JOIN epoch ON epoch.id = txn.epoch JOIN device ON device.id = epoch.device "
            "JOIN body USING (revision) WHERE print_job.id = ?",
            (job,),
        ).get
        if row is None:
            return Material("", None)
        device, operation, happened_ms, receipt, printer, rev = row
        shown = Material(device, orjson.loads(operation), happened_ms)
        before = self._sql(
            f"{_SHOWN} AND id < ? AND revision <> ? ORDER BY id DESC LIMIT 1", (receipt, printer, job, rev)
        ).get
        if before is None:
            return shown
        _, former, skus, state = before
        # Of what was in doubt and is not repeated nobody knows whether it came out.
        is_doubtful = state in (JobState.DOUBTFUL, JobState.CANCELLED)
        return replace(shown, before=Before(orjson.loads(former), _skus(skus), is_doubtful))

    def queue(self) -> Iterator[Job]:
        """Walk what a person may have to do with: what waits, what is doubtful without a copy, what was skipped."""
        return map(_read, self._sql(f"{_JOB} WHERE {_OPEN} ORDER BY print_job.id"))

    def of_receipt(self, receipt: str) -> Iterator[Job]:
        """Walk the jobs of a receipt, the oldest first."""
        return map(_read, self._sql(f"{_JOB} WHERE receipt.receipt = ? ORDER BY print_job.id", (receipt,)))

    def stale(self, since: int) -> Iterator[tuple[int, Job]]:
        """Walk the jobs that were skipped, with the revision of what wanted them, after a revision."""
        rows = self._sql(
            _JOB.replace("SELECT ", "SELECT print_job.revision, ", 1)
            + " WHERE print_job.state = 'skipped-stale' AND print_job.revision > ? "
            "ORDER BY print_job.revision, print_job.id",
            (since,),
        )
        return ((row[0], _read(row[1:])) for row in rows)

    def counts(self) -> list[tuple[str, JobState, int]]:
        """Return how many jobs each printer has in each state."""
        found = self._sql(
            "SELECT printer, state, count(*) FROM print_job GROUP BY state, printer ORDER BY printer, state"
        )
        return [(printer, JobState(state), count) for printer, state, count in found]

    def printers(self, now_ms: int) -> list[Printer]:
        """Return the printers of this run, with their queues as they stand at shop time `now_ms`."""
        rows = self._sql(
            "SELECT printer.printer, printer.state, printer.reason, is_paper_low, moved_ms, count(print_job.id), "
            "min(queued_ms) FROM printer LEFT JOIN print_job ON print_job.printer = printer.printer "
            "AND print_job.state IN ('queued', 'printing') GROUP BY printer.printer ORDER BY printer.printer"
        ).fetchall()
        return [_printer(row, now_ms) for row in rows]


def _printer(row: tuple[Any, ...], now_ms: int) -> Printer:
    printer, state, reason, is_paper_low, moved_ms, queued, oldest = row
    oldest_ms = 0 if oldest is None else now_ms - oldest
    return Printer(printer, state, reason, bool(is_paper_low), queued, oldest_ms, moved_ms)


def _read(row: tuple[Any, ...]) -> Job:
    job, printer, receipt, device, state, reason, skus, headings, attempts, copy_of, queued_ms = row
    return Job(
        job,
        printer,
        receipt,
        device,
        JobState(state),
        reason,
        _skus(skus),
        tuple(orjson.loads(headings)),
        attempts,
        copy_of,
        queued_ms,
    )


def _skus(skus: str | None) -> tuple[str, ...] | None:
    return None if skus is None else tuple(orjson.loads(skus))


def _texts(texts: Iterable[str]) -> str:
    return orjson.dumps(list(texts)).decode()
