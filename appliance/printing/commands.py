"""Cuts a stream of ESC/POS bytes into its commands, so that nobody cuts inside one.

The driver puts its checkpoints between two commands of a job, and the transport `terminal:` shows a job's words. Only
the lengths are known here, not what a command does. A command that is not in the table is taken as two bytes long, so
its parameters come out as text: that is what a printer does with it, too.
"""

import re
from collections.abc import Callable, Iterator

COMMAND_BYTES_MAX = 512
"""No command of a job is longer, so as many NULs end one that was cut off. Half a second at 9600 baud."""

HEADER_BYTES_MAX = 8
"""How far a command's length reaches in it: behind so many NULs nothing can be taken for a length any more."""

_Length = int | Callable[[bytes, int], int]
"""How many bytes a command has: a number, or a function of the stream and the command's place in it.

The function raises IndexError while the bytes that tell it are not there yet.
"""


class Splitter:
    """One stream; it keeps what is not yet a whole command."""

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield each whole command, each control character, and each run of text (bytes from 0x20 on)."""
        stream = self._pending + data
        at = 0
        while at < len(stream):
            try:
                size = _size(stream, at)
            except IndexError:
                break
            if at + size > len(stream):
                break
            yield stream[at : at + size]
            at += size
        self._pending = stream[at:]


def _size(stream: bytes, at: int) -> int:
    if (text := _TEXT.match(stream, at)) is not None:
        return text.end() - at
    if stream[at] not in _INTRODUCERS:
        return 1
    size = _SIZES.get(bytes((stream[at], stream[at + 1])), 2)
    return size if isinstance(size, int) else size(stream, at)


def _tab_stops(stream: bytes, at: int) -> int:
    return _after_nul(stream, at, 2)


def _barcode(stream: bytes, at: int) -> int:
    return _after_nul(stream, at, 3) if stream[at + 2] <= 6 else 4 + stream[at + 3]


def _after_nul(stream: bytes, at: int, first: int) -> int:
    if (end := stream.find(0, at + first)) < 0:
        raise IndexError
    return end + 1 - at


def _bit_image(stream: bytes, at: int) -> int:
    return 5 + _word(stream, at + 3) * (3 if stream[at + 2] >= 32 else 1)


def _raster(stream: bytes, at: int) -> int:
    return 8 + _word(stream, at + 4) * _word(stream, at + 6)


def _parenthesis(stream: bytes, at: int) -> int:
    return 5 + _word(stream, at + 3)


def _graphics(stream: bytes, at: int) -> int:
    return 7 + _word(stream, at + 3) + 0x10000 * _word(stream, at + 5)


def _downloaded_image(stream: bytes, at: int) -> int:
    return 4 + 8 * stream[at + 2] * stream[at + 3]


def _cut(stream: bytes, at: int) -> int:
    return 3 if stream[at + 2] in b"\x00\x0101" else 4


def _real_time_request(stream: bytes, at: int) -> int:
    return 10 if stream[at + 2] == 8 else 5


def _word(stream: bytes, at: int) -> int:
    return stream[at] + 256 * stream[at + 1]


def _sized(introducer: bytes, letters: bytes, size: int) -> dict[bytes, _Length]:
    return {introducer + bytes((letter,)): size for letter in letters}


_TEXT = re.compile(rb"[^\x00-\x1f]+")

_INTRODUCERS = b"\x10\x1b\x1c\x1d"
"""DLE, ESC, FS, GS: every other control character stands alone."""

# Sources: the Epson ESC/POS reference, and what python-escpos writes. Two bytes need no entry.
_SIZES: dict[bytes, _Length] = {
    **_sized(b"\x1b", b" !%-=3EGJMRVadert{", 3),
    **_sized(b"\x1b", b"$\\c", 4),
    **_sized(b"\x1b", b"p", 5),
    b"\x1bD": _tab_stops,
    b"\x1b*": _bit_image,
    **_sized(b"\x1d", b"!/BHIabfhrw", 3),
    **_sized(b"\x1d", b"$LPW\\", 4),
    **_sized(b"\x1d", b"^", 5),
    b"\x1d(": _parenthesis,
    b"\x1d*": _downloaded_image,
    b"\x1d8": _graphics,
    b"\x1dV": _cut,
    b"\x1dk": _barcode,
    b"\x1dv": _raster,
    **_sized(b"\x1c", b"!-CW", 3),
    **_sized(b"\x1c", b"Sp", 4),
    **_sized(b"\x10", b"\x04\x05", 3),
    b"\x10\x14": _real_time_request,
}
