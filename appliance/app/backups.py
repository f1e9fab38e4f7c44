"""The thread that has the ledger copied to its second medium, and lets devices be told how far that covers them.

The copy is made by the command `backup make` in a process of its own: its check is minutes of Python, which in this
process would hold up every turn. Whatever the medium does, the shop sells on; a person is told by the alert `backup`.
"""

import logging
import os
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from appliance.clock import ShopClock
from appliance.coordinator import Coordinator
from appliance.ledger.backup import Backup, BackupError, read_backup
from appliance.ledger.coverage import Stand, stand
from appliance.ledger.database import DISK_FAULTS, DiskFault
from appliance.ledger.medium import Medium
from appliance.ledger.reader import Reader
from appliance.stock import alerts
from appliance.stock.stamps import rfc3339

log = logging.getLogger(__name__)

EVERY_MS = 24 * 3600 * 1000
"""Shop time after which a copy is made: a day's sales are the most that tills must bring again."""

EVERY_REVISIONS = 10_000
"""Or revisions: half of what one till keeps at most for a box that is restored, so it still has the rest."""

LOOK_S = 60.0
"""How often it is looked whether the medium is there, and a copy is due."""

AGAIN_MS = 3_600_000
"""Shop time after which one that failed is tried again: each reads the whole ledger, and may end the same way."""

_NICE = 10
"""Less of the processor than the shop gets."""

_WATCH_S = 0.5


Command = Callable[..., Sequence[str]]
"""Makes a command line of the box's own, with its settings, of the command's words."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is on the second medium. newest: None while nothing is known of one. fault: why no copy is made, or ""."""

    newest: Backup | None = None
    copies: int = 0
    fault: str = ""


class Backups:
    """Keeps `keep` copies on a medium."""

    def __init__(
        self,
        medium: Medium,
        *,
        keep: int,
        command: Command,
        coordinator: Coordinator,
        reader: Reader,
        clock: ShopClock,
    ) -> None:
        self._medium = medium
        self._keep = keep
        self._command = command
        self._coordinator = coordinator
        self._reader = reader
        self._clock = clock
        self._stopping = threading.Event()
        self._told: str | None = None
        self._told_of: list[Backup] | None = None
        self._covered: list[Backup] = []
        self._failed: tuple[int, str] | None = None
        """When a copy last failed, in shop time, and why."""
        self.kept = Kept()

    def run(self) -> None:
        """Look after the medium until `stop`."""
        while not self._stopping.is_set():
            self.look()
            self._stopping.wait(LOOK_S)

    def stop(self) -> None:
        """Stop soon; a copy under way is given up, and leaves nothing that looks like one."""
        self._stopping.set()

    def look(self) -> None:
        """Look once whether the medium is there and a copy is due; have it made, and say what came of it."""
        self.kept = self._looked()
        self._tell(self.kept.fault)

    def row(self) -> dict[str, object]:
        """What `status` tells of the copies."""
        newest = self.kept.newest
        return {
            "kept": self.kept.copies,
            "made": None if newest is None else rfc3339(newest.made_ms),
            "rev": None if newest is None else newest.rev,
            "age_s": None if newest is None else (self._clock.shop_ms() - newest.shop_ms) // 1000,
            "fault": self.kept.fault,
        }

    def _looked(self) -> Kept:
        if fault := self._medium.fault():
            self._failed = None  # Whoever puts it in again has seen to it.
            return Kept(self.kept.newest, 0, fault)
        try:
            own, others = self._readable()
            if self._is_due(own):
                fault = self._medium.room_fault() or self._make()
                # Of another ledger they may be all that is left: the box may be new, and not restored yet.
                self._medium.rotate(self._keep, {other.path for other in others})
                own, others = self._readable()
            self._cover(own)
            self._tell_of(others)
            return Kept(own[-1] if own else None, len(own), fault)
        except (OSError, BackupError, DiskFault, *DISK_FAULTS) as error:  # It was pulled out meanwhile.
            return Kept(self.kept.newest, 0, str(error))

    def _readable(self) -> tuple[list[Backup], list[Backup]]:
        """Return the copies of this ledger and those of others, the oldest first; what cannot be read heals nobody."""
        own: list[Backup] = []
        others: list[Backup] = []
        for path in self._medium.copies():
            try:
                backup = read_backup(path)
            except BackupError as error:
                log.warning("unreadable backup=%s reason=%r", path, str(error))
            else:
                (own if backup.ledger == self._reader.ledger else others).append(backup)
        return own, others

    def _is_due(self, own: list[Backup]) -> bool:
        rev, now_ms = self._reader.last_rev, self._clock.shop_ms()
        if not own:
            return rev > 0
        newest = own[-1]
        if newest.rev > rev or newest.shop_ms > now_ms:
            return True  # It is of a future that a restore has undone.
        return newest.rev < rev and (now_ms - newest.shop_ms >= EVERY_MS or rev - newest.rev >= EVERY_REVISIONS)

    def _make(self) -> str:
        """Have a copy made; return why there is none, "" when there is."""
        now_ms = self._clock.shop_ms()
        if self._failed is not None and now_ms - self._failed[0] < AGAIN_MS:
            return self._failed[1]
        target = self._medium.next()
        child = subprocess.Popen(  # noqa: S603  our own command
            self._command("backup", "make", str(target), "--json"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C reaches the box alone, which ends this.
        )
        with suppress(PermissionError):  # A sandbox may forbid it; the copy is as good.
            os.setpriority(os.PRIO_PROCESS, child.pid, _NICE)
        while True:
            try:
                _, said = child.communicate(timeout=_WATCH_S)
                break
            except subprocess.TimeoutExpired:
                if self._stopping.is_set():
                    child.terminate()
        if target.exists():
            log.info("backed up file=%s", target)
            self._failed = None
            return ""
        if self._stopping.is_set():
            return ""
        fault = said.strip().removeprefix("stock-coordinator: ")
        self._failed = now_ms, fault
        return fault

    def _cover(self, own: list[Backup]) -> None:
        """Let devices be told what all copies hold, when those have changed: each has an epoch of every one-liner."""
        if own == self._covered:
            return
        stands: list[Stand] = []
        for backup in own:
            try:
                stands.append(stand(backup.path))
            except BackupError as error:
                log.warning("damaged backup=%s reason=%r", backup.path, str(error))
        for covered in self._reader.newly_covered(stands):
            self._coordinator.cover(covered)
        self._covered = own

    def _tell(self, fault: str) -> None:
        """Tell a person when something has changed."""
        if fault == self._told:
            return
        self._told = fault
        if fault:
            log.error("no backup reason=%r", fault)
        self._coordinator.notice(alerts.no_backup(fault) if fault else alerts.BACKED_UP)

    def _tell_of(self, others: list[Backup]) -> None:
        """Tell a person of another ledger's copies, when those have changed."""
        if others == self._told_of:
            return
        self._told_of = others
        found = alerts.other_ledgers_backups(str(others[-1].path), len(others)) if others else None
        self._coordinator.notice(found or alerts.NO_OTHER_LEDGERS_BACKUPS)
