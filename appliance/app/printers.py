"""The threads of the printers, each with its spool: a job goes from the ledger through here to the paper.

While a person sets a printer up, its thread holds the queue and lets go of the unit, so that the command has it alone.
"""

import logging
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue

from appliance.app.orders import NotCommitted, committed
from appliance.app.refusal import CannotStart
from appliance.app.setups import printers_in_force
from appliance.clock import ShopClock
from appliance.contract.paper import PaperChange
from appliance.contract.slip import Slip
from appliance.coordinator import Coordinator
from appliance.ledger.reader import Reader
from appliance.printing.driver import Capabilities, Doubtful, Driver, Level, NotReady
from appliance.printing.jobs import PrintRules, Station
from appliance.printing.layout.receipt import Shop
from appliance.printing.layout.sheet import Paper
from appliance.printing.learned import WrongFile
from appliance.printing.models import CannotPrint, find_model
from appliance.printing.sheets import Sheets
from appliance.printing.spool import Spool
from appliance.printing.status import PrinterState, PrinterStatus
from appliance.printing.template import WrongTemplate, load_template
from appliance.printing.transport.address import BadUrl, File, Terminal, parse_url
from appliance.printing.transport.file import check_file
from appliance.settings import Answers, PrinterSettings, Settings, is_journal

log = logging.getLogger(__name__)

_LAST_COMMIT_S = 5.0
"""How long a printer's thread that is to stop waits for a disk that fails. What it then leaves begun is in doubt."""

_TOLD_TO_ALL = PrinterStatus(
    PrinterState.OFFLINE, "what it prints goes to the system's journal, where a secret must not stand"
)
_HELD = PrinterStatus(PrinterState.OFFLINE, "it is being set up (stock-coordinator printer setup)")


def print_rules(settings: Settings, printers: Mapping[str, PrinterSettings]) -> PrintRules:
    stations = [Station(name, frozenset(printer.groups)) for name, printer in printers.items()]
    return PrintRules(tuple(stations), settings.precheck.print_on, settings.precheck.stale_s * 1000)


def shop_on_paper(settings: Settings) -> Shop:
    """Return who sells, as a sheet says it."""
    return Shop(settings.shop_name or settings.shop, settings.shop_inn, settings.shop_address)


def capabilities(printer: PrinterSettings) -> Capabilities:
    """Return what a unit can do, as its settings have it."""
    return Capabilities(
        has_marker=printer.answers is Answers.MARKER,
        has_fence=printer.answers is Answers.FENCE,
        has_status=printer.answers is not Answers.NOTHING,
        codepage=printer.codepage,
    )


