"""Where an operation stands in its epoch: each rule, and the trace that random histories are too rare for."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.stock.sequence import EpochState, Place, place, place_message

# An epoch committed through seq 3; its operations bear the tags t1, t2, t3.
TAGS = {1: "t1", 2: "t2", 3: "t3"}
OPEN = EpochState(seq=3, tag="t3")
CLOSED = EpochState(seq=3, tag="t3", closed=True)
UNKNOWN = EpochState()


@pytest.mark.parametrize(
    ("first_seq", "after", "epoch", "expected"),
    [
        (1, None, UNKNOWN, Place.NEXT),
        (1, None, OPEN, Place.NEXT),
        (1, "tx", OPEN, Place.NEXT),  # There is nothing before seq 1 that `after` could contradict.
        (4, "t3", OPEN, Place.NEXT),
        (3, "t2", OPEN, Place.NEXT),  # A resend, whole or in part.
        (4, None, OPEN, Place.NEXT),  # Its operations are rejected one by one: after-missing.
        (4, "tx", OPEN, Place.REUSED),
        (3, "tx", OPEN, Place.REUSED),
        (5, "t4", OPEN, Place.GAP),
        (5, "t3", OPEN, Place.GAP),  # Whether t3 is right cannot be known before 4 is there.
        (5, None, OPEN, Place.GAP),
        (2, "t1", UNKNOWN, Place.GAP),
        (4, "t3", CLOSED, Place.NEXT),  # Each operation is then refused as epoch-closed, unless it is a resend.
        (4, "tx", CLOSED, Place.REUSED),
        (5, "t4", CLOSED, Place.GAP),
    ],
)
def test_a_message_is_judged_by_what_it_comes_after(
    first_seq: int, after: str | None, epoch: EpochState, expected: Place
) -> None:
    def tag_at(seq: int) -> str | None:
        return TAGS.get(seq) if seq <= epoch.seq else None

    assert place_message(first_seq, after, epoch, tag_at) is expected


def test_nothing_can_come_after_an_operation_without_a_tag_in_another_message() -> None:
    assert place_message(2, "t1", EpochState(seq=1, tag=None), lambda _: None) is Place.REUSED


@pytest.mark.parametrize(
    ("seq", "tag", "epoch", "expected"),
    [
        (1, "t1", UNKNOWN, Place.NEXT),
        (2, "t2", UNKNOWN, Place.GAP),
        (4, "t4", OPEN, Place.NEXT),
        (5, "t5", OPEN, Place.GAP),
        (3, "t3", OPEN, Place.RESENT),
        (1, "t1", OPEN, Place.RESENT),
        (3, "tx", OPEN, Place.REUSED),
        (1, "t3", OPEN, Place.REUSED),
        (4, "t4", CLOSED, Place.CLOSED),
        (5, "t5", CLOSED, Place.CLOSED),
        (3, "t3", CLOSED, Place.RESENT),  # A resend is harmless also after a fork.
        (3, "tx", CLOSED, Place.REUSED),
    ],
)
def test_an_operation_is_judged_by_its_place(seq: int, tag: str, epoch: EpochState, expected: Place) -> None:
    assert place(seq, epoch, lambda: TAGS[seq] == tag) is expected


def test_the_operation_that_is_due_is_not_compared_with_anything() -> None:
    def is_same() -> bool:
        raise AssertionError("nothing is committed at 4")

    assert place(4, OPEN, is_same) is Place.NEXT


@dataclass
class Ledger:
    """One device's epoch, committed by the two rules and nothing else."""

    tags: list[str] = field(default_factory=list)
    is_closed: bool = False

    @property
    def state(self) -> EpochState:
        return EpochState(len(self.tags), self.tags[-1] if self.tags else None, self.is_closed)

    def tag_at(self, seq: int) -> str | None:
        return self.tags[seq - 1] if 1 <= seq <= len(self.tags) else None

    def take(self, first_seq: int, after: str | None, tags: list[str]) -> Place:
        """Take a message; return how its last judged operation, or the message as a whole, stood."""
        judged = place_message(first_seq, after, self.state, self.tag_at)
        if judged is not Place.NEXT:
            return judged
        for seq, tag in enumerate(tags, first_seq):
            judged = self._take_one(seq, tag)
            if judged not in (Place.NEXT, Place.RESENT):
                break
        return judged

    def _take_one(self, seq: int, tag: str) -> Place:
        judged = place(seq, self.state, lambda: self.tag_at(seq) == tag)
        if judged is Place.NEXT:
            self.tags.append(tag)
        return judged


def test_the_trace_after_a_clone_whose_operation_was_refused_commits_nothing_behind_the_other_s() -> None:
    # A is cloned as A′ and both shake hands. A sends x as 1; A′ sends y as 1 and z as 2 in two messages, and drops
    # before it hears the refusal. Had z been committed as 2, the ack (2, z) would tell A′ that y is safe as well.
    ledger = Ledger()
    assert ledger.take(1, None, ["x"]) is Place.NEXT
    assert ledger.take(1, None, ["y"]) is Place.REUSED
    assert ledger.take(2, "y", ["z"]) is Place.REUSED
    assert ledger.tags == ["x"]


def test_the_trace_after_also_when_the_clone_s_messages_arrive_first() -> None:
    ledger = Ledger()
    assert ledger.take(1, None, ["y"]) is Place.NEXT
    assert ledger.take(2, "y", ["z"]) is Place.NEXT
    assert ledger.take(1, None, ["x"]) is Place.REUSED
    assert ledger.tags == ["y", "z"]


def test_a_batch_of_a_clone_is_dropped_from_its_first_refusal_on() -> None:
    ledger = Ledger(["x"])
    assert ledger.take(1, None, ["y", "z"]) is Place.REUSED
    assert ledger.tags == ["x"]


def test_a_message_that_repeats_and_goes_on_commits_only_what_is_new() -> None:
    ledger = Ledger(["a", "b"])
    assert ledger.take(2, "a", ["b", "c"]) is Place.NEXT
    assert ledger.tags == ["a", "b", "c"]


def test_after_a_fork_a_resend_is_acked_and_nothing_is_added() -> None:
    ledger = Ledger(["a", "b"], is_closed=True)
    assert ledger.take(1, None, ["a", "b"]) is Place.RESENT
    assert ledger.take(2, "a", ["b", "c"]) is Place.CLOSED
    assert ledger.tags == ["a", "b"]


MESSAGES = st.lists(st.tuples(st.integers(1, 6), st.integers(1, 3), st.booleans()), max_size=30)


@given(MESSAGES)
def test_however_two_clones_messages_arrive_the_ledger_holds_one_clone_s_history(
    messages: list[tuple[int, int, bool]],
) -> None:
    # Both clones send any part of their history, in any order, any number of times. They part at seq 3.
    histories = {False: ["a", "b", "c", "d", "e", "f", "g", "h"], True: ["a", "b", "x", "y", "z", "u", "v", "w"]}
    ledger = Ledger()
    for first_seq, count, is_clone in messages:
        history = histories[is_clone]
        after = history[first_seq - 2] if first_seq > 1 else None
        ledger.take(first_seq, after, history[first_seq - 1 : first_seq - 1 + count])
    assert any(ledger.tags == history[: len(ledger.tags)] for history in histories.values())
