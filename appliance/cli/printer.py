"""`printer`: what is printed, and what became of it."""

from collections.abc import Iterable
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from appliance.app.notices import print_notice
from appliance.app.printers import shop_on_paper
from appliance.cli import asking, completing, printer_setup
from appliance.cli.config import AsJson, Config, settings_from
from appliance.cli.failure import Failure
from appliance.cli.screen import legible, print_json, screen
from appliance.contract.limits import SEQ_MAX
from appliance.ledger import report
from appliance.printing import png, text
from appliance.printing.layout.notice import Notice
from appliance.printing.layout.precheck import precheck
from appliance.printing.layout.sheet import Paper
from appliance.printing.learned import WrongFile
from appliance.printing.models import CannotPrint
from appliance.printing.sample import sample_precheck
from appliance.printing.template import WrongTemplate, load_template
from appliance.printing.transport.address import BadUrl
from appliance.settings import Settings, WrongSettings, load_settings

app = typer.Typer(help="Receipt printers and what they print.", no_args_is_help=True)
app.command("setup")(printer_setup.setup)


class SheetLanguage(StrEnum):
    """The languages that a sheet can be in."""

    RU = "ru"
    EN = "en"


class Width(StrEnum):
    """Columns of the papers that there are: 58 mm, and 80 mm with a narrower or the whole print head."""

    MM_58 = "32"
    MM_80_NARROW = "42"
    MM_80 = "48"


@app.command()
def preview(
    width: Annotated[Width | None, typer.Option(help="Columns of the paper; else the printer's.")] = None,
    template: Annotated[Path | None, typer.Option(help="A template, a TOML file; else the shop's.")] = None,
    language: Annotated[SheetLanguage | None, typer.Option(help="Its language; else the template's.")] = None,
    png_file: Annotated[Path | None, typer.Option("--png", help="Write a picture here instead of text.")] = None,
    config: Config = None,
) -> None:
    """Show a pre-check as it would come out by the settings, without any printer.

    Example: stock-coordinator printer preview --width 32 --png pre-check.png
    """
    settings = settings_from(config)
    printer = next(iter(settings.named_printers.values()))
    paper = Paper(int(width or printer.width), printer.codepage)
    shop = shop_on_paper(settings) if settings.shop_name else None
    try:
        shown = load_template(template or settings.precheck.template, paper)
    except WrongTemplate as error:
        raise Failure(str(error)) from error
    if language is not None:
        shown = replace(shown, language=language.value)
    blocks = precheck(sample_precheck(shown.language, shop), shown)
    if png_file is None:
        print(text.render(blocks, paper), end="")
        return
    try:
        png_file.write_bytes(png.render(blocks, paper))
    except OSError as error:
        raise Failure(f"{png_file} cannot be written ({error}): name another file") from error


Job = Annotated[
    int,
    typer.Argument(
        min=1, max=SEQ_MAX, help="The job's number, as `printer queue` shows it.", autocompletion=completing.jobs
    ),
]


@app.command("list")
def list_printers(as_json: AsJson = False, config: Config = None) -> None:
    """Show the printers, how they are, and how long their queues are.

    Example: stock-coordinator printer list
    """
    _show(asking.running(settings_from(config).data_dir, "printers"), as_json)


@app.command()
def queue(as_json: AsJson = False, config: Config = None) -> None:
    """Show the sheets that wait, those that were skipped or given up, and those of which nobody knows.

    Example: stock-coordinator printer queue
    """
    _show(asking.rows(settings_from(config).data_dir, "print-queue", report.jobs), as_json)


@app.command()
def retry(
    job: Job,
    on: Annotated[
        str,
        typer.Option(metavar="PRINTER", help="On another printer than its own.", autocompletion=completing.printers),
    ] = "",
    config: Config = None,
) -> None:
    """Print a sheet that was skipped, cancelled, or given up; of one in doubt, a copy that says so.

    With --on also one that waits, so that no guest waits for a printer that is broken or gone.

    Example: stock-coordinator printer retry 41 --on bar
    """
    asking.running(settings_from(config).data_dir, "print-retry", job=job, on=on)


@app.command()
def cancel(job: Job, config: Config = None) -> None:
    """Do not print a sheet that waits, or was skipped or given up; one in doubt is seen to by that.

    Example: stock-coordinator printer cancel 41
    """
    asking.running(settings_from(config).data_dir, "print-cancel", job=job)


@app.command("test")
def print_test_page(
    printer: Annotated[str, typer.Argument(help="The printer's name.", autocompletion=completing.printers)] = "main",
    config: Config = None,
) -> None:
    """Print a made-up pre-check that says so, through the queue like any other.

    Example: stock-coordinator printer test
    """
    asking.running(settings_from(config).data_dir, "print-test", printer=printer)


@app.command("notice")
def print_a_notice(kind: Annotated[Notice, typer.Argument(help="What to say.")], config: Config = None) -> None:
    """Say on every printer, while no coordinator runs, that a person is needed. systemd calls it.

    Example: stock-coordinator printer notice failed
    """
    try:
        settings = load_settings(config)
    except WrongSettings:
        settings = Settings()  # They may be what keeps it from running; the printer that was learned is known without.
    try:
        for printer, outcome in print_notice(kind, settings):
            print(f"{printer}: {outcome}")
    except (BadUrl, CannotPrint, WrongFile, WrongTemplate) as error:
        raise Failure(str(error)) from error


def _show(rows: Iterable[dict[str, Any]], as_json: bool) -> None:
    found = list(rows)
    if as_json:
        print_json(*found)
        return
    if not found:
        return
    table = Table(*found[0], box=None)
    for row in found:
        table.add_row(*map(_cell, row.values()))
    screen().print(table)


def _cell(value: object) -> str:
    return legible(", ".join(value) if isinstance(value, list) else "" if value is None else str(value))
