"""Shop time and the clocks it is made of.

Shop time is the coordinator's own: milliseconds that run on from start to start and never back. It follows the
kernel's clock that also runs in sleep; the ledger says where it begins (`Writer.begin_run`) and keeps it. The wall
clock is shown to people and decides nothing, except how long a power cut was, and only where it is synchronised.
"""

import ctypes
import time
from pathlib import Path

_libc = ctypes.CDLL(None)
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_TIME_ERROR = 5
"""What adjtimex(2) returns while the kernel's clock is not synchronised."""

_TIMEX_BYTES = 512
"""Larger than any struct timex; zeroed, it asks and sets nothing."""


def boot_id() -> str:
    """Return the kernel's name for this boot."""
    return _BOOT_ID.read_text(encoding="ascii").strip()


def boottime_ms() -> int:
    """Return milliseconds since the boot, sleep included."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def wall_ms() -> int:
    """Return the wall clock, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def is_synchronised() -> bool:
    """Whether the kernel says that its wall clock follows a time server."""
    return _libc.adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES)) not in (-1, _TIME_ERROR)


def synchronised_wall_ms() -> int | None:
    """Return the wall clock where it can measure a power gap, None where it may be wrong."""
    return wall_ms() if is_synchronised() else None


class ShopClock:
    """Shop time of one run: where the ledger says that it begins, and on from there."""

    def __init__(self, start_ms: int, started_boottime_ms: int) -> None:
        """start_ms: the shop time at which the kernel's clock stood at `started_boottime_ms`."""
        self._offset_ms = start_ms - started_boottime_ms

    def shop_ms(self) -> int:
        return self._offset_ms + boottime_ms()

    def wall_ms(self) -> int:
        return wall_ms()

    def is_synchronised(self) -> bool:
        return is_synchronised()

    def told_ms(self, shop_ms: int) -> int | None:
        """Return what the wall clock shows at a moment of shop time, for paper; None while it may be wrong."""
        now_ms = synchronised_wall_ms()
        return None if now_ms is None else now_ms - (self.shop_ms() - shop_ms)
