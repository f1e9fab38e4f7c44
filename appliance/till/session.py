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
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TypeVar

import orjson

from appliance import __version__
from appliance.contract.fields import Fields
from appliance.contract.limits import OPERATION_BYTES_MAX
from appliance.contract.messages import What
from appliance.contract.operations import Head, read_operation
from appliance.contract.topics import Topics
from appliance.stock.errors import Rejected
from appliance.stock.operation import AlertAcknowledged, Item, Receipt
from appliance.stock.receipts import ReceiptState, settle
from appliance.till import drafts
from appliance.till.freshness import SILENT_MS, Freshness, Others
from appliance.till.heard import (
    Alert,
    Balance,
    CatalogueItem,
    FoundReceipt,
    HistoryEntry,
    read_ack,
    read_alert,
    read_changes,
    read_entry,
    read_failure,
    read_item,
    read_page,
    read_presence,
    read_receipt,
    read_tick,
)
from appliance.till.inquiry import Inquiry
from appliance.till.outbox import Entropy, Fork, Kept, Outbox
from appliance.till.shoptime import ShopTime
from appliance.till.view import Feed, LocalBalance, View

AnInquiry = TypeVar("AnInquiry", Inquiry[FoundReceipt], Inquiry[HistoryEntry])

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


@dataclass(frozen=True, slots=True)
class Begun:
    """The moment at which something that lasts began: a stocktake.

    stamp: of that moment. made: how many operations this till had made by then since it started.
    """

    stamp: Mapping[str, object]
    now_ms: int
    made: int


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
        self._new_id = lambda: entropy.token_hex(4)
        self.view = View(self._new_id)
        self._others = Others(device)
        self._alerts: dict[str, Alert] = {}
        self._inquiries: list[Inquiry[FoundReceipt] | Inquiry[HistoryEntry]] = []
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
        self._told_pending = 0
        self._in_step_ms: int | None = None
        self.acked_ms: int | None = None
        """When the coordinator last acked this epoch, if it has since this till started."""
        self._made = 0
        self._moved: dict[str, int] = {}
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
        self._alerts.clear()
        self._others.connected()
        everybody = (self._topics.alert("+"), self._topics.device("+", "state"))
        self._out.append(Subscribe((*self._heard_on, *everybody)))

    def subscribed(self, now_ms: int) -> None:
        """The broker has agreed to all subscriptions: from here on no answer can be missed."""
        self._greet(now_ms)

    def disconnected(self) -> None:
        """The connection is gone; what was published on it and not acked is published again on the next one."""
        self.phase = Phase.OFFLINE
        self._fail_inquiries()

    def received(self, topic: str, payload: bytes, now_ms: int) -> None:
        """Take one message. What is unreadable, or on no topic of this till, says nothing."""
        if self.phase is Phase.OFFLINE:
            return
        hear = self._heard_on.get(topic)
        if hear is not None:
            hear(payload, now_ms)
            if self.phase is Phase.READY and not self.view.balances.is_asking:
                self._in_step_ms = now_ms
            return
        match topic.removeprefix(self._topics.root).split("/"):
            case ["alert", alert]:
                self._on_alert(alert, payload)
            case ["device", device, "state"]:
                self._others.heard(device, payload, now_ms)

    def elapsed(self, now_ms: int) -> None:
        """Time has passed. To be called about once a second."""
        is_waiting = self.phase is Phase.GREETING or (self.phase is Phase.READY and self._outbox.pending > 0)
        if is_waiting and self.other_ledger is None and now_ms - self._waiting_since_ms >= ACK_MS:
            self._out.append(Note(f"no-ack device={self._device} waited_ms={now_ms - self._waiting_since_ms}"))
            self._greet(now_ms)
        for feed in (self.view.balances, self.view.items):
            if feed.is_overdue(now_ms):
                self._ask(feed, now_ms)

    def wanted(
        self, fields: dict[str, object], now_ms: int, at: str | None = None, *, begun: Begun | None = None
    ) -> Kept:
        """Stamp an operation, put it on disk, and send it when it is its turn.

        fields: of `drafts`. at: RFC 3339, for people only. begun: when it began, unless it is only now.
        Returns the operation as it is kept.
        Raises ValueError for one that the coordinator would reject; nothing is spent then.
        """
        stamp = self._time.stamp(now_ms) if begun is None else begun.stamp
        draft = drafts.check({**stamp, **({} if at is None else {"at": at}), **fields}, self._device, self.view)
        kept = self._outbox.add(draft.fields, self._time.heard(now_ms))
        self.view.add_own(kept.seq, draft.outcome)
        self._made += 1
        self._moved.update((effect.sku, self._made) for effect in draft.outcome.effects if effect.effect_milli)
        match draft.operation.body:
            case Item(sku=sku, details=details):
                self.view.items.put(read_item(Fields({**details, "sku": sku, "rev": self.view.items.rev})))
            case AlertAcknowledged(alert) if alert in self._alerts:
                self._alerts[alert] = replace(self._alerts[alert], status="acknowledged")
        self._send(now_ms)
        return kept

    def begin(self, now_ms: int) -> Begun:
        """Begin to count: what moves from here on is not in the count, or nobody can tell."""
        return Begun(self._time.stamp(now_ms), now_ms, self._made)

    def counted(
        self,
        begun: Begun,
        sku: str,
        counted: object,
        now_ms: int,
        at: str | None = None,
        *,
        includes_reserved: bool = False,
    ) -> Kept:
        """Record what was counted of one SKU since `begun`; one stocktake may count many. Raises ValueError.

        Of an own movement of the SKU since then nobody can tell whether the goods were still there when they were
        counted: its seq says that it came before the count, and its stamp after. So the person is to count again.
        """
        if self._moved.get(sku, 0) > begun.made:
            raise ValueError(f"{sku} has moved on this till since you began to count it: count it again")
        fields = drafts.count(sku, counted, now_ms - begun.now_ms, includes_reserved=includes_reserved)
        return self.wanted(fields, now_ms, at, begun=begun)

    def next_edit(self, receipt: str) -> int:
        """Return the edit that replaces what is known of an open receipt.

        Raises ValueError for a receipt that nothing is known of: the coordinator would ignore too low an edit.
        """
        known = self.view.receipt(receipt)
        if known is None:
            raise ValueError(
                f"edit is not known for receipt {receipt}: ask find_receipt for it first, or say edit=1 if it is new"
            )
        return known.edit + 1

    # --- what a person asks -------------------------------------------------------------------------------------------

    def find_receipt(self, receipt: str) -> Inquiry[FoundReceipt]:
        """Ask what the coordinator knows of a receipt. Returns the inquiry, which is over at once when offline."""
        return self._inquire(Inquiry(What.RECEIPT, {"receipt": receipt}, read_receipt, self._new_id))

    def history(self, sku: str) -> Inquiry[HistoryEntry]:
        """Ask for a SKU's whole history. Returns the inquiry, which is over at once when offline."""
        return self._inquire(Inquiry(What.HISTORY, {"sku": sku}, read_entry, self._new_id))

    def give_up(self, inquiry: Inquiry[FoundReceipt] | Inquiry[HistoryEntry]) -> None:
        """Nobody waits for the answer any more."""
        if inquiry in self._inquiries:
            self._inquiries.remove(inquiry)

    def balance(self, sku: str, now_ms: int) -> LocalBalance | None:
        """Return what there is of a SKU, and how fresh that is; None for a SKU of which nothing is known."""
        balance = self.view.balance(sku)
        return None if balance is None else replace(balance, freshness=self.freshness(now_ms))

    def freshness(self, now_ms: int) -> Freshness:
        """Return what the balances may lack."""
        unheard = self._others.unheard(now_ms)
        if self._in_step_ms is None:
            return Freshness(is_heard=False, unheard=unheard)
        silent_ms = now_ms - self._in_step_ms
        if self.phase in (Phase.GREETING, Phase.READY) and silent_ms < SILENT_MS:
            return Freshness(unheard=unheard)
        return Freshness(is_heard=False, silent_s=silent_ms // 1000, unheard=unheard)

    def alerts(self) -> list[Alert]:
        """Return what a person must know, by name; those that were acknowledged here say so until they go."""
        return [alert for _, alert in sorted(self._alerts.items())]

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
            for feed in (self.view.balances, self.view.items):
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
        if page is None:
            self._on_failure(payload)
            return
        if page.ledger != self._outbox.ledger:
            return
        self._time.saw(page.run, page.to)
        for inquiry in [inquiry for inquiry in self._inquiries if inquiry.id == page.id]:
            question = inquiry.answered(page)
            if question is not None:
                self._publish("query", question)
            else:
                self._inquiries.remove(inquiry)
                for row in inquiry.rows:
                    if isinstance(row, FoundReceipt):
                        self.view.learn(_state_of(row), self._outbox.acked_seq)
        for feed in (self.view.balances, self.view.items):
            question = feed.answered(page, now_ms)
            if question is not None:
                self._publish("query", question)

    def _on_failure(self, payload: bytes) -> None:
        said = read_failure(payload)
        for inquiry in [inquiry for inquiry in self._inquiries if said and inquiry.id == said.id]:
            inquiry.failure = "it cannot tell" if said is None else f"{said.code}: {said.detail}"
            self._inquiries.remove(inquiry)

    def _on_alert(self, alert: str, payload: bytes) -> None:
        said = read_alert(payload)
        if said is not None:
            self._alerts[alert] = said
        elif not payload:
            self._alerts.pop(alert, None)

    def _on_ack(self, payload: bytes, now_ms: int) -> None:
        told = read_ack(payload)
        if told is None or told.ack.epoch != self._outbox.epoch or self.phase not in (Phase.GREETING, Phase.READY):
            return
        if self._is_other(told.ack.ledger, now_ms):
            return
        if self._outbox.ledger is None:
            self._outbox.bind(told.ack.ledger)
        acked_before = self._outbox.acked_seq
        self.acked_ms = now_ms
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
            self._ask(self.view.items, now_ms)
        elif (told.is_gap or seq < acked_before) and seq not in self._resent_from:
            self._resent_from.add(seq)
            self._send_from(seq)
        elif seq > acked_before:
            self._sent_seq = max(self._sent_seq, seq)
            while self._in_flight and self._in_flight[0] <= seq:
                self._in_flight.popleft()
            self._waiting_since_ms = now_ms
        self._send(now_ms)
        if self._told_pending and not self._outbox.pending:
            self._say_state(now_ms)  # The others need not think any longer that something of this till is missing.

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
        self.view.items.forget()
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
        self.view.balances.abandon()
        self.view.items.abandon()
        self._fail_inquiries()
        self._say_state(now_ms)

    def _say_state(self, now_ms: int) -> None:
        self._time.asked(now_ms)
        self._told_pending = self._outbox.pending
        self._publish("state", self._state(), retain=True)

    def _inquire(self, inquiry: AnInquiry) -> AnInquiry:
        if self.phase is Phase.READY and self.other_ledger is None:
            self._inquiries.append(inquiry)
            self._publish("query", inquiry.question())
        else:
            inquiry.failure = "there is no connection to it"
        return inquiry

    def _fail_inquiries(self) -> None:
        """Their answers would have come by what is gone now."""
        for inquiry in self._inquiries:
            inquiry.failure = "the connection to it was lost"
        self._inquiries.clear()

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

    def _ask(self, feed: Feed[Balance] | Feed[CatalogueItem], now_ms: int) -> None:
        if self.phase is Phase.READY and self.other_ledger is None and (not feed.is_asking or feed.is_overdue(now_ms)):
            self._publish("query", feed.ask(now_ms))

    def _reset_own(self) -> None:
        self.view.reset_own(
            (kept.seq, drafts.outcome(kept.encoded, self._device, self.view)) for kept in self._outbox.never_acked()
        )

    def _publish(self, leaf: str, payload: bytes, *, retain: bool = False) -> None:
        self._out.append(Publish(self._topics.device(self._device, leaf), payload, retain))


def _state_of(found: FoundReceipt) -> ReceiptState:
    """What the coordinator knows of a receipt, as the rules have it."""
    known = ReceiptState(found.receipt, found.kind, found.state, found.number, found.edit, found.device)
    if found.operation is None:
        return known
    try:
        body = read_operation(Head(1, "0" * 16, found.operation), is_linked=True).body
    except Rejected:
        return known  # A newer coordinator took what this till cannot read; only the receipt's goods are not known.
    return (settle(body, found.device, 0, None).state if isinstance(body, Receipt) else None) or known


def last_will(topics: Topics, device: str) -> Publish:
    """Return what the broker publishes when this till vanishes, and the till itself when it leaves."""
    return Publish(topics.device(device, "state"), orjson.dumps({"state": "offline"}), retain=True)