class Printer:
    """The thread of one printer: it calls the spool's step, and waits until there is something to do."""

    def __init__(
        self,
        name: str,
        printer: PrinterSettings,
        settings: Settings,
        coordinator: Coordinator,
        reader: Reader,
        clock: ShopClock,
    ) -> None:
        """Raises CannotStart when the printer cannot be as it is set up."""
        self.name = name
        self._settings = settings
        self._coordinator = coordinator
        self._reader = reader
        self._clock = clock
        self._has_jobs = coordinator.has_jobs[name]
        self._stop_at_s: float | None = None
        self._held_until_s = 0.0
        self._is_let_go = threading.Event()
        self._is_learned = False
        self._slips: SimpleQueue[tuple[bytes, Future[Level]]] = SimpleQueue()
        self._is_over = False
        self._set_up(printer)

    def _set_up(self, printer: PrinterSettings) -> None:
        name, settings = self.name, self._settings
        paper = Paper(printer.width, printer.codepage)
        try:
            model = find_model(printer.profile)
            model.check_width(paper)
            if printer.table is None:
                model.table(paper.code_page)
            template = load_template(settings.precheck.template, paper)
            if isinstance(address := parse_url(printer.url), File):
                check_file(address, settings.data_dir)
            driver = Driver(
                printer.url,
                capabilities=capabilities(printer),
                changed=lambda status: self._spool.show(status),
            )
        except (BadUrl, CannotPrint, WrongTemplate) as error:
            raise CannotStart(f"the printer {name!r}: {error}") from error
        self._is_told_to_all = isinstance(address, Terminal) and is_journal()
        self._driver = driver
        self._sheets = Sheets(
            shop_on_paper(settings),
            paper,
            template,
            printer.profile,
            printer.table,
            settings.time_zone,
            self._clock.told_ms,
        )
        self._spool = Spool(
            name,
            jobs=self._reader.jobs,
            driver=driver,
            sheet=self._sheets.sheet,
            commit=self._commit,
            clock=time.monotonic,
            entropy=secrets.randbelow,
        )

    def run(self) -> None:
        with suppress(NotCommitted):
            self._spool.begin()
            while self._stop_at_s is None:
                self._has_jobs.clear()
                wait_s = self._step()
                if self._stop_at_s is None:
                    self._has_jobs.wait(wait_s)
        self._is_over = True
        self._refuse_slips()

    def stop(self) -> None:
        """End a job that is under way in doubt, and return when it is."""
        self._stop_at_s = time.monotonic() + _LAST_COMMIT_S
        self._has_jobs.set()
        self._driver.close()

    def hold(self, held_s: float, wait_s: float) -> bool:
        """Hold the queue, and let go of the unit for `held_s`; say whether it is let go of within `wait_s`."""
        self._is_let_go.clear()
        self._held_until_s = time.monotonic() + held_s
        self._has_jobs.set()
        if not (is_let_go := self._is_let_go.wait(wait_s)):
            self._held_until_s = 0.0
        return is_let_go

    def resume(self) -> None:
        """Go on, with what a set-up has learned meanwhile."""
        self._is_learned = True
        self._held_until_s = 0.0
        self._has_jobs.set()

    def print_slip(self, slip: Slip, *, is_shops: bool = False) -> "Future[Level]":
        """Have a slip printed between two sheets; its future fails with NotReady, or with Doubtful.

        It can be cancelled until the first byte leaves. is_shops: its token is the shop's password.
        """
        outcome: Future[Level] = Future()
        if self._is_told_to_all:
            outcome.set_exception(NotReady(_TOLD_TO_ALL))
            return outcome
        self._slips.put((self._sheets.slip(slip, is_shops=is_shops), outcome))
        self._has_jobs.set()
        if self._is_over:
            self._refuse_slips()
        return outcome

    def _step(self) -> float:
        """Do what is to be done, and return seconds until there may be more."""
        if (held_s := self._held_until_s - time.monotonic()) > 0:
            self._driver.release()
            self._spool.show(_HELD)
            self._is_let_go.set()
            self._refuse_slips()
            return held_s
        if self._is_learned:
            self._is_learned = False
            self._learn()
            return 0  # Whoever stops the box may have closed the driver before this one.
        self._print_slips()
        return self._spool.step()

    def _print_slips(self) -> None:
        for sheet, outcome in self._taken_slips():
            try:
                outcome.set_result(self._spool.print_aside(sheet, partial(_begin, outcome)))
            except Doubtful as why:
                outcome.set_exception(why)
            except NotReady as why:
                _refuse(outcome, why)
            except CancelledError:
                continue

    def _refuse_slips(self) -> None:
        why = NotReady(PrinterStatus(PrinterState.OFFLINE, "the service stops") if self._is_over else _HELD)
        for _, outcome in self._taken_slips():
            _refuse(outcome, why)

    def _taken_slips(self) -> "Iterator[tuple[bytes, Future[Level]]]":
        with suppress(Empty):
            while True:
                yield self._slips.get_nowait()

    def _learn(self) -> None:
        try:
            printer = printers_in_force(self._settings).get(self.name)
            if printer is not None:  # Else its file was removed, and there is no such printer from the next start on.
                self._driver.release()
                self._set_up(printer)
        except (CannotStart, WrongFile) as error:
            # The shop goes on as it was; whoever set the printer up reads the same at the next start.
            log.error("printer=%s goes on as it was reason=%r", self.name, str(error))

    def _commit(self, change: PaperChange) -> str:
        verdict: str = committed(partial(self._coordinator.change_paper, change), is_given_up=self._is_given_up)
        return verdict

    def _is_given_up(self) -> bool:
        return self._stop_at_s is not None and time.monotonic() > self._stop_at_s


def _begin(outcome: "Future[Level]") -> None:
    """Take from whoever waits the right to cancel. Raises CancelledError when that was used."""
    if not outcome.set_running_or_notify_cancel():
        raise CancelledError


def _refuse(outcome: "Future[Level]", why: NotReady) -> None:
    """Say that nothing was printed, to whoever has not given up waiting."""
    if outcome.set_running_or_notify_cancel():
        outcome.set_exception(why)
