"""`health`: whether the running box does its work, from one end to the other, without leaving a trace in the ledger.

    control socket ──▶ a visitor's token, for a moment ──TLS──▶ broker ──▶ coordinator ──▶ ledger, and back
    a sheet ──▶ queue ──▶ printer; or the same sheet as text, where no printer is ready

An update asks it before it lets a release stay. What only a person can mend, such as a printer without paper, is said
and is no failure: another release would not print either.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from appliance.app.printers import shop_on_paper
from appliance.cli import asking
from appliance.cli.config import Config, settings_from
from appliance.cli.failure import Failure
from appliance.contract.slip import parse_slip
from appliance.printing import text
from appliance.printing.layout.precheck import precheck
from appliance.printing.layout.sheet import Paper
from appliance.printing.sample import sample_precheck
from appliance.printing.template import WrongTemplate, load_template
from appliance.settings import Mode, Settings
from appliance.till import Till

LOG_IN_S = 30.0
"""A Pi makes the connection, the handshake and the log-in in under a second."""

PRINT_S = 30.0
"""The longest sheet prints in 4 s, and others may stand before it."""

_POLL_S = 0.1


def health(config: Config = None) -> None:
    """Log in as a device would, and print a sheet, or show that one could be printed.

    Example: stock-coordinator health
    """
    settings = settings_from(config)
    [status] = asking.running(settings.data_dir, "status")
    print(f"running: {status['version']}, revision {status['rev']}")
    print(_log_in(settings))
    for line in _print(settings):
        print(line)


def _log_in(settings: Settings) -> str:
    if settings.broker.mode is Mode.EXTERNAL:
        return "log-in: the broker is another's, and the coordinator is connected to it"
    if not settings.broker.tls_port:
        return "log-in: not tried, for TLS is off and a device's token needs it"
    directory = settings.data_dir
    [row] = asking.running(directory, "device-visit")
    slip = parse_slip(row["slip"])
    try:
        with (
            tempfile.TemporaryDirectory() as scratch,
            Till(
                host="127.0.0.1",
                port=slip.port,
                shop=slip.shop,
                device=slip.device,
                password=slip.token,
                sha256=slip.sha256,
                path=Path(scratch) / "outbox",
            ) as till,
        ):
            if not _within(LOG_IN_S, lambda: till.is_connected):
                raise Failure(f"log-in: no device comes in by TLS on port {slip.port}: {till.fault or 'no answer'}")
    finally:
        asking.running(directory, "device-remove", device=slip.device)
    return f"log-in: a device came in by TLS on port {slip.port}, and the coordinator answered it"


def _print(settings: Settings) -> list[str]:
    """Print a sheet on each printer that is ready; with none, make one as text. Return a line for each."""
    found = {row["printer"]: row for row in asking.running(settings.data_dir, "printers")}
    told = [_print_on(settings, name) for name, row in found.items() if row["state"] == "ready"]
    told += [f"printer {name}: {row['state']}" for name, row in found.items() if row["state"] != "ready"]
    if any(row["state"] == "ready" for row in found.values()):
        return told
    printer = next(iter(settings.named_printers.values()))
    paper = Paper(printer.width, printer.codepage)
    try:
        template = load_template(settings.precheck.template, paper)
    except WrongTemplate as error:
        raise Failure(f"sheet: {error}") from error
    shop = shop_on_paper(settings) if settings.shop_name else None
    lines = text.render(precheck(sample_precheck(template.language, shop), template), paper).count("\n")
    return [*told, f"sheet: a pre-check of {lines} lines could be printed"]


def _print_on(settings: Settings, printer: str) -> str:
    def row() -> dict[str, Any]:
        return next(row for row in asking.running(settings.data_dir, "printers") if row["printer"] == printer)

    asking.running(settings.data_dir, "print-test", printer=printer)
    if _within(PRINT_S, lambda: not row()["queued"]):
        return f"printer {printer}: a sheet came out"
    return f"printer {printer}: {row()['state']}, and the sheet waits"


def _within(limit_s: float, condition: Callable[[], bool]) -> bool:
    ends_s = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() >= ends_s:
            return False
        time.sleep(_POLL_S)
    return True
