"""Other programs: started, waited for, timed and ended, each by its own process id."""

import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_START_S = 30.0
"""A program that is not ready by then never will be; only a failing run waits so long."""

_POLL_S = 0.02

_CPUCLOCK_SCHED = 2
"""The scheduler's account, to the nanosecond."""


class Failed(Exception):
    """The benchmark cannot go on, or a run proved nothing. The text says what, and what to do."""


def start(command: Sequence[str], directory: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a program in `directory`, with everything that it prints in the file `{program}.log` there."""
    with log_of(command, directory).open("wb") as log:
        return subprocess.Popen(  # noqa: S603  our own command line
            command, cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )


def log_of(command: Sequence[str], directory: Path) -> Path:
    return directory / f"{Path(command[0]).name}.log"


def last_words(directory: Path) -> str:
    """Return the end of every log in a directory, for whoever must find out why a run failed."""
    return "\n".join(f"{log.stem} said:\n{log.read_text(errors='replace')[-2000:]}" for log in directory.glob("*.log"))


def wait_until(is_ready: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Return once a program is ready. Raises Failed when it ends instead, or takes too long."""
    ends_s = time.monotonic() + _START_S
    while not is_ready():
        if process.poll() is not None or time.monotonic() > ends_s:
            raise Failed(f"{process.args!r} did not start (exit code {process.poll()})")
        time.sleep(_POLL_S)


def kill(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """End programs as a power cut would: they flush nothing, so what is found afterwards was written before."""
    for process in processes:
        process.kill()
    for process in processes:
        process.wait()


def cpu_s(pids: Sequence[int]) -> float:
    """Return the seconds of CPU, user and system, that living processes have used with all their threads.

    It reads the kernel's clock of each process, whose number clock_getcpuclockid(3) makes of the id: /proc counts in
    ticks of 10 ms, which is more than a short run uses.
    """
    return sum(time.clock_gettime(~pid << 3 | _CPUCLOCK_SCHED) for pid in pids)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def is_listening(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0
