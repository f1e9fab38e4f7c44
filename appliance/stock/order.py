"""What came before what: the happened-before rules between a count and another fact.

A stocktake is right while selling goes on only if it is known of every movement whether the counter's eyes had already
seen its effect. Devices are offline for hours, so the order of arrival says nothing; the rules below were enumerated
over 3.4 million histories with all orders of arrival (README.md, "Counts").
"""

from dataclasses import dataclass

CLOSE_MS = 5_000
"""Two stamps that are closer than this cannot be told apart: both devices took their tick within 2.5 s."""


@dataclass(frozen=True, slots=True)
class Fact:
    """Where a movement or a count stands.

    device, epoch, seq: its identity. rev: its revision, or the one that it is about to get.
    shop_ms, seen, is_uncertain: as in `stamps.When`. took_ms: how long counting lasted, from `shop_ms` on.
    wall_ms, receipt: for people; they decide nothing.
    """

    device: str
    epoch: str
    seq: int
    rev: int
    shop_ms: int
    seen: int
    is_uncertain: bool
    took_ms: int = 0
    wall_ms: int = 0
    receipt: str | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """is_after: the fact is not in the count yet. is_doubtful: nobody can be sure, and a person should recount."""

    is_after: bool
    is_doubtful: bool = False


def order(fact: Fact, count: Fact) -> Order:
    """Return where a fact (a movement, or another count) stands to a count. The first rule that applies decides."""
    if (fact.device, fact.epoch) == (count.device, count.epoch):
        # What a device writes down before its count is in it, unless it happened while the device was still counting.
        return Order(fact.seq > count.seq, is_doubtful=fact.seq < count.seq and _is_during(fact, count))
    if fact.seen >= count.rev:
        return Order(is_after=True)  # Its device knew of the count.
    if fact.rev <= count.seen:
        return Order(is_after=False)  # The counter knew of it.
    return Order(
        is_after=fact.shop_ms > count.shop_ms,
        is_doubtful=fact.is_uncertain or count.is_uncertain or _apart_ms(fact, count) < CLOSE_MS,
    )


def _is_during(fact: Fact, count: Fact) -> bool:
    """Whether something happened after counting began; both stamps are of one clock, so there is no error."""
    return count.shop_ms < fact.shop_ms <= count.shop_ms + count.took_ms


def _apart_ms(one: Fact, other: Fact) -> int:
    """How long after the end of one the other one began; negative when one happened while the other was counted."""
    return max(one.shop_ms - other.shop_ms - other.took_ms, other.shop_ms - one.shop_ms - one.took_ms)
