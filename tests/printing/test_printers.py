"""The driver and the transports against printers that run by themselves: emupos, and our emulator on a pty.

What both can do is one suite; the completion marker and the harder faults are our emulator's. Time is real here, so the
limits are small where a test waits for one to pass, and generous where none should.
"""

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from appliance.printing.commands import COMMAND_BYTES_MAX
from appliance.printing.driver import Capabilities, Doubtful, Driver, Level, Limits, NotReady, Printed
from appliance.printing.status import PrinterState, PrinterStatus
from tests.printing.emulator import Printer, PtyPrinter
from tests.printing.emupos import EmuPos
from tests.printing.jobs import CUT, START, job, job_lines, marker
from tests.waiting import wait_until

MARKER = Capabilities(has_marker=True, has_fence=True, has_status=True)
FENCE = Capabilities(has_fence=True, has_status=True)

QUICK = Limits(answer_s=0.5, quiet_s=0.1, step_s=0.2, stall_s=1.0, print_s=0.5, proof_s=0.5, silent_s=1.0, watch_s=0.1)
PATIENT = Limits(answer_s=10.0, quiet_s=0.1, step_s=0.2, look_s=0.05)


class Machine(Protocol):
    """What a person can do with a printer, and see of it."""

    url: str

    def set_fault(self, fault: str, is_active: bool) -> None: ...

    def texts(self) -> list[str]: ...


class OverEmuPos:
    def __init__(self, emupos: EmuPos, url: str) -> None:
        self.url = url
        self.set_fault = emupos.set_fault
        self.texts = emupos.texts


class OverPty:
    def __init__(self, pty: PtyPrinter) -> None:
        self.url = f"serial://{pty.link}"
        self.texts = pty.sheets
        self._pty = pty

    def set_fault(self, fault: str, is_active: bool) -> None:
        faults: dict[str, Callable[[Printer], object]] = {
            "paper-out": lambda printer: printer.take_paper() if is_active else printer.give_paper(),
            "cover-open": lambda printer: printer.open_cover() if is_active else printer.close_cover(),
            "paper-near-end": lambda printer: setattr(printer, "is_paper_low", is_active),
        }
        self._pty.do(faults[fault])


@pytest.fixture(scope="module")
def emupos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmuPos]:
    with EmuPos(tmp_path_factory.mktemp("emupos")) as running:
        yield running


@pytest.fixture
def printer() -> Printer:
    return Printer(bytes_per_s=200_000)


@pytest.fixture
def pty(tmp_path: Path, printer: Printer) -> Iterator[PtyPrinter]:
    with PtyPrinter(printer, tmp_path / "printer") as running:
        yield running


@pytest.fixture(params=["emupos-serial", "emupos-tcp", "ours"])
def machine(request: pytest.FixtureRequest) -> Machine:
    if request.param == "ours":
        return OverPty(request.getfixturevalue("pty"))
    emupos: EmuPos = request.getfixturevalue("emupos")
    at = f"serial://{emupos.link}" if request.param == "emupos-serial" else f"tcp://127.0.0.1:{emupos.port}"
    return OverEmuPos(emupos, at)


@pytest.fixture
def drive(request: pytest.FixtureRequest) -> Iterator[Callable[..., Driver]]:
    drivers: list[Driver] = []

    def drive(url: str, capabilities: Capabilities, limits: Limits = PATIENT) -> Driver:
        drivers.append(Driver(url, capabilities=capabilities, limits=limits))
        return drivers[-1]

    yield drive
    for driver in drivers:
        driver.close()


def send(driver: Driver, data: bytes, number: int = 1) -> Printed:
    return driver.send(data, marker(number), began=lambda: None)


# --- every printer ---------------------------------------------------------------------------------------------------


def test_a_russian_job_comes_out_readable_and_is_fenced(machine: Machine, drive: Callable[..., Driver]) -> None:
    driver = drive(machine.url, FENCE)
    before = len(machine.texts())
    assert driver.status() == PrinterStatus(PrinterState.READY, "")
    words = "ПРЕЧЕК № 17, щука копчёная, Ёж"
    assert send(driver, START + f"{words}\n".encode("cp866") + CUT) == Printed(Level.FENCED)
    wait_until(lambda: len(machine.texts()) == before + 1)
    assert words in machine.texts()[-1]


