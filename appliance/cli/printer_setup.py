"""`printer setup`: finds a printer, prints one sheet on it, and asks the person beside it what came out.

    choose a unit ─▶ hold its queue ─▶ one sheet, and what it answers ─▶ ask ─▶ keep ─▶ the queue goes on

The unit is opened here, also with the coordinator running, which lets go of it for so long. So there is one way for
both, and a person at a prompt holds up one printer and nothing else. Each answer can be an option, for scripts.
"""

import errno
import os
import secrets
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Annotated, Self

import typer
from rich.console import Console
from rich.prompt import Confirm, IntPrompt, Prompt

from appliance.app.setups import owner, unset
from appliance.cli import completing
from appliance.cli.config import Config, settings_from
from appliance.cli.failure import Failure
from appliance.cli.screen import legible, screen
from appliance.control import ControlError, NotRunning, ask
from appliance.printing.layout.sheet import CELL_DOTS
from appliance.printing.learned import Unit, WrongFile, keep, load
from appliance.printing.models import CannotPrint, Model, find_model, known_tables
from appliance.printing.status import PrinterState
from appliance.printing.transport.address import (
    BAUDS,
    BadUrl,
    File,
    SerialLine,
    Terminal,
    parse_url,
)
from appliance.printing.transport.opening import open_transport
from appliance.printing.transport.port import CannotOpen, Lost
from appliance.printing.trial import Heard, Stalled, Trial
from appliance.printing.units import find_units, identity, lasting
from appliance.settings import WIDTHS, Answers, PrinterSettings, Settings, variable

_HELD_S, _RENEW_S = 90.0, 30.0
"""How long the unit is asked for, and how often anew: a command that is killed does not stop a printer for long."""

_CHOICES_SHOWN = 8
"""More numbers than these say less than the sheet does."""

_CONNECT_S = 3.0
"""A printer in the shop's own network accepts within milliseconds."""

Name = Annotated[str, typer.Argument(help="The printer's name.", autocompletion=completing.printers)]
Url = Annotated[str | None, typer.Option(help="Where it is; else what is plugged in is looked for.")]
Line = Annotated[int | None, typer.Option(min=0, help="The number of the line that was readable; 0 for none.")]
Columns = Annotated[int | None, typer.Option(help="The longest ruler that stood on one line.")]
Yes = Annotated[bool, typer.Option("--yes", help="Take what is proposed, and believe what the printer answers.")]


def setup(
    name: Name = "main",
    url: Url = None,
    line: Line = None,
    width: Columns = None,
    yes: Yes = False,
    config: Config = None,
) -> None:
    """Find a printer, print a sheet on it, and learn from what came out what it can do.

    Example: stock-coordinator printer setup

    Without a terminal: stock-coordinator printer setup --url tcp://192.168.1.50:9100 --line 1 --width 48 --yes
    """
    settings = settings_from(config)
    printer = _named(settings, name)
    if url is not None and printer.url not in ("", url):
        raise Failure(f"the printer {name!r} is set to {printer.url}: leave --url out, or unset it")
    setting = partial(variable, *(("printers", name) if settings.printers else ("printer",)))
    wizard = _Wizard(screen(), is_asked=not yes and sys.stdin.isatty(), is_told=yes)
    try:
        model = find_model(printer.profile)
        widths = [one for one in sorted(WIDTHS, reverse=True) if model.dots is None or one * CELL_DOTS <= model.dots]
        if width is not None and width not in widths:
            raise Failure(f"--width {width}: write one of {', '.join(map(str, widths))}")
        _prepare(settings.data_dir)
        place = printer.url or lasting(_place(wizard, url))
        if (other := owner(settings, place, but=name)) is not None:
            raise Failure(
                f"{place} is the printer {other!r}: choose another unit, or set {other!r} up on another first"
            )
        with _Held(settings.data_dir, name) as held:
            found = place if printer.url else _with_speed(wizard, place)
            unit = _learn(wizard, found, model, widths, line, width)
            address = parse_url(found)
            named = None if address is None else identity(address)
            _keep(settings.data_dir, name, found, named, unit)
    except (BadUrl, CannotPrint, WrongFile) as error:
        raise Failure(str(error)) from error
    wizard.say(f"{name}: {legible(found)}")
    for told in _tell(setting, printer, unit):
        wizard.say(told)
    if named is None:
        wizard.say(
            "It is known by a number only, which may be another's tomorrow, so only its place is kept: "
            f"set {setting('url')} to a link that stays, and what was learned, and begin again"
        )
    elif held.is_held:
        wizard.say(f"It is in force. See a pre-check on it: stock-coordinator printer test {name}")
    else:
        wizard.say("It is in force when the coordinator starts next.")


