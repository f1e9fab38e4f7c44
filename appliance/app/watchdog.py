"""Tells systemd that the box serves, and goes on telling it only while the writer does (sd_notify(3)).

    turns ──rounds──▶ Watchdog ──WATCHDOG=1──▶ systemd, which ends a process that falls silent, and starts it anew

The invariant: the watchdog is fed by an answer and never by a timer alone. An idle writer is woken for an empty turn; a
writer that is stuck, or an event loop that stands still, feeds nothing. A disk that fails is told, and that is an
answer: a new process would have no better disk, and would forget what waits.
"""

import asyncio
import socket
from typing import Protocol

from appliance.settings import ServiceManager

FEEDS = 3
"""How often it is fed in the time that systemd allows; sd_notify(3) wants 2, and one may come late on a busy card."""


class Turns(Protocol):
    """What is watched; `turns.Turns` satisfies it."""

    @property
    def rounds(self) -> int:
        """How often the writer has answered, with a turn or with the disk's fault."""

    def wake(self) -> None:
        """Have an empty turn taken."""


class Watchdog:
    """The service manager's ear, and what it is told. Without a service manager nothing is told."""

    def __init__(self, manager: ServiceManager, turns: Turns) -> None:
        self._manager = manager
        self._turns = turns
        self._heard = turns.rounds

    def ready(self) -> None:
        self._tell("READY=1")

    def stopping(self) -> None:
        self._tell("STOPPING=1")

    async def run(self) -> None:
        """Feed it for as long as the writer answers; return at once where systemd has no watchdog for this process."""
        while self._manager.watchdog_s:
            self._turns.wake()
            await asyncio.sleep(self._manager.watchdog_s / FEEDS)
            self.look()

    def look(self) -> None:
        """Feed it if the writer has answered since it was looked at last."""
        if (rounds := self._turns.rounds) != self._heard:
            self._heard = rounds
            self._tell("WATCHDOG=1")

    def _tell(self, what: str) -> None:
        if self._manager.address:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
                ear.connect(self._manager.address)
                ear.send(what.encode())