def test_jobs_of_every_size_come_out_in_order(machine: Machine, drive: Callable[..., Driver]) -> None:
    driver = drive(machine.url, FENCE)
    before = len(machine.texts())
    sizes = (1, 60, 500)
    for number, lines in enumerate(sizes):
        assert send(driver, job(f"Ч{number}", lines), number) == Printed(Level.FENCED)
    wait_until(lambda: len(machine.texts()) == before + len(sizes))
    for number, (text, lines) in enumerate(zip(machine.texts()[before:], sizes, strict=True)):
        assert [line.rstrip() for line in text.splitlines() if line.strip()] == job_lines(f"Ч{number}", lines)


@pytest.mark.parametrize(
    ("fault", "state"), [("paper-out", PrinterState.PAPER_OUT), ("cover-open", PrinterState.COVER_OPEN)]
)
def test_a_fault_keeps_jobs_back_until_it_is_mended(
    machine: Machine, drive: Callable[..., Driver], fault: str, state: PrinterState
) -> None:
    driver = drive(machine.url, FENCE)
    before = len(machine.texts())
    machine.set_fault(fault, True)
    try:
        with pytest.raises(NotReady) as caught:
            send(driver, job("A"))
        assert caught.value.status.state == state
        assert driver.status().state == state
    finally:
        machine.set_fault(fault, False)
    assert driver.status().state == PrinterState.READY
    assert send(driver, job("Б")) == Printed(Level.FENCED)
    wait_until(lambda: len(machine.texts()) == before + 1)
    assert "A строка" not in machine.texts()[-1]


def test_paper_that_nearly_ends_is_told(machine: Machine, drive: Callable[..., Driver]) -> None:
    driver = drive(machine.url, FENCE)
    machine.set_fault("paper-near-end", True)
    try:
        assert driver.status() == PrinterStatus(PrinterState.READY, "", paper_low=True)
    finally:
        machine.set_fault("paper-near-end", False)


# --- emupos ----------------------------------------------------------------------------------------------------------


def test_emupos_offline_is_offline(emupos: EmuPos, drive: Callable[..., Driver]) -> None:
    driver = drive(f"tcp://127.0.0.1:{emupos.port}", FENCE)
    emupos.set_fault("offline", True)
    try:
        assert driver.status().state == PrinterState.OFFLINE
    finally:
        emupos.set_fault("offline", False)


def test_a_printer_without_the_marker_is_doubtful_where_setup_said_it_had_one(
    emupos: EmuPos, drive: Callable[..., Driver]
) -> None:
    driver = drive(f"tcp://127.0.0.1:{emupos.port}", MARKER, QUICK)
    with pytest.raises(Doubtful, match="never said that it had printed"):
        send(driver, job("A"))


def test_a_network_printer_that_went_away_is_found_again(tmp_path: Path, drive: Callable[..., Driver]) -> None:
    emupos = EmuPos(tmp_path)
    driver = drive(f"tcp://127.0.0.1:{emupos.port}", FENCE)
    with emupos:
        assert send(driver, job("A")) == Printed(Level.FENCED)
    wait_until(lambda: driver.status().state == PrinterState.OFFLINE)
    with emupos:
        assert send(driver, job("Б")) == Printed(Level.FENCED)


# --- our emulator on a pty -------------------------------------------------------------------------------------------


def test_a_job_is_confirmed_by_its_marker(pty: PtyPrinter, drive: Callable[..., Driver]) -> None:
    driver = drive(f"serial://{pty.link}", MARKER)
    for number in range(5):
        assert send(driver, job(f"Ч{number}", 100), number) == Printed(Level.CONFIRMED)
        assert pty.sheets()[-1] == "\n".join(job_lines(f"Ч{number}", 100))


def test_a_printer_that_comes_back_under_another_number_is_found_again(
    pty: PtyPrinter, drive: Callable[..., Driver]
) -> None:
    driver = drive(f"serial://{pty.link}", MARKER)
    send(driver, job("A"), 1)
    number = pty.link.readlink()
    pty.unplug()
    wait_until(lambda: driver.status().state == PrinterState.OFFLINE)
    with pytest.raises(NotReady):
        send(driver, job("Б"), 2)
    taken = PtyPrinter(Printer(), pty.link.with_name("other"))  # so that the old number is somebody else's
    with taken:
        pty.plug()
        assert pty.link.readlink() != number
        assert send(driver, job("Б"), 2) == Printed(Level.CONFIRMED)
    assert [sheet.split()[0] for sheet in pty.sheets()] == ["A", "Б"]