class _Wizard:
    """Asks the person. is_asked: there is one. is_told: what is proposed is taken without asking."""

    def __init__(self, console: Console, *, is_asked: bool, is_told: bool) -> None:
        self._console = console
        self.is_asked = is_asked
        self._is_told = is_told

    def say(self, text: str) -> None:
        self._console.print(text)

    def text(self, question: str, option: str, proposed: str | None) -> str:
        if self.is_asked:
            return Prompt.ask(question, console=self._console, default=proposed or "", show_default=bool(proposed))
        if self._is_told and proposed is not None:
            return proposed
        raise self._nobody(question, option)

    def number(self, question: str, option: str, choices: list[int], proposed: int | None = None) -> int:
        if self.is_asked:
            texts = [str(choice) for choice in choices]
            is_short = len(texts) <= _CHOICES_SHOWN
            if proposed is None:
                return IntPrompt.ask(question, console=self._console, choices=texts, show_choices=is_short)
            return IntPrompt.ask(question, console=self._console, choices=texts, default=proposed)
        raise self._nobody(question, option)

    def confirm(self, question: str, option: str, *, proposed: bool) -> bool:
        if self.is_asked:
            return Confirm.ask(question, console=self._console, default=proposed)
        if self._is_told:
            return proposed
        raise self._nobody(question, option)

    def _nobody(self, question: str, option: str) -> Failure:
        return Failure(f"there is no terminal to ask in ({question}): answer by {option}")


class _Held:
    """A printer whose unit a running coordinator has let go of, for as long as this is entered.

    is_held: whether there is a coordinator that has this printer; behind the end, whether it goes on by what was
    learned. Raises Failure when it cannot let go.
    """

    def __init__(self, directory: Path, printer: str) -> None:
        self._directory = directory
        self._printer = printer
        self._ended = threading.Event()
        self._renewing = threading.Thread(target=self._renew, name="renew")
        self.is_held = False

    def __enter__(self) -> Self:
        try:
            self.is_held = self._hold()
        except NotRunning:
            return self
        except ControlError as error:
            raise Failure(str(error)) from error
        if self.is_held:
            self._renewing.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self.is_held:
            self._renewing.join()
        self.is_held = False
        with suppress(NotRunning, ControlError):  # It reads what was learned at its next start.
            self.is_held = bool(list(ask(self._directory, "printer-resume", printer=self._printer)))

    def _renew(self) -> None:
        while not self._ended.wait(_RENEW_S):
            with suppress(NotRunning, ControlError):
                self._hold()

    def _hold(self) -> bool:
        return bool(list(ask(self._directory, "printer-hold", printer=self._printer, seconds=_HELD_S)))


def _named(settings: Settings, name: str) -> PrinterSettings:
    printers = settings.named_printers
    if name not in printers:
        raise Failure(f"the settings have no printer {name!r}: write one of {', '.join(printers)}")
    return printers[name]


def _place(wizard: _Wizard, url: str | None) -> str:
    """Return the URL of the unit: what the option says, or what the person chooses."""
    if url is not None:
        return url
    while True:
        found = find_units()
        for number, unit in enumerate(found, 1):
            wizard.say(f"{number}: {legible(unit.words)}, {legible(unit.url)}")
        if not found:
            wizard.say("Nothing is plugged in that may be a printer. Plug it in, switch it on, and press Enter.")
        question = "Which one? A number, or an address such as tcp://192.168.1.50:9100"
        chosen = wizard.text(question, "--url", "1" if len(found) == 1 else None)
        if chosen.isdecimal() and 1 <= int(chosen) <= len(found):
            return found[int(chosen) - 1].url
        if chosen and not chosen.isdecimal():
            return chosen


