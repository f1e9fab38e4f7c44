"""Transports: the same suite over a serial line and the network, and what each kind has of its own."""

import io
import os
import socket
import stat
import termios
import threading
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.printing.transport.address import (
    Address,
    BadUrl,
    File,
    Network,
    SerialLine,
    Terminal,
    UsbDevice,
    UsbNode,
    parse_url,
)
from appliance.printing.transport.file import check_file
from appliance.printing.transport.opening import open_transport
from appliance.printing.transport.port import CannotOpen, Lost, Transport
from appliance.printing.transport.serial import SerialStream
from appliance.printing.transport.stream import Stream
from appliance.printing.transport.terminal import TerminalWriter
from appliance.printing.transport.usb import UsbStream, find_node
from tests.waiting import wait_until


class PtyEnd:
    """The printer's end of a serial line."""

    def __init__(self, folder: Path) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        link = folder / "printer"
        link.symlink_to(os.ttyname(self._slave))
        self.address: Address = SerialLine(link, 9600, "none")

    def say(self, data: bytes) -> None:
        os.write(self._master, data)

    def hear(self) -> bytes:
        try:
            return os.read(self._master, 65536)
        except BlockingIOError:
            return b""

    def leave(self) -> None:
        if self._master >= 0:
            os.close(self._slave)
            os.close(self._master)
            self._master = -1


class TcpEnd:
    """The printer's end of a connection."""

    def __init__(self, folder: Path) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        # A small window, so that a printer which does not read is full soon.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.address: Address = Network("127.0.0.1", self._listener.getsockname()[1])
        self._client: socket.socket | None = None

    def say(self, data: bytes) -> None:
        self._accepted().sendall(data)

    def hear(self) -> bytes:
        try:
            return self._accepted().recv(65536)
        except BlockingIOError:
            return b""

    def leave(self) -> None:
        if self._listener.fileno() >= 0:
            self._accepted().close()
            self._listener.close()

    def _accepted(self) -> socket.socket:
        if self._client is None:
            self._client, _ = self._listener.accept()
            self._client.setblocking(False)
        return self._client


@pytest.fixture(params=[PtyEnd, TcpEnd], ids=["serial", "tcp"])
def end(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PtyEnd | TcpEnd]:
    end: PtyEnd | TcpEnd = request.param(tmp_path)
    yield end
    end.leave()


def opened(address: Address) -> Transport:
    return open_transport(address, codepage="cp866", connect_s=10)


# --- what serial lines and the network have in common ----------------------------------------------------------------


def test_bytes_go_out_as_they_are(end: PtyEnd | TcpEnd) -> None:
    transport = opened(end.address)
    everything = bytes(range(256))
    assert transport.write(everything) == 256
    heard = bytearray()

    def is_heard() -> bool:
        heard.extend(end.hear())
        return len(heard) == 256

    wait_until(is_heard)
    assert heard == everything
    transport.close()


def test_bytes_come_in_as_they_are(end: PtyEnd | TcpEnd) -> None:
    transport = opened(end.address)
    everything = bytes(range(256))
    end.say(everything)
    heard = bytearray()
    while len(heard) < 256:
        transport.wait(30, to_write=False)
        heard += transport.read()
    assert heard == everything
    assert transport.read() == b""
    transport.close()


def test_a_printer_that_takes_nothing_never_holds_the_writer_up(end: PtyEnd | TcpEnd) -> None:
    transport = opened(end.address)
    # The kernel moves bytes on in its own time, so it may be full, have room again, and be full for good.
    wait_until(lambda: transport.write(b"x" * 65536) == 0 and not transport.wait(0, to_write=True))
    transport.close()  # and neither is the closing held up


def test_room_is_seen_when_the_printer_goes_on(end: PtyEnd | TcpEnd) -> None:
    transport = opened(end.address)
    while transport.write(b"x" * 65536):
        pass
    wait_until(lambda: end.hear() is not None and transport.wait(0, to_write=True))
    assert transport.write(b"y") == 1
    transport.close()


def test_a_printer_that_goes_away_is_noticed_by_reading_and_by_writing(end: PtyEnd | TcpEnd) -> None:
    transport = opened(end.address)
    end.say(b"\x12")
    transport.wait(30, to_write=False)
    assert transport.read() == b"\x12"
    end.leave()

    def reads() -> bool:
        try:
            transport.wait(0.01, to_write=False)
            transport.read()
        except Lost:
            return True
        return False

    wait_until(reads)

    def writes() -> bool:
        try:
            transport.write(b"x")
        except Lost:
            return True
        return False

    wait_until(writes)
    transport.close()


