"""The protocol of a till, without a socket, a thread or a clock: what it hears goes in, what it says comes out.

    connected ─▶ SUBSCRIBE        subscribed ─▶ state, then wait for the ack         ┌──────── gap: send again ────┐
                                                                    │                ▼                             │
    OFFLINE ──connected──▶ JOINING ──subscribed──▶ GREETING ──ack──▶ READY ──op … op──▶ ack: trim, send the next ──┘
                                                      ▲               │
                                                      └── new run, a fork, 30 s without an ack

It stands between the outbox, which it drains, and a connection, which its owner keeps. The invariants: nothing is sent
that is not in the outbox; nothing is sent before the coordinator has said how far this epoch is committed; and nothing
is sent to another ledger than the outbox's own until a person agrees. README.md tells the rules for a port.

Time and chance are arguments: `now_ms` of a clock that runs during sleep, and an Entropy. After every input the owner
takes `outputs()` and carries them out in order.
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum, auto

import orjson

from appliance import __version__
from appliance.contract.limits import OPERATION_BYTES_MAX
from appliance.contract.topics import Topics
from appliance.stock.operation import Item
from appliance.till import drafts
from appliance.till.heard import Balance, Unit, read_ack, read_changes, read_page, read_presence, read_tick
from appliance.till.outbox import Entropy, Fork, Kept, Outbox
from appliance.till.shoptime import ShopTime
from appliance.till.view import Feed, View

ACK_MS = 30_000
"""How long to wait for an ack before shaking hands again (wire contract, "Handshake")."""

WINDOW = 3
"""Messages that may wait for their ack: one that the coordinator commits, one that waits there for the next commit, one
on its way. More would not be faster, and would all be sent again when the connection breaks."""

BATCH_COUNT = 100
"""Operations of one message. From 64 in one commit the disk costs nothing (measured), and an ack comes every moment."""

BATCH_BYTES = OPERATION_BYTES_MAX
"""Bytes of operations in one message; any single operation fits."""


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Subscribe to topics at QoS 1; `subscribed` is to be told when the broker has agreed."""

    topics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Publish:
    """Publish at QoS 1."""

    topic: str
    payload: bytes
    retain: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """Something that a person may want to read in the log. text: `event key=value …`."""

    text: str


Output = Subscribe | Publish | Note


class Phase(Enum):
    OFFLINE = auto()  # No connection.
    JOINING = auto()  # Connected; the broker has not agreed to the subscriptions yet.
    WAITING = auto()  # The coordinator has said that it is offline.
    GREETING = auto()  # `state` is published; the coordinator's ack tells how far it is.
    READY = auto()  # Operations flow.


