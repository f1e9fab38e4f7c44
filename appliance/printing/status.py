"""Reads what a printer says: the one reader of its one stream of replies, without any I/O.

    transport bytes ──▶ StatusReader.feed ──▶ replies ──▶ driver

All replies share one stream and only some name what they answer, so nobody else may read it. The invariant: every byte
is taken exactly once, and rubbish costs only itself, never the reply after it. What the bits mean is here too.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum


class PrinterState(StrEnum):
    """As in the wire contract."""

    READY = "ready"
    PAPER_OUT = "paper-out"
    COVER_OPEN = "cover-open"
    OFFLINE = "offline"
    STALLED = "stalled"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class PrinterStatus:
    """reason: plain words for the person beside the printer; empty when it is ready."""

    state: PrinterState
    reason: str
    paper_low: bool = False


@dataclass(frozen=True, slots=True)
class RealTime:
    """The answer to DLE EOT n. It does not say which n was asked."""

    bits: int


@dataclass(frozen=True, slots=True)
class Automatic:
    """Automatic status (GS a, or a switch inside the printer): four bytes, sent when something changed."""

    first: int
    second: int
    third: int
    fourth: int


@dataclass(frozen=True, slots=True)
class Marked:
    """Everything that was sent before this marker is printed."""

    marker: bytes


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to GS r (a fence) or to GS I 1-3; it comes in order, after what was sent before it."""

    bits: int


@dataclass(frozen=True, slots=True)
class Identity:
    """The text that answers GS I 65-69, or another block of text that is no marker."""

    text: str


@dataclass(frozen=True, slots=True)
class Flow:
    """XON or XOFF, where the kernel does not obey them itself (`flow=xonxoff`)."""

    may_send: bool


Reply = RealTime | Automatic | Marked | Answered | Identity | Flow


class StatusReader:
    """One connection's replies; it keeps what is not yet a whole reply."""

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, data: bytes) -> Iterator[Reply]:
        """Yield the replies that are whole now."""
        self._pending += data
        while self._pending:
            size, reply = _first(self._pending)
            if size == 0:
                return
            self._pending = self._pending[size:]
            if reply is not None:
                yield reply


def _first(data: bytes) -> tuple[int, Reply | None]:
    """Return the size of the first reply, 0 while it is not whole, and the reply; None is rubbish."""
    byte = data[0]
    if byte in (_XON, _XOFF):
        return 1, Flow(byte == _XON)
    if byte & 0x93 == 0x12:
        return 1, RealTime(byte)
    if byte & 0x93 == 0x10:
        return _automatic(data)
    if byte & 0x90 == 0x00:
        return 1, Answered(byte)
    if byte in _BLOCK_HEADERS:
        return _block(data)
    return 1, None


def _automatic(data: bytes) -> tuple[int, Reply | None]:
    # The three bytes that follow have this form; one of another form means that the first was rubbish.
    if any(byte & 0x90 for byte in data[1:4]):
        return 1, None
    return (4, Automatic(*data[:4])) if len(data) >= 4 else (0, None)


def _block(data: bytes) -> tuple[int, Reply | None]:
    """A header, text, NUL. Nothing but text may be in it, or the header was rubbish."""
    end = next((place for place, byte in enumerate(data[1:], 1) if not 0x20 <= byte <= 0x7E), None)
    if end is None:
        return (1, None) if len(data) > _BLOCK_BYTES_MAX else (0, None)
    if data[end] != 0:
        return 1, None
    if data[0] == _BLOCK_OF_RESPONSE and data[1:2] == _PROCESS_ID and end == 2 + MARKER_BYTES:
        return end + 1, Marked(data[2:end])
    return end + 1, Identity(data[1:end].decode("ascii"))


# --- what to send, so that it answers ---------------------------------------------------------------------------------

MARKER_BYTES = 4
"""A marker is four characters of ASCII; a clone that does not know the command prints them, so they are readable."""

