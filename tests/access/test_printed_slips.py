"""Slips on paper: a box as a process, its owner's commands, and the emulated printer on a pty."""

import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest

from appliance.contract.slip import parse_slip
from scripts import processes
from tests.access.test_devices import devices, log_in, slip_of, till_of
from tests.box import PASSWORD, Box
from tests.printing.emulator import Printer, PtyPrinter
from tests.printing.test_paper_path import till
from tests.waiting import wait_until

LINES = [{"sku": "milk", "qty": "2", "price_minor": 8990}]


@pytest.fixture
def pty(tmp_path: Path) -> Iterator[PtyPrinter]:
    with PtyPrinter(Printer(bytes_per_s=50_000), tmp_path / "printer") as pty:
        yield pty


@contextmanager
def box_with(directory: Path, pty: PtyPrinter, answers: str = "marker", **settings: str) -> Iterator[Box]:
    with Box(
        directory,
        **{
            "STOCK_BROKER__TLS_PORT": str(processes.free_port()),
            "STOCK_BROKER__ADDRESSES": '["127.0.0.1"]',
            "STOCK_PRINTER__URL": f"serial://{pty.link}?baud=115200",
            "STOCK_PRINTER__ANSWERS": answers,
            **settings,
        },
    ) as box:
        yield box


@pytest.fixture
def box(tmp_path: Path, pty: PtyPrinter) -> Iterator[Box]:
    with box_with(tmp_path / "data", pty) as box:
        yield box


def token_on(sheet: str) -> str:
    """Return the token as a person reads it off a sheet."""
    return " ".join(sheet.split("Пароль:")[1].split("──")[0].split())


def states(box: Box) -> list[str]:
    done = box.command("printer", "list", "--json")
    return [orjson.loads(row)["state"] for row in done.stdout.splitlines()]


def test_a_device_comes_in_by_what_the_printed_slip_says_and_the_ledger_has_none_of_it(
    box: Box, pty: PtyPrinter
) -> None:
    done = box.command("device", "add", "A1", "--print")
    assert (done.returncode, done.stdout) == (0, "A1's slip is printed on main\n"), done.stderr
    [sheet] = pty.sheets()
    token = token_on(sheet)
    assert [log_in(box, "A1", one) for one in (token, PASSWORD)] == [0, 4]
    box.stop()
    assert box.command("printer", "queue", "--json").stdout == ""
    secret = token.replace(" ", "").encode()
    kept = [path for path in box.directory.iterdir() if path.is_file() and secret in path.read_bytes()]
    assert kept == []


def test_a_slip_goes_out_right_after_the_sheet_that_is_under_way(box: Box, pty: PtyPrinter) -> None:
    pty.do(lambda printer: setattr(printer, "bytes_per_s", 400.0))
    with till(box, "D") as d:
        for number in range(3):
            d.receipt(LINES, status="open", number=f"D-{number}")
        wait_until(lambda: has_begun(pty))
        with printing_a_slip(box, "add") as asked:
            wait_until(lambda: "slip to print device=A1 printer=main" in box.log.read_text())
            pty.do(lambda printer: setattr(printer, "bytes_per_s", 50_000.0))
    assert asked[0].returncode == 0, asked[0].stderr
    wait_until(lambda: len(pty.sheets()) == 4)
    assert re.findall(r"D-\d|Пароль", " ".join(pty.sheets())) == ["D-0", "Пароль", "D-1", "D-2"]
    wait_until(lambda: box.command("printer", "queue", "--json").stdout == "")


def test_without_paper_nothing_is_printed_and_the_old_slip_goes_on(box: Box, pty: PtyPrinter, tmp_path: Path) -> None:
    old = slip_of(box)
    pty.do(Printer.take_paper)
    wait_until(lambda: states(box) == ["paper-out"])
    with till_of(old, tmp_path) as till:
        wait_until(lambda: till.is_connected)
        done = box.command("device", "slip", "A1", "--print")
        assert done.returncode == 1
        for words in ("main is paper-out", "nothing was printed", "has not changed"):
            assert words in done.stderr
        till.sell("milk", 1)
        assert till.wait_acked(30)
        assert log_in(box, "A1", parse_slip(old).token) == 0
        pty.do(Printer.give_paper)
        wait_until(lambda: states(box) == ["ready"])
        assert box.command("device", "slip", "A1", "--print").returncode == 0
        wait_until(lambda: "refuses A1" in (till.fault or ""))
    assert len(pty.sheets()) == 1
    assert log_in(box, "A1", token_on(pty.sheets()[0])) == 0


