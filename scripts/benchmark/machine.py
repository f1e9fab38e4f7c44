"""Where a benchmark ran: figures of two machines cannot be compared, only ratios can."""

import os
import platform
from pathlib import Path

from scripts.processes import Failed

_MEMORY = ("tmpfs", "ramfs")


def describe(directory: Path) -> dict[str, str]:
    """Return the machine in words. Raises Failed when `directory` is in memory: there an fsync costs nothing."""
    kind = file_system(directory)
    if kind in _MEMORY:
        raise Failed(f"{directory} is a {kind}, where nothing is durable: name one on a disk with --directory")
    return {
        "cpu": cpu(),
        "cores": str(len(os.sched_getaffinity(0))),
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "file_system": kind,
        "python": platform.python_version(),
    }


def file_system(directory: Path) -> str:
    """Return the type of the file system that holds a directory."""
    mounted = [line.split()[1:3] for line in Path("/proc/self/mounts").read_text().splitlines()]
    resolved = directory.resolve()
    # Of several mounts on one point the last one is in force, and `max` keeps the first of equals.
    return max(
        ((point, kind) for point, kind in reversed(mounted) if resolved.is_relative_to(point)),
        key=lambda found: len(found[0]),
    )[1]


def cpu() -> str:
    """Return the model in the kernel's words; an ARM kernel has none there, but its device tree names the board."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    board = Path("/proc/device-tree/model")
    return board.read_text().rstrip("\0") if board.exists() else platform.machine()
