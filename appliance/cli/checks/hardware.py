"""The machine under the box: its clock, its disk and card, its heat and power."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from rich.filesize import decimal

from appliance.access.files import open_to_others
from appliance.app.entrance import secret_files
from appliance.app.machine import card_of, look
from appliance.cli.checks.finding import Finding, failed, ok, warning
from appliance.cli.overview import HOT_C, ROOM_MIN_BYTES
from appliance.clock import is_synchronised, wall_ms
from appliance.coordinator import ROOM_MIN_BYTES as ALERT_BYTES
from appliance.settings import Settings, variable
from appliance.stock.stamps import rfc3339

_BEHIND_MS = 60_000
"""A wall clock that is set back a little by its time server is not behind the ledger."""

_WORN_PERCENT = 90

_MOVE = "copy the ledger now (stock-coordinator backup make FILE), and put it on a new card (backup restore FILE)"


def check_clock(newest_ms: int | None) -> Iterator[Finding]:
    """Whether the wall clock can be right. newest_ms: the wall clock of the ledger's newest commit."""
    now_ms = wall_ms()
    shown = f"{datetime.fromtimestamp(now_ms / 1000, UTC).astimezone():%Y-%m-%d %H:%M}"
    if newest_ms is not None and now_ms < newest_ms - _BEHIND_MS:
        remedy = "let the box reach a time server, or set its clock: sudo timedatectl set-time 'YYYY-MM-DD hh:mm'"
        yield failed("clock", f"it shows {shown}, but the newest sale was committed at {rfc3339(newest_ms)}", remedy)
    elif not is_synchronised():
        remedy = "let the box reach a time server: is there a way into the internet? (timedatectl)"
        yield warning("clock", f"it shows {shown}, and follows no time server", remedy)
    else:
        yield ok("clock", f"{shown}, and follows a time server")


def check_disk(settings: Settings) -> Iterator[Finding]:
    """Whether the ledger's disk can be written, has room, and keeps what is written."""
    directory = settings.data_dir
    disk = look(directory).disk
    if disk is None:
        yield failed("disk", f"{directory} tells nothing of its disk", _MOVE)
        return
    room = f"{decimal(disk.free_bytes)} free of {decimal(disk.size_bytes)}"
    if disk.is_read_only:
        remedy = f"restart the box once; if it is read-only again, {_MOVE}"
        yield failed("disk", f"{directory} is read-only: the system found the disk broken, or it is locked", remedy)
    elif why := _not_ours(directory):
        remedy = f"run this as the service's own user, or with sudo; or correct {variable('data_dir')}"
        yield failed("disk", why, remedy)
    elif disk.free_bytes < ROOM_MIN_BYTES:
        remedy = f"delete what does not belong there, or set {variable('ledger', 'keep_months')}"
        verdict = failed if disk.free_bytes < ALERT_BYTES else warning
        yield verdict("disk", room, remedy)
    else:
        yield ok("disk", room)
    yield from _check_card(directory)
    for path in open_to_others(secret_files(settings)):
        yield warning("secrets", f"{path} can be read by others", f"chmod 600 {path}")


def _not_ours(directory: Path) -> str:
    if not directory.exists():
        return ""  # The first start makes it.
    if not directory.is_dir():
        return f"{directory} is no directory"
    return "" if os.access(directory, os.R_OK | os.W_OK | os.X_OK) else f"{directory} belongs to another user"


def _check_card(directory: Path) -> Iterator[Finding]:
    card = card_of(directory)
    if card.errors:
        yield failed("card", f"its file system has recorded {card.errors} errors: the card or the disk fails", _MOVE)
    elif card.worn_percent is not None and card.worn_percent >= _WORN_PERCENT:
        yield warning("card", f"{card.worn_percent} % of its life is used", _MOVE)
    elif card.errors is not None or card.worn_percent is not None:
        worn = "" if card.worn_percent is None else f", up to {card.worn_percent} % of its life is used"
        yield ok("card", f"its file system has recorded no error{worn}")
    else:
        yield ok("card", "it tells nothing of its health")


def check_heat(settings: Settings) -> Iterator[Finding]:
    machine = look(settings.data_dir)
    if machine.is_power_low:
        remedy = "use the supply that was made for it, and a short cable"
        yield failed("power", "the supply does not hold its voltage, which loses data and cards", remedy)
    if machine.temperature_c is not None and machine.temperature_c >= HOT_C:
        remedy = "give the box air, a heat sink or a fan"
        yield warning("heat", f"{machine.temperature_c:.0f} °C: it runs slower now", remedy)
    elif machine.temperature_c is not None:
        yield ok("heat", f"{machine.temperature_c:.0f} °C")
