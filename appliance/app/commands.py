"""What the control socket answers to the commands that a person types."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from threading import Lock
from typing import Any

from appliance.app.orders import NotCommitted, Put, Verdict, all_committed, within
from appliance.app.overview import Running
from appliance.app.printers import Printer
from appliance.contract.limits import SEQ_MAX
from appliance.contract.paper import Cancel, PaperChange, Retry, SamplePage, printer_row
from appliance.control import ControlError, Handler, Rows
from appliance.coordinator import Coordinator
from appliance.ledger import report
from appliance.ledger.database import DISK_FAULTS, DiskFault, LedgerError
from appliance.ledger.reader import Reader

HOLD_S = 10
"""How long a command waits for a printer to end its sheet: the longest prints in 4 s."""

HELD_MAX_S = 600
"""For how long a command may have a printer at once; it asks anew while it is at work."""

_RECORDED = ("item", "count")

ORDER_S = 20
"""How long a command waits for its own commit; less than the command waits for its answer."""


@contextmanager
def answering(readers: "Readers", running: Running, changes: Mapping[str, Handler]) -> Iterator[Mapping[str, Handler]]:
    """Make ready to answer one caller of the control socket. changes: what is answered to one at a time.

    Raises ControlError when the ledger cannot be read.
    """
    with readers.one() as reader:
        yield {**handlers(reader, running), **changes}


def handlers(reader: Reader, running: Running) -> dict[str, Handler]:
    """What is answered to several callers at once. reader: nobody else's meanwhile."""
    run, clock, coordinator = running.run, running.clock, running.coordinator

    def status(_: dict[str, Any]) -> Rows:
        yield running.row(reader)

    def acknowledge(request: dict[str, Any]) -> Rows:
        for row in report.alerts(reader):
            if row["alert"] == request["alert"]:
                acknowledge_alert(coordinator, row["alert"])
                yield {**row, "status": "acknowledged"}

    def printers(_: dict[str, Any]) -> Rows:
        for printer in reader.jobs.printers(clock.shop_ms()):
            yield printer_row(printer)

    def queue(_: dict[str, Any]) -> Rows:
        return report.jobs(reader)

    def change(change: PaperChange) -> Rows:
        if verdict := _ordered(partial(coordinator.change_paper, change)):
            raise ControlError(verdict)
        yield from ()

    return {
        "printers": printers,
        "print-queue": queue,
        "print-retry": lambda request: change(Retry(_job(request), str(request["on"]))),
        "print-cancel": lambda request: change(Cancel(_job(request))),
        "print-test": lambda request: change(SamplePage(str(request["printer"]))),
        "status": status,
        "balance": lambda request: report.balances(reader, request.get("sku")),
        "newest": lambda request: report.newest(reader, int(request["since"]), int(request["limit"])),
        "receipts": lambda request: report.receipts(reader, str(request["name"])),
        "search": lambda request: report.search(reader, str(request["text"]), int(request["limit"])),
        "explain": lambda request: report.history(reader, request["sku"]),
        "alerts": lambda _: report.alerts(reader, coordinator.standing_alerts()),
        "acknowledge": acknowledge,
        "catalogue": lambda _: report.catalogue(reader),
        "movements": lambda _: report.movements(reader),
        "moment": lambda _: iter([{"run": run, "shop_ms": clock.shop_ms(), "rev": reader.last_rev}]),
        "record": lambda request: record(coordinator, request["operations"]),
    }


def printer_handlers(printers: Sequence[Printer]) -> dict[str, Handler]:
    """What a command that sets a printer up wants of its thread."""
    threads = {printer.name: printer for printer in printers}

    def hold(request: dict[str, Any]) -> Rows:
        """Let a command have a printer's unit for `seconds`; no row when this run has no such printer."""
        if (printer := threads.get(request["printer"])) is None:
            return
        held_s = request["seconds"]
        if not (isinstance(held_s, int | float) and 0 < held_s <= HELD_MAX_S):
            raise ControlError(f"{held_s!r:.40} seconds: a printer is held for at most {HELD_MAX_S}")
        if not printer.hold(held_s, HOLD_S):
            raise ControlError(
                f"{printer.name} is in the middle of a sheet: see that it has paper and its cover is closed, or switch "
                "it off and on, and begin again"
            )
        yield {"printer": printer.name}

    def resume(request: dict[str, Any]) -> Rows:
        """Let a printer go on by what was learned meanwhile; no row when this run has no such printer."""
        if printer := threads.get(request["printer"]):
            printer.resume()
            yield {"printer": printer.name}

    return {"printer-hold": hold, "printer-resume": resume}


def one_at_a_time(handlers: Mapping[str, Handler]) -> dict[str, Handler]:
    """Return handlers of which no two are at work at once: they change what cannot be changed by two."""
    turn = Lock()

    def in_turn(handler: Handler, request: dict[str, Any]) -> Rows:
        with turn:
            rows = list(handler(request))
        yield from rows

    return {do: partial(in_turn, handler) for do, handler in handlers.items()}


class Readers:
    """The ledger's Readers for whoever asks: one is always open, and more while several ask at once."""

    def __init__(self, read: Callable[[], Reader]) -> None:
        self._read = read
        self._lock = Lock()
        self._idle: Reader | None = read()

    @contextmanager
    def one(self) -> Iterator[Reader]:
        """Raises ControlError when the ledger cannot be read."""
        with self._lock:
            idle, self._idle = self._idle, None
        try:
            reader = idle or self._read()
            try:
                yield reader
            finally:
                with self._lock:
                    spare, self._idle = self._idle, reader
                if spare is not None:
                    spare.close()
        except (LedgerError, DiskFault, *DISK_FAULTS) as error:
            raise ControlError(f"the ledger cannot be read: {error}") from error

    def close(self) -> None:
        if self._idle is not None:
            self._idle.close()


def _job(request: dict[str, Any]) -> int:
    """Return the number of a job. What is no number of any must not reach the ledger, whose integers have 64 bits."""
    job = request["job"]
    if not (isinstance(job, int) and 1 <= job <= SEQ_MAX):
        raise ControlError(f"{job!r} is no number of a job: `printer queue` shows them")
    return job


def acknowledge_alert(coordinator: Coordinator, alert: str) -> None:
    """Have an alert acknowledged for a person. Raises ControlError when it is refused, or takes too long."""
    operation: dict[str, object] = {"type": "alert", "alert": alert, "status": "acknowledged"}
    rejected = _ordered(partial(coordinator.order, operation))
    if rejected is not None:
        raise ControlError(rejected.detail)


def record(coordinator: Coordinator, operations: Sequence[dict[str, object]]) -> Rows:
    """Have items and counts of a sheet committed. Yields `{"index": …, "code": …, "detail": …}` of those rejected.

    Raises ControlError for other operations, before any is committed, or when it takes too long.
    """
    if not all(operation.get("type") in _RECORDED for operation in operations):
        raise ControlError(f"only {' and '.join(_RECORDED)} are recorded by a command")
    verdicts = _all_ordered([partial(coordinator.order, operation) for operation in operations])
    for index, rejected in enumerate(verdicts):
        if rejected is not None:
            yield {"index": index, "code": rejected.code, "detail": rejected.detail}


def _ordered(put: Put[Verdict]) -> Verdict:
    [verdict] = _all_ordered([put])
    return verdict


def _all_ordered(puts: Sequence[Put[Verdict]]) -> list[Verdict]:
    try:
        return all_committed(puts, is_given_up=within(ORDER_S))
    except NotCommitted:
        raise ControlError(
            f"it was not committed within {ORDER_S} s, and may be yet: look in the log whether the disk fails"
        ) from None
