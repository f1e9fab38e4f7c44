"""Counts: an anchor in the history of a SKU, however late it or the movements around it arrive.

A count says how much was physically there at one moment. What happened before it is already in it, even when it arrives
later; what happened after it applies on top. The newest count of a SKU is its anchor, and not the last to arrive.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from appliance.stock.order import Fact, order


@dataclass(frozen=True, slots=True)
class Past:
    """One revision in a SKU's history.

    moved_milli: what its movements added, corrections of counts left out. is_count: whether it counted the SKU.
    again: the receipt's payments, when it was paid once more for the goods of one of them.
    """

    fact: Fact
    moved_milli: int
    is_count: bool = False
    again: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True)
class Horizon:
    """How far back a SKU's history goes: what it did through revision `rev`, until shop time `shop_ms`, is pruned."""

    rev: int = 0
    shop_ms: int = 0

    def hides_from(self, count: Fact) -> bool:
        """Whether there may have been something after a count that nobody can look up any more.

        What is pruned reached the ledger until `shop_ms`, so what the counter knew, or counted later than that, is
        after all of it.
        """
        return count.seen < self.rev and count.shop_ms <= self.shop_ms


NOTHING_PRUNED = Horizon()


@dataclass(frozen=True, slots=True)
class Anchored:
    """What a count does.

    correction_milli: makes the balance `counted + what was moved after it`. is_anchor: it is the newest count from now
    on; else it is older than the one that there is and changes nothing.
    doubtful: what cannot be told to have come before or after it. is_beyond: it is older than the ledger's memory.
    """

    correction_milli: int
    is_anchor: bool
    doubtful: tuple[Fact, ...]
    is_beyond: bool = False


def anchor(
    counted_milli: int,
    count: Fact,
    on_hand_milli: int,
    newest: Fact | None,
    past: Iterable[Past],
    horizon: Horizon = NOTHING_PRUNED,
) -> Anchored:
    """Anchor a balance to a physical count.

    newest: the anchor that there is. past: what the ledger has and the counter may not have known: every revision of
    the SKU after `count.seen`. All before is in the count, by the rules of `order`. horizon: how far back it goes.
    """
    if horizon.hides_from(count):
        return Anchored(0, is_anchor=False, doubtful=(), is_beyond=True)
    if newest is not None:
        where = order(count, newest)
        if not where.is_after:
            # Only the newest count holds the balance, so whether older ones can be told apart concerns nobody.
            return Anchored(0, is_anchor=False, doubtful=(newest,) if where.is_doubtful else ())
    known = list(past)
    after_milli = sum(one.moved_milli for one in known if order(one.fact, count).is_after)
    doubtful = tuple(one.fact for one in known if is_doubtful(one, count))
    return Anchored(counted_milli + after_milli - on_hand_milli, is_anchor=True, doubtful=doubtful)


def is_doubtful(one: Past, count: Fact) -> bool:
    """Whether it cannot be told on which side of a count something lies.

    A receipt that two devices were paid for lies on both sides when the count separates the payments: nobody knows at
    which of them the goods left the shelf.
    """
    where = order(one.fact, count)
    if not one.again:
        # What only reserved goods, or named them, took nothing off the shelf.
        return where.is_doubtful and (one.is_count or one.moved_milli != 0)
    sides = [where, *(order(payment, count) for payment in one.again)]
    return any(side.is_doubtful or side.is_after != where.is_after for side in sides)
