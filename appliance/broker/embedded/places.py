"""How many connections there may be: of strangers, and of devices that have logged in.

`shop_broker` asks before it reads a connection. Whoever is a device logs in at once, so the stranger that has been here
longest while others come has the least to lose: it goes, and nobody who can log in is kept out by those who can't. The
invariant: both kinds are bounded, and neither an address nor a device takes every place.
"""

from typing import Generic, TypeVar

from appliance.broker.embedded.limits import Limits

Who = TypeVar("Who")


class Places(Generic[Who]):
    """Who is one connection. It knocks, it enters when it has proved to be a device, and leaves however far it came."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._strangers = _Room[Who]()
        self._inside = _Room[Who]()
        self._of_devices = _Room[Who]()

    @property
    def counts(self) -> tuple[int, int]:
        """How many are inside, and how many have not proved to be a device."""
        return len(self._inside), len(self._strangers)

    def knock(self, who: Who, address: str) -> Who | None:
        """Note a stranger's connection. Returns the one that has to go for it, if any."""
        self._strangers.add(who, address)
        if len(self._strangers) <= self._limits.strangers_max:
            return None
        longest = self._strangers.longest_of_the_fullest()
        self._strangers.remove(longest)
        return longest

    def enter(self, who: Who, device: str) -> bool:
        """Return whether there is a place for it. There is none for one that had to go, and proved itself too late."""
        address = self._strangers.remove(who)
        if (
            address is None
            or len(self._inside) >= self._limits.connections_max
            or self._inside.count(address) >= self._limits.connections_per_address_max
            or self._of_devices.count(device) >= self._limits.connections_per_device_max
        ):
            return False
        self._inside.add(who, address)
        self._of_devices.add(who, device)
        return True

    def leave(self, who: Who) -> None:
        self._strangers.remove(who)
        self._inside.remove(who)
        self._of_devices.remove(who)


class _Room(Generic[Who]):
    """Connections, each of an address or of a device, and of one of these those that came first first."""

    def __init__(self) -> None:
        self._owner: dict[Who, str] = {}
        self._owned: dict[str, dict[Who, None]] = {}

    def __len__(self) -> int:
        return len(self._owner)

    def count(self, owner: str) -> int:
        return len(self._owned.get(owner, ()))

    def add(self, who: Who, owner: str) -> None:
        self._owner[who] = owner
        self._owned.setdefault(owner, {})[who] = None

    def remove(self, who: Who) -> str | None:
        """Return whose it was, or None when it is not here."""
        owner = self._owner.pop(who, None)
        if owner is not None:
            del self._owned[owner][who]
            if not self._owned[owner]:
                del self._owned[owner]
        return owner

    def longest_of_the_fullest(self) -> Who:
        """Of the address that has most: a flood from one address pushes out nobody else's."""
        fullest = max(self._owned, key=self.count)
        return next(iter(self._owned[fullest]))
