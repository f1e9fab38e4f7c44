"""Paper: what becomes of a print job, as the wire says it and as the parts tell each other.

The coordinator queues what an operation wants in the operation's own transaction, the spool prints it, and every change
of a job or a printer is a `PaperChange` that the coordinator's turn commits, for there is one writer. A state here is
what is on disk.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from appliance.stock.operation import PrintCopy, Receipt


class JobState(StrEnum):
    """queued → printing → confirmed, fenced, delivered or doubtful; cancelled, skipped-stale and failed from queued.

    `cancelled` from printing and doubtful, too: nobody knows whether it is on paper, and nobody wants it any more.
    """

    QUEUED = "queued"
    PRINTING = "printing"
    CONFIRMED = "confirmed"
    FENCED = "fenced"
    DELIVERED = "delivered"
    DOUBTFUL = "doubtful"
    CANCELLED = "cancelled"
    SKIPPED_STALE = "skipped-stale"
    FAILED = "failed"


class PrintOn(StrEnum):
    """When a receipt is printed, unless it says so itself."""

    OPEN = "open"
    PAID = "paid"
    ALL = "all"
    NONE = "none"


COPY, REPEAT = "copy", "repeat"
"""Headings of a sheet that is not the only one; the layout has words for them."""

STALE_ALWAYS_MS = -1
"""Shop time begins at 0: what is stale from before that is skipped at once."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """An operation that a sheet can show: its revision, and its JSON."""

    rev: int
    operation: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Said:
    """An operation, just committed, of which something may be printed. sheet: what there is to show of its receipt."""

    body: Receipt | PrintCopy
    sheet: Sheet


@dataclass(frozen=True, slots=True)
class Wanted:
    """A job to queue. skus: the lines of this printer's stations, None for all."""

    printer: str
    rev: int
    skus: tuple[str, ...] | None
    headings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Job:
    """One job as it is on the disk. receipt: None for a test page. device: who hears what becomes of it."""

    id: int
    printer: str
    receipt: str | None
    device: str
    state: JobState
    reason: str
    skus: tuple[str, ...] | None
    headings: tuple[str, ...]
    attempts: int
    copy_of: int | None
    queued_ms: int


@dataclass(frozen=True, slots=True)
class Before:
    """The sheet of the same receipt that a printer printed last. skus: as a job has them.

    is_doubtful: nobody knows whether it came out.
    """

    operation: Mapping[str, Any]
    skus: tuple[str, ...] | None
    is_doubtful: bool


@dataclass(frozen=True, slots=True)
class Material:
    """What is on a job's sheet. device: whose receipt it is. operation: None for a test page.

    happened_ms: the shop time of the operation.
    """

    device: str
    operation: Mapping[str, Any] | None
    happened_ms: int = 0
    before: Before | None = None


@dataclass(frozen=True, slots=True)
class Printer:
    """What is known of a printer and its queue.

    oldest_ms: how long its oldest job has waited. moved_ms: the shop time at which its queue last moved, or began.
    """

    printer: str
    state: str
    reason: str
    is_paper_low: bool
    queued: int
    oldest_ms: int
    moved_ms: int


# --- what may happen to a job -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Begin:
    """The first byte is about to leave. Refused when the job no longer waits for this printer, or has become stale."""

    job: int
    printer: str
    marker: str


@dataclass(frozen=True, slots=True)
class End:
    """What became of a job that had begun."""

    job: int
    state: JobState
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Unmade:
    """The job's sheet cannot be made, by a fault of our own, which is about to end the process."""

    job: int


@dataclass(frozen=True, slots=True)
class Retry:
    """A person wants a job printed that was not, or nobody knows. on: another printer than its own; "" is its own."""

    job: int
    on: str = ""


@dataclass(frozen=True, slots=True)
class Cancel:
    """A person does not want a job printed any more."""

    job: int


@dataclass(frozen=True, slots=True)
class SamplePage:
    """A person wants to see a printer print."""

    printer: str


@dataclass(frozen=True, slots=True)
class Seen:
    """How a printer is now."""

    printer: str
    state: str
    reason: str
    is_paper_low: bool


@dataclass(frozen=True, slots=True)
class Installed:
    """Which printers there are in this run; nothing is known of them yet."""

    printers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """Time has passed: what waits has become older."""


PaperChange = Begin | End | Unmade | Retry | Cancel | SamplePage | Seen | Installed | Look


# --- what is said -----------------------------------------------------------------------------------------------------


def print_job(of: Job) -> bytes:
    return orjson.dumps(job_row(of))


def job_row(of: Job) -> dict[str, object]:
    return {
        "receipt": of.receipt,
        "job": of.id,
        "printer": of.printer,
        "state": of.state,
        "reason": of.reason or None,
    }


def stale_job(of: Job, rev: int) -> bytes:
    """A job that was skipped, as `stale` answers it. rev: of the operation that wanted it."""
    return orjson.dumps({**job_row(of), "device": of.device, "rev": rev})


def printer(of: Printer) -> bytes:
    return orjson.dumps(printer_row(of))


def printer_row(of: Printer) -> dict[str, object]:
    return {
        "printer": of.printer,
        "state": of.state,
        "reason": of.reason or None,
        "paper_low": of.is_paper_low,
        "queued": of.queued,
        "oldest_s": of.oldest_ms // 1000,
    }
