"""What a disk allows by itself, and how it is made slower for every contender alike.

The delay is laid under a contender's processes by the dynamic linker (slow_disk.c), so that none of them knows of it
and all of them pay it at the same calls.
"""

import os
import statistics
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from scripts.processes import Failed, installed

_SOURCE = Path(__file__).with_name("slow_disk.c")

_ROW_BYTES = 200
"""An operation as short as it can be written down."""


def slower_by(delay_ms: float, directory: Path) -> Mapping[str, str]:
    """Return the environment of a contender whose every sync takes `delay_ms` longer.

    directory: where the library that does it is built, when there is none yet. Raises Failed without a C compiler.
    """
    if not delay_ms:
        return os.environ
    library = directory / "slow_disk.so"
    if not library.exists():
        command = [
            installed("cc", "build-essential"),
            "-O2",
            "-shared",
            "-fPIC",
            "-o",
            str(library),
            str(_SOURCE),
            "-ldl",
        ]
        result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  our own command line
        if result.returncode:
            raise Failed(f"slow_disk.c was not compiled: {result.stderr}")
        library.chmod(0o755)
    return {**os.environ, "LD_PRELOAD": str(library), "SYNC_DELAY_US": str(round(delay_ms * 1000))}


def syncs_ms(directory: Path, seconds: float, delay_ms: float = 0) -> list[float]:
    """Append rows and sync each, one after another, and return how long each took."""
    took_ms: list[float] = []
    row = bytes(_ROW_BYTES)
    with (directory / "rows").open("wb", buffering=0) as file:
        ends_s = time.perf_counter() + seconds
        while (began_s := time.perf_counter()) < ends_s:
            file.write(row)
            os.fdatasync(file.fileno())
            if delay_ms:
                time.sleep(delay_ms / 1000)
            took_ms.append((time.perf_counter() - began_s) * 1000)
    return took_ms


def sync_ms(directory: Path) -> float:
    """Return the median of a second of syncs."""
    return statistics.median(syncs_ms(directory, 1.0))