def test_a_slip_of_which_nobody_knows_lets_nobody_in(box: Box, pty: PtyPrinter) -> None:
    old = parse_slip(slip_of(box)).token
    pty.do(lambda printer: setattr(printer, "bytes_per_s", 400.0))
    with printing_a_slip(box, "slip") as asked:
        wait_until(lambda: has_begun(pty))
        pty.unplug()
    assert asked[0].returncode == 1
    for words in ("nobody knows what came out of main", "destroy it", "has not changed"):
        assert words in asked[0].stderr
    assert log_in(box, "A1", old) == 0


@contextmanager
def printing_a_slip(box: Box, command: str) -> Iterator[list[subprocess.CompletedProcess[str]]]:
    """Have a slip for A1 printed beside what the block does; its list holds how that ended, after the block."""
    asked: list[subprocess.CompletedProcess[str]] = []
    asking = threading.Thread(target=lambda: asked.append(box.command("device", command, "A1", "--print")))
    asking.start()
    try:
        yield asked
    finally:
        asking.join()


def has_begun(pty: PtyPrinter) -> bool:
    held: list[bool] = []
    pty.do(lambda printer: held.append(bool(printer.paper()[-1:] and "shop" in printer.paper()[-1].text)))
    return held[0]


def test_a_box_that_stops_in_the_middle_of_a_slip_says_so(box: Box, pty: PtyPrinter) -> None:
    pty.do(lambda printer: setattr(printer, "bytes_per_s", 400.0))
    with printing_a_slip(box, "add") as asked:
        wait_until(lambda: has_begun(pty))
        assert box.stop() == 0
    assert asked[0].returncode == 1
    assert "the service stopped" in asked[0].stderr
    box.start()
    assert devices(box) == []


def test_a_printer_that_cannot_tell_makes_a_person_look(tmp_path: Path, pty: PtyPrinter) -> None:
    with box_with(tmp_path / "data", pty, answers="nothing") as box:
        done = box.command("device", "add", "A1", "--print")
        assert "look at it" in done.stdout
        wait_until(lambda: len(pty.sheets()) == 1)
        assert log_in(box, "A1", token_on(pty.sheets()[0])) == 0


def test_what_cannot_be_printed_is_said_and_changes_nothing(tmp_path: Path, pty: PtyPrinter) -> None:
    config = tmp_path / "stock-coordinator.toml"
    config.write_text(
        f'[printers.bar]\nurl = "file://{tmp_path}/bar"\n[printers.hall]\nurl = "file://{tmp_path}/hall"\n'
    )
    with Box(tmp_path / "data", STOCK_CONFIG=str(config), STOCK_BROKER__TLS_PORT=str(processes.free_port())) as box:
        for words, code, says in (
            (("--print",), 1, "name one of bar, hall"),
            (("--printer", "yard"), 1, "no printer 'yard': name one of bar, hall"),
            (("--print", "--png", str(tmp_path / "A1.png")), 2, "not both"),
        ):
            done = box.command("device", "add", "A1", *words)
            assert (done.returncode, says in done.stderr) == (code, True), done.stderr
        assert devices(box) == []
        row = orjson.loads(box.command("device", "add", "A1", "--printer", "hall", "--json").stdout)
        assert row == {"device": "A1", "printer": "hall", "printed": "delivered"}
        assert devices(box) == ["A1"]
    assert (tmp_path / "hall").read_bytes()
    with Box(tmp_path / "other", STOCK_BROKER__TLS_PORT=str(processes.free_port())) as box:
        done = box.command("device", "add", "A1", "--print")
        assert (done.returncode, "there is no printer" in done.stderr) == (1, True)
