"""The till's own picture of the stock: what the coordinator says, and on top of it what the till itself has done since.

    answers to `query` ─┐
    `changes` ──────────┴─▶ Feed (the coordinator's rows) ─┐
    own operations, never acked ───────────────────────────┴─▶ View.balance(sku)

A movement of this till adds to the coordinator's balance; a count of it takes the balance's place, and what this till
moves after it adds to that. An open receipt adds to what is reserved. Nothing here is kept on disk: the outbox holds
what only this till knows, and the coordinator everything else. The invariant: within one run a row never goes back to a
lower revision.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import orjson

from appliance.contract.fields import Fields
from appliance.contract.messages import What
from appliance.stock.errors import Rejected
from appliance.stock.quantity import format_qty
from appliance.stock.receipts import ReceiptState
from appliance.stock.reconcile import Effect, Outcome
from appliance.till.freshness import Freshness
from appliance.till.heard import Balance, CatalogueItem, Page, read_balance, read_item

PAGE_ROWS = 500
"""Rows asked for at a time: 60 KB of balances, a quarter of what one message may hold."""

ANSWER_MS = 10_000
"""A question is asked again after this long: an answer is one page, which takes the coordinator milliseconds."""

RECEIPTS_MAX = 1_000
"""Receipts of which the till remembers what became of them, the newest: far more than are ever open at once."""


class Row(Protocol):
    @property
    def sku(self) -> str: ...

    @property
    def rev(self) -> int: ...


R = TypeVar("R", bound=Row)


@dataclass(frozen=True, slots=True)
class LocalBalance:
    """What one SKU has here and now.

    pending_milli: by how much this till's own unacked operations change what the coordinator has. freshness: what may
    still be missing of others' operations.
    """

    sku: str
    on_hand_milli: int
    reserved_milli: int
    counted: bool
    pending_milli: int
    freshness: Freshness = field(default_factory=Freshness)

    @property
    def on_hand(self) -> str:
        return format_qty(self.on_hand_milli)

    @property
    def reserved(self) -> str:
        return format_qty(self.reserved_milli)

    @property
    def available(self) -> str:
        return format_qty(self.on_hand_milli - self.reserved_milli)

    @property
    def pending(self) -> str:
        return format_qty(self.pending_milli)

    @property
    def text(self) -> str:
        """For a person: `6`, or `6, A2 not seen for 28 min`."""
        return f"{self.on_hand}, {self.freshness.text}" if self.freshness.text else self.on_hand


class Feed(Generic[R]):
    """The coordinator's rows of one kind, caught up page by page.

    `run` and `rev` say how far `rows` is complete. A catch-up that the coordinator answers from the beginning is
    collected aside and takes the place of all that was known, so that what a restored ledger lacks disappears.
    """

    def __init__(self, what: What, read: Callable[[Fields], R], new_id: Callable[[], str]) -> None:
        self._what = what
        self._read = read
        self._new_id = new_id
        self.forget()

    def forget(self) -> None:
        """Know nothing again: another ledger speaks."""
        self.run: str | None = None
        self.rev = 0
        self.rows: dict[str, R] = {}
        self.abandon()

    def abandon(self) -> None:
        """Stop waiting for an answer: the connection that it would have come by is gone."""
        self._asked: str | None = None
        self._asked_ms = 0
        self._missed: tuple[str, int] | None = None

    @property
    def is_asking(self) -> bool:
        return self._asked is not None

    def is_overdue(self, now_ms: int) -> bool:
        return self.is_asking and now_ms - self._asked_ms >= ANSWER_MS

    def ask(self, now_ms: int) -> bytes:
        """Start a catch-up from what is known. Returns the query to publish."""
        self._at = (self.run, self.rev)
        self._target = self.rows
        return self._question(now_ms)

    def answered(self, page: Page, now_ms: int) -> bytes | None:
        """Take one page of the catch-up under way. Returns the next query to publish, if there is one."""
        if page.id != self._asked:
            return None
        run, rev = self._at
        if page.since != rev or run is None:
            if page.since != 0:
                return None  # No answer to what was asked; it is asked again when it is overdue.
            self._target = {}
        for fields in page.items:
            self._put(self._target, fields, is_same_run=page.run == run)
        self._at = (page.run, page.to)
        if page.more:
            return self._question(now_ms)
        self.rows, self.run, self.rev = self._target, page.run, page.to
        self._asked = None
        missed, self._missed = self._missed, None
        return self.ask(now_ms) if missed is not None and self.lacks(*missed) else None

    def changed(self, run: str, since: int, to: int, items: Iterable[Fields]) -> bool:
        """Apply what commits after `since` and through `to` changed.

        Returns whether something before that was missed, so that one must ask.
        """
        if run != self.run or since > self.rev:
            self._missed = (run, to)
            return True
        if to > self.rev:
            for fields in items:
                self._put(self.rows, fields, is_same_run=True)
            self.rev = to
        return False

    def lacks(self, run: str, rev: int) -> bool:
        """Whether revision `rev` of `run` is news."""
        return run != self.run or rev > self.rev

    def put(self, row: R) -> None:
        """Take one row of the current run, unless a newer one is known."""
        self._newer(self.rows, row)

    def _put(self, target: dict[str, R], fields: Fields, *, is_same_run: bool) -> None:
        try:
            row = self._read(fields)
        except Rejected:
            return  # A newer coordinator writes it in a way unknown here; the other rows are none the worse.
        if is_same_run:
            self._newer(target, row)
        else:
            target[row.sku] = row

    def _newer(self, target: dict[str, R], row: R) -> None:
        known = target.get(row.sku)
        if known is None or row.rev >= known.rev:
            target[row.sku] = row

    def _question(self, now_ms: int) -> bytes:
        run, since = self._at
        self._asked, self._asked_ms = self._new_id(), now_ms
        said = {"id": self._asked, "what": self._what, "since": since, "limit": PAGE_ROWS}
        return orjson.dumps(said if run is None else {**said, "run": run})


@dataclass(slots=True)
class _Own:
    """What this till's operations that were never acked make of one SKU.

    counted_milli: what its newest count among them found, in place of the coordinator's balance. moved_milli: to be
    added, what was moved after that count; without one, all that was moved.
    """

    operations: int = 0
    counted_milli: int | None = None
    counted_seq: int = 0
    moved_milli: int = 0
    reserved_milli: int = 0
    is_stocked: bool = False

    def add(self, seq: int, effect: Effect) -> None:
        self.operations += 1
        self.reserved_milli += effect.reserved_milli
        self.is_stocked = self.is_stocked or effect.is_stocked
        if effect.is_anchor:
            self.counted_milli, self.counted_seq, self.moved_milli = effect.effect_milli, seq, 0
        else:
            self.moved_milli += effect.effect_milli

    def drop(self, seq: int, effect: Effect) -> None:
        self.operations -= 1
        self.reserved_milli -= effect.reserved_milli
        if seq == self.counted_seq:
            self.counted_milli, self.counted_seq = None, 0
        elif seq > self.counted_seq and not effect.is_anchor:
            self.moved_milli -= effect.effect_milli


_NOTHING = _Own()


class View:
    """Balances, the catalogue and receipts as this till may show them."""

    def __init__(self, new_id: Callable[[], str]) -> None:
        self.balances: Feed[Balance] = Feed(What.BALANCES, read_balance, new_id)
        self.items: Feed[CatalogueItem] = Feed(What.ITEMS, read_item, new_id)
        self._own: deque[tuple[int, tuple[Effect, ...]]] = deque()
        self._own_of: dict[str, _Own] = {}
        self._receipts: dict[str, tuple[int, ReceiptState]] = {}

    def balance(self, sku: str) -> LocalBalance | None:
        """Return the coordinator's balance with this till's own operations on top; None for a SKU unknown to both."""
        known, own = self.balances.rows.get(sku), self._own_of.get(sku)
        if known is None and own is None:
            return None
        base, own = known or Balance(sku, 0, 0, counted=False, rev=0), own or _NOTHING
        on_hand_milli = own.moved_milli + (base.on_hand_milli if own.counted_milli is None else own.counted_milli)
        return LocalBalance(
            sku,
            on_hand_milli,
            # A receipt that this till releases may have been released by another one or have expired meanwhile.
            max(0, base.reserved_milli + own.reserved_milli),
            base.counted or own.is_stocked,
            on_hand_milli - base.on_hand_milli,
        )

    def skus(self) -> list[str]:
        """Return every SKU that has a balance here, in order."""
        return sorted(self.balances.rows.keys() | self._own_of.keys())

    def unit(self, sku: str) -> str | None:
        """Return the unit of a SKU, None when the catalogue has not told it yet."""
        known = self.items.rows.get(sku)
        return None if known is None else known.unit

    def receipt(self, receipt: str) -> ReceiptState | None:
        """Return what this till knows of a receipt: it said so since it started, or the coordinator answered."""
        known = self._receipts.get(receipt)
        return None if known is None else known[1]

    def learn(self, receipt: ReceiptState, acked_seq: int) -> None:
        """Take what the coordinator answers of a receipt, unless this till has said more of it than is acked."""
        seq, _ = self._receipts.get(receipt.receipt, (0, receipt))
        if seq <= acked_seq:
            self._know(receipt, 0)

    def add_own(self, seq: int, outcome: Outcome) -> None:
        """Put an operation of this till on top; `seq` only rises."""
        self._own.append((seq, outcome.effects))
        for effect in outcome.effects:
            self._own_of.setdefault(effect.sku, _Own()).add(seq, effect)
        if outcome.receipt is not None:
            self._know(outcome.receipt, seq)

    def drop_own(self, through_seq: int) -> None:
        """Take off what the coordinator has acked: its own balances hold it, or it was rejected."""
        while self._own and self._own[0][0] <= through_seq:
            seq, effects = self._own.popleft()
            for effect in effects:
                own = self._own_of[effect.sku]
                own.drop(seq, effect)
                if not own.operations:
                    del self._own_of[effect.sku]

    def reset_own(self, own: Iterable[tuple[int, Outcome]]) -> None:
        """Start over with the operations that the coordinator is not known to hold.

        own: worked out one by one, each with what is known here after the ones before it.
        """
        self._own.clear()
        self._own_of.clear()
        self._receipts.clear()
        for seq, outcome in own:
            self.add_own(seq, outcome)

    def _know(self, receipt: ReceiptState, seq: int) -> None:
        self._receipts.pop(receipt.receipt, None)
        self._receipts[receipt.receipt] = (seq, receipt)
        if len(self._receipts) > RECEIPTS_MAX:
            del self._receipts[next(iter(self._receipts))]
