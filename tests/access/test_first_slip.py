"""A new box whose output nobody sees, with a printer: what it prints lets the shop's tills in."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.access.test_change_of_password import changed
from tests.access.test_devices import log_in
from tests.access.test_printed_slips import box_with, has_begun, token_on
from tests.box import Box
from tests.printing.emulator import Printer, PtyPrinter
from tests.waiting import wait_until


@pytest.fixture
def pty(tmp_path: Path) -> Iterator[PtyPrinter]:
    with PtyPrinter(Printer(bytes_per_s=50_000), tmp_path / "printer") as pty:
        yield pty


@contextmanager
def unseen_box(directory: Path, pty: PtyPrinter, **settings: str) -> Iterator[Box]:
    """A box that has no password and takes its log for the system's journal."""
    log = directory.parent / f"{directory.name}.log"
    log.touch()
    journal = f"{log.stat().st_dev}:{log.stat().st_ino}"
    with box_with(directory, pty, **{"STOCK_PASSWORD": "", "JOURNAL_STREAM": journal, **settings}) as box:
        yield box


def test_any_till_comes_in_by_the_first_slip_and_goes_on_doing_so(tmp_path: Path, pty: PtyPrinter) -> None:
    with unseen_box(tmp_path / "data", pty) as box:
        wait_until(lambda: len(pty.sheets()) == 1)
        password = token_on(pty.sheets()[0])
        wait_until(lambda: "first slip printed" in box.log.read_text())
        assert [log_in(box, *one) for one in (("A1", password), ("A2", password), ("A1", "guess"))] == [0, 0, 4]
        assert "пароль магазина" in pty.sheets()[0]
        box.stop()
        box.start()
        assert log_in(box, "A3", password) == 0
        assert password not in box.log.read_text() + box.welcome
    assert len(pty.sheets()) == 1


def test_a_first_slip_that_nobody_has_used_is_printed_anew_at_the_next_start(tmp_path: Path, pty: PtyPrinter) -> None:
    with unseen_box(tmp_path / "data", pty) as box:
        wait_until(lambda: "first slip printed" in box.log.read_text())
        box.kill()
        box.start()
        wait_until(lambda: box.log.read_text().count("first slip printed") == 2)
        lost, found = map(token_on, pty.sheets())
        assert [log_in(box, "A1", one) for one in (lost, found)] == [4, 0]


def test_a_first_slip_waits_for_paper_and_one_in_doubt_is_worth_nothing(tmp_path: Path, pty: PtyPrinter) -> None:
    pty.do(Printer.take_paper)
    with unseen_box(tmp_path / "data", pty) as box:
        wait_until(lambda: "nobody can come in yet" in box.log.read_text())
        pty.do(lambda printer: setattr(printer, "bytes_per_s", 400.0))
        pty.do(Printer.give_paper)
        wait_until(lambda: has_begun(pty))
        pty.unplug()
        wait_until(lambda: "nobody knows what came out" in box.log.read_text())
        pty.do(Printer.cut_power)
        pty.do(lambda printer: setattr(printer, "bytes_per_s", 50_000.0))
        pty.plug()
        wait_until(lambda: "first slip printed" in box.log.read_text())
        assert log_in(box, "A1", token_on(pty.sheets()[-1])) == 0


def test_a_password_that_is_set_while_the_first_slip_prints_makes_it_worthless_and_says_so(
    tmp_path: Path, pty: PtyPrinter
) -> None:
    pty.do(lambda printer: setattr(printer, "bytes_per_s", 4000.0))
    with unseen_box(tmp_path / "data", pty) as box:
        wait_until(lambda: has_begun(pty))
        done = changed(box, b"sesame\n")
        assert (done.returncode, "lets nobody in, so destroy it" in done.stdout) == (0, True)
        wait_until(lambda: "first slip is worthless printer=main" in box.log.read_text())
        assert [log_in(box, "A1", word) for word in (token_on(pty.sheets()[0]), "sesame")] == [4, 0]
        assert "first slip printed" not in box.log.read_text()


def test_a_box_that_has_a_device_prints_no_first_slip(tmp_path: Path, pty: PtyPrinter) -> None:
    pty.do(Printer.take_paper)
    with unseen_box(tmp_path / "data", pty) as box:
        assert box.command("device", "add", "A1").returncode == 0
        box.stop()
        pty.do(Printer.give_paper)
        before = len(box.log.read_text())
        box.start()
        assert box.command("device", "slip", "A1", "--print").returncode == 0
        assert "first slip" not in box.log.read_text()[before:]
    assert ["пароль магазина" in sheet for sheet in pty.sheets()] == [False]


def test_no_slip_is_printed_into_the_journal(tmp_path: Path, pty: PtyPrinter) -> None:
    with unseen_box(tmp_path / "data", pty, STOCK_PRINTER__URL="terminal:", STOCK_PRINTER__ANSWERS="nothing") as box:
        done = box.command("device", "add", "A1", "--print")
        assert (done.returncode, "goes to the system's journal" in done.stderr) == (1, True)
        assert "first slip printed" not in box.log.read_text()
