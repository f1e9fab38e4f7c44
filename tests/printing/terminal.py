"""A person at a terminal: runs a command on a pty, waits for words on the screen, and types."""

import os
import pty
import subprocess
import termios
from types import TracebackType
from typing import Self

from scripts import processes
from scripts.processes import COORDINATOR
from tests.waiting import wait_until


class Person:
    """words: of the command. settings: further variables, `STOCK_…`."""

    def __init__(self, *words: str, **settings: str) -> None:
        self._words = words
        self._environment = processes.environment(**settings)
        self.screen = ""
        self._seen = 0

    def __enter__(self) -> Self:
        self._master, slave = pty.openpty()
        os.set_blocking(self._master, False)
        self._process = subprocess.Popen(
            [*COORDINATOR, *self._words], env=self._environment, stdin=slave, stdout=slave, stderr=slave
        )
        os.close(slave)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._master)

    def sees(self, words: str) -> None:
        """Wait until the words stand on the screen, behind what was seen before."""
        wait_until(lambda: self._find(words))

    def types(self, line: str) -> None:
        os.write(self._master, f"{line}\n".encode())

    def types_unseen(self, line: str) -> None:
        """Type once the terminal shows nothing of it; what was typed between its asking and that is thrown away."""
        wait_until(lambda: not termios.tcgetattr(self._master)[3] & termios.ECHO)
        self.types(line)

    def ends(self) -> int:
        """Wait for the command's end, and return its exit code."""
        wait_until(lambda: self._find("\0") or self._process.poll() is not None)
        self._read()
        return self._process.wait()

    def kill(self) -> None:
        """End the command as a closed window does."""
        self._process.kill()
        self._process.wait()

    def _find(self, words: str) -> bool:
        self._read()
        # A narrow terminal breaks lines anywhere, so only the words count.
        screen = " ".join(self.screen.split())
        place = screen.find(words, self._seen)
        if place >= 0:
            self._seen = place + len(words)
        return place >= 0

    def _read(self) -> None:
        try:
            while data := os.read(self._master, 4096):
                self.screen += data.decode(errors="replace")
        except OSError:
            return  # Nothing more now, or nobody writes any more.
