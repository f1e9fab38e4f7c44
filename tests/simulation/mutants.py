"""The protective rules, each of which can be taken away from the real code: here, and nowhere in the product.

A rule that nobody misses is either not needed or not tested. So each is taken away in turn, and the simulator must
notice: by a seed, or by the fixed trace that was written for it (`traces`). A rule is missing as long as its context:

    with RULES["after"]():
        ...     # the product's own code, but for this one rule
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from appliance import coordinator
from appliance.contract.messages import Ack, Refusal
from appliance.contract.operations import Head
from appliance.coordinator import Coordinator
from appliance.ledger import database
from appliance.ledger.jobs import Jobs
from appliance.ledger.sequences import Epoch, Sequences
from appliance.ledger.turn import Turn
from appliance.ledger.writer import Writer
from appliance.ports import Changed
from appliance.ports import Turn as Transaction
from appliance.stock import counts, reconcile
from appliance.stock.counts import Anchored, Horizon, Past, anchor
from appliance.stock.errors import Rejected
from appliance.stock.operation import Stamp
from appliance.stock.order import Fact, Order, order
from appliance.stock.sequence import EpochState, Place, place, place_message
from appliance.stock.stamps import Run, When, when
from appliance.till import session
from appliance.till.outbox import Fork, Outbox
from appliance.till.session import Phase, Publish, Session
from tests.simulation.network import Network, Till

TagAt = Callable[[int], str | None]


# --- whose operation it is --------------------------------------------------------------------------------------------


@contextmanager
def _tag_on_the_ack() -> Iterator[None]:
    """A till takes every ack of its epoch for its own: it does not look whose operation was acked."""
    acknowledge = Outbox.acknowledge

    def trusting(self: Outbox, ack: Ack, refused: Refusal | None) -> Fork | None:
        return acknowledge(self, replace(ack, tag=self.tag_at(ack.seq)), refused)

    with patch.object(Outbox, "acknowledge", trusting):
        yield


@contextmanager
def _after() -> Iterator[None]:
    """A message's first operation is taken whatever its sender believes to stand before it."""

    def unchained(first_seq: int, after: str | None, epoch: EpochState, tag_at: TagAt) -> Place:
        return place_message(first_seq, None, epoch, tag_at)

    with patch.object(coordinator, "place_message", unchained):
        yield


@contextmanager
def _refusal_without_ack() -> Iterator[None]:
    """What comes too late for a closed epoch is committed as rejected, and so acked, in place of being refused."""
    commit = Coordinator._commit

    def reopened(seq: int, epoch: EpochState, is_same: Callable[[], bool]) -> Place:
        return place(seq, replace(epoch, closed=False), is_same)

    def rejecting(
        self: Coordinator, turn: Transaction, device: str, epoch: str, head: Head, *, is_linked: bool
    ) -> Rejected | None:
        if not turn.epoch(device, epoch).closed:
            return commit(self, turn, device, epoch, head, is_linked=is_linked)
        error = Rejected("epoch-closed", "a fork has left this epoch")
        turn.reject(device, epoch, head, error)
        return error

    with patch.object(coordinator, "place", reopened), patch.object(Coordinator, "_commit", rejecting):
        yield


@contextmanager
def _closed_parents() -> Iterator[None]:
    """A fork leaves the epochs open that it comes from."""
    with patch.object(Turn, "fork", lambda self, device, epoch, parents: None):
        yield


@contextmanager
def _tag_look_up() -> Iterator[None]:
    """An operation that a fork sends again is not looked up among those of the device's other epochs."""
    with patch.object(Turn, "committed_before", lambda self, device, tag: None):
        yield


# --- how far it is ----------------------------------------------------------------------------------------------------


@contextmanager
def _handshake() -> Iterator[None]:
    """A till that connects, or hears a new run, goes on from the last ack that it knows, and does not ask for one."""
    greet = Session._greet

    def unasked(self: Session, now_ms: int) -> None:
        greet(self, now_ms)
        state = self._out.pop()
        assert isinstance(state, Publish), "a greeting ends with the state that asks for the ack"
        self.phase = Phase.READY
        self._send_from(self._outbox.acked_seq)
        for feed in (self.view.balances, self.view.items):
            self._ask(feed, now_ms)
        self._send(now_ms)

    with patch.object(Session, "_greet", unasked):
        yield


