"""How many connections there may be, and how often a wrong password may be tried.

`shop_broker` asks it before it reads a connection, and `login` before it checks a password. It protects the shop from
one address that takes every place or guesses: both are counted by address, and both tables are bounded.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from appliance.broker.embedded.limits import Limits


class Admission(Enum):
    ADMITTED = "admitted"
    FULL = "full"  # It is read, so that it can be told to come back later.
    FLOODED = "flooded"  # There is not even room for telling.


@dataclass(slots=True)
class _Failures:
    count: int
    last_s: float
    blocked_until_s: float


class Guard:
    """now: seconds of a monotonic clock."""

    def __init__(self, limits: Limits, now: Callable[[], float]) -> None:
        self._limits = limits
        self._now = now
        self._connections: Counter[str] = Counter()
        self._failures: OrderedDict[str, _Failures] = OrderedDict()  # The one that failed last is at the end.

    def enter(self, address: str) -> Admission:
        """Count a connection and say what to do with it. `leave` must follow, whatever the answer."""
        self._connections[address] += 1
        total, mine = self._connections.total(), self._connections[address]
        if total > self._limits.connections_max + self._limits.refusals_max:
            return Admission.FLOODED
        if mine > self._limits.connections_per_address_max + self._limits.refusals_max:
            return Admission.FLOODED
        if total > self._limits.connections_max or mine > self._limits.connections_per_address_max:
            return Admission.FULL
        return Admission.ADMITTED

    def leave(self, address: str) -> None:
        self._connections[address] -= 1
        if not self._connections[address]:
            del self._connections[address]

    def is_throttled(self, address: str) -> bool:
        """Whether this address must wait before its next password is looked at."""
        failures = self._failures.get(address)
        return failures is not None and self._now() < failures.blocked_until_s

    def failed(self, address: str) -> float:
        """Count a failed log-in. Returns the seconds until the next one is looked at.

        A success does not wipe the count: a guesser may own one good password.
        """
        now = self._now()
        failures = self._failures.get(address)
        if failures is None or now - failures.last_s > self._limits.failures_forgotten_s:
            failures = self._failures[address] = _Failures(0, now, now)
        failures.count += 1
        failures.last_s = now
        penalty_s = 0.0
        if (beyond := failures.count - self._limits.failures_free) > 0:
            # The exponent is bounded: 2.0 ** 1024 would raise.
            penalty_s = min(self._limits.penalty_first_s * 2.0 ** min(beyond - 1, 64), self._limits.penalty_max_s)
        failures.blocked_until_s = now + penalty_s
        self._failures.move_to_end(address)
        if len(self._failures) > self._limits.throttled_addresses_max:
            self._failures.popitem(last=False)
        return penalty_s
