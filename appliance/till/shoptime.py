"""Shop time as a till knows it: a tick plus the till's own elapsed time.

Every operation is stamped here once, when it is made. The invariant: a stamp is never ahead of the coordinator's own
clock by more than the two clocks' drift, and it says `uncertain` unless a fresh tick stands behind it. No wall clock
takes part. All milliseconds (`now_ms`) are of a clock that runs during sleep, such as CLOCK_BOOTTIME.
"""

from dataclasses import dataclass

FRESH_MS = 2500
"""A tick this soon after the `state` that asked for it is fresh (wire contract, "Stamp")."""

NEVER = "0"
"""The run of a till that has never heard a tick. No ledger knows it, so the coordinator takes the stamp for doubtful;
without a stamp it would take the operation's arrival, perhaps days later, for its time."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What a till knew last: at `now_ms` of its own clock it was `shop_ms` in `run`, whose revision was `rev`."""

    run: str = NEVER
    rev: int = 0
    shop_ms: int = 0
    now_ms: int = 0


class ShopTime:
    """Stamps operations.

    heard: what the outbox kept from before this start. The time since then is counted as far as the clock can tell: it
    starts at 0 with the device, so after a reboot the sum falls short of the truth and never runs ahead of it.
    """

    def __init__(self, heard: Heard, now_ms: int) -> None:
        self._run = heard.run
        self._rev = heard.rev
        self._offset_ms = heard.shop_ms + max(0, now_ms - heard.now_ms) - now_ms
        self._asked_ms: int | None = None
        self._has_tick = False
        self._is_certain = False

    def asked(self, now_ms: int) -> None:
        """A `state` was published, which the coordinator answers with a tick."""
        self._asked_ms = now_ms

    def tick(self, run: str, shop_ms: int, now_ms: int) -> None:
        """A tick was heard. Delay makes a tick look early, so of several the one with the latest shop time counts."""
        offset_ms = shop_ms - now_ms
        if run != self._run:
            self._run, self._rev, self._has_tick, self._is_certain = run, 0, False, False
        # What was kept from before this start is a guess; the first tick that was really heard replaces it.
        self._offset_ms = max(self._offset_ms, offset_ms) if self._has_tick else offset_ms
        self._has_tick = True
        if self._asked_ms is not None and now_ms - self._asked_ms <= FRESH_MS:
            self._is_certain = True

    def saw(self, run: str, rev: int) -> None:
        """A message of `run` showed revision `rev`. Those of another run than the stamp's count for nothing."""
        if run == self._run:
            self._rev = max(self._rev, rev)

    def heard(self, now_ms: int) -> Heard:
        """Return what to keep with the operation that is made now."""
        return Heard(self._run, self._rev, self._shop_ms(now_ms), now_ms)

    def stamp(self, now_ms: int) -> dict[str, object]:
        """Return the stamp's fields of an operation that is made now."""
        fields: dict[str, object] = {"run": self._run, "shop_ms": self._shop_ms(now_ms), "seen": self._rev}
        if not self._is_certain:
            fields["uncertain"] = True
        return fields

    def _shop_ms(self, now_ms: int) -> int:
        return max(0, now_ms + self._offset_ms)