@contextmanager
def _handshake_on_a_new_run() -> Iterator[None]:
    """A till whose connection outlives the coordinator's run asks nothing of the next one."""
    meet = Session._meet

    def deaf(self: Session, ledger: str, run: str, now_ms: int) -> bool:
        self._run = run
        return meet(self, ledger, run, now_ms)

    with patch.object(Session, "_meet", deaf):
        yield


@contextmanager
def _handshake_without_an_ack() -> Iterator[None]:
    """A till waits for an ack for ever."""
    with patch.object(session, "ACK_MS", sys.maxsize):
        yield


@contextmanager
def _safe() -> Iterator[None]:
    """A till throws away what is acked, whether a backup covers it or not."""
    acknowledge = Outbox.acknowledge

    def careless(self: Outbox, ack: Ack, refused: Refusal | None) -> Fork | None:
        return acknowledge(self, replace(ack, safe=ack.seq), refused)

    with patch.object(Outbox, "acknowledge", careless):
        yield


@contextmanager
def _gap_check() -> Iterator[None]:
    """An operation is committed although what stands before it has not arrived."""

    def leaping_message(first_seq: int, after: str | None, epoch: EpochState, tag_at: TagAt) -> Place:
        verdict = place_message(first_seq, after, epoch, tag_at)
        return Place.NEXT if verdict is Place.GAP else verdict

    def leaping(seq: int, epoch: EpochState, is_same: Callable[[], bool]) -> Place:
        verdict = place(seq, epoch, is_same)
        return Place.NEXT if verdict is Place.GAP else verdict

    with (
        patch.object(coordinator, "place_message", leaping_message),
        patch.object(coordinator, "place", leaping),
        _any_order(),
    ):
        yield


@contextmanager
def _deduplication() -> Iterator[None]:
    """An operation that arrives again is committed again, by the rules and by the ledger's own constraint."""

    def forgetful(seq: int, epoch: EpochState, is_same: Callable[[], bool]) -> Place:
        verdict = place(seq, epoch, is_same)
        return Place.NEXT if verdict is Place.RESENT else verdict

    with (
        patch.object(coordinator, "place", forgetful),
        _any_order(),
        _schema_with("CHECK (seq > 0)", of="UNIQUE (epoch, seq)"),
    ):
        yield


@contextmanager
def _any_order() -> Iterator[None]:
    """The ledger itself would stop at an operation that is not the next of its epoch."""
    advance = Sequences.advance

    def lenient(self: Sequences, device: str, epoch: str, head: Head, *, is_rejected: bool) -> Epoch:
        into = self.make(device, epoch)
        before = into.state
        into.state = replace(before, seq=head.seq - 1)
        advance(self, device, epoch, head, is_rejected=is_rejected)
        if before.seq > head.seq:
            into.state = before
        return into

    with patch.object(Sequences, "advance", lenient):
        yield


# --- when it happened -------------------------------------------------------------------------------------------------


@contextmanager
def _run_in_the_stamp() -> Iterator[None]:
    """A stamp of a run that this ledger has never had is taken for one of the run that is under way."""
    find = Turn.run

    def known(self: Turn, run: str) -> Run:
        return find(self, run) or Run(self.next_rev - 1, is_measured=True)

    with patch.object(Turn, "run", known):
        yield


@contextmanager
def _clamp_of_seen() -> Iterator[None]:
    """A revision that a restore has taken back counts as seen, and so does what now bears its number."""

    def unclamped(stamp: Stamp | None, seen: int, now_ms: int, run: Run | None) -> When:
        return when(stamp, seen, now_ms, run and replace(run, last_rev=sys.maxsize))

    with patch.object(coordinator, "when", unclamped):
        yield


@contextmanager
def _power_gap() -> Iterator[None]:
    """A stamp from before a power gap of unknown length is as good as any other."""
    find = Turn.run

    def measured(self: Turn, run: str) -> Run | None:
        found = find(self, run)
        return found and replace(found, is_measured=True)

    with patch.object(Turn, "run", measured):
        yield


@contextmanager
def _happened_before() -> Iterator[None]:
    """What arrives after a count has happened after it."""

    def by_arrival(fact: Fact, count: Fact) -> Order:
        return Order(is_after=fact.rev > count.rev)

    with patch.object(counts, "order", by_arrival), patch.object(reconcile, "order", by_arrival):
        yield