FENCE = b"\x1dr\x01"
"""GS r 1: its answer comes when everything sent before it has been dealt with."""


def marking(marker: bytes) -> bytes:
    """GS ( H, function 48: the printer says the marker when everything before it is printed."""
    if len(marker) != MARKER_BYTES or not all(0x21 <= byte <= 0x7E for byte in marker):
        raise ValueError(f"a marker is {MARKER_BYTES} visible characters of ASCII, not {marker!r}")
    return b"\x1d(H\x06\x0000" + marker


def asking(subject: int) -> bytes:
    """DLE EOT n: answered at once, past all that waits to be printed. subject: PRINTER, CAUSE, FAULT or PAPER."""
    return bytes((0x10, 0x04, subject))


PRINTER, CAUSE, FAULT, PAPER = 1, 2, 3, 4

# --- what the bits mean -----------------------------------------------------------------------------------------------


def is_offline(printer: RealTime) -> bool:
    """Say whether the answer about PRINTER says that it does not print now."""
    return bool(printer.bits & 0x08)


def status_of(answers: Mapping[int, RealTime]) -> PrinterStatus:
    """Return the status by the answers to DLE EOT, keyed by subject; PRINTER must be among them."""
    bits = {subject: answers[subject].bits if subject in answers else 0 for subject in (PRINTER, CAUSE, FAULT, PAPER)}
    return _status(
        is_offline=is_offline(answers[PRINTER]),
        is_cover_open=bool(bits[CAUSE] & 0x04),
        is_paper_out=bool(bits[CAUSE] & 0x20 or bits[PAPER] & 0x60),
        is_cutter_stuck=bool(bits[FAULT] & 0x08),
        is_broken=bool(bits[FAULT] & 0x20),
        is_paper_low=bool(bits[PAPER] & 0x0C),
    )


def status_of_automatic(said: Automatic) -> PrinterStatus:
    """Return the status by the four bytes that a printer sent unasked."""
    return _status(
        is_offline=bool(said.first & 0x08),
        is_cover_open=bool(said.first & 0x20),
        is_paper_out=bool(said.third & 0x0C),
        is_cutter_stuck=bool(said.second & 0x08),
        is_broken=bool(said.second & 0x20),
        is_paper_low=bool(said.third & 0x03),
    )


def _status(
    *,
    is_offline: bool,
    is_cover_open: bool,
    is_paper_out: bool,
    is_cutter_stuck: bool,
    is_broken: bool,
    is_paper_low: bool,
) -> PrinterStatus:
    # With the cover open many printers report the paper as out too: the cover is what a person can close.
    if is_cover_open:
        return PrinterStatus(PrinterState.COVER_OPEN, "the cover is open: close it", is_paper_low)
    if is_paper_out:
        return PrinterStatus(PrinterState.PAPER_OUT, "out of paper: put a new roll in", paper_low=True)
    if is_cutter_stuck:
        return PrinterStatus(PrinterState.OFFLINE, "the cutter is stuck: open the cover and free it", is_paper_low)
    if is_broken:
        return PrinterStatus(PrinterState.OFFLINE, "a fault it cannot mend: switch it off and on", is_paper_low)
    if is_offline:
        return PrinterStatus(PrinterState.OFFLINE, "offline: look at its lamps and its buttons", is_paper_low)
    return PrinterStatus(PrinterState.READY, "", is_paper_low)


_XON, _XOFF = 0x11, 0x13

_BLOCK_OF_RESPONSE, _PROCESS_ID = 0x37, b"\x22"

_BLOCK_HEADERS = (_BLOCK_OF_RESPONSE, 0x3D, 0x5F)
"""A response with an identifier (the marker's is 0x22), and the two forms of GS I."""

_BLOCK_BYTES_MAX = 82
"""The longest block in the Epson reference: 80 bytes between a header and NUL."""