def _prepare(directory: Path) -> None:
    """See that what will be learned can be kept, before a person is asked for anything. Raises WrongFile."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_keep(directory, error) from error
    if not os.access(directory, os.W_OK):
        raise _cannot_keep(directory, OSError(errno.EACCES, "this user may not write it, or the disk is read-only"))
    load(directory)


def _keep(directory: Path, printer: str, url: str, named: str | None, unit: Unit) -> None:
    try:
        keep(directory, printer, url, named, unit)
    except OSError as error:
        raise _cannot_keep(directory, error) from error


def _cannot_keep(directory: Path, error: OSError) -> Failure:
    return Failure(f"{directory}: what is learned cannot be kept there: {error.strerror}")


def _learn(wizard: _Wizard, url: str, model: Model, widths: list[int], line: int | None, width: int | None) -> Unit:
    """Print the sheet, and ask what came out."""
    tables = known_tables()
    trial = _opened(url)
    try:
        heard, marker = _printed(wizard, trial, url, partial(trial.print, model, tables, widths))
    except Lost as error:
        raise Failure(f"{url}: {error}: mend that, and begin again") from error
    except Stalled as error:
        raise Failure(f"{url}: it takes no data: switch it off and on, and begin again") from error
    finally:
        trial.close()
    wizard.say("One sheet was printed. Look at it.")
    answers = _answers(wizard, heard, marker)
    if line is None:
        line = wizard.number(
            "Which is the first numbered line in readable Russian (0: none is)?", "--line", list(range(len(tables) + 1))
        )
    if line > len(tables):
        raise Failure(f"--line {line}: there are {len(tables)} lines")
    if width is None:
        width = wizard.number("Which is the longest ruler that is not broken in two?", "--width", widths)
    page, table = tables[line - 1] if line else (None, None)
    return Unit(answers.value, width, page, table)


def _printed(wizard: _Wizard, trial: Trial, url: str, printing: Callable[[bytes], Heard]) -> tuple[Heard, str]:
    """Print a sheet until one comes out undisturbed; return what was heard meanwhile, and its marker.

    What a unit does not say because its paper ended would be taken for what it cannot say. Raises Lost, Stalled.
    """
    while True:
        _await_ready(wizard, trial, url)
        marker = f"M{secrets.randbelow(1000):03}"
        heard = printing(marker.encode())
        if heard.has_marker or not heard.has_status:
            return heard, marker
        if (status := trial.status()) is None:
            raise Lost("it fell silent in the middle of the sheet")
        if status.state is PrinterState.READY:
            return heard, marker
        wizard.say("The sheet did not come out whole. Another one comes; look at that.")


def _await_ready(wizard: _Wizard, trial: Trial, url: str) -> None:
    """Have the person do what the printer wants first. Raises Lost."""
    while (status := trial.status()) is not None and status.state is not PrinterState.READY:
        if not wizard.is_asked:
            raise Failure(f"{url}: {status.reason}, and begin again")
        wizard.text(f"The printer says: {status.reason}. Press Enter when that is done", "a terminal", "")


def _answers(wizard: _Wizard, heard: Heard, marker: str) -> Answers:
    """Return how a unit tells that it printed. What it says of its state comes first: without, none is waited for."""
    if not heard.has_status:
        return Answers.NOTHING
    # A clone may answer the command that it prints as text, and then every sheet would be full of it.
    question = f"Do the letters {marker} stand between the lines --- 1 --- and --- 2 ---?"
    if heard.has_marker and not wizard.confirm(question, "--yes", proposed=False):
        return Answers.MARKER
    return Answers.FENCE if heard.has_fence else Answers.STATUS


def _with_speed(wizard: _Wizard, url: str) -> str:
    """Return the URL with the speed at which a serial line answers; where it says nothing at any, ask the person."""
    address = parse_url(url)
    if not isinstance(address, SerialLine) or "baud=" in url:
        return url

    def at(baud: int) -> str:
        return f"{url}{'&' if '?' in url else '?'}baud={baud}"

    for baud in dict.fromkeys((address.baud, *reversed(BAUDS))):
        trial = _opened(at(baud))
        try:
            if trial.status() is not None:
                return at(baud)
        except Lost as error:
            raise Failure(f"{url}: {error}: mend that, and begin again") from error
        finally:
            trial.close()
    wizard.say("The printer does not say how it is. The speed of its line is on its self-test.")
    return at(wizard.number("How many baud?", "--url …?baud=9600", sorted(BAUDS), address.baud))


def _opened(url: str) -> Trial:
    address = parse_url(url)
    if address is None or isinstance(address, File | Terminal):
        raise Failure(f"{url or 'no printer'}: there is nothing to learn of it")
    try:
        return Trial(open_transport(address, codepage="cp866", connect_s=_CONNECT_S))
    except CannotOpen as error:
        raise Failure(str(error)) from error


def _tell(setting: Callable[[str], str], printer: PrinterSettings, unit: Unit) -> Iterator[str]:
    """Walk the lines that say what was learned, and what of it a setting goes before."""
    learned = {name: value for name, value in asdict(unit).items() if value is not None}
    taken = unset(printer, unit)
    for name, value in learned.items():
        yield f"{name}: {value}" if name in taken else f"{name}: {value}, but {setting(name)} goes before"
    if unit.table is None:
        yield f"No line was readable: look for the code page in its manual, and set {setting('codepage')}"
        if unit.answers == Answers.NOTHING:
            yield "If not even figures came out, its line has another speed, or it is another unit: begin again"
