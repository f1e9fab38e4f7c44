"""The whole box in one row of plain JSON values: what `status` and `watch` show, and scripts read.

A running coordinator answers with `running`; with the service down the commands make `stopped` of the ledger alone.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from appliance import __version__
from appliance.app.backups import Backups
from appliance.app.roster import Heard, tills
from appliance.clock import ShopClock
from appliance.contract.messages import Alert
from appliance.contract.paper import printer_row
from appliance.ledger import report
from appliance.ledger.reader import Reader
from appliance.settings import Settings


def running(
    reader: Reader,
    settings: Settings,
    run: str,
    clock: ShopClock,
    up_s: int,
    heard: Mapping[str, Heard],
    standing: Iterable[Alert],
    backups: Backups | None,
) -> dict[str, Any]:
    """up_s: since when it runs. standing: the alerts that are in no ledger."""
    return {
        "state": "running",
        "version": __version__,
        "shop": settings.shop,
        "run": run,
        "up_s": up_s,
        "clock": "synchronised" if clock.is_synchronised() else "estimated",
        "broker": settings.broker.mode,
        "port": settings.broker.port,
        **_of_ledger(reader, heard, standing),
        "backup": None if backups is None else backups.row(),
        "printers": [printer_row(printer) for printer in reader.jobs.printers(clock.shop_ms())],
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
