"""What was in hand when this program died by its own fault, and whether the next one died of it too.

    turn ──▶ take(operation) ──┐
    answers ──▶ ask(question) ─┴▶ in-hand ─┐
    death by our own fault ──▶ crash ──────┴──▶ the next start ──▶ suspect ──▶ twice: the coordinator sets it aside

Three small files in the data directory. While all goes well nothing is synced: what a dying process has written stays
in the page cache. The invariant: nobody is blamed for what was no crash of ours. A crash is a traceback in `crash`,
which a failing part writes, or `faulthandler` at a fatal signal (a watchdog's SIGABRT too); kill -9, a power cut and a
disk that fails write none, whatever was in hand.

After a crash the box is careful for a while: one operation in a turn, so that whatever it dies of next has a name.
"""

import faulthandler
import logging
import os
import re
import traceback
from contextlib import suppress
from pathlib import Path

from appliance import questions
from appliance.ledger.database import DISK_FAULTS, DiskFault

log = logging.getLogger(__name__)

TURNS_PART, ANSWERS_PART = "turns", "answers"
"""The parts that have something in hand. Where another one dies, what these were at has nothing to do with it."""

CAREFUL_TURNS = 1000
"""Turns of one operation each that follow a crash: more than what twenty tills have on their way and send again."""

_POISON = 2
"""Crashes after which an operation is not tried again."""

_NOTE_BYTES = 256
"""Room for the longest name: a device of 64 characters, and a SKU of 128 bytes, or an epoch, a seq and a tag."""

_PLACES = {TURNS_PART: 0, ANSWERS_PART: _NOTE_BYTES}
"""Where in the file each part has its note."""

_TEXT_BYTES_MAX = 64 * 1024


class Crashes:
    """The notes of one run; it satisfies the coordinator's `Hand`."""

    def __init__(self, directory: Path) -> None:
        """Read what the last run left in `directory`, and begin anew. Raises DiskFault."""
        self._suspect = directory / "suspect"
        self._in_hand = ""
        try:
            self._note = os.open(directory / "in-hand", os.O_RDWR | os.O_CREAT, 0o600)
            self._crash = os.open(directory / "crash", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            text = os.pread(self._crash, _TEXT_BYTES_MAX, 0).decode(errors="replace")
            if text:
                self._find_suspect(text)
            os.pwrite(self._note, bytes(_NOTE_BYTES * len(_PLACES)), 0)
        except OSError as error:
            raise DiskFault(f"{directory}: {error}: make room on the disk, or replace it") from error
        self._careful_turns = CAREFUL_TURNS if text else 0
        name, count = self._read_suspect()
        self._poison = name if name and count >= _POISON else None

    def close(self) -> None:
        faulthandler.disable()
        os.close(self._note)
        os.close(self._crash)

    def watch(self) -> None:
        """Have a traceback left behind by a signal that nobody survives."""
        faulthandler.enable(self._crash)

    def died(self, part: str, error: BaseException) -> None:
        """Leave word that a part of this program fails, just before it ends. A disk's fault is not ours."""
        if not isinstance(error, (DiskFault, *DISK_FAULTS)):
            with suppress(OSError):  # Whatever the disk says, the process must end.
                os.write(self._crash, f"part={part}\n{''.join(traceback.format_exception(error))}".encode())

    # --- what the coordinator asks ------------------------------------------------------------------------------------

    @property
    def is_careful(self) -> bool:
        return self._careful_turns > 0

    def take(self, name: str) -> None:
        self._in_hand = name
        self._write(name, TURNS_PART)

    def ask(self, name: str) -> None:
        self._write(name, ANSWERS_PART)

    def judged(self) -> None:
        if not self.is_careful:
            self._let_go()

    def done(self) -> None:
        if self._in_hand:
            self._careful_turns = max(0, self._careful_turns - 1)
            self._let_go()

    def is_poison(self, name: str) -> bool:
        return name == self._poison

    # --- what the last run left ---------------------------------------------------------------------------------------

    def _find_suspect(self, text: str) -> None:
        in_hand = ""
        if (part := _part_of(text)) in _PLACES:
            noted = os.pread(self._note, _NOTE_BYTES, _PLACES[part])
            in_hand = noted.rstrip(b"\0").decode(errors="replace")
        log.error("crashed in_hand=%r traceback=%r", in_hand, text)
        before, count = self._read_suspect()
        # First the traceback is forgotten: a process that is killed just here has not crashed twice.
        os.ftruncate(self._crash, 0)
        self._suspect.write_text(f"{count + 1 if in_hand == before else 1} {in_hand}")

    def _read_suspect(self) -> tuple[str, int]:
        with suppress(FileNotFoundError, ValueError):  # Half of it was written when the power went.
            count, name = self._suspect.read_text().split(" ", 1)
            return name, int(count)
        return "", 0

    def _write(self, name: str, part: str) -> None:
        with suppress(OSError):  # A disk that takes no note takes no operation either.
            os.pwrite(self._note, name.encode().ljust(_NOTE_BYTES, b"\0"), _PLACES[part])

    def _let_go(self) -> None:
        if self._in_hand:
            self.take("")


def _part_of(text: str) -> str:
    """Return the part that a traceback is of. A signal names none; of a hang a watchdog's kills the main thread."""
    if (named := re.match(r"part=(.*)\n", text)) is not None:
        return named[1]
    current = text.partition("\nCurrent thread")[2].partition("\n\n")[0]
    return ANSWERS_PART if questions.__file__ in current else TURNS_PART
