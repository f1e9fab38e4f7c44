"""What the process frees goes back to the system, so that a box of 1 GiB has it for its files."""

import ctypes

_M_MMAP_THRESHOLD = -3
"""Its number in glibc's mallopt(3)."""

LARGE_BYTES = 1024 * 1024
"""More than any message: what is larger is rare, and may cost the kernel's work of giving and taking it."""


def give_back_what_is_large() -> None:
    """Have glibc keep nothing large that was freed. Where there is another C library nothing changes.

    It raises its bound to the largest piece that was ever freed, which here are the 19 MiB of an argon2 hash: they came
    from the heap from the second log-in on, and stayed in the process.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
