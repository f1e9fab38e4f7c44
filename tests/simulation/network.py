"""Tills, a box and what is on its way between them, in one thread: real sessions, outboxes, coordinator and ledger.

Nothing moves by itself: whoever drives it decides which message arrives next, when a connection breaks, and how time
passes. What is on a connection that breaks is lost. A seed decides the rest (tags, epochs, and what a driver draws).

The broker is inside the box and ends with it, unless the network is told that it stands beside: then the tills'
connections and all that is retained outlive the box.
"""

import hashlib
import random
import shutil
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product
from pathlib import Path

import orjson

from appliance.contract import messages
from appliance.contract.delivery import Channel
from appliance.ledger.writer import Moment
from appliance.printing.jobs import PrintRules
from appliance.till.outbox import Kept, Outbox
from appliance.till.session import Note, Publish, Session, Subscribe, last_will
from tests.shop import RESERVE_MS, Shop
from tests.till.desk import Chance, copy_outbox

TICK_MS = 10_000


@dataclass(frozen=True, slots=True)
class DeviceClock:
    """A clock that runs in sleep and begins at 0 with its device; it goes fast by `drift_ppm`."""

    booted_ms: int = 0
    drift_ppm: int = 0

    def at(self, now_ms: int) -> int:
        elapsed_ms = now_ms - self.booted_ms
        return elapsed_ms + elapsed_ms * self.drift_ppm // 1_000_000


@dataclass(slots=True, eq=False)
class Till:
    """A till and its connection. connections: how many it has had."""

    device: str
    path: Path
    outbox: Outbox
    session: Session
    clock: DeviceClock
    connections: int = 0
    topics: set[str] = field(default_factory=set)
    to_box: deque[tuple[Channel, bytes]] = field(default_factory=deque)
    to_till: deque[tuple[str, bytes]] = field(default_factory=deque)
    is_connected: bool = False


