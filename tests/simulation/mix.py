"""Which faults a seed has, and how often: not all of them every day, or the frequent ones would hide the rare ones."""

import random
from dataclasses import dataclass

DEEDS = {
    "sell": 30.0,
    "stock": 6.0,
    "open": 8.0,
    "edit": 4.0,
    "pay": 7.0,
    "pay again": 1.5,
    "cancel": 1.5,
    "give back": 1.5,
    "copy": 1.0,
    "count": 8.0,
    "list": 1.0,
    "acknowledge": 1.0,
    "ask": 1.0,
    "steal": 0.5,
}
"""What people do, by how often."""

FAULTS = {
    "drop": 4.0,
    "drop after a sale": 1.0,
    "offline spell": 2.5,
    "stalled connection": 1.0,
    "till restart": 0.7,
    "till power cut": 0.7,
    "till copy": 0.7,
    "till restore": 0.4,
    "till wiped": 0.15,
    "clone": 0.4,
    "box kill": 0.7,
    "box kill in the announcement": 0.5,
    "box power cut": 0.5,
    "poison": 0.3,
    "disk full": 0.5,
    "pruning": 0.5,
    "backup": 0.7,
    "box restore": 0.3,
    "new card": 0.2,
    "paper out": 0.7,
    "cover open": 0.5,
    "printer stall": 0.5,
    "printer power cut": 0.5,
    "printer unplugged": 0.5,
    "impatient retry": 0.7,
}

EXTERNAL_FAULTS = {"broker restart": 0.7, "broker restart without its memory": 0.4}
"""What only befalls a broker that stands beside the box."""


@dataclass(frozen=True, slots=True)
class Mix:
    """One seed's day.

    weights: of everything that a step may be. latency_ms: the mean of a message's way. lost, twice, late: how likely a
    message is so; late, by up to hours, only where the broker stands beside the box. drift_ppm: of the tills' clocks,
    at most. has_clock: the box knows after a power cut what time it is; else it learns that `synchronises_ms` after it
    was switched on. away_ms, off_ms: the mean of an offline spell, and of the time without power.
    """

    weights: dict[str, float]
    is_external: bool
    tills: int
    latency_ms: float
    lost: float
    twice: float
    late: float
    drift_ppm: int
    has_clock: bool
    synchronises_ms: int
    away_ms: float
    off_ms: float
    reserve_ms: int
    print_on: str
    level: str


def draw(chance: random.Random) -> Mix:
    is_external = chance.random() < 0.4
    faults = FAULTS | (EXTERNAL_FAULTS if is_external else {})
    # Half of the kinds of faults rest, and the others are rarer or more frequent than on an average day.
    weights = {name: weight * chance.choice((0.7, 1, 1, 2)) for name, weight in DEEDS.items() if chance.random() < 0.9}
    weights |= {name: weight * chance.choice((0.5, 1, 3)) for name, weight in faults.items() if chance.random() < 0.5}
    return Mix(
        weights={"sell": 30.0} | weights,
        is_external=is_external,
        tills=chance.randint(2, 4),
        latency_ms=chance.choice((3, 20, 20, 200, 1500)),
        lost=chance.choice((0, 0, 0.001, 0.02)),
        twice=chance.choice((0, 0, 0.01, 0.2)),
        late=chance.choice((0, 0.01, 0.1)) if is_external else 0,
        drift_ppm=chance.choice((0, 20)),
        has_clock=chance.random() < 0.5,
        synchronises_ms=chance.choice((600_000, 24 * 3_600_000)),
        away_ms=chance.choice((60_000, 600_000, 3_600_000)),
        off_ms=chance.choice((5_000, 120_000, 3_600_000)),
        reserve_ms=chance.choice((1, 3, 12)) * 3_600_000,
        print_on=chance.choice(("open", "paid", "all")),
        level=chance.choice(("confirmed", "fenced")),
    )
