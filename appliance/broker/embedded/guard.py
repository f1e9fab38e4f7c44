"""How often a wrong password may be tried.

`login` asks before a password is looked at. It protects the shop from guessing. But an address may be a router with the
whole shop behind it, so that nobody's failures may keep the others out:

- What one till does wrong counts against that till. It waits up to a minute, for ever.
- Guesses, that is passwords which were not tried before, count against their address. One that guesses on, under
  whatever names, waits up to ten minutes; a till with an old password makes one guess, and repeats it.
- A till that has been in comes back under the client id that it had then, and minds neither: whoever would lock it out
  must know that id, and be at its address.

All tables are bounded.
"""

import hashlib
import secrets
from collections.abc import Callable, Hashable

from appliance.broker.embedded.limits import Limits
from appliance.broker.embedded.penalties import Penalties, Penalty
from appliance.broker.embedded.remembered import Remembered

_CLIENT_IDS_MAX = 4
"""Client ids remembered of one device at one address: a till, its clone and a tool or two."""


class Guard:
    """now: seconds of a monotonic clock. A client id is None where a CONNECT leaves it to the broker."""

    def __init__(self, limits: Limits, now: Callable[[], float]) -> None:
        most = limits.remembered_max
        self._tries: Penalties[Hashable] = Penalties(
            Penalty(limits.tries_free, limits.try_first_s, limits.try_most_s, limits.try_forgiven_s), most, now
        )
        self._guesses: Penalties[str] = Penalties(
            Penalty(limits.guesses_free, limits.guess_first_s, limits.guess_most_s, limits.guess_forgiven_s), most, now
        )
        self._wrong: Remembered[bytes, bool] = Remembered(most)
        self._key = secrets.token_bytes(32)
        # Of each device at each address, the client ids under which it has been in.
        self._proved: Remembered[tuple[str, str], tuple[str, ...]] = Remembered(most)

    def queue(self, address: str, device: str, client_id: str | None) -> Hashable:
        """Return whose passwords are looked at one after the other, each knowing of the failures before it."""
        return (address, device, client_id) if self._has_been_in(address, device, client_id) else address

    def is_throttled(self, address: str, device: str, client_id: str | None) -> bool:
        """Whether the next password from there is not looked at yet."""
        if self._has_been_in(address, device, client_id):
            return self._tries.is_blocked((address, device, client_id))
        return self._tries.is_blocked((address, device)) or self._guesses.is_blocked(address)

    def throttled(self) -> tuple[int, int]:
        """Return how many devices, and how many addresses, have to wait before a password of theirs is looked at."""
        return self._tries.blocked_count(), self._guesses.blocked_count()

    def succeeded(self, address: str, device: str, client_id: str | None) -> None:
        """Remember who came in from where. Failures are not wiped: a guesser may own one good password."""
        if client_id is not None:
            known = [one for one in self._proved.get((address, device)) or () if one != client_id]
            self._proved.put((address, device), (*known, client_id)[-_CLIENT_IDS_MAX:])

    def failed(self, address: str, device: str, client_id: str | None, password: bytes) -> None:
        """Count a failed log-in."""
        is_known = self._has_been_in(address, device, client_id)
        self._tries.count((address, device, client_id) if is_known else (address, device))
        wrong = hashlib.blake2b(f"{address}/{device}/".encode() + password, key=self._key, digest_size=16).digest()
        if not self._wrong.get(wrong):
            self._guesses.count(address)
        self._wrong.put(wrong, True)

    def _has_been_in(self, address: str, device: str, client_id: str | None) -> bool:
        return client_id is not None and client_id in (self._proved.get((address, device)) or ())