class Network:
    """The directory takes the ledger and the outboxes.

    is_external: the broker stands beside the box. sent: is told of each message that is put on a till's connection,
    and whether it goes to the box.
    """

    def __init__(
        self,
        directory: Path,
        seed: int,
        *,
        is_external: bool = False,
        printing: PrintRules | None = None,
        reserve_ms: int = RESERVE_MS,
    ) -> None:
        self.chance = random.Random(seed)
        self.directory = directory
        self.is_external = is_external
        self.trace = hashlib.sha256()
        self.lost = 0
        self.tills: list[Till] = []
        self.sent: Callable[[Till, bool], None] = lambda till, is_to_box: None
        self.heard: Callable[[str, bytes], None] = lambda topic, payload: None
        """Is told of each message that the box publishes, before anybody hears it."""
        self.is_linked = True
        """Whether the box is connected to the broker."""
        self.is_broker_up = True
        self._files = 0
        self._next_tick_ms = 0
        self._ahead_ms = 0
        (directory / "box").mkdir()
        self.shop = Shop(directory / "box", printing=printing, reserve_ms=reserve_ms)
        self.retained = self.shop.link.retained
        """What the broker holds; the box writes into it while it is linked."""
        self.shop.link.heard = self._published

    @property
    def now_ms(self) -> int:
        """True time, which nobody in the shop knows."""
        return self.shop.clock.now_ms - self._ahead_ms

    def set_time(self, now_ms: int) -> None:
        self.shop.clock.now_ms = now_ms + self._ahead_ms

    def close(self) -> None:
        self.shop.stop()
        for till in self.tills:
            till.outbox.close()

    # --- tills --------------------------------------------------------------------------------------------------------

    def add_till(self, device: str, *, storage_of: Till | None = None, clock: DeviceClock | None = None) -> Till:
        """A new till. storage_of: a till whose storage is copied onto it."""
        path = self.new_path()
        if storage_of is not None:
            copy_outbox(storage_of.path, path)
        till = self._open(device, path, clock or DeviceClock())
        self.tills.append(till)
        return till

    def restart_till(self, till: Till, *, path: Path | None = None, clock: DeviceClock | None = None) -> Till:
        """A till starts anew from what is on its disk. path: another disk. clock: of a device that was switched off."""
        self.disconnect(till)
        till.outbox.close()
        again = self._open(till.device, path or till.path, clock or till.clock)
        self.tills[self.tills.index(till)] = again
        return again

    def do(self, till: Till, fields: dict[str, object], at: str | None = None) -> Kept:
        """Something happens at a till: it is in the outbox, and sent when it can be. Raises ValueError as the till.

        at: what the till's wall clock shows.
        """
        return self.done(till, till.session.wanted(fields, till.clock.at(self.now_ms), at))

    def done(self, till: Till, kept: Kept) -> Kept:
        """An operation has been made at a till."""
        self._write("done", till.device.encode(), kept.encoded)
        self.carry(till)
        return kept

    def connect(self, till: Till) -> None:
        if not till.is_connected:
            till.is_connected = True
            till.connections += 1
            till.session.connected()
            self.carry(till)

    def disconnect(self, till: Till) -> None:
        if till.is_connected:
            till.is_connected = False
            self.lost += len(till.to_box) + len(till.to_till)
            till.to_box.clear()
            till.to_till.clear()
            till.topics.clear()
            till.session.disconnected()
            self.carry(till)
            will = last_will(self.shop.topics, till.device)
            self._say_will(will.topic, will.payload)

    # --- the wire -----------------------------------------------------------------------------------------------------

    def carry_in(self, till: Till, *, times: int = 1) -> None:
        """The next message of a till arrives at the box, or gets lost (0 times)."""
        if till.to_box:
            channel, payload = till.to_box.popleft()
            for _ in range(times):
                self.shop.hand(till.device, payload, channel)

    def carry_out(self, till: Till, *, is_lost: bool = False) -> None:
        """The next message of the box arrives at a till, or does not."""
        if till.to_till:
            topic, payload = till.to_till.popleft()
            if not is_lost:
                till.session.received(topic, payload, till.clock.at(self.now_ms))
                self.carry(till)

    def elapsed(self) -> None:
        """Let the tills see what time it is."""
        for till in self.tills:
            till.session.elapsed(till.clock.at(self.now_ms))
            self.carry(till)

    def turn(self) -> None:
        """The box commits what it has taken, and answers what it was asked."""
        self.shop.coordinator.turn()
        self.shop.coordinator.questions.answer()

    def pass_time(self, elapsed_ms: int) -> None:
        self.shop.clock.now_ms += elapsed_ms
        if self.now_ms >= self._next_tick_ms:
            self._next_tick_ms = self.now_ms + TICK_MS
            self.shop.coordinator.tick()
        self.elapsed()

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
        """The box is killed, perhaps set back to a backup, and started again."""
        self.stop_box()
        self.start_box(backup=backup)
        self.link()

    def stop_box(self) -> None:
        """The box is killed. With the broker in it every connection is gone, else its last will is heard."""
        self.shop.stop()
        if self.is_external:
            self.unlink()
        else:
            for till in self.tills:
                self.disconnect(till)
            self.retained.clear()

    def start_box(self, *, backup: Path | None = None, moment: Moment | None = None) -> None:
        """Begin a run, and say nothing yet.

        backup: what takes the ledger's place first. moment: as the box's own clocks have it.
        """
        if backup is not None:
            shutil.rmtree(self.shop.directory)
            shutil.copytree(backup, self.shop.directory)
        now_ms = self.now_ms
        self.shop.moment = moment
        self.shop.start()
        if moment is not None:
            self._ahead_ms = self.shop.clock.now_ms - now_ms
        self.shop.link.heard = self._published
        self.shop.link.retained = {}
        self.is_linked = False

    def stop_broker(self, *, is_forgetful: bool) -> None:
        """The broker beside the box is killed: every connection is gone. is_forgetful: and all that it retained."""
        self.is_broker_up = False
        self.unlink()
        for till in self.tills:
            self.disconnect(till)
        if is_forgetful:
            self.retained.clear()

    def start_broker(self) -> None:
        self.is_broker_up = True

    def unlink(self) -> None:
        """The box has lost the broker that stands beside it, which says its will."""
        self.is_linked = False
        self.shop.link.retained = {}
        speaker = messages.Coordinator(self.shop.writer.ledger, self.shop.run, "estimated", "0")
        self._say_will(self.shop.topics.coordinator, messages.offline(speaker))

    def link(self) -> None:
        """The box speaks to its broker from here on, and first makes what is retained there its own."""
        self.is_linked = True
        self.shop.link.retained = self.retained
        ours = (topic for topic in self.retained if self.shop.topics.sender(topic) is None)
        self.shop.coordinator.rewrite(tuple(ours))

    def back_up(self) -> Path:
        backup = self.new_path()
        shutil.copytree(self.shop.directory, backup)
        return backup

    # --- inside -------------------------------------------------------------------------------------------------------

    def new_path(self) -> Path:
        self._files += 1
        return self.directory / f"file-{self._files}"

    def carry(self, till: Till) -> None:
        """Do what a till's session asks for."""
        for output in till.session.outputs():
            match output:
                case Subscribe(topics) if till.is_connected:
                    till.topics.update(topics)
                    for topic, payload in self.retained.items():
                        if not till.topics.isdisjoint(_filters(topic)):
                            self._put(till, topic, payload)
                    till.session.subscribed(till.clock.at(self.now_ms))
                    self.carry(till)
                case Publish(topic, payload, is_retained) if till.is_connected:
                    self._write("said", topic.encode(), payload)
                    if is_retained:
                        self._retain(topic, payload)
                        self._spread(topic, payload)
                    sender = self.shop.topics.sender(topic)
                    assert sender is not None, topic
                    till.to_box.append((sender[1], payload))
                    self.sent(till, True)
                case Note(text):
                    self._write("note", text.encode())

    def _open(self, device: str, path: Path, clock: DeviceClock) -> Till:
        chance = Chance(self.chance.getrandbits(60))
        outbox = Outbox(path, device, chance)
        session = Session(outbox, self.shop.topics, device, chance, clock.at(self.now_ms))
        return Till(device, path, outbox, session, clock)

    def _published(self, topic: str, payload: bytes) -> None:
        """The box has said something."""
        self._write("heard", topic.encode(), payload)
        self.heard(topic, payload)
        if self.is_linked:
            self._spread(topic, payload)

    def _say_will(self, topic: str, payload: bytes) -> None:
        if self.is_broker_up:
            self._retain(topic, payload)
            self._spread(topic, payload)

    def _retain(self, topic: str, payload: bytes) -> None:
        self.retained[topic] = payload

    def _spread(self, topic: str, payload: bytes) -> None:
        for till in self.tills:
            if not till.topics.isdisjoint(_filters(topic)):
                self._put(till, topic, payload)

    def _put(self, till: Till, topic: str, payload: bytes) -> None:
        till.to_till.append((topic, payload))
        self.sent(till, False)

    def _write(self, *what: str | bytes) -> None:
        self.trace.update(orjson.dumps([word if isinstance(word, str) else word.hex() for word in what]))


@lru_cache(maxsize=10_000)
def _filters(topic: str) -> frozenset[str]:
    """Every filter, with or without single-level wildcards, that matches a topic."""
    return frozenset("/".join(levels) for levels in product(*((level, "+") for level in topic.split("/"))))