def test_pulling_the_plug_in_mid_job_is_doubt(pty: PtyPrinter, printer: Printer, drive: Callable[..., Driver]) -> None:
    pty.do(lambda printer: setattr(printer, "bytes_per_s", 2000.0))
    driver = drive(f"serial://{pty.link}", MARKER)
    began = threading.Event()

    def pull() -> None:
        assert began.wait(30)
        wait_until(lambda: printer.paper())
        pty.unplug()

    puller = threading.Thread(target=pull)
    puller.start()
    with pytest.raises(Doubtful, match="connection was lost in the middle of the job"):
        driver.send(job("A", 500), marker(1), began=began.set)
    puller.join()


def test_twenty_kilobytes_into_a_stalled_printer_end_in_doubt_and_not_in_a_hang(
    pty: PtyPrinter, drive: Callable[..., Driver]
) -> None:
    driver = drive(f"serial://{pty.link}", MARKER, QUICK)
    data = job("A", 600)
    assert len(data) > 20_000
    with pytest.raises(Doubtful, match="and then nothing"):
        driver.send(data, marker(1), began=lambda: pty.do(Printer.stall))
    assert driver.status().state == PrinterState.STALLED


def test_power_lost_in_mid_job_is_doubt(pty: PtyPrinter, printer: Printer, drive: Callable[..., Driver]) -> None:
    pty.do(lambda printer: setattr(printer, "bytes_per_s", 2000.0))
    driver = drive(f"serial://{pty.link}", MARKER, Limits(silent_s=60.0, print_s=0.5, watch_s=0.1))
    began = threading.Event()

    def pull() -> None:
        assert began.wait(30)
        wait_until(lambda: printer.paper())
        pty.do(Printer.cut_power)

    puller = threading.Thread(target=pull)
    puller.start()
    with pytest.raises(Doubtful, match="lost what it had not printed yet"):
        driver.send(job("A", 150), marker(1), began=began.set)
    puller.join()


def test_closing_from_another_thread_ends_a_job_that_waits(pty: PtyPrinter, drive: Callable[..., Driver]) -> None:
    driver = drive(f"serial://{pty.link}", MARKER)
    closer = threading.Thread(target=driver.close)

    def begin() -> None:
        pty.do(Printer.stall)
        closer.start()

    with pytest.raises(Doubtful, match="the service stopped"):
        driver.send(job("A", 600), marker(1), began=begin)
    closer.join(timeout=30)
    assert not closer.is_alive()


# --- what is known of a printer that answers nothing ------------------------------------------------------------------


@pytest.mark.parametrize("does_read", [True, False])
def test_delivered_means_that_the_bytes_have_left_this_machine(drive: Callable[..., Driver], does_read: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # A small window: the kernel takes the whole job from us, and cannot get it out.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        driver = drive(f"tcp://127.0.0.1:{listener.getsockname()[1]}", Capabilities(), QUICK)
        data = job("A", 1500)
        sent = bytes(COMMAND_BYTES_MAX) + data
        driver.status()
        connection, _ = listener.accept()
        if not does_read:
            with pytest.raises(Doubtful, match=r"it took \d+ of \d+ bytes, and then nothing"):
                send(driver, data)
        else:
            heard = bytearray()
            reader = threading.Thread(target=lambda: heard.extend(connection.makefile("rb").read(len(sent))))
            reader.start()
            assert send(driver, data) == Printed(Level.DELIVERED)
            reader.join()
            assert heard == sent
        connection.close()


# --- what is no printer ----------------------------------------------------------------------------------------------


def test_a_file_takes_jobs_and_proves_nothing(tmp_path: Path, drive: Callable[..., Driver]) -> None:
    driver = drive(f"file://{tmp_path}/jobs.bin", MARKER)
    assert driver.status() == PrinterStatus(PrinterState.READY, "")
    assert send(driver, job("A")) == Printed(Level.DELIVERED)
    assert (tmp_path / "jobs.bin").read_bytes() == job("A")  # no marker, which nothing would answer


def test_a_terminal_shows_jobs(drive: Callable[..., Driver], capsys: pytest.CaptureFixture[str]) -> None:
    driver = drive("terminal:", MARKER)
    assert send(driver, job("Чек", 2)) == Printed(Level.DELIVERED)
    assert capsys.readouterr().out.splitlines()[:2] == job_lines("Чек", 2)
