"""A terminal that a test looks at: a program in a window of tmux, typed to and read as a person does.

What stands on the screen is what tmux makes of all that the program ever wrote, so a full-screen program can be read.
"""

import os
import subprocess
import termios
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from scripts import processes
from scripts.processes import installed
from tests.waiting import wait_until

COLUMNS, LINES = 110, 30


class Terminal:
    """A tmux of its own, with a window for each program; all end with the block. socket: a path that is free."""

    def __init__(self, socket: Path) -> None:
        self._tmux = [installed("tmux", "tmux"), "-u", "-S", str(socket), "-f", "/dev/null"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run("kill-server")

    def window(self, name: str, command: Sequence[str]) -> "Window":
        """Run a command in a window of its own."""
        size = ("-x", str(COLUMNS), "-y", str(LINES))
        # The window stays when its program has ended, with the last that it said.
        self._run("new-session", "-d", *size, "-s", name, *command, ";", "set-option", "remain-on-exit", "on")
        return Window(self._run, name)

    def _run(self, *words: str) -> str:
        # Of pytest's workers the environment says that the screen has 80 columns, and programs believe it.
        environment = processes.environment(LC_ALL="C.UTF-8", COLUMNS=str(COLUMNS), LINES=str(LINES))
        command = [*self._tmux, *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return done.stdout


class Window:
    """One window of a terminal. run: of a command of its tmux."""

    def __init__(self, run: Callable[..., str], name: str) -> None:
        self._run = run
        self.name = name

    @property
    def screen(self) -> str:
        """What can be read, line by line."""
        return self._run("capture-pane", "-p", "-t", self.name)

    @property
    def words(self) -> str:
        """What can be read, with single spaces."""
        return " ".join(self.screen.split())

    def sees(self, *words: str) -> None:
        """Wait until all these can be read."""
        try:
            wait_until(lambda: all(one in self.words for one in words))
        except AssertionError:
            raise AssertionError(f"{self.name} does not show {words}:\n{self.screen}") from None

    def types(self, text: str) -> None:
        """Type all at once, as a scanner does, and Enter."""
        self._run("send-keys", "-t", self.name, "-l", text)
        self.presses("Enter")

    def types_unseen(self, text: str) -> None:
        """Type once the terminal shows nothing of it; what was typed between its asking and that is thrown away."""
        tty = os.open(
            self._run("display-message", "-p", "-t", self.name, "#{pane_tty}").strip(), os.O_RDONLY | os.O_NOCTTY
        )
        try:
            wait_until(lambda: not termios.tcgetattr(tty)[3] & termios.ECHO)
        finally:
            os.close(tty)
        self.types(text)

    def presses(self, *keys: str) -> None:
        """Press keys by tmux's names."""
        self._run("send-keys", "-t", self.name, *keys)