def test_what_was_not_taken_is_dropped_when_the_transport_is_closed(
    end: PtyEnd | TcpEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport = opened(end.address)
    written = _filled(transport)
    if isinstance(end, PtyEnd):  # The kernel says of a pty that nothing is left, whatever there is.
        monkeypatch.setattr(SerialStream, "unsent", lambda _: 1)
    transport.close()
    heard = bytearray()

    def is_over() -> bool:
        try:
            more = end.hear()
        except ConnectionResetError:
            return True
        heard.extend(more)
        return not more

    wait_until(is_over)
    assert len(heard) < written


def _filled(transport: Transport) -> int:
    """Write until nothing is taken any more; return the bytes that were."""
    written = 0
    while taken := transport.write(b"x" * 65536):
        written += taken
    return written


# --- serial ----------------------------------------------------------------------------------------------------------


def test_nobody_else_gets_a_serial_line_that_is_in_use(tmp_path: Path) -> None:
    end = PtyEnd(tmp_path)
    transport = opened(end.address)
    with pytest.raises(CannotOpen, match="another program uses it"):
        opened(end.address)
    transport.close()
    opened(end.address).close()
    end.leave()


def test_what_has_left_is_not_taken_back_when_a_serial_line_is_closed(tmp_path: Path) -> None:
    end = PtyEnd(tmp_path)
    transport = opened(end.address)
    written = _filled(transport)
    transport.close()
    heard = bytearray()

    def is_all_there() -> bool:
        heard.extend(end.hear())
        return len(heard) == written

    wait_until(is_all_there)
    end.leave()


def test_a_serial_line_is_set_up_as_its_url_says(tmp_path: Path) -> None:
    end = PtyEnd(tmp_path)
    assert isinstance(end.address, SerialLine)
    transport = opened(SerialLine(end.address.path, 19200, "rtscts"))
    _, _, control, _, speed_in, speed_out, _ = termios.tcgetattr(end._slave)
    assert (speed_in, speed_out) == (termios.B19200, termios.B19200)
    assert control & termios.CRTSCTS
    assert control & termios.CSIZE == termios.CS8
    transport.close()
    transport = opened(SerialLine(end.address.path, 9600, "xonxoff"))
    assert termios.tcgetattr(end._slave)[0] & termios.IXON
    transport.close()
    end.leave()


def test_what_was_said_before_the_opening_is_not_heard(tmp_path: Path) -> None:
    end = PtyEnd(tmp_path)
    end.say(b"\x37\x22A001\x00")
    transport = opened(end.address)
    transport.wait(0, to_write=False)
    assert transport.read() == b""
    transport.close()
    end.leave()


# --- the network -----------------------------------------------------------------------------------------------------


def test_what_was_said_before_the_end_is_still_heard(tmp_path: Path) -> None:
    end = TcpEnd(tmp_path)
    transport = opened(end.address)
    end.say(b"\x12")
    end.leave()
    transport.wait(30, to_write=False)
    assert transport.read() == b"\x12"
    with pytest.raises(Lost, match="it was unplugged or switched off"):
        wait_until(lambda: transport.wait(0.01, to_write=False) or transport.read())
    transport.close()


# --- what cannot be opened -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["serial", "usb"])
def test_a_missing_printer_is_named(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "gone" / "lp0"
    addresses: dict[str, Address] = {
        "serial": SerialLine(path, 9600, "none"),
        "usb": UsbNode(path),
    }
    with pytest.raises(CannotOpen, match="lp0: it is not plugged in or not switched on"):
        opened(addresses[kind])


def test_a_name_that_nobody_tells_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's look-up stands in for a network whose name servers are silent."""
    is_over = threading.Event()

    def look_up(*_: object, **__: object) -> list[object]:
        is_over.wait()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(CannotOpen, match=r"printer\.lan: nobody tells who has that name"):
        open_transport(Network("printer.lan", 9100), codepage="cp866", connect_s=0.05)
    is_over.set()


def test_a_dead_address_of_a_host_does_not_hide_the_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free_port: int
) -> None:
    end = TcpEnd(tmp_path)
    assert isinstance(end.address, Network)
    found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", one)) for one in (free_port, end.address.port)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    opened(Network("printer.lan", 9100)).close()
    end.leave()


def test_all_of_a_hosts_addresses_are_tried_within_one_time(monkeypatch: pytest.MonkeyPatch) -> None:
    waits_s: list[float] = []

    class Silent(socket.socket):
        def settimeout(self, value: float | None) -> None:
            waits_s.append(value or 0)

        def connect(self, address: object) -> None:
            raise TimeoutError

    found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 9)) for _ in range(4)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    monkeypatch.setattr(socket, "socket", Silent)
    with pytest.raises(CannotOpen, match="that host does not answer"):
        opened(Network("printer.lan", 9100))
    assert len(waits_s) == 4
    assert waits_s[0] <= 10 / 4, "each has its share of what is left"
    assert waits_s[-1] <= 10


