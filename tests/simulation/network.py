"""Tills, a box and what is on its way between them, in one thread: real sessions, outboxes, coordinator and ledger.

Nothing moves by itself: whoever drives it decides which message arrives next, when a connection breaks, and how time
passes. What is on a connection that breaks is lost. A seed decides the rest (tags, epochs, and what a driver draws).
"""

import hashlib
import random
import shutil
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from appliance.contract.delivery import Channel
from appliance.till.outbox import Outbox
from appliance.till.session import Note, Publish, Session, Subscribe
from tests.shop import Shop
from tests.till.desk import Chance, copy_outbox

TICK_MS = 10_000


@dataclass(slots=True, eq=False)
class Till:
    """A till and its connection."""

    device: str
    path: Path
    outbox: Outbox
    session: Session
    topics: set[str] = field(default_factory=set)
    to_box: deque[tuple[Channel, bytes]] = field(default_factory=deque)
    to_till: deque[tuple[str, bytes]] = field(default_factory=deque)
    is_connected: bool = False


class Network:
    """The directory takes the ledger and the outboxes."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.chance = random.Random(seed)
        self.directory = directory
        self.trace = hashlib.sha256()
        self.lost = 0
        self.tills: list[Till] = []
        self._files = 0
        self._next_tick_ms = 0
        (directory / "box").mkdir()
        self.shop = Shop(directory / "box")
        self.shop.link.heard = self._publish

    @property
    def now_ms(self) -> int:
        return self.shop.clock.now_ms

    def close(self) -> None:
        self.shop.stop()
        for till in self.tills:
            till.outbox.close()

    # --- tills --------------------------------------------------------------------------------------------------------

    def add_till(self, device: str, *, storage_of: Till | None = None) -> Till:
        """A new till. storage_of: a till whose storage is copied onto it."""
        path = self.new_path()
        if storage_of is not None:
            copy_outbox(storage_of.path, path)
        till = self._open(device, path)
        self.tills.append(till)
        return till

    def restart_till(self, till: Till) -> Till:
        """A till starts anew from what is on its disk."""
        self.disconnect(till)
        till.outbox.close()
        again = self._open(till.device, till.path)
        self.tills[self.tills.index(till)] = again
        return again

    def do(self, till: Till, fields: dict[str, object]) -> None:
        """Something happens at a till: it is in the outbox, and sent when it can be."""
        kept = till.session.wanted(fields, self.now_ms)
        self._write("done", till.device.encode(), kept.encoded)
        self._carry(till)

    def connect(self, till: Till) -> None:
        if not till.is_connected:
            till.is_connected = True
            till.session.connected()
            self._carry(till)

    def disconnect(self, till: Till) -> None:
        if till.is_connected:
            till.is_connected = False
            self.lost += len(till.to_box) + len(till.to_till)
            till.to_box.clear()
            till.to_till.clear()
            till.topics.clear()
            till.session.disconnected()
            self._carry(till)

    # --- the wire -----------------------------------------------------------------------------------------------------

    def carry_in(self, till: Till, *, times: int = 1) -> None:
        """The next message of a till arrives at the box."""
        if till.to_box:
            channel, payload = till.to_box.popleft()
            for _ in range(times):
                self.shop.hand(till.device, payload, channel)

    def carry_out(self, till: Till, *, is_lost: bool = False) -> None:
        """The next message of the box arrives at a till, or does not."""
        if till.to_till:
            topic, payload = till.to_till.popleft()
            if not is_lost:
                till.session.received(topic, payload, self.now_ms)
                self._carry(till)

    def turn(self) -> None:
        """The box commits what it has taken, and answers what it was asked."""
        self.shop.coordinator.turn()
        self.shop.coordinator.answer()

    def pass_time(self, elapsed_ms: int) -> None:
        self.shop.clock.now_ms += elapsed_ms
        if self.now_ms >= self._next_tick_ms:
            self._next_tick_ms = self.now_ms + TICK_MS
            self.shop.coordinator.tick()
        for till in self.tills:
            till.session.elapsed(self.now_ms)
            self._carry(till)

    def settle(self) -> None:
        """Let everything arrive, without faults, until nothing is on its way and nothing waits to be acked."""
        for _ in range(10_000):
            for till in self.tills:
                while till.to_box:
                    self.carry_in(till)
                self.turn()
                while till.to_till:
                    self.carry_out(till)
            waiting = [till for till in self.tills if till.is_connected and till.outbox.pending]
            if not waiting and not any(till.to_box or till.to_till for till in self.tills):
                return
            self.pass_time(500)
        raise AssertionError("the shop does not come to rest")

    # --- the box ------------------------------------------------------------------------------------------------------

    def restart_box(self, *, backup: Path | None = None) -> None:
        """The box is killed, perhaps set back to a backup, and started again; every connection is gone."""
        self.shop.stop()
        for till in self.tills:
            self.disconnect(till)
        if backup is not None:
            shutil.rmtree(self.shop.directory)
            shutil.copytree(backup, self.shop.directory)
        self.shop.start()
        self.shop.link.heard = self._publish
        self.shop.coordinator.rewrite(())

    def back_up(self) -> Path:
        backup = self.new_path()
        shutil.copytree(self.shop.directory, backup)
        return backup

    # --- inside -------------------------------------------------------------------------------------------------------

    def new_path(self) -> Path:
        self._files += 1
        return self.directory / f"file-{self._files}"

    def _open(self, device: str, path: Path) -> Till:
        chance = Chance(self.chance.getrandbits(60))
        outbox = Outbox(path, device, chance)
        return Till(device, path, outbox, Session(outbox, self.shop.topics, device, chance, self.now_ms))

    def _carry(self, till: Till) -> None:
        """Do what a till's session asks for."""
        for output in till.session.outputs():
            match output:
                case Subscribe(topics) if till.is_connected:
                    till.topics.update(topics)
                    for topic, payload in self.shop.link.retained.items():
                        if any(_matches(topic, wanted) for wanted in topics):
                            till.to_till.append((topic, payload))
                    till.session.subscribed(self.now_ms)
                    self._carry(till)
                case Publish(topic, payload) if till.is_connected:
                    self._write("said", topic.encode(), payload)
                    sender = self.shop.topics.sender(topic)
                    assert sender is not None, topic
                    till.to_box.append((sender[1], payload))
                case Note(text):
                    self._write("note", text.encode())

    def _publish(self, topic: str, payload: bytes) -> None:
        self._write("heard", topic.encode(), payload)
        for till in self.tills:
            if any(_matches(topic, wanted) for wanted in till.topics):
                till.to_till.append((topic, payload))

    def _write(self, *what: str | bytes) -> None:
        self.trace.update(orjson.dumps([word if isinstance(word, str) else word.hex() for word in what]))


def _matches(topic: str, wanted: str) -> bool:
    """Whether a filter with single-level wildcards matches a topic."""
    here, there = topic.split("/"), wanted.split("/")
    return len(here) == len(there) and all(level in ("+", name) for name, level in zip(here, there, strict=True))
