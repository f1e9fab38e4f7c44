"""A shop without a network: the real coordinator and the real ledger, single-threaded, on a clock that a test sets.

`say` hands a message to the coordinator as a link would, takes one turn, and returns what the device heard.
"""

import itertools
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw
import orjson

from appliance.app.crashes import Crashes
from appliance.contract import messages
from appliance.contract.delivery import Channel, Delivery
from appliance.contract.topics import Topics
from appliance.coordinator import Coordinator
from appliance.ledger.database import FILE_NAME
from appliance.ledger.projection import Projection
from appliance.ledger.reader import Reader
from appliance.ledger.writer import Moment, Writer
from appliance.printing.jobs import PrintRules

EPOCH = "epoch-of-the-test-0001"
RESERVE_MS = 12 * 3_600_000
WALL_MS = 1_790_000_000_000


def tag(number: int) -> str:
    """A tag for the nth operation of a test."""
    return f"{number:016x}"


def operation(seq: int, **fields: Any) -> dict[str, Any]:
    """A legal sale of one A, with `fields` put over it."""
    base = {"seq": seq, "tag": tag(seq), "type": "move", "sku": "A", "qty": "-1", "reason": "sale"}
    return {key: value for key, value in (base | fields).items() if value is not ...}


def message(*operations: dict[str, Any], epoch: str = EPOCH, after: Any = ...) -> dict[str, Any]:
    """A message of these operations; `after` is the tag before the first one unless a test says otherwise."""
    first = operations[0].get("seq", 1)
    if after is ...:
        after = tag(first - 1) if isinstance(first, int) and first > 1 else None
    return {"epoch": epoch, **({"after": after} if after else {}), "ops": list(operations)}


def rows(directory: Path, statement: str) -> list[tuple[Any, ...]]:
    """What a look into the ledger's database shows, beside its own reader."""
    with closing(apsw.Connection(str(directory / FILE_NAME), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
        return connection.execute(statement).fetchall()


@dataclass(slots=True)
class Clock:
    now_ms: int = 0
    synchronised: bool = False

    def shop_ms(self) -> int:
        return self.now_ms

    def wall_ms(self) -> int:
        return WALL_MS + self.now_ms

    def is_synchronised(self) -> bool:
        return self.synchronised


@dataclass(slots=True)
class Link:
    """Keeps what is published: `log` all of it in order, `retained` as a broker would. heard: is told of each."""

    log: list[tuple[str, bytes]] = field(default_factory=list)
    retained: dict[str, bytes] = field(default_factory=dict)
    heard: Callable[[str, bytes], None] | None = None

    def publish(self, topic: str, payload: bytes, retain: bool) -> None:
        self.log.append((topic, payload))
        if self.heard is not None:
            self.heard(topic, payload)
        if retain and payload:
            self.retained[topic] = payload
        elif retain:
            self.retained.pop(topic, None)


class Shop:
    """One run after another of a coordinator on the ledger in `directory`."""

    def __init__(
        self,
        directory: Path,
        *,
        run: str | None = None,
        vfs: str | None = None,
        printing: PrintRules | None = None,
        boot: str = "one boot",
        reserve_ms: int = RESERVE_MS,
    ) -> None:
        self.printing = printing or PrintRules()
        self._reserve_ms = reserve_ms
        self.directory = directory
        self.clock = Clock()
        self.boot = boot
        self.new_ledger = "ledger-1"
        """The name of a ledger that is begun because there is none."""
        self.moment: Moment | None = None
        """When the next run begins, where the box has clocks of its own: the one that a test sets follows then."""
        self.topics = Topics("shop")
        self._runs = (run or f"{number:08x}" for number in itertools.count(1))
        self._vfs = vfs
        self.settled = 0
        self.start()

    def start(self) -> None:
        """Begin a run."""
        self.run = next(self._runs)
        self.writer = Writer(self.directory, shop="shop", new_ledger=self.new_ledger, vfs=self._vfs)
        begun_ms = self.writer.begin_run(self.run, self.moment or Moment(self.boot, self.clock.now_ms, None))
        self.clock.now_ms = max(self.clock.now_ms, begun_ms) if self.moment is None else begun_ms
        self.reader = Reader(self.directory, vfs=self._vfs)
        self.link = Link()
        self.crashes = Crashes(self.directory)
        self.coordinator = Coordinator(
            topics=self.topics,
            speaker=messages.Coordinator(self.writer.ledger, self.run, "estimated", "0"),
            store=self.writer,
            pages=self.reader,
            projection=Projection(self.topics, self.reader, lambda: self.coordinator.standing_alerts()),
            link=self.link,
            clock=self.clock,
            hand=self.crashes,
            printing=self.printing,
            reserve_ms=self._reserve_ms,
        )

    def stop(self) -> None:
        self.crashes.close()
        self.reader.close()
        self.writer.close()

    def restart(self) -> None:
        self.stop()
        self.start()

    def hand(self, device: str, payload: bytes, channel: Channel = Channel.OP, size: int | None = None) -> None:
        """Put a message before the coordinator."""
        self.coordinator.take(Delivery(device, channel, payload, len(payload) if size is None else size, self._settle))

    def say(self, device: str, what: dict[str, Any] | bytes, **how: Any) -> dict[str, Any]:
        """Put an `op` message before the coordinator, let it take a turn, and return the last ack that came of it."""
        before = len(self.link.log)
        self.hand(device, what if isinstance(what, bytes) else orjson.dumps(what), **how)
        self.coordinator.turn()
        acks = [payload for topic, payload in self.link.log[before:] if topic == self.topics.device(device, "ack")]
        return orjson.loads(acks[-1]) if acks else {}

    def ask(self, device: str, what: dict[str, Any] | bytes) -> dict[str, Any]:
        """Ask a query, and return its answer."""
        self.hand(device, what if isinstance(what, bytes) else orjson.dumps(what), Channel.QUERY)
        self.coordinator.questions.answer()
        topic, payload = self.link.log[-1]
        assert topic == self.topics.device(device, "answer")
        answer: dict[str, Any] = orjson.loads(payload)
        return answer

    def on_hand(self, sku: str = "A") -> str | None:
        """What the ledger says that there is of a SKU."""
        balance = self.reader.balance(sku)
        return None if balance is None else str(orjson.loads(messages.balance(balance))["on_hand"])

    def retained(self, leaf: str) -> Any:
        """A retained message as a broker would hold it, by what follows the shop's root; None when it holds none."""
        payload = self.link.retained.get(self.topics.root + leaf)
        return None if payload is None else orjson.loads(payload)

    def alerts(self) -> set[str]:
        """The kinds of the alerts that are active."""
        return {alert.kind for alert in self.reader.alerts()}

    def _settle(self) -> None:
        self.settled += 1