def test_a_host_that_takes_no_jobs_is_named(free_port: int) -> None:
    with pytest.raises(CannotOpen, match=rf"127\.0\.0\.1:{free_port}: that host takes no print jobs"):
        opened(Network("127.0.0.1", free_port))


def test_something_that_is_no_serial_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    path.touch()
    with pytest.raises(CannotOpen, match="notes: "):
        opened(SerialLine(path, 9600, "none"))


# --- USB -------------------------------------------------------------------------------------------------------------


def plug(classes: Path, number: int, vendor: str, product: str, serial: str | None) -> None:
    """Lay out sysfs as the kernel does: usbmisc/lpN/device leads to an interface, whose parent has the identity."""
    device = classes.parent / "devices" / f"1-{number}"
    (device / "interface").mkdir(parents=True)
    (device / "idVendor").write_text(vendor + "\n")
    (device / "idProduct").write_text(product + "\n")
    if serial is not None:
        (device / "serial").write_text(serial + "\n")
    (classes / f"lp{number}").mkdir(parents=True)
    (classes / f"lp{number}" / "device").symlink_to(device / "interface")


def test_a_usb_printer_is_found_by_who_it_is(tmp_path: Path) -> None:
    classes = tmp_path / "usbmisc"
    plug(classes, 0, "0416", "5011", None)
    plug(classes, 1, "04b8", "0e15", "A")
    plug(classes, 2, "04b8", "0e28", "B")
    assert find_node(UsbDevice("04b8", "0e15", None), classes) == Path("/dev/usb/lp1")
    assert find_node(UsbDevice("04b8", "0e28", "B"), classes) == Path("/dev/usb/lp2")
    with pytest.raises(CannotOpen, match="USB printer 04b8:0e15 with serial C: it is not plugged in"):
        find_node(UsbDevice("04b8", "0e15", "C"), classes)


def test_two_alike_are_told_apart_by_their_serial_numbers(tmp_path: Path) -> None:
    classes = tmp_path / "usbmisc"
    plug(classes, 0, "04b8", "0e15", "A")
    plug(classes, 1, "04b8", "0e15", "B")
    with pytest.raises(CannotOpen, match=r"2 of them are plugged in; add \?serial="):
        find_node(UsbDevice("04b8", "0e15", None), classes)
    assert find_node(UsbDevice("04b8", "0e15", "B"), classes) == Path("/dev/usb/lp1")


def test_no_usb_printer_at_all_is_no_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(CannotOpen, match="not plugged in"):
        find_node(UsbDevice("04b8", "0e15", None), tmp_path / "missing")


def test_what_the_kernel_still_holds_for_a_usb_printer_has_not_left(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "lp0")
    printer = UsbStream(tmp_path / "lp0")
    assert printer.unsent() == 0
    while printer.write(bytes(4096)):
        pass
    assert printer.unsent() > 0
    while printer.read():
        pass
    assert printer.unsent() == 0
    printer.close()


def test_an_empty_usb_packet_is_not_the_end() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    stream = Stream(ours.detach(), is_end_told=False)
    theirs.shutdown(socket.SHUT_WR)
    assert stream.read() == b""
    theirs.close()
    stream.close()


# --- file and terminal -----------------------------------------------------------------------------------------------


def test_a_file_that_cannot_be_written_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CannotOpen, match="gone/jobs: its directory is not there: make it"):
        opened(File(tmp_path / "gone" / "jobs"))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CannotOpen, match="pipe: nobody reads this pipe"):
        opened(File(tmp_path / "pipe"))
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    transport = opened(File(tmp_path / "pipe"))
    os.close(reader)
    with pytest.raises(Lost, match="whoever read this pipe has ended"):
        transport.write(b"x")
    with pytest.raises(Lost, match="whoever read this pipe has ended"):
        transport.wait(0, to_write=False)
    transport.close()


