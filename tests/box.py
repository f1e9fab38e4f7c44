"""A box that really runs: the coordinator as a process of its own, on a free port of 127.0.0.1.

Tests kill it by its process id, start it anew on the same data, and speak to it over real sockets.
"""

import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from scripts import processes
from scripts.processes import COORDINATOR, START_S

PASSWORD = "sesame"


class Box:
    """One box on `directory`. settings: further variables, `STOCK_…`.

    inside: the words before its command that put the process elsewhere, to be set before it starts.
    """

    def __init__(self, directory: Path, **settings: str) -> None:
        self.inside: tuple[str, ...] = ()
        self.directory = directory
        self.port = int(settings.get("STOCK_BROKER__PORT") or processes.free_port())
        self.log = directory.parent / f"{directory.name}.log"
        self.environment = processes.environment(
            **{
                "STOCK_DATA_DIR": str(directory),
                "STOCK_BROKER__PORT": str(self.port),
                "STOCK_PASSWORD": PASSWORD,
                **settings,
            }
        )
        self.process: subprocess.Popen[str] | None = None
        self.welcome = ""

    @property
    def address(self) -> tuple[str, int]:
        return ("127.0.0.1", self.port)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None:
            self.kill()

    def start(self) -> None:
        """Start the process, and return when it says that the shop is open."""
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [*self.inside, *COORDINATOR, "run"],
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        self.welcome = ""
        for line in self.process.stdout:
            self.welcome += line
            if "Ctrl-C" in line:
                return
        raise AssertionError(f"the box did not start:\n{self.log.read_text()}")

    def kill(self) -> None:
        """End the process without a word, as a crash or a pulled plug does."""
        assert self.process is not None
        self.process.kill()
        self._reap()

    def stop(self) -> int:
        """Ask the process to end, and return its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self._reap()

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the box's owner against it."""
        return subprocess.run(
            [*COORDINATOR, *words],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=START_S,
            check=False,
        )

    def _reap(self) -> int:
        assert self.process is not None
        assert self.process.stdout is not None
        code = self.process.wait(START_S)
        self.process.stdout.close()
        self.process = None
        return code
