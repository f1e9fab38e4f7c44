"""What is measured: ours, and what a shop would run instead, each started as its owner would run it.

    ours         the box with its embedded broker
    tokens       the same, where each till of a crowd has a token of its own, and not the shop's password
    naive        mosquitto and a callback that commits each message (naive_callback.py): an integrator's afternoon
    redis        Redis, with a Lua script that deduplicates and adds (redis.lua)
    postgresql   PostgreSQL, with a function that does the same (postgresql.sql)
    mosquitto    a broker alone, which keeps nothing: the floor of latency and of fan-out

A contender starts in an empty directory on a real disk, and brings the till and the screen that speak its language.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen
from typing import Protocol

from scripts.benchmark.load.mqtt import Broker
from scripts.benchmark.load.tills import Screen, Till

PASSWORD = "bench"  # noqa: S105  of a shop that lives for seconds, on loopback


@dataclass(frozen=True, slots=True)
class Running:
    """A contender that runs.

    till, screen: make one, given its name. broker: where it listens, when it speaks MQTT. processes: all that does its
    work and was started from here.
    """

    till: Callable[[str], Till]
    screen: Callable[[str], Screen]
    processes: tuple[Popen[bytes], ...]
    broker: Broker | None = field(default=None, kw_only=True)

    @property
    def pids(self) -> tuple[int, ...]:
        """Every process that does its work, those too which its own processes started."""
        return family([process.pid for process in self.processes])


@dataclass(frozen=True, slots=True)
class Kept:
    """What a database holds: how many operations were applied, and each SKU's balance in thousandths."""

    operations: int
    on_hand_milli: dict[str, int]


class Contender(Protocol):
    @property
    def name(self) -> str: ...

    def running(self, directory: Path, environment: Mapping[str, str] = os.environ) -> AbstractContextManager[Running]:
        """Start in a directory, empty or left by itself; leaving the block kills it as a power cut would.

        environment: for its processes. Raises Failed.
        """
        ...

    def kept(self, directory: Path) -> Kept | None:
        """Return what a killed contender left in the directory; None for one that keeps nothing."""
        ...


def family(pids: Iterable[int]) -> tuple[int, ...]:
    """Return living processes and all that they started, and so on."""
    found: list[int] = []
    waiting = list(pids)
    while waiting:
        found.append(waiting.pop())
        with suppress(FileNotFoundError, ProcessLookupError):  # One that has ended meanwhile has nothing more to show.
            for thread in Path(f"/proc/{found[-1]}/task").iterdir():
                waiting += map(int, (thread / "children").read_text().split())
    return tuple(found)