def test_jobs_are_not_appended_to_what_they_would_spoil(tmp_path: Path) -> None:
    data, sheets = tmp_path / "data", tmp_path / "sheets"
    data.mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(data / "ledger.db")
    for fit in (sheets, tmp_path / "pipe", tmp_path / "gone" / "sheets"):
        check_file(File(fit), data)
    for unfit, why in (
        (data / "ledger.db", "in the data directory"),
        (data, "in the data directory"),
        (tmp_path / "link", "in the data directory"),
        (tmp_path, "a directory: name a file in it"),
        (Path("/dev/null"), "a device"),
    ):
        with pytest.raises(BadUrl, match=why):
            check_file(File(unfit), data)


def test_jobs_are_appended_to_a_file(tmp_path: Path) -> None:
    path = tmp_path / "jobs.bin"
    for job in (b"\x1b@one", b"\x1b@two"):
        transport = opened(File(path))
        assert transport.write(job) == len(job)
        assert not transport.answers
        transport.close()
    assert path.read_bytes() == b"\x1b@one\x1b@two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_terminal_shows_the_words_of_a_job() -> None:
    out = io.StringIO()
    terminal = TerminalWriter("cp866", out)
    job = b"\x1c.\x1b@\x1bt\x11\x1b!\x30" + "ПРЕЧЕК".encode("cp866") + b"\n" + "Молоко 3,2 %".encode("cp866") + b"\n"
    job += b"\x1dv0\x00\x01\x00\x02\x00AB" + b"\x1bd\x03" + b"\x1dV\x42\x00"
    for byte in job:
        assert terminal.write(bytes((byte,))) == 1
    assert out.getvalue() == "ПРЕЧЕК\nМолоко 3,2 %\n\n- - - 8< - - -\n"


# --- URLs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("", None),
        ("serial:///dev/serial/by-id/usb-A_B-if00?baud=19200&flow=rtscts",
         SerialLine(Path("/dev/serial/by-id/usb-A_B-if00"), 19200, "rtscts")),
        ("serial:///dev/ttyS0", SerialLine(Path("/dev/ttyS0"), 9600, "none")),
        ("serial:///dev/a%23b", SerialLine(Path("/dev/a#b"), 9600, "none")),
        ("usb:///dev/usb/lp0", UsbNode(Path("/dev/usb/lp0"))),
        ("usb://04B8:0E15", UsbDevice("04b8", "0e15", None)),
        ("usb://04b8:0e15?serial=X1", UsbDevice("04b8", "0e15", "X1")),
        ("tcp://192.168.1.50", Network("192.168.1.50", 9100)),
        ("tcp://[::1]:9101/", Network("::1", 9101)),
        ("file:///var/tmp/jobs", File(Path("/var/tmp/jobs"))),
        ("terminal:", Terminal()),
    ],
)  # fmt: skip
def test_a_url_names_an_address(url: str, address: Address | None) -> None:
    assert parse_url(url) == address


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("/dev/usb/lp0", "the scheme is ''; use one of serial:///dev"),
        ("lpt://1", "the scheme is 'lpt'"),
        ("serial://dev/ttyS0", "an absolute path after three slashes, as in serial:///"),
        ("serial:///dev/ttyS0?baud=9601", "baud is '9601'; use what the printer's self-test prints, one of 1200"),
        ("serial:///dev/ttyS0?flow=dsrdtr", "flow is 'dsrdtr'; use one of none, rtscts, xonxoff"),
        ("serial:///dev/ttyS0?speed=9600", "it has no option 'speed'; there are baud, flow"),
        ("usb://04b8", "'04b8' is not vendor:product as lsusb shows them"),
        ("usb:///dev/usb/lp0?serial=A", "it has no option 'serial'; leave it out"),
        ("tcp://", "it needs a host"),
        ("tcp://a..b", "'a..b' cannot be a host's name"),
        ("tcp://" + "a" * 64, "cannot be a host's name"),
        ("tcp://host:99999", "write it as in tcp://192.168.1.50:9100"),
        ("tcp://host:9100/queue", "nothing after the port"),
        ("file:///a%00b", "a path has no NUL in it"),
        ("file:///", "an absolute path after three slashes"),
        ("file:///a#b", "write %23"),
        ("terminal:now", "nothing may follow terminal:"),
    ],
)
def test_a_bad_url_is_told_what_is_wrong_and_what_to_write(url: str, complaint: str) -> None:
    with pytest.raises(BadUrl) as caught:
        parse_url(url)
    assert f"printer URL {url!r}: " in str(caught.value)
    assert complaint in str(caught.value)
