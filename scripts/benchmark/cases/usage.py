"""What the contender, and the load itself, use while something is measured."""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from scripts.benchmark.cases import Measure
from scripts.benchmark.contenders import Running
from scripts.benchmark.load.tills import Tills
from scripts.processes import cpu_s

CPU = Measure("cpu_us", "CPU, µs an operation")
LOAD = Measure("load_cpu", "CPU of the load, %", better=None)
PAGES = Measure("pages", "pages of 4 KiB written an operation")

_PAGE_BYTES = 4096


class Usage:
    """What is used from now on."""

    def __init__(self, running: Running, tills: Tills) -> None:
        self._running = running
        self._tills = tills
        self._began = self._read()

    def figures(self) -> dict[str, float]:
        """Return durable operations a second, and the figures of the measures above."""
        at_s, contender_s, load_s, written, durable = (
            now - began for now, began in zip(self._read(), self._began, strict=True)
        )
        return {
            "operations_per_s": durable / at_s,
            CPU.name: contender_s / durable * 1e6,
            LOAD.name: load_s / at_s * 100,
            PAGES.name: written / _PAGE_BYTES / durable,
        }

    def _read(self) -> tuple[float, float, float, int, int]:
        pids = self._running.pids
        return (
            time.perf_counter(),
            _sum(lambda pid: cpu_s([pid]), pids),
            time.process_time(),
            int(_sum(_written_bytes, pids)),
            self._tills.durable,
        )


def memory_mb(running: Running) -> float:
    """Return the memory of a contender's processes in megabytes, what they share counted once."""
    return _sum(lambda pid: _kib(Path(f"/proc/{pid}/smaps_rollup"), "Pss:"), running.pids) * 1024 / 1e6


def _sum(of: Callable[[int], float], pids: Iterable[int]) -> float:
    """The sum over the processes that live: PostgreSQL ends some of its own whenever it likes."""
    total = 0.0
    for pid in pids:
        with suppress(OSError):
            total += of(pid)
    return total


def _written_bytes(pid: int) -> int:
    """What a process has caused to be written to the disk, in bytes."""
    fields = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    return int(fields["write_bytes"])


def _kib(path: Path, field: str) -> int:
    [line] = [line for line in path.read_text().splitlines() if line.startswith(field)]
    return int(line.split()[1])
