"""How long somebody has to wait who gets it wrong again and again: a growing penalty, slowly forgiven.

`guard` keeps one table of devices and one of addresses. The invariant: whatever is tried, and under however many names,
a table is bounded, and a penalty ends.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, log2
from typing import Generic, TypeVar

from appliance.broker.embedded.remembered import Remembered

Who = TypeVar("Who")


@dataclass(frozen=True, slots=True)
class Penalty:
    """free: failures that cost nothing; then `first_s`, doubling to `most_s` for each further one.

    forgiven_s: after how long one failure is forgiven.
    """

    free: int
    first_s: float
    most_s: float
    forgiven_s: float

    @property
    def level_max(self) -> int:
        """Where the penalty is at its longest; failures beyond it are not counted, so that all are forgiven in time."""
        return self.free + 1 + ceil(log2(self.most_s / self.first_s))

    def wait_s(self, level: float) -> float:
        beyond = ceil(level - self.free)
        return min(self.first_s * 2.0 ** (beyond - 1), self.most_s) if beyond > 0 else 0.0


@dataclass(frozen=True, slots=True)
class _Record:
    """level: failures that are not forgiven, as of `at_s`."""

    level: float
    at_s: float
    blocked_until_s: float


class Penalties(Generic[Who]):
    """now: seconds of a monotonic clock. remembered_max: records kept; the longest quiet one is forgotten first."""

    def __init__(self, penalty: Penalty, remembered_max: int, now: Callable[[], float]) -> None:
        self._penalty = penalty
        self._now = now
        self._records: Remembered[Who, _Record] = Remembered(remembered_max)

    def is_blocked(self, who: Who) -> bool:
        record = self._records.get(who)
        return record is not None and self._now() < record.blocked_until_s

    def blocked_count(self) -> int:
        """Return how many have to wait now."""
        now = self._now()
        return sum(now < record.blocked_until_s for record in self._records.values())

    def count(self, who: Who) -> None:
        """Count a failure."""
        now, record = self._now(), self._records.get(who)
        left = 0.0 if record is None else max(0.0, record.level - (now - record.at_s) / self._penalty.forgiven_s)
        level = min(left + 1, self._penalty.level_max)
        self._records.put(who, _Record(level, now, now + self._penalty.wait_s(level)))
