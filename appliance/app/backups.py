"""The thread that has the ledger copied to its second medium, and lets devices be told how far that covers them.

The copy is made by the command `backup make` in a process of its own: its check is minutes of Python, which in this
process would hold up every turn. Whatever the medium does, the shop sells on; a person is told by the alert `backup`.
"""

import logging
import os
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from appliance.clock import ShopClock
from appliance.coordinator import Coordinator
from appliance.ledger.backup import Backup, BackupError, read_backup
from appliance.ledger.coverage import Stand, stand
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
        self._failed_ms: int | None = None
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
            return Kept(self.kept.newest, 0, fault)
        try:
            if self._is_due(self._newest()):
                fault = self._medium.room_fault() or self._make()
                self._medium.rotate(self._keep)
            stands = self._stands()
            for covered in self._reader.newly_covered(stands):
                self._coordinator.cover(covered)
            return Kept(self._newest(), len(stands), fault)
        except OSError as error:  # It was pulled out meanwhile.
            return Kept(self.kept.newest, 0, str(error))

    def _is_due(self, newest: Backup | None) -> bool:
        rev = self._reader.last_rev
        if newest is None:
            return rev > 0
        if newest.rev > rev:
            return True  # It is of a future that a restore has undone.
        is_old = self._clock.shop_ms() - newest.shop_ms >= EVERY_MS
        return newest.rev < rev and (is_old or rev - newest.rev >= EVERY_REVISIONS)

    def _make(self) -> str:
        """Have a copy made; return why there is none, "" when there is."""
        now_ms = self._clock.shop_ms()
        if self._failed_ms is not None and now_ms - self._failed_ms < AGAIN_MS:
            return self.kept.fault
        target = self._medium.next()
        child = subprocess.Popen(  # noqa: S603  our own command
            self._command("backup", "make", str(target), "--json"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C reaches the box alone, which ends this.
        )
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
            self._failed_ms = None
            return ""
        self._failed_ms = now_ms
        return "" if self._stopping.is_set() else said.strip().removeprefix("stock-coordinator: ")

    def _newest(self) -> Backup | None:
        """Return the newest copy of this ledger that can be read."""
        for path in reversed(self._medium.copies()):
            try:
                backup = read_backup(path)
            except BackupError:
                continue
            if backup.ledger == self._reader.ledger:
                return backup
        return None

    def _stands(self) -> list[Stand]:
        """How far each copy of this ledger has it; one that cannot be read can heal nobody, and is not counted."""
        stands: list[Stand] = []
        for path in self._medium.copies():
            try:
                if read_backup(path).ledger == self._reader.ledger:
                    stands.append(stand(path))
            except BackupError as error:
                log.warning("unreadable backup=%s reason=%r", path, str(error))
        return stands

    def _tell(self, fault: str) -> None:
        """Tell a person when something has changed."""
        if fault == self._told:
            return
        self._told = fault
        if fault:
            log.error("no backup reason=%r", fault)
        self._coordinator.notice(alerts.no_backup(fault) if fault else alerts.BACKED_UP)
