"""How many connections there may be: of those that have said nothing yet, and of those that have.

`shop_broker` asks before it reads a connection. Whoever is a device sends its CONNECT at once, so one that is silent
while others come has the least to lose: it goes, and nobody who speaks is kept out by those who don't. The invariant:
both kinds are bounded, and no address takes every place.
"""

from typing import Generic, TypeVar

from appliance.broker.embedded.limits import Limits

Who = TypeVar("Who")


class Places(Generic[Who]):
    """Who is one connection. It knocks, it enters when it has sent its CONNECT, and leaves however far it came."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._silent = _Room[Who]()
        self._inside = _Room[Who]()

    def knock(self, who: Who, address: str) -> Who | None:
        """Note a connection that has said nothing yet. Returns the one that has to go for it, if any."""
        self._silent.add(who, address)
        if len(self._silent) <= self._limits.silent_max:
            return None
        longest = self._silent.longest_of_the_fullest()
        self._silent.remove(longest)
        return longest

    def enter(self, who: Who) -> bool:
        """Return whether there is a place for it. There is none for one that had to go, and spoke too late."""
        address = self._silent.remove(who)
        if (
            address is None
            or len(self._inside) >= self._limits.connections_max
            or self._inside.count(address) >= self._limits.connections_per_address_max
        ):
            return False
        self._inside.add(who, address)
        return True

    def leave(self, who: Who) -> None:
        self._silent.remove(who)
        self._inside.remove(who)


class _Room(Generic[Who]):
    """Connections, and by address those that came first first."""

    def __init__(self) -> None:
        self._address_of: dict[Who, str] = {}
        self._of_address: dict[str, dict[Who, None]] = {}

    def __len__(self) -> int:
        return len(self._address_of)

    def count(self, address: str) -> int:
        return len(self._of_address.get(address, ()))

    def add(self, who: Who, address: str) -> None:
        self._address_of[who] = address
        self._of_address.setdefault(address, {})[who] = None

    def remove(self, who: Who) -> str | None:
        """Return the address that it had, or None when it is not here."""
        address = self._address_of.pop(who, None)
        if address is not None:
            del self._of_address[address][who]
            if not self._of_address[address]:
                del self._of_address[address]
        return address

    def longest_of_the_fullest(self) -> Who:
        """Of the address that has most: a flood from one address pushes out nobody else's."""
        fullest = max(self._of_address, key=self.count)
        return next(iter(self._of_address[fullest]))
