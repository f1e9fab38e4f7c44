"""The shop on the box: its service, its ledger, the copies of it, its printers, and what a person must know."""

from collections.abc import Iterator
from typing import Any

from appliance import __version__
from appliance.app.printers import capabilities
from appliance.app.setups import printers_in_force
from appliance.cli.checks.finding import Finding, failed, ok, warning
from appliance.clock import wall_ms
from appliance.control import ControlError, NotRunning, ask
from appliance.ledger.backup import Backup, BackupError, read_backup
from appliance.ledger.database import DiskFault, LedgerError
from appliance.ledger.medium import Medium
from appliance.ledger.reader import Reader
from appliance.printing.driver import Driver
from appliance.printing.learned import WrongFile
from appliance.printing.status import PrinterState
from appliance.printing.transport.address import BadUrl
from appliance.settings import PrinterSettings, Settings, variable
from appliance.till.freshness import span

_COPY_IS_OLD_S = 2 * 24 * 3600
"""The box makes a copy every day on which something was sold."""

Row = dict[str, Any]


def look_at_service(settings: Settings) -> tuple[Row | None, Finding]:
    """Return what the running coordinator says of the box, None when none answers, and what that means."""
    try:
        [row] = ask(settings.data_dir, "status")
    except NotRunning:
        remedy = "sudo systemctl restart stock-coordinator; why it ended: journalctl -u stock-coordinator -n 50"
        return None, failed("service", f"no coordinator runs with its data in {settings.data_dir}", remedy)
    except ControlError as error:
        remedy = "run this as the service's own user, or with sudo; else restart the service"
        return None, failed("service", str(error), remedy)
    if row["version"] != __version__:
        found = f"version {row['version']} runs, and {__version__} is installed"
        return row, warning("service", found, "restart the service")
    return row, ok("service", f"runs for {span(row['up_s'])}")


def look_at_ledger(settings: Settings) -> tuple[int | None, Finding]:
    """Return the wall clock of the newest commit of any device, None when there is none to be had, and how it is.

    It is whole as far as SQLite can tell; that takes all of its file to be read.
    """
    try:
        reader = Reader(settings.data_dir)
    except (LedgerError, DiskFault) as error:
        found, _, remedy = str(error).rpartition(": ")
        return None, failed("ledger", found, remedy)
    try:
        if damage := reader.damage():
            remedy = "stop the service, and put a copy into its place: stock-coordinator backup restore FILE"
            return None, failed("ledger", f"it is damaged: {damage}", remedy)
        newest_ms = max((commit.wall_ms for commit in reader.last_commits()), default=None)
        return newest_ms, ok("ledger", f"revision {reader.last_rev}; stock-coordinator verify derives all of it anew")
    finally:
        reader.close()


def check_backup(settings: Settings) -> Iterator[Finding]:
    """Whether there is a copy for the day on which the card fails."""
    if settings.backup.dir is None:
        remedy = f"put a stick in, and set {variable('backup', 'dir')} to where it is mounted"
        yield warning("backup", "no copies are made, and a card that fails takes the ledger with it", remedy)
        return
    medium = Medium(settings.backup.dir, settings.shop, settings.data_dir)
    if fault := medium.fault():
        found, _, remedy = fault.rpartition(": ")
        yield failed("backup", found or fault, remedy)
        return
    newest: Backup | None = None
    for path in medium.copies():
        try:
            newest = read_backup(path)
        except BackupError as error:
            yield warning("backup", str(error), f"remove {path}")
    if newest is None:
        yield warning("backup", "there is no copy yet", "the service makes one within minutes of a sale")
    elif (age_s := (wall_ms() - newest.made_ms) // 1000) > _COPY_IS_OLD_S:
        remedy = "see why in the service's log, or make one now: stock-coordinator backup make FILE"
        yield warning("backup", f"the newest copy is {span(age_s)} old", remedy)
    else:
        yield ok("backup", f"{span(max(age_s, 0))} old, through revision {newest.rev}")


def check_printers(settings: Settings, row: Row | None) -> Iterator[Finding]:
    """Whether each printer prints. row: what the running coordinator says; without it the printers are asked here."""
    try:
        printers = printers_in_force(settings)
    except WrongFile as error:
        yield failed("printer", str(error), "stock-coordinator printer setup")
        return
    if not printers:
        yield ok("printer", "none is set up; with one at hand: stock-coordinator printer setup")
    shown = {} if row is None else {printer["printer"]: printer for printer in row["printers"]}
    for name, printer in printers.items():
        if name in shown:
            state, reason = shown[name]["state"], shown[name]["reason"] or ""
            waits = f", {shown[name]['queued']} sheets wait" if shown[name]["queued"] else ""
        else:
            state, reason = _asked(printer)
            waits = ""
        yield _printer(name, state, reason, waits)


def _asked(printer: PrinterSettings) -> tuple[str, str]:
    try:
        driver = Driver(printer.url, capabilities=capabilities(printer), changed=lambda status: None)
    except BadUrl as error:
        return PrinterState.OFFLINE, str(error)
    status = driver.status()
    driver.close()
    return status.state, status.reason


def _printer(name: str, state: str, reason: str, waits: str) -> Finding:
    found = f"{name} is {state}{waits}"
    if state == PrinterState.READY:
        return ok("printer", found)
    remedies = {
        PrinterState.PAPER_OUT: "put paper in",
        PrinterState.COVER_OPEN: "close its cover",
        PrinterState.STALLED: "switch it off and on",
        PrinterState.UNKNOWN: f"print a page: stock-coordinator printer test {name}",
    }
    by_default = "see that it is on and its cable is in; if it was replaced: stock-coordinator printer setup"
    remedy = remedies.get(PrinterState(state), by_default)
    verdict = warning if state == PrinterState.UNKNOWN else failed
    return verdict("printer", f"{found}: {reason}" if reason else found, remedy)


def check_alerts(row: Row | None) -> Iterator[Finding]:
    """What the running coordinator has for a person."""
    if row is None:
        return
    if alerts := row["alerts"]:
        yield warning(
            "alerts", f"{len(alerts)} stand, the first: {alerts[0]['summary']}", "stock-coordinator alert list"
        )
    else:
        yield ok("alerts", "there is none")
