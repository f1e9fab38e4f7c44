"""The whole box in one row of plain JSON values: what `status` and `watch` show, and scripts read.

A running coordinator answers with `Running.row`; with the service down the commands make `stopped` of the ledger alone.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from appliance import __version__
from appliance.app.backups import Backups
from appliance.app.roster import Heard, Roster, tills
from appliance.clock import ShopClock
from appliance.contract.messages import Alert
from appliance.contract.paper import printer_row
from appliance.coordinator import Coordinator
from appliance.ledger import report
from appliance.ledger.reader import Reader
from appliance.settings import Settings


@dataclass(frozen=True, slots=True)
class Running:
    """The parts of a running box that tell how it is. began_ms: since when it runs, in shop time."""

    settings: Settings
    run: str
    clock: ShopClock
    began_ms: int
    coordinator: Coordinator
    roster: Roster
    backups: Backups | None

    def row(self, reader: Reader) -> dict[str, Any]:
        """Return the row as of now. reader: the calling thread's own."""
        now_ms = self.clock.shop_ms()
        return {
            "state": "running",
            "version": __version__,
            "shop": self.settings.shop,
            "run": self.run,
            "up_s": (now_ms - self.began_ms) // 1000,
            "clock": "synchronised" if self.clock.is_synchronised() else "estimated",
            "broker": self.settings.broker.mode,
            "port": self.settings.broker.port,
            **_of_ledger(reader, self.roster.heard(), self.coordinator.standing_alerts()),
            "backup": None if self.backups is None else self.backups.row(),
            "printers": [printer_row(printer) for printer in reader.jobs.printers(now_ms)],
        }


def stopped(reader: Reader, settings: Settings) -> dict[str, Any]:
    """What the ledger holds. Of printers and copies only the coordinator knows."""
    return {"state": "stopped", "version": __version__, "shop": settings.shop, **_of_ledger(reader, {}, ())}


def _of_ledger(reader: Reader, heard: Mapping[str, Heard], standing: Iterable[Alert]) -> dict[str, Any]:
    return {
        **report.totals(reader),
        "tills": tills(heard, reader.last_commits()),
        "alerts": list(report.alerts(reader, standing)),
    }
