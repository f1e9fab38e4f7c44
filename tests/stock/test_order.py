"""Before a count or after it: each rule, in the order in which they apply."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.stock.order import CLOSE_MS, Fact, Order, order

COUNT = Fact("H", "epoch-h", seq=5, rev=20, shop_ms=100_000, seen=10, is_uncertain=False)
FACT = Fact("A1", "epoch-a", seq=3, rev=15, shop_ms=100_000, seen=8, is_uncertain=False)
AFTER, BEFORE = Order(is_after=True), Order(is_after=False)
MINUTE_MS = 60_000


@pytest.mark.parametrize(
    ("fact", "expected"),
    [
        # 1. One device's own order needs no clock, and nothing else is asked.
        (replace(COUNT, seq=6, rev=30, shop_ms=0, is_uncertain=True), AFTER),
        (replace(COUNT, seq=4, rev=30, shop_ms=200_000, is_uncertain=True), BEFORE),
        (replace(COUNT, seq=4, rev=30, seen=25), BEFORE),
        # 2. The device knew of the count.
        (replace(FACT, rev=30, seen=20, shop_ms=0, is_uncertain=True), AFTER),
        (replace(COUNT, epoch="epoch-2", seq=1, rev=30, seen=20), AFTER),
        # 3. The counter knew of the fact.
        (replace(FACT, rev=10, shop_ms=200_000, is_uncertain=True), BEFORE),
        # 4. Neither: the stamps.
        (replace(FACT, shop_ms=100_000 + MINUTE_MS), AFTER),
        (replace(FACT, shop_ms=100_000 - MINUTE_MS), BEFORE),
        (replace(FACT, rev=11, seen=19, shop_ms=100_000 - MINUTE_MS), BEFORE),
        (replace(COUNT, epoch="epoch-2", seq=9, rev=30, shop_ms=100_000 - MINUTE_MS), BEFORE),
    ],
)
def test_the_first_rule_that_applies_decides(fact: Fact, expected: Order) -> None:
    assert order(fact, COUNT) == expected


@pytest.mark.parametrize("apart_ms", [-CLOSE_MS, -CLOSE_MS + 1, -1, 0, 1, CLOSE_MS - 1, CLOSE_MS])
def test_stamps_closer_than_both_their_errors_decide_all_the_same_and_are_doubtful(apart_ms: int) -> None:
    found = order(replace(FACT, shop_ms=100_000 + apart_ms), COUNT)
    assert found == Order(is_after=apart_ms > 0, is_doubtful=abs(apart_ms) < CLOSE_MS)


@pytest.mark.parametrize("whose", ["fact", "count"])
def test_an_uncertain_stamp_on_either_side_is_doubtful(whose: str) -> None:
    fact = replace(FACT, shop_ms=0, is_uncertain=whose == "fact")
    assert order(fact, replace(COUNT, is_uncertain=whose == "count")) == Order(is_after=False, is_doubtful=True)


@pytest.mark.parametrize(
    ("at_ms", "is_doubtful"),
    [(-CLOSE_MS, False), (1, True), (MINUTE_MS, True), (MINUTE_MS + CLOSE_MS - 1, True), (MINUTE_MS + CLOSE_MS, False)],
)
def test_what_happens_while_counting_goes_on_is_doubtful_to_the_end_and_the_stamps_errors_beyond(
    at_ms: int, is_doubtful: bool
) -> None:
    fact, count = replace(FACT, shop_ms=100_000 + at_ms), replace(COUNT, took_ms=MINUTE_MS)
    assert order(fact, count) == Order(is_after=at_ms > 0, is_doubtful=is_doubtful)


def test_of_two_counts_both_last() -> None:
    long, short = replace(COUNT, took_ms=MINUTE_MS), replace(FACT, shop_ms=130_000)
    assert order(short, long) == Order(is_after=True, is_doubtful=True)
    assert order(long, short) == Order(is_after=False, is_doubtful=True)


@pytest.mark.parametrize(
    ("seq", "at_ms", "expected"),
    [
        (4, -1, BEFORE),
        (4, 0, BEFORE),
        (4, 1, Order(is_after=False, is_doubtful=True)),  # Written down before the count was done, but after it began.
        (4, MINUTE_MS, Order(is_after=False, is_doubtful=True)),
        (6, MINUTE_MS, AFTER),
    ],
)
def test_what_a_device_sells_while_it_is_counting_itself_is_doubtful(seq: int, at_ms: int, expected: Order) -> None:
    assert (
        order(replace(COUNT, seq=seq, rev=30, shop_ms=100_000 + at_ms), replace(COUNT, took_ms=MINUTE_MS)) == expected
    )


def test_who_writes_it_down_for_people_decides_nothing() -> None:
    fact = replace(FACT, shop_ms=100_000 + MINUTE_MS)
    assert order(replace(fact, wall_ms=1, receipt="r-1"), replace(COUNT, wall_ms=10**12)) == order(fact, COUNT)


STAMPED = st.builds(
    Fact,
    device=st.sampled_from(["A1", "A2"]),
    epoch=st.just("epoch"),
    seq=st.integers(1, 4),
    rev=st.integers(11, 14),
    shop_ms=st.integers(0, 60).map(lambda second: second * 1000),
    seen=st.integers(0, 10),
    is_uncertain=st.booleans(),
    took_ms=st.sampled_from([0, 20_000]),
)


@given(STAMPED, STAMPED)
def test_two_counts_that_are_not_doubtful_are_never_both_the_newer_one(one: Fact, other: Fact) -> None:
    if (one.device, one.seq) == (other.device, other.seq):
        return
    there, back = order(one, other), order(other, one)
    if not (there.is_doubtful or back.is_doubtful):
        assert there.is_after != back.is_after
