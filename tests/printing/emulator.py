"""A receipt printer of our own, with what emupos has not: the completion marker, a buffer, a speed, and more faults.

`Printer` is the machine, without I/O and with its own time: `feed` gives it bytes, `advance` lets time pass. `Wire` is
a transport to it in simulated time. `PtyPrinter` is the same machine in a thread, on a pty behind a symbolic link.
"""

import os
import re
import select
import threading
import time
import tty
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from appliance.printing.commands import Splitter
from appliance.printing.transport.port import CannotOpen, Lost

CP866_TABLE = 17

_REAL_TIME = re.compile(rb"\x10\x04[\x01-\x04]")


@dataclass(slots=True)
class Sheet:
    """What was torn off: lines of text, and whether the cutter did it."""

    lines: list[str] = field(default_factory=list)
    is_cut: bool = False

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


class Printer:
    """bytes_per_s: how fast it prints. buffer_bytes: what it takes ahead of that. boot_s: how long it is off.

    obeys_inside: real-time requests are answered also inside another command's data, as on an Epson.
    cp866_table: the number by which it knows CP866. columns: of its paper; a longer line is broken, as on paper.
    shows_marker: whether it prints a marker that it answers, too.
    """

    def __init__(
        self,
        *,
        bytes_per_s: float = 2000.0,
        buffer_bytes: int = 4096,
        boot_s: float = 1.5,
        has_marker: bool = True,
        has_fence: bool = True,
        has_status: bool = True,
        obeys_inside: bool = False,
        shows_marker: bool = False,
        cp866_table: int = CP866_TABLE,
        columns: int = 48,
    ) -> None:
        self.bytes_per_s = bytes_per_s
        self.buffer_bytes = buffer_bytes
        self.boot_s = boot_s
        self.has_marker = has_marker
        self.has_fence = has_fence
        self.has_status = has_status
        self.obeys_inside = obeys_inside
        self.shows_marker = shows_marker
        self.cp866_table = cp866_table
        self.columns = columns
        self.replies = bytearray()
        self._held = 0
        self._heard = b""
        self.sheets: list[Sheet] = []
        self.has_paper = True
        self.is_cover_open = False
        self.is_paper_low = False
        self.is_stalled = False
        self.is_automatic = False
        self._off_s = 0.0
        self._budget = 0.0
        self._switch_on()

    # --- what the wire does -------------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> int:
        """Return how many bytes were taken. What comes while it is switched off goes nowhere."""
        if self._off_s > 0:
            return len(data)
        if self.is_stalled:
            return 0
        taken = data[: max(0, self.buffer_bytes - self._held)]
        if self.obeys_inside:
            for request in _REAL_TIME.finditer(self._heard + taken):
                self._answer(request[0][2])
            self._heard = (self._heard + taken)[-2:]
        for command in self._splitter.feed(taken):
            if command[:2] == b"\x10\x04":
                if not self.obeys_inside:
                    self._answer(command[2])
            elif command != b"\0":
                self._buffer.append(command)
                self._held += len(command)
        return len(taken)

    def holds(self) -> bool:
        """Say whether it has taken what it has not printed yet."""
        return self._held > 0

    def has_room(self) -> bool:
        return self._off_s > 0 or (not self.is_stalled and self._held < self.buffer_bytes)

    def advance(self, seconds: float) -> None:
        if self._off_s > 0:
            self._off_s = max(0.0, self._off_s - seconds)
            return
        if self.is_stalled or not self._prints:
            return
        self._budget += seconds * self.bytes_per_s
        while self._buffer and self._budget >= len(self._buffer[0]):
            command = self._buffer.popleft()
            self._held -= len(command)
            self._budget -= len(command)
            self._print(command)
        if not self._buffer:
            self._budget = 0.0

    # --- what a person does -------------------------------------------------------------------------------------------

    def take_paper(self) -> None:
        self._change("has_paper", False)

    def give_paper(self) -> None:
        self._change("has_paper", True)

    def open_cover(self) -> None:
        self._change("is_cover_open", True)

    def close_cover(self) -> None:
        self._change("is_cover_open", False)

    def stall(self, is_stalled: bool = True) -> None:
        self.is_stalled = is_stalled

    def cut_power(self) -> None:
        """Off and, after `boot_s`, on again: it forgets all that is not on paper, and what its settings were."""
        self._tear(is_cut=False)
        self.replies.clear()
        self._off_s = self.boot_s
        self.is_stalled = False
        self._switch_on()

    def paper(self) -> list[Sheet]:
        """Return what was printed, also what hangs out and is not cut yet."""
        return [*self.sheets, Sheet([*self._lines, self._line])] if self._lines or self._line else self.sheets

    # --- inside -------------------------------------------------------------------------------------------------------

    @property
    def _prints(self) -> bool:
        return self.has_paper and not self.is_cover_open

    def _switch_on(self) -> None:
        self._splitter = Splitter()
        self._heard = b""
        self._buffer: deque[bytes] = deque()
        self._held = 0
        self._budget = 0.0
        self._page = "cp437"
        self._line = ""
        self._lines: list[str] = []

    def _change(self, name: str, value: bool) -> None:
        setattr(self, name, value)
        if self.is_automatic and self._off_s == 0:
            self.replies += self._automatic()

    def _automatic(self) -> bytes:
        first = 0x10 | (0 if self._prints else 0x08) | (0x20 if self.is_cover_open else 0)
        third = (0x03 if self.is_paper_low or not self.has_paper else 0) | (0 if self.has_paper else 0x0C)
        return bytes((first, 0, third, 0))

    def _answer(self, subject: int) -> None:
        if not self.has_status:
            return
        bits = {
            1: 0 if self._prints else 0x08,
            2: (0x04 if self.is_cover_open else 0) | (0 if self.has_paper else 0x20),
            3: 0,
            4: (0x0C if self.is_paper_low else 0) | (0 if self.has_paper else 0x60),
        }
        self.replies.append(0x12 | bits[subject])

    def _print(self, command: bytes) -> None:
        if command[0] >= 0x20:
            self._line += command.decode(self._page)
        elif command == b"\n":
            self._feed_line()
        elif command == b"\x1b@":
            self._line, self._page = "", "cp437"
        elif command[:2] == b"\x1bt":
            self._page = "cp866" if command[2] == self.cp866_table else "cp437"
        elif command[:2] == b"\x1dV":
            self._tear(is_cut=True)
        elif command[:2] == b"\x1dr" and self.has_fence:
            self.replies.append(0x00 if self.has_paper else 0x0C)
        elif command[:7] == b"\x1d(H\x06\x0000":
            if self.has_marker:
                self.replies += b"\x37\x22" + command[7:] + b"\x00"
            if self.shows_marker or not self.has_marker:
                self._line += command[7:].decode("ascii")

    def _feed_line(self) -> None:
        cut = range(0, max(1, len(self._line)), self.columns)
        self._lines += [self._line[at : at + self.columns] for at in cut]
        self._line = ""

    def _tear(self, *, is_cut: bool) -> None:
        if self._line:
            self._feed_line()
        if self._lines:
            self.sheets.append(Sheet(self._lines, is_cut))
        self._lines = []


