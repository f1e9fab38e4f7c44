"""Other programs: started, waited for, timed and ended, each by its own process id.

The box that `demo` and `replay` play with, the contenders of `bench`, and the tests' boxes are started from here. The
invariant: a coordinator takes no setting but those it is given, neither the environment's nor the checkout's.
"""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from pathlib import Path

from appliance.control import NotRunning, ask

COORDINATOR = (sys.executable, "-m", "appliance")
"""The coordinator's command, to which its words are added."""

START_S = 30.0
"""A program that is not ready by then never will be; half a second is usual, and only a failing run waits so long."""

_POLL_S = 0.02

_PORTS = range(10_000, 32_768)
"""Below those of outgoing connections, which begin there unless somebody has set net.ipv4.ip_local_port_range."""

_OFF_PATH = ("/usr/sbin", "/sbin", *map(str, Path("/usr/lib/postgresql").glob("*/bin")))
"""Where Debian keeps daemons, and PostgreSQL's programs; an ordinary user's PATH leaves them out."""

_CPUCLOCK_SCHED = 2
"""The scheduler's account, to the nanosecond."""


class Failed(Exception):
    """A program did not start, or ended by itself, or a run proved nothing. The text says what, and what to do."""


def environment(**settings: str) -> dict[str, str]:
    """Return the environment of a coordinator with these settings, `STOCK_…`, and none of whoever asks.

    It listens by TLS, which is on the network, only when the settings say so.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("STOCK_")}
    return inherited | {"STOCK_BROKER__TLS_PORT": "0"} | settings


def run_of(directory: Path) -> str | None:
    """Return the name of the run of the coordinator with its ledger in `directory`, None while it does not answer."""
    try:
        [row] = ask(directory, "status")
    except NotRunning:
        return None
    return str(row["run"])


def installed(program: str, package: str) -> str:
    """Return the path of a program of a Debian package. Raises Failed when it is not there."""
    found = shutil.which(program, path=":".join((os.environ.get("PATH", ""), *_OFF_PATH)))
    if found is None:
        raise Failed(f"there is no {program}: install it with: sudo apt-get install {package}")
    return found


def start(command: Sequence[str], directory: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a program in `directory`, with everything that it prints in a file there (`log_of`)."""
    with log_of(command, directory).open("wb") as log:
        return subprocess.Popen(  # noqa: S603  our own command line
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches the caller alone, which ends its programs last.
        )


def log_of(command: Sequence[str], directory: Path) -> Path:
    return directory / f"{Path(command[0]).name}.log"


def last_words(directory: Path) -> str:
    """Return the end of every log in a directory, for whoever must find out why a run failed."""
    return "\n".join(f"{log.stem} said:\n{log.read_text(errors='replace')[-2000:]}" for log in directory.glob("*.log"))


def wait_until(is_ready: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Return once a program is ready. Raises Failed when it ends instead, or takes too long."""
    ends_s = time.monotonic() + START_S
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


@contextmanager
def another_process(function: Callable[..., object]) -> Iterator[Executor]:
    """Give a process of our own to run a function in; it has imported what that needs before anything is measured."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        pool.submit(callable, function).result()
        yield pool


def cpu_s(pids: Sequence[int]) -> float:
    """Return the seconds of CPU, user and system, that living processes have used with all their threads.

    It reads the kernel's clock of each process, whose number clock_getcpuclockid(3) makes of the id: /proc counts in
    ticks of 10 ms, which is more than a short run uses.
    """
    return sum(time.clock_gettime(~pid << 3 | _CPUCLOCK_SCHED) for pid in pids)


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on.

    It is none that the kernel gives to whoever connects to something: until its program listens, one of the hundreds of
    tills of a test would get it now and then.
    """
    while True:
        port = secrets.choice(_PORTS)
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("", port))
            return port


def is_listening(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket() as caller:
        return caller.connect_ex((host, port)) == 0
