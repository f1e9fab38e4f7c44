"""The threads of the printers, each with its spool: a job goes from the ledger through here to the paper."""

import secrets
import time
from contextlib import suppress
from functools import partial

from appliance.app.orders import NotCommitted, committed
from appliance.app.refusal import CannotStart
from appliance.contract.paper import PaperChange
from appliance.coordinator import Coordinator
from appliance.ledger.reader import Reader
from appliance.printing.driver import Capabilities, Driver
from appliance.printing.jobs import PrintRules, Station
from appliance.printing.layout.receipt import Shop
from appliance.printing.layout.sheet import Paper
from appliance.printing.models import CannotPrint, find_model
from appliance.printing.sheets import Sheets
from appliance.printing.spool import Spool
from appliance.printing.template import WrongTemplate, load_template
from appliance.printing.transport.address import BadUrl
from appliance.settings import Answers, PrinterSettings, Settings

_LAST_COMMIT_S = 5.0
"""How long a printer's thread that is to stop waits for a disk that fails. What it then leaves begun is in doubt."""


def print_rules(settings: Settings) -> PrintRules:
    stations = [Station(name, frozenset(printer.groups)) for name, printer in settings.all_printers.items()]
    return PrintRules(tuple(stations), settings.precheck.print_on, settings.precheck.stale_s * 1000)


class Printer:
    """The thread of one printer: it calls the spool's step, and waits until there is something to do."""

    def __init__(
        self, name: str, printer: PrinterSettings, settings: Settings, coordinator: Coordinator, reader: Reader
    ) -> None:
        """Raises CannotStart when the printer cannot be as it is set up."""
        self.name = name
        self._coordinator = coordinator
        self._has_jobs = coordinator.has_jobs[name]
        self._stop_at_s: float | None = None
        paper = Paper(printer.width, printer.codepage)
        answers = printer.answers
        try:
            model = find_model(printer.profile)
            model.check_width(paper)
            if printer.table is None:
                model.table(paper.code_page)
            template = load_template(settings.precheck.template, paper)
            self._driver = Driver(
                printer.url,
                capabilities=Capabilities(
                    has_marker=answers is Answers.MARKER,
                    has_fence=answers is Answers.FENCE,
                    has_status=answers is not Answers.NOTHING,
                    codepage=paper.code_page,
                ),
                changed=lambda status: self._spool.show(status),
            )
        except (BadUrl, CannotPrint, WrongTemplate) as error:
            raise CannotStart(f"the printer {name!r}: {error}") from error
        shop = Shop(settings.shop_name or settings.shop, settings.shop_inn, settings.shop_address)
        self._spool = Spool(
            name,
            jobs=reader.jobs,
            driver=self._driver,
            sheet=Sheets(shop, paper, template, printer.profile, printer.table).sheet,
            commit=self._commit,
            entropy=secrets.randbelow,
        )

    def run(self) -> None:
        with suppress(NotCommitted):
            self._spool.begin()
            while self._stop_at_s is None:
                self._has_jobs.clear()
                wait_s = self._spool.step()
                if self._stop_at_s is None:
                    self._has_jobs.wait(wait_s)

    def stop(self) -> None:
        """End a job that is under way in doubt, and return when it is."""
        self._stop_at_s = time.monotonic() + _LAST_COMMIT_S
        self._has_jobs.set()
        self._driver.close()

    def _commit(self, change: PaperChange) -> str:
        verdict: str = committed(partial(self._coordinator.change_paper, change), is_given_up=self._is_given_up)
        return verdict

    def _is_given_up(self) -> bool:
        return self._stop_at_s is not None and time.monotonic() > self._stop_at_s
