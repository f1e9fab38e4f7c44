"""`device`: which devices have a token of their own, and the slips by which they come in.

A slip is shown or printed once, and kept nowhere: the box knows only a hash of its token. It never goes through a
command's arguments, and a picture of it is for its owner alone.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

import typer
from rich.table import Table

from appliance.cli import asking, completing
from appliance.cli.config import AsJson, Config, settings_from
from appliance.cli.failure import NOT_FOUND, Failure
from appliance.cli.screen import local, print_json, screen
from appliance.contract.slip import parse_slip
from appliance.printing import png, qr, text
from appliance.printing.driver import Level
from appliance.printing.layout.blocks import Code, Cut
from appliance.printing.layout.sheet import Paper
from appliance.printing.layout.words import Language
from appliance.printing.slips import slip_sheet
from appliance.printing.template import WrongTemplate, load_template
from appliance.settings import Settings

app = typer.Typer(help="The devices that have a token of their own, and their slips.", no_args_is_help=True)

_PAPER = Paper(48)

Device = Annotated[str, typer.Argument(help="The device's name, which is its user name too.")]
Enrolled = Annotated[
    str, typer.Argument(help="The device's name, as `device list` shows it.", autocompletion=completing.devices)
]
Picture = Annotated[Path | None, typer.Option("--png", help="Write the slip as a picture here, and show nothing.")]
Print = Annotated[bool, typer.Option("--print", help="Print the slip on the receipt printer, and show nothing.")]
OnPrinter = Annotated[str | None, typer.Option("--printer", help="Print it on this one of several printers.")]


@app.command()
def add(
    device: Device,
    png_file: Picture = None,
    on_paper: Print = False,
    printer: OnPrinter = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Let a device in by a token of its own, and show its slip. The shop's password no longer lets it in.

    Example: stock-coordinator device add A1 --print
    """
    _enrol("device-add", device, png_file, on_paper, printer, as_json, config)


@app.command()
def slip(
    device: Enrolled,
    png_file: Picture = None,
    on_paper: Print = False,
    printer: OnPrinter = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Make a device a new slip. Its old token ends once that is shown or printed, and so does its connection.

    Example: stock-coordinator device slip A1
    """
    _enrol("device-slip", device, png_file, on_paper, printer, as_json, config)


@app.command()
def remove(device: Enrolled, config: Config = None) -> None:
    """Take a device's token from it, and cut it off at once.

    Example: stock-coordinator device remove A1
    """
    settings = settings_from(config)
    if not asking.running(settings.data_dir, "device-remove", device=device):
        raise _unknown(device)
    print(f"{device} is removed, and cut off")
    if not settings.devices.tokens_only:
        print(f"whoever knows the shop's password may still log in as {device}, as any device without a token")


@app.command("list")
def show(as_json: AsJson = False, config: Config = None) -> None:
    """Show the devices that have a token.

    Example: stock-coordinator device list
    """
    found = asking.running(settings_from(config).data_dir, "devices")
    if as_json:
        print_json(*found)
        return
    table = Table("device", "since", box=None)
    for row in found:
        table.add_row(row["device"], local(row["since"]))
    screen().print(table if found else "no device has a token")


@app.command()
def certificate(config: Config = None) -> None:
    """Print the certificate that the box shows, for a client that wants a file of it.

    Example: stock-coordinator device certificate > box.pem
    """
    [row] = asking.running(settings_from(config).data_dir, "certificate")
    print(row["pem"], end="")


def _enrol(
    do: str,
    device: str,
    png_file: Path | None,
    on_paper: bool,
    printer: str | None,
    as_json: bool,
    config: Path | None,
) -> None:
    settings = settings_from(config)
    if on_paper or printer is not None:
        if png_file is not None:
            raise typer.BadParameter("a slip is printed or drawn, not both: leave one out", param_hint="--png")
        _print(settings, do, device, printer, as_json)
    else:
        _show(settings, do, device, png_file, as_json)


def _print(settings: Settings, do: str, device: str, printer: str | None, as_json: bool) -> None:
    rows = asking.running(settings.data_dir, do, device=device, printer=printer)
    if not rows:
        raise _unknown(device)
    [row] = rows
    if as_json:
        print_json(row)
    elif row["printed"] == Level.DELIVERED:
        print(f"{device}'s slip was sent to {row['printer']}, which does not tell whether it prints: look at it,")
        print(f"and if there is no slip make another: stock-coordinator device slip {device} --print")
    else:
        print(f"{device}'s slip is printed on {row['printer']}")


def _show(settings: Settings, do: str, device: str, png_file: Path | None, as_json: bool) -> None:
    language = _language(settings)  # Before the box is asked: a slip that cannot be shown is lost.
    with _picture_at(png_file) as picture:
        rows = asking.running(settings.data_dir, do, device=device)
        if not rows:
            raise _unknown(device)
        url = rows[0]["slip"]
        sheet = slip_sheet(parse_slip(url), settings.shop_name or settings.shop, language)
        if picture is not None:
            picture.write(png.render(sheet, _PAPER))
    if picture is not None:
        print(f"{device}'s slip is in {png_file}: remove it when the device is connected")
    elif as_json:
        print_json(rows[0])
    else:
        print(qr.in_terminal(url, has_colours=sys.stdout.isatty()))
        # The code is above: it has no place among rows of text.
        print(text.render([block for block in sheet if not isinstance(block, Code | Cut)], _PAPER), end="")


@contextmanager
def _picture_at(path: Path | None) -> Iterator[BinaryIO | None]:
    """Open a new file for its owner alone, which is gone again when there is nothing to write to it."""
    if path is None:
        yield None
        return
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise Failure(f"{path} is there already: remove it, or name another file") from error
    except OSError as error:
        raise Failure(f"{path} cannot be written ({error.strerror}): name another file") from error
    with ExitStack() as unless_it_was_written, os.fdopen(handle, "wb") as picture:
        unless_it_was_written.callback(path.unlink)
        yield picture
        unless_it_was_written.pop_all()


def _language(settings: Settings) -> Language:
    try:
        return load_template(settings.precheck.template, _PAPER).language
    except WrongTemplate as error:
        raise Failure(str(error)) from error


def _unknown(device: str) -> Failure:
    return Failure(f"{device!r} has no token: `stock-coordinator device list` shows which have", NOT_FOUND)
