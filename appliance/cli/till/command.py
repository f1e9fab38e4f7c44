"""`till`: enrols this machine as a till of the shop, and opens its screen."""

import logging
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Annotated

import typer

from appliance.cli.failure import Failure
from appliance.cli.till.enrolment import Enrolment
from appliance.cli.till.kept import Directory
from appliance.cli.till.sayings import Sayings
from appliance.till import OutboxError

DEFAULT = Path.home() / ".local" / "state" / "stock-coordinator" / "till"
"""Where a user's programs keep what must outlive them (XDG Base Directory Specification)."""

_LOG_BYTES = 1_000_000
"""Of each of two files: weeks of a bad network."""

State = Annotated[Path, typer.Option(help="Where this till keeps its outbox and its cart; each till has its own.")]
SlipFile = Annotated[Path | None, typer.Option("--slip", help="A file with its slip, which enrols it anew.")]
Enrol = Annotated[bool, typer.Option("--enrol", help="Ask for its slip anew: the box, or its address, is another.")]


def till(state: State = DEFAULT, slip: SlipFile = None, enrol: Enrol = False) -> None:
    """Open a till: search, scan, pay, return and count, with or without a network.

    The first start asks for the slip that `stock-coordinator device add A1 --json` tells; later ones go on where it was
    left.

    Example: stock-coordinator till --state till-1
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise Failure("till needs a terminal")
    say = Sayings()
    try:
        directory = Directory(state)
        enrolment = _enrolment(directory, say, slip, enrol)
    except OSError as error:
        raise Failure(f"the till cannot be kept in {state}: {error}") from error
    _log_to(directory.log)
    # Imported here, as for `watch`: it takes 8 MB and a second of a Pi, and the box itself has no screen.
    from appliance.cli.till.desk import Desk

    try:
        device = enrolment.till(directory.outbox, lambda: None)
    except (ValueError, OutboxError) as error:
        raise Failure(f"{error}; --state names another directory for another till") from error
    with device:
        desk = Desk(device, f"{enrolment.device} · {enrolment.shop}", enrolment.device, directory, say)
        device.on_change = desk.heard
        desk.run()
        pending = device.pending
        print(say.left(pending, str(directory.path)))
    sys.exit(desk.return_code or 0)


def _enrolment(directory: Directory, say: Sayings, slip: Path | None, enrol: bool) -> Enrolment:
    """Return who this till is: as it is kept, or as it is told now."""
    path = directory.enrolment
    try:
        known = Enrolment.load(path)
    except ValueError as error:
        raise Failure(f"{path} is damaged ({error}): --enrol writes it anew") from error
    if known is not None and slip is None and not enrol:
        return known
    try:
        told = _asked(say, directory) if slip is None else Enrolment.from_slip(slip.read_text("utf-8"))
    except ValueError as error:
        raise Failure(f"this is no slip: {error}") from error
    told.save(path)
    return told


def _asked(say: Sayings, directory: Directory) -> Enrolment:
    print(say.enrol(str(directory.path)))
    slip = str(typer.prompt(say.ask_slip, default="", show_default=False, hide_input=True))
    if slip.strip():
        return Enrolment.from_slip(slip)
    return Enrolment(
        hosts=(str(typer.prompt(say.ask_host, default="127.0.0.1")),),
        port=int(typer.prompt(say.ask_port, default=1883, type=int)),
        shop=str(typer.prompt(say.ask_shop, default="shop")),
        device=str(typer.prompt(say.ask_device, default="A1")),
        password=str(typer.prompt(say.ask_password, hide_input=True)),
    )


def _log_to(path: Path) -> None:
    """What the SDK has to say goes to a file: on the screen it would tear the panes."""
    handler = RotatingFileHandler(path, maxBytes=_LOG_BYTES, backupCount=1, encoding="utf-8", delay=True)
    logging.basicConfig(handlers=[handler], format="%(asctime)s %(message)s", level=logging.INFO)
