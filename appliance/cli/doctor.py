"""`doctor`: finds what is wrong with a box, and says what to do, in the order in which a person would look.

It works with the service down, and then looks at what the service would look at. What it says is made in `checks`.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from textwrap import wrap

import typer
from rich.text import Text

from appliance.cli.checks import hardware, network, shop
from appliance.cli.checks.finding import Finding, Verdict, failed, ok
from appliance.cli.config import AsJson, Config
from appliance.cli.failure import NOT_WELL
from appliance.cli.overview import BAD, DOUBTFUL, GOOD
from appliance.cli.screen import legible, print_json, screen
from appliance.settings import WrongSettings, load_settings

_INDENT = 20
"""Columns of the verdict and of what was looked at, with the gaps behind them."""

_STYLES = {Verdict.OK: GOOD, Verdict.WARNING: DOUBTFUL, Verdict.FAILED: BAD}


def doctor(as_json: AsJson = False, config: Config = None) -> None:
    """Find what is wrong with the box, and say what to do. Exits with 4 when something does not work.

    Example: stock-coordinator doctor
    """
    console = screen()
    seen: Counter[Verdict] = Counter()
    for finding in examine(config):
        seen[finding.verdict] += 1
        if as_json:
            print_json(asdict(finding))
        else:
            console.print(_told(finding, console.width))
    if not as_json:
        console.print(_summary(seen))
    if seen[Verdict.FAILED]:
        raise typer.Exit(NOT_WELL)


def examine(config: Path | None) -> Iterator[Finding]:
    """Look at everything; with settings that cannot be used, at nothing else."""
    try:
        settings = load_settings(config)
    except WrongSettings as error:
        for line in str(error).splitlines():
            yield failed("settings", line, "correct it; stock-coordinator check-config shows them as they are in force")
        return
    yield ok("settings", "they can be used")
    row, finding = shop.look_at_service(settings)
    is_running = row is not None
    yield finding
    yield from network.check_address(settings)
    yield from network.check_ports(settings, is_running=is_running)
    yield from network.check_certificate(settings, is_running=is_running)
    newest_ms, ledger = shop.look_at_ledger(settings)
    yield from hardware.check_clock(newest_ms)
    yield from hardware.check_disk(settings)
    yield from hardware.check_heat(settings)
    yield ledger
    yield from shop.check_backup(settings)
    yield from shop.check_printers(settings, row)
    yield from shop.check_alerts(row)


def _told(finding: Finding, width: int) -> Text:
    """Return a finding with its remedy below it, no wider than the screen."""
    room = max(width - _INDENT, _INDENT)
    told = Text().append(f"{finding.verdict:8}", _STYLES[finding.verdict]).append(f"{finding.check:12}")
    told.append(f"\n{'':{_INDENT}}".join(wrap(legible(finding.found), room)))
    for line in wrap(f"→ {legible(finding.remedy)}", room) if finding.remedy else ():
        told.append(f"\n{'':{_INDENT}}{line}", "bold")
    return told


def _summary(seen: Counter[Verdict]) -> str:
    found = [f"{seen[verdict]} {word}" for verdict, word in _WORDS.items() if seen[verdict]]
    return f"\n{', '.join(found)}" if found else "\nnothing is wrong"


_WORDS = {Verdict.FAILED: "failed", Verdict.WARNING: "to look at"}
