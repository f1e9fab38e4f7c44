"""The two threads of the coordinator: one takes its turns and alone writes the ledger, one answers queries."""

import logging
import threading
from contextlib import suppress
from itertools import chain, repeat
from queue import Empty, SimpleQueue

from appliance.clock import ShopClock, synchronised_wall_ms
from appliance.coordinator import Coordinator
from appliance.ledger.database import DiskFault
from appliance.ledger.writer import KEEP_TIME_MS, Writer
from appliance.questions import Questions

log = logging.getLogger(__name__)

_DISK_RETRY_S = (0.5, 1, 2, 5)
"""Waits while the disk fails; the last one repeats. Devices keep what is not acknowledged meanwhile."""

_LOOK_S = 0.2
"""How often a rewrite that waits for its turn looks whether the box is being stopped."""


class Turns:
    """The thread that writes the ledger: it calls the coordinator's turn, and keeps shop time while nothing is sold."""

    def __init__(
        self, coordinator: Coordinator, writer: Writer, clock: ShopClock, *, keep_months: int | None = None
    ) -> None:
        """keep_months: of which all is kept; None is for ever."""
        self._coordinator = coordinator
        self._writer = writer
        self._clock = clock
        self._keep_months = keep_months
        self._is_old_left = False
        self._kept_ms = clock.shop_ms()
        self._rewrites: SimpleQueue[tuple[set[str], threading.Event]] = SimpleQueue()
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self._rounds = 0

    @property
    def rounds(self) -> int:
        """How often the writer has answered: with a turn, or by telling that the disk fails. Read by any thread."""
        return self._rounds

    def wake(self) -> None:
        """Have a turn taken although nothing waits. May be called from any thread."""
        self._coordinator.has_inbox.set()

    def run(self) -> None:
        """Take turns until `stop`, and then until nothing is left."""
        while True:
            keep_in_ms = self._kept_ms + KEEP_TIME_MS - self._clock.shop_ms()
            self._coordinator.has_inbox.wait(timeout=max(0, keep_in_ms) / 1000)
            # Cleared before anything is looked at: what comes from here on wakes the next round.
            self._coordinator.has_inbox.clear()
            is_stopping = self._stopping.is_set()  # Asked before the turn: what was taken before `stop` is committed.
            self._rewrite_for_link()
            taken = self._turn()
            if is_stopping:
                if not taken:
                    break
                self._coordinator.has_inbox.set()  # For the next round: nobody else will.
        self._ended.set()

    def stop(self) -> None:
        self._stopping.set()
        self._coordinator.has_inbox.set()

    def rewrite(self, retained: set[str]) -> None:
        """Have the projection rewritten between two turns; return when it is, or when there will be no more turns."""
        done = threading.Event()
        self._rewrites.put((retained, done))
        self._coordinator.has_inbox.set()
        while not (done.wait(_LOOK_S) or self._ended.is_set()):
            pass

    def _rewrite_for_link(self) -> None:
        with suppress(Empty):
            while True:
                retained, done = self._rewrites.get_nowait()
                self._coordinator.rewrite(retained)
                done.set()

    def _turn(self) -> int:
        """Take one turn, however long the disk fails; return how many messages it dealt with."""
        for wait_s in chain(_DISK_RETRY_S, repeat(_DISK_RETRY_S[-1])):
            try:
                taken = self._coordinator.turn()
                if self._clock.shop_ms() - self._kept_ms >= KEEP_TIME_MS:
                    self._writer.keep_time(self._clock.shop_ms(), synchronised_wall_ms())
                    self._kept_ms = self._clock.shop_ms()
                    self._coordinator.look_at_disk()
                    self._is_old_left = self._keep_months is not None
                if self._is_old_left:
                    self._prune()
                self._coordinator.disk_works()
                self._rounds += 1
                return taken
            except DiskFault as fault:
                log.error("disk fault=%r retry_s=%s", str(fault), wait_s)
                self._coordinator.disk_fails(str(fault))
                self._rounds += 1
                if self._stopping.wait(wait_s):
                    return 0  # Nobody was told that the rest is safe; its devices send it again.
        raise AssertionError("the waits have no end")

    def _prune(self) -> None:
        """Forget a little of what is old, and let the next turn go first if there is more."""
        assert self._keep_months is not None, "else nothing is old"
        self._is_old_left = self._writer.prune(self._clock.shop_ms(), self._keep_months)
        if self._is_old_left:
            self._coordinator.has_inbox.set()


class Answerer:
    """The thread that answers devices' queries."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions
        self._is_stopping = False

    def run(self) -> None:
        while not self._is_stopping:
            self._questions.has_any.wait()
            self._questions.has_any.clear()
            self._questions.answer()

    def stop(self) -> None:
        self._is_stopping = True
        self._questions.has_any.set()