class Session:
    """One till's side of the wire contract."""

    def __init__(
        self,
        outbox: Outbox,
        topics: Topics,
        device: str,
        entropy: Entropy,
        now_ms: int,
        *,
        accept_ledger: bool = False,
    ) -> None:
        self._outbox = outbox
        self._topics = topics
        self._device = device
        self._accept_any = accept_ledger
        self.view = View(lambda: entropy.token_hex(4))
        self._time = ShopTime(outbox.heard(), now_ms)
        self._out: list[Output] = []
        self.phase = Phase.OFFLINE
        self.other_ledger: str | None = None
        """A ledger that is not the outbox's own and has been heard; nothing is sent to it until `accept`."""
        self._run: str | None = None
        self._sent_seq = 0
        self._in_flight: deque[int] = deque()
        self._waiting_since_ms = 0
        self._resent_from: set[int] = set()
        self._heard_on = {
            topics.coordinator: self._on_presence,
            topics.tick: self._on_tick,
            topics.changes: self._on_changes,
            topics.device(device, "ack"): self._on_ack,
            topics.device(device, "answer"): self._on_answer,
        }
        self._reset_own()

    # --- inputs -------------------------------------------------------------------------------------------------------

    def outputs(self) -> list[Output]:
        """Return what is to be done since the last call, in order."""
        out, self._out = self._out, []
        return out

    def connected(self) -> None:
        self.phase = Phase.JOINING
        self._run = None
        self.other_ledger = None
        # What an earlier connection could not carry any more must not be said before this one's handshake.
        self._out.clear()
        self._out.append(Subscribe(tuple(self._heard_on)))

    def subscribed(self, now_ms: int) -> None:
        """The broker has agreed to all subscriptions: from here on no answer can be missed."""
        self._greet(now_ms)

    def disconnected(self) -> None:
        """The connection is gone; what was published on it and not acked is published again on the next one."""
        self.phase = Phase.OFFLINE

    def received(self, topic: str, payload: bytes, now_ms: int) -> None:
        """Take one message. What is unreadable, or on no topic of this till, says nothing."""
        hear = self._heard_on.get(topic)
        if hear is not None and self.phase is not Phase.OFFLINE:
            hear(payload, now_ms)

    def elapsed(self, now_ms: int) -> None:
        """Time has passed. To be called about once a second."""
        is_waiting = self.phase is Phase.GREETING or (self.phase is Phase.READY and self._outbox.pending > 0)
        if is_waiting and self.other_ledger is None and now_ms - self._waiting_since_ms >= ACK_MS:
            self._out.append(Note(f"no-ack device={self._device} waited_ms={now_ms - self._waiting_since_ms}"))
            self._greet(now_ms)
        for feed in (self.view.balances, self.view.units):
            if feed.is_overdue(now_ms):
                self._ask(feed, now_ms)

    def wanted(self, fields: dict[str, object], now_ms: int, at: str | None = None) -> Kept:
        """Stamp an operation, put it on disk, and send it when it is its turn.

        fields: of `drafts`. at: RFC 3339, for people only. Returns the operation as it is kept.
        Raises ValueError for one that the coordinator would reject; nothing is spent then.
        """
        stamped = {**self._time.stamp(now_ms), **({} if at is None else {"at": at}), **fields}
        draft = drafts.check(stamped, self.view.unit)
        kept = self._outbox.add(draft.fields, self._time.heard(now_ms))
        self.view.add_own(kept.seq, draft.effects)
        if isinstance(draft.operation.body, Item):
            self.view.units.put(Unit(draft.operation.body.sku, draft.operation.body.unit, self.view.units.rev))
        self._send(now_ms)
        return kept

    def accept(self, ledger: str, now_ms: int) -> None:
        """A person agrees that this till belongs to another ledger from now on."""
        if ledger != self._outbox.ledger:
            self._follow(ledger, now_ms)

    # --- what the coordinator says ------------------------------------------------------------------------------------

    def _on_presence(self, payload: bytes, now_ms: int) -> None:
        said = read_presence(payload)
        if said is None:
            return
        if said.is_online:
            self._time.saw(said.run, said.rev)
            self._meet(said.ledger, said.run, now_ms)
        elif self.phase in (Phase.GREETING, Phase.READY):
            self.phase = Phase.WAITING

    def _on_tick(self, payload: bytes, now_ms: int) -> None:
        said = read_tick(payload)
        if said is None:
            return
        if self._outbox.ledger in (None, said.ledger):
            # Before anything that may publish a new `state`: this tick, if it answers one, answers the old one.
            self._time.tick(said.run, said.shop_ms, now_ms)
            self._time.saw(said.run, said.rev)
        if self._meet(said.ledger, said.run, now_ms):
            # A tick also shows what a lost `changes` would have told.
            for feed in (self.view.balances, self.view.units):
                if feed.lacks(said.run, said.rev):
                    self._ask(feed, now_ms)

    def _on_changes(self, payload: bytes, now_ms: int) -> None:
        said = read_changes(payload)
        if said is None:
            return
        self._time.saw(said.run, said.to)
        if self.view.balances.changed(said.run, said.since, said.to, said.items):
            self._ask(self.view.balances, now_ms)

    def _on_answer(self, payload: bytes, now_ms: int) -> None:
        page = read_page(payload)
        if page is None or page.ledger != self._outbox.ledger:
            return
        self._time.saw(page.run, page.to)
        for feed in (self.view.balances, self.view.units):
            question = feed.answered(page, now_ms)
            if question is not None:
                self._publish("query", question)

    def _on_ack(self, payload: bytes, now_ms: int) -> None:
        told = read_ack(payload)
        if told is None or told.ack.epoch != self._outbox.epoch or self.phase not in (Phase.GREETING, Phase.READY):
            return
        if self._is_other(told.ack.ledger, now_ms):
            return
        if self._outbox.ledger is None:
            self._outbox.bind(told.ack.ledger)
        acked_before = self._outbox.acked_seq
        fork = self._outbox.acknowledge(told.ack, told.refused)
        if fork is not None:
            self._forked(fork, told.ack.epoch, now_ms)
            return
        seq = told.ack.seq
        if seq < acked_before:
            self._reset_own()
        else:
            self.view.drop_own(seq)
        if self.phase is Phase.GREETING:
            self.phase = Phase.READY
            self._send_from(seq)
            self._ask(self.view.balances, now_ms)
            self._ask(self.view.units, now_ms)
        elif (told.is_gap or seq < acked_before) and seq not in self._resent_from:
            self._resent_from.add(seq)
            self._send_from(seq)
        elif seq > acked_before:
            self._sent_seq = max(self._sent_seq, seq)
            while self._in_flight and self._in_flight[0] <= seq:
                self._in_flight.popleft()
            self._waiting_since_ms = now_ms
        self._send(now_ms)

    # --- what follows from it -----------------------------------------------------------------------------------------

    def _meet(self, ledger: str, run: str, now_ms: int) -> bool:
        """Learn who the coordinator is. Returns whether it may be talked to as before."""
        if self._is_other(ledger, now_ms):
            return False
        is_news = self.other_ledger is not None or self.phase is Phase.WAITING or self._run not in (None, run)
        self._run, self.other_ledger = run, None
        if is_news and self.phase is not Phase.JOINING:
            self._greet(now_ms)
            return False
        return True

    def _is_other(self, ledger: str, now_ms: int) -> bool:
        """Whether a ledger is not the outbox's own. One that may be followed is followed at once."""
        if self._outbox.ledger in (None, ledger):
            return False
        if self._accept_any or self._outbox.is_parked(ledger):
            self._follow(ledger, now_ms)
        elif self.other_ledger != ledger:
            self.other_ledger = ledger
            self._in_flight.clear()
            self._out.append(Note(f"other-ledger device={self._device} own={self._outbox.ledger} heard={ledger}"))
        return True

    def _follow(self, ledger: str, now_ms: int) -> None:
        parked, epoch = self._outbox.ledger, self._outbox.epoch
        if parked is None:
            self._outbox.bind(ledger)
        else:
            self._outbox.accept(ledger)
        self._out.append(Note(f"accepted device={self._device} ledger={ledger} parked={parked} epoch={epoch}"))
        self._run, self.other_ledger = None, None
        self.view.balances.forget()
        self.view.units.forget()
        self._reset_own()
        if self.phase not in (Phase.OFFLINE, Phase.JOINING):
            self._greet(now_ms)

    def _forked(self, why: Fork, parent: str, now_ms: int) -> None:
        self._out.append(
            Note(
                f"forked device={self._device} why={why} parent={parent} epoch={self._outbox.epoch}"
                f" operations={self._outbox.pending}"
            )
        )
        self._reset_own()
        self._greet(now_ms)

    def _greet(self, now_ms: int) -> None:
        """Ask the coordinator how far it has this epoch. It answers with the ack and a tick."""
        self.phase = Phase.GREETING
        self._in_flight.clear()
        self._resent_from.clear()
        self._waiting_since_ms = now_ms
        self._time.asked(now_ms)
        self.view.balances.abandon()
        self.view.units.abandon()
        self._publish("state", self._state(), retain=True)

    def _send_from(self, acked_seq: int) -> None:
        self._sent_seq = acked_seq
        self._in_flight.clear()

    def _send(self, now_ms: int) -> None:
        """Publish what is next, as far as the window allows: one at a time when idle, in batches behind a backlog."""
        while self.phase is Phase.READY and self.other_ledger is None and len(self._in_flight) < WINDOW:
            batch = self._outbox.batch(self._sent_seq, count_max=BATCH_COUNT, bytes_max=BATCH_BYTES)
            if not batch:
                return
            self._publish("op", self._message(batch))
            self._sent_seq = batch[-1].seq
            if not self._in_flight:
                self._waiting_since_ms = now_ms
            self._in_flight.append(self._sent_seq)

    def _message(self, batch: list[Kept]) -> bytes:
        """Return the envelope around operations whose own bytes stay as they are."""
        said: dict[str, object] = {"epoch": self._outbox.epoch}
        if batch[0].seq > 1:
            said["after"] = self._outbox.tag_at(batch[0].seq - 1)
        said["ops"] = [orjson.Fragment(kept.encoded) for kept in batch]
        return orjson.dumps(said)

    def _state(self) -> bytes:
        return orjson.dumps(
            {
                "state": "online",
                "epoch": self._outbox.epoch,
                "seq": self._outbox.last_seq,
                "pending": self._outbox.pending,
                "app": "stock-coordinator-till",
                "version": __version__,
            }
        )

    def _ask(self, feed: Feed[Balance] | Feed[Unit], now_ms: int) -> None:
        if self.phase is Phase.READY and self.other_ledger is None and (not feed.is_asking or feed.is_overdue(now_ms)):
            self._publish("query", feed.ask(now_ms))

    def _reset_own(self) -> None:
        self.view.reset_own((kept.seq, drafts.effects(kept.encoded)) for kept in self._outbox.never_acked())

    def _publish(self, leaf: str, payload: bytes, *, retain: bool = False) -> None:
        self._out.append(Publish(self._topics.device(self._device, leaf), payload, retain))


def last_will(topics: Topics, device: str) -> Publish:
    """Return what the broker publishes when this till vanishes, and the till itself when it leaves."""
    return Publish(topics.device(device, "state"), orjson.dumps({"state": "offline"}), retain=True)
