"""What is measured: ours, and what a shop would run instead.

A contender is started as its owner would run it, in an empty directory on a real disk, and is told apart by nothing but
its port: all of them speak the wire contract as far as the cases need it.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Protocol

import apsw

from scripts.benchmark import naive
from scripts.processes import (
    COORDINATOR,
    environment,
    free_port,
    installed,
    is_listening,
    kill,
    log_of,
    run_of,
    start,
    wait_until,
)

_PASSWORD = "bench"  # noqa: S105  of a shop that lives for seconds, on loopback


@dataclass(frozen=True, slots=True)
class Running:
    """A contender that runs. run: what tills stamp their operations with; processes: all that does its work."""

    port: int
    password: str
    run: str
    processes: tuple[Popen[bytes], ...]

    @property
    def pids(self) -> tuple[int, ...]:
        return tuple(process.pid for process in self.processes)


@dataclass(frozen=True, slots=True)
class Kept:
    """What a database holds: how many operations were applied, and each SKU's balance in thousandths."""

    operations: int
    on_hand_milli: dict[str, int]


class Contender(Protocol):
    @property
    def name(self) -> str: ...

    def running(self, directory: Path) -> AbstractContextManager[Running]:
        """Start in an empty directory; leaving the block kills it as a power cut would. Raises Failed."""
        ...

    def kept(self, directory: Path) -> Kept:
        """Return what a killed contender left in the directory."""
        ...


class Ours:
    """The box with its embedded broker, one process."""

    name = "ours"

    @contextmanager
    def running(self, directory: Path) -> Iterator[Running]:
        port = free_port()
        settings = environment(STOCK_DATA_DIR=str(directory), STOCK_BROKER__PORT=str(port), STOCK_PASSWORD=_PASSWORD)
        process = start([*COORDINATOR, "run"], directory, settings)
        try:
            wait_until(lambda: run_of(directory) is not None, process)
            yield Running(port, _PASSWORD, run_of(directory) or "", (process,))
        finally:
            kill([process])

    def kept(self, directory: Path) -> Kept:
        return _read(
            directory / "ledger.db",
            "SELECT count(*) FROM txn WHERE code IS NULL AND same_as IS NULL",
            "SELECT code, on_hand_milli FROM sku",
        )


class Naive:
    """mosquitto and a paho callback that commits each message (naive.py).

    mosquitto keeps nothing on the disk here, which costs it nothing: what counts as durable is what the callback
    committed. Its queue limit is lifted, because its default drops messages, and Nagle's algorithm is off.
    """

    name = "naive"

    @contextmanager
    def running(self, directory: Path) -> Iterator[Running]:
        port = free_port()
        config = directory / "mosquitto.conf"
        config.write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n"
            "max_queued_messages 0\nset_tcp_nodelay true\n"
        )
        processes: list[Popen[bytes]] = []
        try:
            command = [installed("mosquitto"), "-c", str(config)]
            processes.append(start(command, directory, os.environ))
            wait_until(lambda: is_listening(port), processes[-1])
            command = [sys.executable, naive.__file__, str(port), str(directory / "naive.db")]
            processes.append(start(command, directory, os.environ))
            log = log_of(command, directory)
            wait_until(lambda: naive.READY in log.read_text(), processes[-1])
            yield Running(port, _PASSWORD, "0", tuple(processes))
        finally:
            kill(processes)

    def kept(self, directory: Path) -> Kept:
        return _read(directory / "naive.db", "SELECT count(*) FROM operation", "SELECT sku, on_hand_milli FROM balance")


def _read(path: Path, count: str, balances: str) -> Kept:
    connection = apsw.Connection(str(path))
    try:
        return Kept(int(connection.execute(count).get), dict(connection.execute(balances)))
    finally:
        connection.close()