class Bench:
    """Simulated time: a printer, its clock, and what happens to it when."""

    def __init__(self, printer: Printer) -> None:
        self.printer = printer
        self.now_s = 0.0
        self.carried = b""
        """Every byte that the printer took."""
        self.is_plugged = True
        self.connections_ended = 0
        self.connections_dead = 0
        self.connections = 0
        self.is_shared = False
        """Whether it is in the network, where others may wait until a connection is closed."""
        self.is_in_use = False
        self._events: list[tuple[float, Callable[[], None]]] = []

    def clock(self) -> float:
        return self.now_s

    def at(self, when_s: float, event: Callable[[], None]) -> None:
        self._events.append((when_s, event))
        self._events.sort(key=lambda entry: entry[0])

    def unplug(self) -> None:
        self.is_plugged = False
        self.hang_up()

    def plug(self) -> None:
        self.is_plugged = True

    def go_dead(self) -> None:
        """Leave the connection that there is open, and let nothing through it any more."""
        self.connections_dead = self.connections

    def hang_up(self) -> None:
        """End the connection that there is, and no more."""
        self.connections_ended = self.connections
        self.printer.replies.clear()

    def advance(self, seconds: float) -> None:
        ends_s = self.now_s + seconds
        while self._events and self._events[0][0] <= ends_s:
            when_s, event = self._events.pop(0)
            self._pass(max(0.0, when_s - self.now_s))
            event()
        self._pass(ends_s - self.now_s)

    def open(self) -> "Wire":
        if not self.is_plugged:
            raise CannotOpen("it is not plugged in")
        self.connections += 1
        self.is_in_use = True
        return Wire(self)

    def _pass(self, seconds: float) -> None:
        self.printer.advance(seconds)
        self.now_s += seconds


