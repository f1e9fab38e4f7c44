"""A sales floor without a network: real outboxes and sessions before the real coordinator and ledger, in one thread.

Every till has the shop's own clock, so a test decides what it knows of the time only by when it is connected.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path

from appliance.till.outbox import KEPT_MAX, Outbox
from appliance.till.session import Publish, Session, Subscribe, last_will
from tests.shop import Shop
from tests.till.desk import Chance


class Device:
    """One till on the floor. `session` is what a test uses; `Floor.settle` carries what it says."""

    def __init__(self, device: str, path: Path, shop: Shop, seed: int, kept_max: int) -> None:
        chance = Chance(seed)
        self.device = device
        self.outbox = Outbox(path, device, chance, kept_max=kept_max)
        self.session = Session(self.outbox, shop.topics, device, chance, shop.clock.now_ms)
        self.filters: tuple[str, ...] = ()
        self.heard: list[tuple[str, bytes]] = []


class Floor:
    """A shop with tills, all of them offline at first. The directory takes the ledger and the outboxes."""

    def __init__(self, directory: Path, *devices: str, kept_max: int = KEPT_MAX) -> None:
        (directory / "box").mkdir()
        self.shop = Shop(directory / "box")
        self.shop.clock.now_ms = 1_000_000
        self.shop.writer.keep_time(self.now_ms, None)
        self.tills = {
            device: Device(device, directory / f"{device}.outbox", self.shop, seed, kept_max)
            for seed, device in enumerate(devices)
        }
        self._retained: dict[str, bytes] = {}
        self._open()

    def __getitem__(self, device: str) -> Session:
        return self.tills[device].session

    @property
    def now_ms(self) -> int:
        return self.shop.clock.now_ms

    def online(self, *devices: str) -> None:
        for device in devices:
            self[device].connected()
        self.settle()

    def offline(self, device: str) -> None:
        """The connection breaks, and the broker says the till's last word for it."""
        till = self.tills[device]
        till.session.disconnected()
        till.filters = ()
        till.heard.clear()
        will = last_will(self.shop.topics, device)
        self._publish(will.topic, will.payload, is_retained=True)
        self.settle()

    def wait(self, ms: int) -> None:
        """Time passes, in steps in which the coordinator keeps it, as a box without work does, and ticks."""
        end_ms = self.now_ms + ms
        while self.now_ms < end_ms:
            self.shop.clock.now_ms = min(end_ms, self.now_ms + 10_000)
            self.shop.writer.keep_time(self.now_ms, None)
            self.shop.coordinator.tick()
            for till in self.tills.values():
                till.session.elapsed(self.now_ms)
            self.settle()

    def wanted(self, device: str, fields: dict[str, object]) -> None:
        """A till does something, and all that follows from it happens."""
        self[device].wanted(fields, self.now_ms)
        self.settle()

    def settle(self) -> None:
        """Carry messages to and fro until there are none."""
        while [till for till in self.tills.values() if self._carry(till)]:
            self.shop.coordinator.turn()
            self.shop.coordinator.questions.answer()

    def restore(self, backup: Path) -> None:
        """The box is set back to a copy of its ledger, and every till has lost its connection."""
        for device in self.tills:
            self.offline(device)
        self.shop.stop()
        shutil.rmtree(self.shop.directory)
        shutil.copytree(backup, self.shop.directory)
        self.shop.start()
        self._open()

    def close(self) -> None:
        self.shop.stop()
        for till in self.tills.values():
            till.outbox.close()

    def _open(self) -> None:
        self.shop.link.heard = self._publish
        self.shop.coordinator.rewrite(())

    def _carry(self, till: Device) -> bool:
        """Bring a till what it is to hear, and take what it says. Returns whether there was anything."""
        heard, till.heard = till.heard, []
        for topic, payload in heard:
            till.session.received(topic, payload, self.now_ms)
        outputs = till.session.outputs()
        for output in outputs:
            match output:
                case Subscribe(topics):
                    till.filters = topics
                    retained = self.shop.link.retained | self._retained
                    till.heard += [(topic, said) for topic, said in retained.items() if _matches(topic, topics)]
                    till.session.subscribed(self.now_ms)
                case Publish(topic, payload, retain):
                    self._publish(topic, payload, is_retained=retain)
                    sender = self.shop.topics.sender(topic)
                    assert sender is not None, topic
                    self.shop.hand(till.device, payload, sender[1])
        return bool(heard or outputs)

    def _publish(self, topic: str, payload: bytes, *, is_retained: bool = False) -> None:
        if is_retained:
            self._retained[topic] = payload
        for till in self.tills.values():
            if _matches(topic, till.filters):
                till.heard.append((topic, payload))


def _matches(topic: str, filters: Iterable[str]) -> bool:
    levels = topic.split("/")
    return any(
        len(wanted) == len(levels) and all(one in ("+", level) for one, level in zip(wanted, levels, strict=True))
        for wanted in (one.split("/") for one in filters)
    )
