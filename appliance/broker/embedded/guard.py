"""How many connections there may be, and how often a wrong password may be tried.

`shop_broker` asks it before it reads a connection, and `login` before it checks a password. It protects the shop from
one address that takes every place or guesses. But an address may be a router with the whole shop behind it, so one till
with an old password must not keep the others out: failures are counted by device and address, and only what is left of
them after that by address alone, which a device that has logged in from there lately need not mind. All tables are
bounded.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from appliance.broker.embedded.limits import Limits

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class Admission(Enum):
    ADMITTED = "admitted"
    FULL = "full"  # It is read, so that it can be told to come back later.
    FLOODED = "flooded"  # There is not even room for telling.


@dataclass(slots=True)
class _Failures:
    """Of one device at one address; its penalty grows."""

    count: int
    last_s: float
    blocked_until_s: float


@dataclass(slots=True)
class _Tally:
    """Failures of one address that are not forgiven yet: `level` as of `at_s`."""

    level: float
    at_s: float


class Guard:
    """now: seconds of a monotonic clock. A device is None where a CONNECT names none."""

    def __init__(self, limits: Limits, now: Callable[[], float]) -> None:
        self._limits = limits
        self._now = now
        self._connections: Counter[str] = Counter()
        # In each the newest is at the end.
        self._failures: OrderedDict[tuple[str, str], _Failures] = OrderedDict()
        self._tallies: OrderedDict[str, _Tally] = OrderedDict()
        self._proved_s: OrderedDict[tuple[str, str], float] = OrderedDict()

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

    def is_throttled(self, address: str, device: str | None) -> bool:
        """Whether the next password from there is not looked at yet."""
        now = self._now()
        if device is None:
            return self._is_exhausted(address, now)
        pair = (address, device)
        if (failures := self._failures.get(pair)) is not None and now < failures.blocked_until_s:
            return True
        proved_s = self._proved_s.get(pair)
        is_known = proved_s is not None and now - proved_s <= self._limits.proved_s
        return not is_known and self._is_exhausted(address, now)

    def succeeded(self, address: str, device: str) -> None:
        """Remember who came in from where. Failures are not wiped: a guesser may own one good password."""
        _put(self._proved_s, (address, device), self._now(), self._limits.remembered_max)

    def failed(self, address: str, device: str | None) -> None:
        """Count a failed log-in."""
        now = self._now()
        _put(self._tallies, address, _Tally(self._level(address, now) + 1, now), self._limits.remembered_max)
        if device is None:
            return
        failures = self._failures.get((address, device))
        if failures is None or now - failures.last_s > self._limits.failures_forgotten_s:
            failures = _Failures(0, now, now)
        failures.count += 1
        failures.last_s = now
        if (beyond := failures.count - self._limits.failures_free) > 0:
            # The exponent is bounded: 2.0 ** 1024 would raise.
            penalty_s = min(self._limits.penalty_first_s * 2.0 ** min(beyond - 1, 64), self._limits.penalty_max_s)
            failures.blocked_until_s = now + penalty_s
        _put(self._failures, (address, device), failures, self._limits.remembered_max)

    def _is_exhausted(self, address: str, now: float) -> bool:
        return self._level(address, now) > self._limits.address_failures_max - 1

    def _level(self, address: str, now: float) -> float:
        tally = self._tallies.get(address)
        return 0 if tally is None else max(0, tally.level - (now - tally.at_s) / self._limits.address_forgiven_s)


def _put(table: OrderedDict[_Key, _Value], key: _Key, value: _Value, most: int) -> None:
    """Put a value at the end of a table, and forget the oldest when it grows beyond its limit."""
    table[key] = value
    table.move_to_end(key)
    if len(table) > most:
        table.popitem(last=False)
