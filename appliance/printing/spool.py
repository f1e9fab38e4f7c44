"""The spool of one printer: takes its queue's first job to the driver, and has written down how that ended.

    ledger ──next──▶ Spool.step ──sheet──▶ driver ──▶ paper
       ▲                │ Begin, before the first byte; End, after the last
       └── one commit ◀─┘

One job is on its way at a time. The invariants: `printing` is on the disk before the first byte leaves, so that whoever
starts after a crash knows of the doubt; and what may have been printed is printed again only as a copy that says so.
A thread calls `step` and waits as long as it says. Nobody in the shop waits for this thread.
"""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Protocol

from appliance.contract.paper import Begin, End, Job, JobState, Material, PaperChange, Seen, Unmade
from appliance.printing.driver import Doubtful, Level, NotReady, Printed
from appliance.printing.status import PrinterState, PrinterStatus

RETRY_S = 2.0
"""How soon a printer that was not ready is tried again: a person has put the paper in and looks at it."""

IDLE_S = 10.0
"""How often a printer without a job is asked how it is, so that a till sees before the guest waits."""

RESTS_S = (5.0, 20.0, 60.0)
"""How long a printer is left alone after one sheet in doubt, two in a row, more: it may be about to come back, and a
weak power supply or a full disk would make waste of the whole queue in seconds."""

_MARKER_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_MARKER_LETTERS = 4
_MARKERS = len(_MARKER_DIGITS) ** _MARKER_LETTERS
"""1.7 million: years of a shop's sheets until a marker comes again."""


class Jobs(Protocol):
    """Where the jobs are; the ledger's `JobReader` satisfies it."""

    def next(self, printer: str) -> Job | None:
        """The job that a printer's queue begins with."""
        ...

    def begun(self, printer: str) -> list[int]:
        """The jobs whose first byte may have left, and that nobody has ended."""
        ...

    def material(self, job: int) -> Material:
        """What is on a job's sheet."""
        ...


class Printing(Protocol):
    """A printer; `driver.Driver` is one."""

    def status(self) -> PrinterStatus: ...
    def send(self, job: bytes, marker: bytes, *, began: Callable[[], None]) -> Printed: ...


class _Withdrawn(Exception):
    """The job is no longer to be printed, which its begin has shown."""


class Spool:
    """commit: has a change committed, and returns why it was not done, or "" when it is on the disk.

    sheet: a job's bytes. clock: seconds. entropy: as `random.randrange`; where the markers begin, so that a restart
    repeats none soon.
    """

    def __init__(
        self,
        printer: str,
        *,
        jobs: Jobs,
        driver: Printing,
        sheet: Callable[[Job, Material], bytes],
        commit: Callable[[PaperChange], str],
        clock: Callable[[], float],
        entropy: Callable[[int], int],
    ) -> None:
        self._printer = printer
        self._jobs = jobs
        self._driver = driver
        self._sheet = sheet
        self._commit = commit
        self._clock = clock
        self._marker = entropy(_MARKERS)
        self._failures = 0
        self._rests_until_s = clock()
        self._shown: PrinterStatus | None = None

    def begin(self) -> None:
        """End in doubt what the process before this one had begun. To be called once, before the first step."""
        for job in self._jobs.begun(self._printer):
            self._commit(End(job, JobState.DOUBTFUL, "the box stopped in the middle of it"))

    def step(self) -> float:
        """Print the queue's first job, if there is one and the printer is ready; return seconds until the next step."""
        if (rest_s := self.rest_s()) > 0:
            return rest_s
        job = self._jobs.next(self._printer)
        if job is None:
            self.show(self._driver.status())
            return IDLE_S
        sheet = self._made(job)
        marker = self._next_marker()
        try:
            printed = self._driver.send(sheet, marker.encode(), began=partial(self._began, job.id, marker))
        except _Withdrawn:
            return 0
        except NotReady as why:
            self.show(why.status)
            return RETRY_S
        except Doubtful as why:
            self._commit(End(job.id, JobState.DOUBTFUL, why.reason))
            return self._rest(why.reason)
        self._failures = 0
        self._commit(End(job.id, JobState(printed.level.value)))
        if self._shown is None or self._shown.state is not PrinterState.READY:
            self.show(self._driver.status())
        return 0

    def print_aside(self, sheet: bytes, began: Callable[[], None]) -> Level:
        """Print a sheet that is no job, between two that are. began: as of the driver. Raises NotReady or Doubtful."""
        return self._driver.send(sheet, self._next_marker().encode(), began=began).level

    def rest_s(self) -> float:
        """Return for how many seconds the printer is still left alone, because its last sheet is in doubt."""
        return max(0.0, self._rests_until_s - self._clock())

    def _rest(self, reason: str) -> float:
        self._failures += 1
        rest_s = RESTS_S[min(self._failures, len(RESTS_S)) - 1]
        self._rests_until_s = self._clock() + rest_s
        if self._failures > 1:
            what = f"{self._failures} sheets in a row did not come out: {reason}"
            self.show(PrinterStatus(PrinterState.STALLED, what))
        return rest_s

    def show(self, status: PrinterStatus) -> None:
        """Have it known how the printer is; the driver calls this too, while it waits."""
        if status != self._shown:
            self._shown = status
            self._commit(Seen(self._printer, status.state.value, status.reason, status.paper_low))

    def _made(self, job: Job) -> bytes:
        """Return a job's sheet. A fault of our own ends the process; that it was this job's is written down first."""
        material = self._jobs.material(job.id)
        with ExitStack() as unless_made:
            unless_made.callback(self._commit, Unmade(job.id))
            sheet = self._sheet(job, material)
            unless_made.pop_all()
        return sheet

    def _began(self, job: int, marker: str) -> None:
        if self._commit(Begin(job, self._printer, marker)):
            raise _Withdrawn

    def _next_marker(self) -> str:
        number = self._marker = (self._marker + 1) % _MARKERS
        letters = ""
        for _ in range(_MARKER_LETTERS):
            number, digit = divmod(number, len(_MARKER_DIGITS))
            letters = _MARKER_DIGITS[digit] + letters
        return letters
