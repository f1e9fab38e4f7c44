"""When an operation happened, as far as this ledger can trust the device's word.

No wall clock takes part. A device stamps an operation with the run of the coordinator that it last heard, that run's
shop time, and the highest revision it had seen. A ledger restored from a backup, or a box that was without power for
nobody knows how long, must not take such a stamp at face value: see "When something happened" in README.md.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from appliance.stock.operation import Stamp


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the coordinator, as this ledger knows it.

    last_rev: the last revision committed in it. is_measured: no power gap of unknown length lies between it and now.
    is_whole: no restore lies between it and now, so what it committed is in this ledger, and what it did is known.
    """

    last_rev: int
    is_measured: bool
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class When:
    """shop_ms: shop time. seen: the highest revision the device knew. is_uncertain: no rule may rely on it alone."""

    shop_ms: int
    seen: int
    is_uncertain: bool


def when(stamp: Stamp | None, seen: int, now_ms: int, run: Run | None) -> When:
    """Return when an operation happened. run: what the ledger knows of the stamp's run, None when it knows nothing.

    An operation without a stamp happens now. `seen` of an unknown run says nothing; of a known one it is clamped to the
    last revision that this ledger has of it, because after a restore the same numbers come again with other contents.
    Nothing happens in the future: a stamp of another ledger's longer life must not keep a reservation for ever.
    """
    if stamp is None:
        return When(now_ms, 0, is_uncertain=False)
    shop_ms = min(stamp.shop_ms, now_ms)
    if run is None:
        return When(shop_ms, 0, is_uncertain=True)
    return When(shop_ms, min(seen, run.last_rev), stamp.uncertain or not run.is_measured)


def rfc3339(wall_ms: int) -> str:
    """Return a wall clock's milliseconds since 1970 as a time in UTC, to the second. For people only."""
    return datetime.fromtimestamp(wall_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
