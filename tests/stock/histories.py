"""Every short day of a small shop, with every way in which the devices' words about it may arrive.

What happens, happens in one order on a physical shelf; each device writes it down, and its words arrive whenever it is
on the net: any time later, in the device's own order. What a device has heard of the ledger by then is free as well.
Goods also vanish without a word, which is what counts are for: the ledger owes the shelf's number from the next count
on. `walk` goes through all of it and tells how each day ended.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import product

from appliance.stock.operation import Count, Move, Reason
from appliance.stock.order import Fact
from tests.stock.memory import Memory

SALE_A1, SALE_A2, RECEIVE, COUNT_H, COUNT_A1 = "A1 sells", "A2 sells", "D receives", "H counts", "A1 counts"
VANISH = "goods vanish"
KINDS = (SALE_A1, SALE_A2, RECEIVE, COUNT_H, COUNT_A1, VANISH)
BEGIN_MILLI = 10_000


@dataclass(frozen=True, slots=True)
class Times:
    """apart_ms: between two things that happen. took_ms: how long a count lasts, less than two of those.

    errors_ms: by how much a device's stamps are wrong, a tick's 2.5 s at most. uncertain: whose stamps say that they
    may be wrong by any amount. deaf: nobody ever hears of another device's words.
    """

    apart_ms: int
    took_ms: int = 0
    errors_ms: tuple[tuple[str, int], ...] = ()
    uncertain: tuple[str, ...] = ()
    deaf: bool = False


CLEAR = Times(apart_ms=10_000)
"""Nothing is doubtful: the stamps tell the order of everything."""

CLOSE = Times(apart_ms=1_000, errors_ms=(("A2", 2_400), ("H", -2_400)))
"""Stamps alone would get it wrong."""

LONG = Times(apart_ms=10_000, took_ms=11_000, errors_ms=(("A2", 2_400), ("H", -2_400)))
"""Things happen while a count is under way, and the goods may be looked at before or after them."""

LOST = Times(apart_ms=10_000, errors_ms=(("A2", -3_600_000), ("H", 3_600_000)), uncertain=("A2", "H"))
"""Two devices have no idea of the shop's time, and say so."""


@dataclass(frozen=True, slots=True)
class End:
    """How a day ended.

    arrived: the order in which the words arrived, for a person who looks at a failure. owed_milli: what the ledger must
    say: the shelf at the last count, and what was written down since.
    """

    kinds: tuple[str, ...]
    arrived: tuple[str, ...]
    owed_milli: int
    on_hand_milli: int
    is_recount: bool

    @property
    def is_wrong(self) -> bool:
        return not self.is_recount and self.on_hand_milli != self.owed_milli


@dataclass(frozen=True, slots=True)
class _Word:
    device: str
    body: Move | Count
    shop_ms: int
    seen: int
    is_uncertain: bool = False
    seq: int = 0


@dataclass(frozen=True, slots=True)
class _State:
    """A moment of a day. heard: what each device knows. waiting: words that have not arrived. counting: under way."""

    happened: int
    shelf_milli: int
    owed_milli: int
    heard: tuple[tuple[str, int], ...]
    waiting: tuple[_Word, ...]
    counting: _Word | None
    written: int
    arrived: tuple[str, ...]


def walk(length: int, times: Times, days: Iterable[tuple[str, ...]] | None = None) -> Iterator[End]:
    """Walk all days of that many facts, or the `days` named, in every way that their words may arrive."""
    for kinds in product(KINDS, repeat=length) if days is None else days:
        memory = Memory()
        memory.take(Move("A", BEGIN_MILLI, Reason.RECEIVE), _fact(_Word("D", Move("A", 0, Reason.ADJUST), 0, 0)))
        yield from _walk(kinds, times, _State(0, BEGIN_MILLI, BEGIN_MILLI, (), (), None, 0, ()), memory)


def _walk(kinds: tuple[str, ...], times: Times, now: _State, memory: Memory) -> Iterator[End]:
    if now.happened == len(kinds) and not now.waiting and now.counting is None:
        is_recount = ("recount", "A") in memory.alerts
        yield End(kinds, now.arrived, now.owed_milli, memory.on_hand(), is_recount)
        return
    if now.happened < len(kinds):
        for after in _happen(kinds[now.happened], times, now, memory.rev):
            yield from _walk(kinds, times, after, memory)
    elif now.counting is not None:
        yield from _walk(kinds, times, _finished(now, now.shelf_milli), memory)
    for word in {word.device: word for word in reversed(now.waiting)}.values():
        with_it = memory.copy()
        with_it.take(word.body, _fact(word))
        waiting = tuple(one for one in now.waiting if one is not word)
        arrived = (*now.arrived, f"{word.device}#{word.seq}")
        yield from _walk(kinds, times, replace(now, waiting=waiting, arrived=arrived), with_it)


def _happen(kind: str, times: Times, now: _State, rev: int) -> Iterator[_State]:
    device = kind.split()[0]
    heard = dict(now.heard)
    shop_ms = 7_200_000 + now.happened * times.apart_ms + dict(times.errors_ms).get(device, 0)
    is_uncertain = device in times.uncertain
    for seen in {heard.get(device, 1), 1 if times.deaf else rev} if kind != VANISH else {0}:
        after = replace(now, happened=now.happened + 1, heard=tuple({**heard, device: seen}.items()))
        if kind in (COUNT_H, COUNT_A1):
            begun = _Word(device, Count("A", now.shelf_milli, times.took_ms), shop_ms, seen, is_uncertain)
            if times.took_ms == 0:
                yield _written(replace(after, owed_milli=now.shelf_milli), begun)
            else:
                yield replace(after if now.counting is None else _finished(after, now.shelf_milli), counting=begun)
            continue
        qty_milli = 1_000 if kind == RECEIVE else -1_000
        after = replace(after, shelf_milli=now.shelf_milli + qty_milli)
        if kind != VANISH:
            move = Move("A", qty_milli, Reason.RECEIVE if kind == RECEIVE else Reason.SALE)
            after = _written(after, _Word(device, move, shop_ms, seen, is_uncertain))
            after = replace(after, owed_milli=now.owed_milli + qty_milli)
        if now.counting is None:
            yield after
        else:
            # Who counts has looked at these goods before this happened, or after.
            looked_before = _finished(after, now.shelf_milli)
            yield replace(looked_before, owed_milli=now.shelf_milli + after.owed_milli - now.owed_milli)
            yield _finished(after, after.shelf_milli)


def _finished(now: _State, counted_milli: int) -> _State:
    """Counting began earlier, but its word is written only now, behind what its device wrote meanwhile."""
    assert now.counting is not None, "a count is under way"
    assert isinstance(now.counting.body, Count), "and it is one"
    word = replace(now.counting, body=replace(now.counting.body, counted_milli=counted_milli))
    return replace(_written(now, word), counting=None, owed_milli=counted_milli)


def _written(now: _State, word: _Word) -> _State:
    """Numbers only grow, which is all that a device's sequence must do here."""
    return replace(now, waiting=(*now.waiting, replace(word, seq=now.written + 1)), written=now.written + 1)


def _fact(word: _Word) -> Fact:
    return Fact(word.device, "epoch", word.seq, 0, word.shop_ms, word.seen, word.is_uncertain)
