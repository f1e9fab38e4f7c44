"""A small shop in one thread: the real coordinator, ledger and tills under a seeded scheduler, clock and chance.

The seed alone decides what happens: who sells, which message arrives next, when a connection breaks, when a till loses
power or is cloned, when the box is restarted or restored from a backup. So a run that fails repeats exactly, from its
seed. `heal` ends the faults and lets everything drain; then `check` demands that the ledger, the retained balances and
every till's screen are what was really sold.
"""

import hashlib
import random
import shutil
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from appliance.contract.delivery import Channel
from appliance.stock.quantity import format_qty
from appliance.till import drafts
from appliance.till.outbox import Outbox
from appliance.till.session import Note, Publish, Session, Subscribe
from tests.shop import Shop
from tests.till.desk import Chance, copy_outbox

SKUS = ("milk", "bread", "cheese", "salt/1")
TICK_MS = 10_000
TILLS_MAX = 6
"""Clones included: more of them show nothing that two do not."""


@dataclass(slots=True)
class Till:
    """A till and its connection: what is on its way in both directions is lost when the connection breaks."""

    device: str
    path: Path
    outbox: Outbox
    session: Session
    topics: set[str] = field(default_factory=set)
    to_box: deque[tuple[Channel, bytes]] = field(default_factory=deque)
    to_till: deque[tuple[str, bytes]] = field(default_factory=deque)
    is_connected: bool = False