@contextmanager
def _stamps() -> Iterator[None]:
    """Where neither side knew of the other a person is asked, and no stamp."""

    def by_seen_alone(fact: Fact, count: Fact) -> Order:
        where = order(fact, count)
        is_known = (fact.device, fact.epoch) == (count.device, count.epoch) or fact.seen >= count.rev
        return where if is_known or fact.rev <= count.seen else replace(where, is_doubtful=True)

    with patch.object(counts, "order", by_seen_alone), patch.object(reconcile, "order", by_seen_alone):
        yield


@contextmanager
def _after_the_count() -> Iterator[None]:
    """A count is the balance from now on, whatever was moved between counting and its arrival."""

    def absolute(
        counted_milli: int,
        count: Fact,
        on_hand_milli: int,
        newest: Fact | None,
        past: Iterable[Past],
        horizon: Horizon,
    ) -> Anchored:
        return anchor(counted_milli, count, on_hand_milli, newest, (), horizon)

    with patch.object(reconcile, "anchor", absolute):
        yield


# --- what is said, and when -------------------------------------------------------------------------------------------


@contextmanager
def _commit_before_ack() -> Iterator[None]:
    """A turn's transaction is only committed when the next one begins; what it did is announced at once."""

    @contextmanager
    def behind(self: Writer) -> Iterator[None]:
        if not self._connection.get_autocommit():
            self._connection.execute("COMMIT")
        self._connection.execute("BEGIN IMMEDIATE")
        yield

    with patch.object(Writer, "_transaction", behind):
        yield


@contextmanager
def _announce_from_the_committer() -> Iterator[None]:
    """A turn is announced by whoever heard its messages, and by nobody when those connections are gone by then."""
    take, announce, disconnect = Coordinator.take, Coordinator._announce, Network.disconnect
    gone: set[str] = set()

    def listening(self: Coordinator, delivery: Any) -> None:
        gone.discard(delivery.device)
        take(self, delivery)

    def leaving(self: Network, till: Till) -> None:
        gone.add(till.device)
        disconnect(self, till)

    def unless_gone(self: Coordinator, changed: Changed, replies: Mapping[tuple[str, str | None], Any]) -> None:
        if not replies or any(device not in gone for device, _ in replies):
            announce(self, changed, dict(replies))

    with (
        patch.object(Coordinator, "take", listening),
        patch.object(Network, "disconnect", leaving),
        patch.object(Coordinator, "_announce", unless_gone),
    ):
        yield


@contextmanager
def _republish() -> Iterator[None]:
    """A broker that has lost its retained messages is only told that the coordinator is there."""
    with patch.object(Coordinator, "rewrite", lambda self, retained: self.say_online()):
        yield


# --- on paper ---------------------------------------------------------------------------------------------------------


@contextmanager
def _one_copy() -> Iterator[None]:
    """A doubtful sheet may have more than one copy: neither the look for one nor UNIQUE(copy_of) prevents it."""
    with (
        patch.object(Jobs, "_copied_by", lambda self, job: None),
        _schema_with("copy_of INTEGER REFERENCES", of="copy_of     INTEGER UNIQUE REFERENCES"),
    ):
        yield


@contextmanager
def _schema_with(instead: str, of: str) -> Iterator[None]:
    """Ledgers that are begun from here on have something else in their schema."""
    steps = [step.replace(of, instead) for step in database._migrations()]
    assert steps != database._migrations(), f"the schema no longer says {of!r}"
    with patch.object(database, "_migrations", lambda: steps):
        yield


RULES: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "tag on the ack": _tag_on_the_ack,
    "after": _after,
    "refusal without ack": _refusal_without_ack,
    "closed parents": _closed_parents,
    "tag look-up": _tag_look_up,
    "handshake": _handshake,
    "handshake on a new run": _handshake_on_a_new_run,
    "handshake after 30 s without an ack": _handshake_without_an_ack,
    "safe": _safe,
    "gap check": _gap_check,
    "deduplication": _deduplication,
    "run in the stamp": _run_in_the_stamp,
    "clamp of seen": _clamp_of_seen,
    "power gap": _power_gap,
    "count's happened-before": _happened_before,
    "stamps of what is concurrent": _stamps,
    "movements after a late count": _after_the_count,
    "commit before ack": _commit_before_ack,
    "announce from the committer": _announce_from_the_committer,
    "republish after a broker restart": _republish,
    "one copy of a doubtful sheet": _one_copy,
}
"""Every protective rule by its name, with what takes it away."""