class Wire:
    """A transport to a printer on a bench: it waits by letting the bench's time pass."""

    answers = True
    STEP_S = 0.05

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.is_shared = bench.is_shared
        self._number = bench.connections
        bench.printer.replies.clear()

    def write(self, data: bytes) -> int:
        self._check()
        if self._number <= self._bench.connections_dead:
            return len(data)
        # Every byte takes its time on the line (about 115,200 baud), so that faults come between them.
        taken = self._bench.printer.feed(data[:64])
        self._bench.carried += data[:taken]
        self._bench.advance(taken * 0.0001)
        return taken

    def read(self) -> bytes:
        self._check()
        data = bytes(self._bench.printer.replies)
        self._bench.printer.replies.clear()
        return data

    def wait(self, timeout_s: float, *, to_write: bool) -> bool:
        ends_s = self._bench.now_s + timeout_s
        while True:
            self._check()
            has_room = to_write and self._bench.printer.has_room()
            if has_room or self._bench.printer.replies or self._bench.now_s >= ends_s:
                return has_room
            self._bench.advance(min(self.STEP_S, max(ends_s - self._bench.now_s, 1e-6)))

    def unsent(self) -> int:
        self._check()
        return 0

    def close(self) -> None:
        self._bench.is_in_use = False

    def _check(self) -> None:
        # A plug that was pulled stays pulled for this connection, though the printer may be back under another number.
        if self._number <= self._bench.connections_ended:
            raise Lost("it was unplugged or switched off")


class PtyPrinter:
    """The printer in a thread, on a pty; `link` is its address, whatever number the pty has."""

    def __init__(self, printer: Printer, link: Path) -> None:
        self.link = link
        self._printer = printer
        self._lock = threading.Lock()
        self._master = self._slave = -1
        self._wakes, self._waker = os.pipe()
        self._is_ending = False
        self._plugged = 0
        self.plug()
        self._thread = threading.Thread(target=self._run, name="emulated printer")

    def __enter__(self) -> "PtyPrinter":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._is_ending = True
        os.write(self._waker, b".")
        self._thread.join()
        if self._master >= 0:
            self.unplug()
        os.close(self._wakes)
        os.close(self._waker)

    def unplug(self) -> None:
        with self._lock:
            self.link.unlink()
            os.close(self._master)
            os.close(self._slave)
            self._master = self._slave = -1
            self._printer.replies.clear()
        os.write(self._waker, b".")

    def plug(self) -> None:
        with self._lock:
            self._plugged += 1
            self._master, self._slave = os.openpty()
            tty.setraw(self._slave)
            os.set_blocking(self._master, False)
            self.link.symlink_to(os.ttyname(self._slave))
        os.write(self._waker, b".")

    def do(self, action: Callable[[Printer], object]) -> None:
        """Do something to the printer between two of its steps."""
        with self._lock:
            action(self._printer)

    def sheets(self) -> list[str]:
        with self._lock:
            return [sheet.text for sheet in self._printer.sheets]

    def _run(self) -> None:
        then_s = time.monotonic()
        pending = b""
        while not self._is_ending:
            with self._lock:
                master, plugged = self._master, self._plugged
                wanted = [master] if master >= 0 and not pending else []
            with suppress(OSError, ValueError):  # it was unplugged just now
                select.select([self._wakes, *wanted], [], [], 0.002)
            if select.select([self._wakes], [], [], 0)[0]:
                os.read(self._wakes, 4096)
            with self._lock:
                now_s = time.monotonic()
                self._printer.advance(now_s - then_s)
                then_s = now_s
                if self._plugged != plugged or self._master < 0:
                    pending = b""
                    continue
                with suppress(OSError):
                    pending = pending or os.read(self._master, 256)
                pending = pending[self._printer.feed(pending) :]
                with suppress(OSError):
                    sent = os.write(self._master, self._printer.replies)
                    del self._printer.replies[:sent]