class World:
    """tills: how many. The directory takes the ledger and the outboxes."""

    def __init__(self, directory: Path, seed: int, *, tills: int = 3) -> None:
        self._chance = random.Random(seed)
        self._directory = directory
        self.trace = hashlib.sha256()
        (directory / "box").mkdir()
        self.shop = Shop(directory / "box")
        self.faults: Counter[str] = Counter()
        self.sold_milli: Counter[str] = Counter()
        self._files = 0
        self._backups: list[Path] = []
        self.tills = [self._till(f"A{number}", self._new_path()) for number in range(1, tills + 1)]
        self._next_tick_ms = 0
        self._open_link()

    # --- what happens -------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """One event, drawn by chance."""
        self._pass_time(self._chance.randrange(0, 400))
        till = self._chance.choice(self.tills)
        [event] = self._chance.choices(
            (
                self._sell,
                self._carry_in,
                self._turn,
                self._carry_out,
                self._flip,
                self._power_cut,
                self._clone,
                self._restart,
                self._back_up,
                self._restore,
            ),
            weights=(12, 20, 12, 40, 4, 0.5, 0.3, 0.4, 0.4, 0.3),
        )
        self._write("event", event.__name__.encode(), till.device.encode())
        event(till)

    def heal(self) -> None:
        """No more faults: connect everyone, and go on until nothing is on its way and nothing waits to be acked."""
        for till in self.tills:
            if not till.is_connected:
                self._flip(till)
        for _ in range(10_000):
            for till in self.tills:
                while till.to_box:
                    self._carry_in(till)
                self._turn(till)
                while till.to_till:
                    self._carry_out(till)
            self._pass_time(500)
            if not any(till.outbox.pending or till.to_box or till.to_till for till in self.tills):
                return
        raise AssertionError("the shop does not come to rest")

    def check(self) -> None:
        """Everything agrees with what was sold, everywhere."""
        for sku in SKUS:
            expected = format_qty(-self.sold_milli[sku])
            assert (self.shop.on_hand(sku) or "0") == expected, sku
            retained = self.shop.retained(self.shop.topics.balance(sku).removeprefix(self.shop.topics.root))
            assert retained is None or retained["on_hand"] == expected, sku
            for till in self.tills:
                seen = till.session.view.balance(sku)
                assert (seen.on_hand if seen else "0") == expected, (till.device, sku)

    def close(self) -> None:
        self.shop.stop()
        for till in self.tills:
            till.outbox.close()

    # --- the events ---------------------------------------------------------------------------------------------------

    def _sell(self, till: Till) -> None:
        sku, qty = self._chance.choice(SKUS), self._chance.randrange(1, 5)
        kept = till.session.wanted(drafts.move(sku, f"-{qty}", "sale"), self._now_ms)
        self.sold_milli[sku] += 1000 * qty
        self._write("sold", kept.encoded)
        self._carry(till)

    def _carry_in(self, till: Till) -> None:
        """The next message of a till arrives at the box, now and then twice."""
        if till.to_box:
            channel, payload = till.to_box.popleft()
            for _ in range(2 if self._chance.random() < 0.1 else 1):
                self.shop.hand(till.device, payload, channel)

    def _turn(self, till: Till) -> None:
        self.shop.coordinator.turn()
        self.shop.coordinator.answer()

    def _carry_out(self, till: Till) -> None:
        """The next message of the box arrives at a till."""
        if till.to_till:
            topic, payload = till.to_till.popleft()
            till.session.received(topic, payload, self._now_ms)
            self._carry(till)

    def _flip(self, till: Till) -> None:
        """A connection comes back, or breaks: what is on it is lost, but for what the box has already got."""
        till.is_connected = not till.is_connected
        for _ in range(self._chance.randint(0, len(till.to_box))):
            self._carry_in(till)
        self.faults["lost"] += len(till.to_box) + len(till.to_till)
        till.to_box.clear()
        till.to_till.clear()
        till.topics.clear()
        if till.is_connected:
            till.session.connected()
        else:
            self.faults["drop"] += 1
            till.session.disconnected()
        self._carry(till)

    def _power_cut(self, till: Till) -> None:
        """A till starts anew from what is on its disk."""
        self.faults["power-cut"] += 1
        if till.is_connected:
            self._flip(till)
        till.outbox.close()
        self.tills[self.tills.index(till)] = self._till(till.device, till.path)

    def _clone(self, till: Till) -> None:
        """A till's storage is copied onto another device, which logs in under the same name."""
        if len(self.tills) < TILLS_MAX:
            self.faults["clone"] += 1
            self.tills.append(self._till(till.device, copy_outbox(till.path, self._new_path())))

    def _restart(self, till: Till) -> None:
        """The box is killed and started again: what it took and did not commit is gone, with every connection."""
        self.faults["restart"] += 1
        self._end_box()
        self._begin_box()

    def _back_up(self, till: Till) -> None:
        backup = self._new_path()
        shutil.copytree(self.shop.directory, backup)
        self._backups.append(backup)

    def _restore(self, till: Till) -> None:
        """The box is set back to a backup, however old: the tills must bring what is missing."""
        if self._backups:
            self.faults["restore"] += 1
            self._end_box()
            shutil.rmtree(self.shop.directory)
            shutil.copytree(self._chance.choice(self._backups), self.shop.directory)
            self._begin_box()

    def _end_box(self) -> None:
        self.shop.stop()
        for till in self.tills:
            if till.is_connected:
                self._flip(till)

    def _begin_box(self) -> None:
        self.shop.start()
        self._open_link()
        self.shop.coordinator.rewrite(())

    # --- the wire -----------------------------------------------------------------------------------------------------

    @property
    def _now_ms(self) -> int:
        return self.shop.clock.now_ms

    def _pass_time(self, elapsed_ms: int) -> None:
        self.shop.clock.now_ms += elapsed_ms
        if self._now_ms >= self._next_tick_ms:
            self._next_tick_ms = self._now_ms + TICK_MS
            self.shop.coordinator.tick()
        for till in self.tills:
            till.session.elapsed(self._now_ms)
            self._carry(till)

    def _carry(self, till: Till) -> None:
        """Do what a till's session asks for."""
        for output in till.session.outputs():
            match output:
                case Subscribe(topics) if till.is_connected:
                    till.topics.update(topics)
                    retained = self.shop.link.retained
                    till.to_till.extend((topic, retained[topic]) for topic in topics if topic in retained)
                    till.session.subscribed(self._now_ms)
                    self._carry(till)
                case Publish(topic, payload) if till.is_connected:
                    self._write("said", topic.encode(), payload)
                    sender = self.shop.topics.sender(topic)
                    assert sender is not None, topic
                    till.to_box.append((sender[1], payload))
                case Note(text):
                    self._write("note", text.encode())

    def _open_link(self) -> None:
        """Have what the coordinator publishes reach the tills that have subscribed to it."""
        self.shop.link.heard = self._publish

    def _publish(self, topic: str, payload: bytes) -> None:
        self._write("heard", topic.encode(), payload)
        for till in self.tills:
            if topic in till.topics:
                till.to_till.append((topic, payload))

    def _till(self, device: str, path: Path) -> Till:
        chance = Chance(self._chance.getrandbits(60))
        outbox = Outbox(path, device, chance)
        return Till(device, path, outbox, Session(outbox, self.shop.topics, device, chance, self._now_ms))

    def _new_path(self) -> Path:
        self._files += 1
        return self._directory / f"file-{self._files}"

    def _write(self, *what: str | bytes) -> None:
        self.trace.update(orjson.dumps([word if isinstance(word, str) else word.hex() for word in what]))
