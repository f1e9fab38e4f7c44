"""A shop with printers, single-threaded: the real coordinator, ledger and spool, over a driver that a test scripts.

`say` commits receipts as a till would, `step` lets a printer's spool take one step, and `crash` is a kill -9: nothing
of the process is left but the disk.
"""

import math
from collections.abc import Callable, Iterator
from datetime import tzinfo
from pathlib import Path
from typing import Any

import orjson

from appliance.contract.paper import Cancel, Job, PaperChange, Retry
from appliance.printing.driver import Doubtful, Level, NotReady, Printed
from appliance.printing.jobs import PrintRules, Station
from appliance.printing.layout.receipt import Shop as Seller
from appliance.printing.layout.sheet import Paper
from appliance.printing.sheets import Sheets
from appliance.printing.spool import Printing, Spool
from appliance.printing.status import PrinterState, PrinterStatus
from appliance.printing.template import load_template
from tests.shop import Shop, message, operation

MINUTE_MS = 60_000
BARE = {"sku": ..., "qty": ..., "reason": ...}
READY = PrinterStatus(PrinterState.READY, "")
PAPER_OUT = PrinterStatus(PrinterState.PAPER_OUT, "put paper in")


def line(sku: str, qty: str = "1", **fields: Any) -> dict[str, Any]:
    return {"sku": sku, "name": f"Товар {sku}", "qty": qty, "price_minor": 1000, **fields}


class Crash(BaseException):
    """The process is killed."""


def rules(**more: Any) -> PrintRules:
    """The rules of a shop with one printer, unless `more` says otherwise."""
    return PrintRules(**{"stations": (Station("main"),)} | more)


class Scripted:
    """A driver whose next endings a test has written down; without one it confirms. sheets: what came out."""

    def __init__(self) -> None:
        self.endings: list[Level | BaseException] = []
        self.condition = READY
        self.sheets: list[str] = []
        self.markers: list[bytes] = []
        self.while_sending: Callable[[], None] = lambda: None

    def status(self) -> PrinterStatus:
        return self.condition

    def send(self, job: bytes, marker: bytes, *, began: Callable[[], None]) -> Printed:
        if self.condition.state is not PrinterState.READY:
            raise NotReady(self.condition)
        began()
        self.while_sending()
        self.markers.append(marker)
        ending = self.endings.pop(0) if self.endings else Level.CONFIRMED
        if isinstance(ending, BaseException):
            raise ending
        self.sheets.append(job.decode("cp866"))
        return Printed(ending)


class Press:
    """rules: of the shop. driver: makes a printer's driver, anew in every run. zone, wall_ms: as `Sheets` has them."""

    def __init__(
        self,
        directory: Path,
        printing: PrintRules | None = None,
        driver: Callable[[str], Printing] | None = None,
        zone: tzinfo | None = None,
        wall_ms: Callable[[int], int | None] = lambda shop_ms: None,
    ) -> None:
        self.shop = Shop(directory, printing=printing or rules())
        self.drivers: dict[str, Scripted] = {}
        self._zone, self._wall_ms = zone, wall_ms
        self._driver = driver or (lambda name: self.drivers[name])
        self._seqs: dict[str, int] = {}
        self.crash_on: Callable[[PaperChange, bool], bool] = lambda change, is_committed: False
        self.begin()

    @property
    def driver(self) -> Scripted:
        return self.drivers["main"]

    def begin(self) -> None:
        """What a new process does before anything else."""
        self._printers = self.shop.printing.printers
        self.drivers = {name: Scripted() for name in self._printers} | self.drivers
        self.shop.coordinator.install_printers()
        self.shop.coordinator.turn()
        paper = Paper(48)
        sheets = Sheets(Seller("Кафе"), paper, load_template(None, paper), zone=self._zone, wall_ms=self._wall_ms)
        self.spools = {
            name: Spool(
                name,
                jobs=self.shop.reader.jobs,
                driver=self._driver(name),
                sheet=sheets.sheet,
                commit=self.commit,
                clock=lambda: self.shop.clock.now_ms / 1000,
                entropy=lambda below: below - 2,
            )
            for name in self._printers
        }
        for spool in self.spools.values():
            spool.begin()

    def restart(self, printing: PrintRules | None = None) -> None:
        """Start anew, with other rules where they are given."""
        self.shop.printing = printing or self.shop.printing
        self.shop.restart()
        self.begin()

    def stop(self) -> None:
        self.shop.stop()

    def commit(self, change: PaperChange) -> str:
        """Have a change committed, unless the process is killed before that, or right after."""
        if self.crash_on(change, False):
            raise Crash
        verdicts: list[str] = []
        self.shop.coordinator.change_paper(change, verdicts.append)
        self.shop.coordinator.turn()
        if self.crash_on(change, True):
            raise Crash
        return verdicts[0]

    def say(self, device: str, **fields: Any) -> dict[str, Any]:
        """Let a device say an operation; return the ack."""
        seq = self._seqs[device] = self._seqs.get(device, 0) + 1
        epoch = f"epoch-of-device-{device}"
        return self.shop.say(device, message(operation(seq, **BARE | fields), epoch=epoch))

    def receipt(self, receipt: str, *lines: dict[str, Any], device: str = "A1", **fields: Any) -> None:
        """Let a device open a receipt, or do with it what `fields` say."""
        said = {"type": "receipt", "receipt": receipt, "kind": "sale", "status": "open", "number": f"N-{receipt}"}
        ack = self.say(device, **said | {"lines": list(lines) or [line("A")]} | fields)
        assert ack["rejected"] == []

    def step(self, printer: str = "main") -> float:
        return self.spools[printer].step()

    def drain(self, printer: str = "main") -> None:
        """Step until the printer has nothing more to do, or does not want to; it has its rests."""
        while (wait_s := self.step(printer)) == 0 or self.spools[printer].rest_s() > 0:
            self.shop.clock.now_ms += math.ceil(wait_s * 1000)

    def retry(self, job: int, on: str = "") -> str:
        return self.commit(Retry(job, on))

    def cancel(self, job: int) -> str:
        return self.commit(Cancel(job))

    def jobs(self) -> list[Job]:
        return list(self.shop.reader.jobs.queue())

    def states(self, device: str = "A1") -> list[str]:
        """What a device heard of its jobs, in order, as `job state`."""
        return [f"{said['job']} {said['state']}" for said in self.heard(f"device/{device}/print")]

    def heard(self, leaf: str) -> list[dict[str, Any]]:
        topic = self.shop.topics.root + leaf
        return [orjson.loads(payload) for said, payload in self.shop.link.log if said == topic]

    def printer(self, printer: str = "main") -> Any:
        return self.shop.retained(f"printer/{printer}")


def doubt() -> Doubtful:
    return Doubtful("the connection was lost")


def words(sheet: str) -> Iterator[str]:
    """The headings that a sheet has."""
    return (word for word in ("КОПИЯ", "ИЗМЕНЁН", "ПОВТОР") if word in sheet)
