"""`printer setup` as a person does it: at a terminal, with a printer on a pty or in the network, box up or down."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from appliance.control import ControlError, ask
from appliance.printing.learned import Learned, Unit, load
from appliance.printing.models import known_tables
from appliance.printing.trial import SAMPLE
from scripts import processes
from scripts.processes import COORDINATOR
from tests.box import Box
from tests.printing.emulator import Printer, PtyPrinter
from tests.printing.emupos import EmuPos
from tests.printing.terminal import Person
from tests.printing.test_paper_path import LINES, printers, queue, till, wait_for_sheets
from tests.waiting import wait_until

LINE_QUESTION = "Which is the first numbered line in readable Russian"
WIDTH_QUESTION = "Which is the longest ruler"
MARKER_QUESTION = "Do the letters M"


@pytest.fixture
def unit() -> Printer:
    return Printer(bytes_per_s=20_000)


@pytest.fixture
def pty(tmp_path: Path, unit: Printer) -> Iterator[PtyPrinter]:
    with PtyPrinter(unit, tmp_path / "receipts") as running:
        yield running


def person(directory: Path, *words: str, **settings: str) -> Person:
    return Person("printer", "setup", *words, STOCK_DATA_DIR=str(directory), **settings)


def readable_line(sheet: str) -> str:
    """Return the number of the first line on which the sample can be read, as whoever looks at the sheet."""
    return next(line.split(":")[0].strip() for line in sheet.splitlines() if line.endswith(f": {SAMPLE}"))


def longest_ruler(sheet: str) -> str:
    return next(line.split()[0] for line in sheet.splitlines() if line[:2].isdecimal() and line.endswith("<"))


def answer_by_the_sheet(person: Person, pty: PtyPrinter, *, is_marker_seen: bool | None) -> str:
    """Look at the sheet and say what is on it; return the sheet. is_marker_seen: None where it must not be asked."""
    if is_marker_seen is not None:
        person.sees(MARKER_QUESTION)
        person.types("y" if is_marker_seen else "n")
    person.sees(LINE_QUESTION)
    [sheet] = wait_for_sheets(pty, lambda sheets: len(sheets) == 1)
    person.types(readable_line(sheet))
    person.sees(WIDTH_QUESTION)
    person.types(longest_ruler(sheet))
    return sheet


def test_a_printer_that_nobody_has_set_is_found_learned_and_prints_at_the_next_start(
    tmp_path: Path, pty: PtyPrinter, unit: Printer
) -> None:
    unit.cp866_table, unit.columns = 59, 32
    with person(tmp_path / "data") as waiter:
        waiter.sees("Which one?")
        waiter.types(f"serial://{pty.link}")
        sheet = answer_by_the_sheet(waiter, pty, is_marker_seen=False)
        assert waiter.ends() == 0, waiter.screen
    assert "answers: marker" in waiter.screen
    assert "--- 1 ---\n\n--- 2 ---" in sheet
    assert (tmp_path / "data" / "printers.json").stat().st_mode & 0o777 == 0o600
    with Box(tmp_path / "data") as box, till(box) as a1:
        a1.receipt(LINES, status="open", number="A1-000123")
        sheets = wait_for_sheets(pty, lambda sheets: len(sheets) == 2)
        wait_until(lambda: "state=confirmed" in box.log.read_text())
    assert "Молоко 3,2 %" in sheets[1]
    assert max(map(len, sheets[1].splitlines())) == 32


def test_a_running_box_lets_go_of_its_printer_holds_the_queue_and_prints_by_what_was_learned(
    tmp_path: Path, pty: PtyPrinter, unit: Printer
) -> None:
    unit.cp866_table, unit.columns = 7, 42
    data, url = tmp_path / "data", f"serial://{pty.link}?baud=115200"
    with Box(data, STOCK_PRINTER__URL=url) as box, till(box) as a1:
        wait_until(lambda: printers(box)[0]["reason"] == "this printer cannot tell its state")
        with person(data, STOCK_PRINTER__URL=url) as waiter:
            waiter.sees(MARKER_QUESTION)
            assert "being set up" in str(printers(box)[0]["reason"])
            a1.receipt(LINES, status="open", number="A1-000123")
            wait_until(lambda: [job["state"] for job in queue(box)] == ["queued"])
            waiter.types("n")
            answer_by_the_sheet(waiter, pty, is_marker_seen=None)
            assert waiter.ends() == 0, waiter.screen
        assert "It is in force." in waiter.screen
        sheets = wait_for_sheets(pty, lambda sheets: len(sheets) == 2)
        wait_until(lambda: "state=confirmed" in box.log.read_text())
    assert "Молоко 3,2 %" in sheets[1]
    assert max(map(len, sheets[1].splitlines())) == 42


def test_a_box_goes_on_when_the_set_up_is_given_up_or_dies(tmp_path: Path, pty: PtyPrinter) -> None:
    data, url = tmp_path / "data", f"serial://{pty.link}?baud=115200"
    with Box(data, STOCK_PRINTER__URL=url, STOCK_PRINTER__ANSWERS="marker") as box, till(box) as a1:
        with person(data, STOCK_PRINTER__URL=url) as waiter:
            waiter.sees(MARKER_QUESTION)
            waiter.types("\x04")
            assert waiter.ends() == 1
        wait_until(lambda: printers(box)[0]["state"] == "ready")
        assert load(data) == Learned(), "nothing was learned"
        assert list(ask(data, "printer-hold", printer="main", seconds=1)) == [{"printer": "main"}]
        a1.receipt(LINES, status="open", number="A1-000123")
        wait_for_sheets(pty, lambda sheets: len(sheets) == 2)


def test_a_printer_in_the_middle_of_a_sheet_is_not_taken_away(tmp_path: Path, pty: PtyPrinter, unit: Printer) -> None:
    data, url = tmp_path / "data", f"serial://{pty.link}?baud=115200"
    with Box(data, STOCK_PRINTER__URL=url, STOCK_PRINTER__ANSWERS="marker") as box, till(box) as a1:
        wait_until(lambda: printers(box)[0]["state"] == "ready")
        pty.do(lambda printer: setattr(printer, "bytes_per_s", 1.0))
        a1.receipt(LINES, status="open", number="A1-000123")
        wait_until(lambda: [job["state"] for job in queue(box)] == ["printing"])
        done = box.command("printer", "setup", "--line", "1", "--width", "48", "--yes")
        assert (done.returncode, "in the middle of a sheet" in done.stderr) == (1, True)
        pty.do(lambda printer: setattr(printer, "bytes_per_s", 20_000.0))
        wait_for_sheets(pty, lambda sheets: len(sheets) == 1)
        wait_until(lambda: queue(box) == [])


def test_a_clone_that_prints_the_marker_as_text_is_fenced(tmp_path: Path, pty: PtyPrinter, unit: Printer) -> None:
    unit.has_marker = False
    with person(tmp_path / "data", "--url", f"serial://{pty.link}") as waiter:
        sheet = answer_by_the_sheet(waiter, pty, is_marker_seen=None)
        assert waiter.ends() == 0, waiter.screen
    assert sheet.splitlines()[1].startswith("M"), "the marker is readable"
    assert "answers: fence" in waiter.screen


def test_a_clone_that_answers_the_marker_and_prints_it_is_fenced_because_a_person_saw_it(
    tmp_path: Path, pty: PtyPrinter, unit: Printer
) -> None:
    unit.shows_marker = True
    with person(tmp_path / "data", "--url", f"serial://{pty.link}") as waiter:
        answer_by_the_sheet(waiter, pty, is_marker_seen=True)
        assert waiter.ends() == 0, waiter.screen
    assert "answers: fence" in waiter.screen


def test_a_printer_that_answers_nothing_is_asked_for_nothing(tmp_path: Path, pty: PtyPrinter, unit: Printer) -> None:
    unit.has_status = unit.has_fence = False
    unit.has_marker = False
    with person(tmp_path / "data", "--url", f"serial://{pty.link}") as waiter:
        waiter.sees("How many baud?")
        waiter.types("19200")
        answer_by_the_sheet(waiter, pty, is_marker_seen=None)
        assert waiter.ends() == 0, waiter.screen
    kept = load(tmp_path / "data")
    assert kept.urls == {"main": f"serial://{pty.link}?baud=19200"}
    assert kept.units == {f"serial:{pty.link}": Unit("nothing", 48, *known_tables()[0])}


def test_a_printer_without_a_readable_line_is_learned_but_for_its_code_page(
    tmp_path: Path, pty: PtyPrinter, unit: Printer
) -> None:
    unit.cp866_table = 200
    with person(tmp_path / "data", "--url", f"serial://{pty.link}", "--width", "48") as waiter:
        waiter.sees(MARKER_QUESTION)
        waiter.types("n")
        waiter.sees(LINE_QUESTION)
        waiter.types("0")
        assert waiter.ends() == 0, waiter.screen
    assert "No line was readable" in waiter.screen
    assert load(tmp_path / "data").units == {f"serial:{pty.link}": Unit("marker", 48)}


def test_a_printer_without_paper_is_waited_for(tmp_path: Path, pty: PtyPrinter, unit: Printer) -> None:
    unit.has_paper = False
    with person(tmp_path / "data", "--url", f"serial://{pty.link}?baud=9600") as waiter:
        waiter.sees("out of paper: put a new roll in")
        pty.do(Printer.give_paper)
        waiter.types("")
        answer_by_the_sheet(waiter, pty, is_marker_seen=False)
        assert waiter.ends() == 0, waiter.screen


def test_a_printer_whose_paper_ends_in_mid_sheet_is_not_taken_for_one_that_cannot_answer(
    tmp_path: Path, pty: PtyPrinter, unit: Printer
) -> None:
    unit.bytes_per_s = 1.0
    with person(tmp_path / "data", "--url", f"serial://{pty.link}?baud=9600") as waiter:
        wait_until(unit.holds)
        pty.do(Printer.take_paper)
        waiter.sees("The sheet did not come out whole.")
        waiter.sees("out of paper: put a new roll in")
        pty.do(lambda printer: setattr(printer, "bytes_per_s", 20_000.0))
        pty.do(Printer.give_paper)
        waiter.types("")
        waiter.sees(MARKER_QUESTION)


def test_whoever_plugs_the_printer_in_late_presses_enter(tmp_path: Path, pty: PtyPrinter) -> None:
    with person(tmp_path / "data") as waiter:
        for typed in ("", "7"):
            waiter.sees("Which one?")
            waiter.types(typed)
        waiter.sees("Which one?")
        waiter.types(f"serial://{pty.link}")
        waiter.sees(MARKER_QUESTION)


def test_a_box_that_was_started_meanwhile_prints_by_what_was_learned(tmp_path: Path, pty: PtyPrinter) -> None:
    data, url = tmp_path / "data", f"serial://{pty.link}?baud=115200"
    with person(data, "--line", "1", "--width", "48", STOCK_PRINTER__URL=url) as waiter:
        waiter.sees(MARKER_QUESTION)
        with Box(data, STOCK_PRINTER__URL=url) as box:
            wait_until(lambda: printers(box)[0]["reason"] == "this printer cannot tell its state")
            waiter.types("n")
            assert waiter.ends() == 0, waiter.screen
            assert "It is in force." in waiter.screen
            wait_until(lambda: printers(box)[0]["state"] == "ready")


def test_a_box_goes_on_without_what_was_learned_of_its_printer(tmp_path: Path, pty: PtyPrinter) -> None:
    data, url = tmp_path / "data", f"serial://{pty.link}?baud=115200"
    assert command(data, "--url", url, "--line", "1", "--width", "48", "--yes").returncode == 0
    with Box(data) as box:
        wait_until(lambda: printers(box)[0]["state"] == "ready")
        (data / "printers.json").unlink()
        with person(data, "--url", url) as waiter:
            waiter.sees(MARKER_QUESTION)
            waiter.types("\x04")
            assert waiter.ends() == 1
        wait_until(lambda: printers(box)[0]["state"] == "ready")


def test_a_unit_is_let_go_of_before_it_is_opened_by_what_was_learned(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "lp0")
    data = tmp_path / "data"
    with Box(data, STOCK_PRINTER__URL=f"usb://{tmp_path / 'lp0'}") as box:
        wait_until(lambda: opened(box, tmp_path / "lp0") == 1)
        for _ in range(3):
            assert list(ask(data, "printer-resume", printer="main")) == [{"printer": "main"}]
            assert list(ask(data, "printer-hold", printer="main", seconds=60)) == [{"printer": "main"}]
            assert opened(box, tmp_path / "lp0") == 0
            list(ask(data, "printer-resume", printer="main"))
            wait_until(lambda: opened(box, tmp_path / "lp0") == 1)


def opened(box: Box, node: Path) -> int:
    """Return how often the box has a node open."""
    assert box.process is not None
    found = 0
    for one in Path(f"/proc/{box.process.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # It was closed just now.
            found += one.readlink() == node
    return found


@pytest.mark.parametrize("seconds", [0, -1, 1e300, "a"])
def test_nobody_holds_a_printer_for_ever(tmp_path: Path, seconds: object) -> None:
    with (
        Box(tmp_path / "data", STOCK_PRINTER__URL=f"file://{tmp_path / 'receipts'}") as box,
        pytest.raises(ControlError, match="is held for at most 600"),
    ):
        list(ask(box.directory, "printer-hold", printer="main", seconds=seconds))


def test_a_unit_is_one_printers(tmp_path: Path, pty: PtyPrinter) -> None:
    (tmp_path / "shop.toml").write_text("[printers.bar]\n[printers.kitchen]\n")
    words = ("--config", str(tmp_path / "shop.toml"), "--line", "1", "--width", "48", "--yes")
    assert command(tmp_path / "data", "bar", "--url", f"serial://{pty.link}?baud=9600", *words).returncode == 0
    done = command(tmp_path / "data", "kitchen", "--url", f"serial://{pty.link}?baud=19200", *words)
    assert (done.returncode, "is the printer 'bar': choose another unit" in done.stderr) == (1, True)
    assert command(tmp_path / "data", "bar", "--url", f"serial://{pty.link}?baud=19200", *words).returncode == 0


def test_what_cannot_be_kept_is_said_before_anything_is_printed(tmp_path: Path, pty: PtyPrinter) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "printers.json").write_text('{"urls": {"main": 1}, "units": {}}')
    for directory, sentence in ((tmp_path / "data", "remove it"), (Path("/proc/nothing"), "cannot be kept there")):
        done = command(directory, "--url", f"serial://{pty.link}?baud=9600", "--line", "1", "--width", "48", "--yes")
        assert (done.returncode, sentence in done.stderr, done.stdout) == (1, True, "")
    assert pty.sheets() == []


def command(directory: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the set-up without a terminal."""
    return subprocess.run(
        [*COORDINATOR, "printer", "setup", *words],
        env=processes.environment(STOCK_DATA_DIR=str(directory), **settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_script_sets_up_a_printer_in_the_network_which_this_project_did_not_write(tmp_path: Path) -> None:
    with EmuPos(tmp_path) as emupos:
        url = f"tcp://127.0.0.1:{emupos.port}"
        done = command(tmp_path / "data", "--url", url, "--line", "1", "--width", "48", "--yes")
        assert (done.returncode, done.stderr) == (0, "")
        wait_until(lambda: len(emupos.texts()) == 1)
        [sheet] = emupos.texts()
    assert readable_line(sheet) == "1"
    assert longest_ruler(sheet) == "48"
    unit = Unit("fence", 48, "cp866", 17)
    assert load(tmp_path / "data") == Learned({"main": url}, {f"tcp:127.0.0.1:{emupos.port}": unit})


@pytest.mark.parametrize(
    ("words", "settings", "sentence"),
    [
        (("--url", "terminal:"), {}, "terminal:: there is nothing to learn of it"),
        (("--url", "lpt:1"), {}, "the scheme is 'lpt'"),
        (("--url", "tcp://127.0.0.1:1"), {}, "takes no print jobs at that port"),
        (("--width", "33"), {}, "--width 33: write one of 48, 42, 32"),
        (("bar",), {}, "the settings have no printer 'bar': write one of main"),
        (("--url", "tcp://a"), {"STOCK_PRINTER__URL": "tcp://b"}, "is set to tcp://b: leave --url out, or unset it"),
        (("--url", "tcp://a"), {"STOCK_PRINTER__PROFILE": "X"}, "'X' is no printer profile"),
        ((), {}, "there is no terminal to ask in"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    tmp_path: Path, words: tuple[str, ...], settings: dict[str, str], sentence: str
) -> None:
    done = command(tmp_path / "data", *words, **settings)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_file_that_nobody_can_read_stops_the_start_and_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "printers.json").write_text('{"urls": {"main": "terminal:"}, "units": 1}')
    done = Box(tmp_path / "data").command("run")
    assert (done.returncode, "printers.json" in done.stderr, "remove it" in done.stderr) == (1, True, True)
