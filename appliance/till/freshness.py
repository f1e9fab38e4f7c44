"""How fresh the balances on a screen are: which devices may hold operations that nobody has heard yet.

A balance is what the coordinator has been told. While a till is offline its sales are missing from it, and a person who
looks for the last bottle must know that. What is known here comes from the retained `state` of every other device and
from this till's own clock: no time of another device takes part.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from appliance.till.heard import read_device_state

SILENT_MS = 30_000
"""Three ticks: a coordinator that says nothing for so long is not heard any more, whatever the connection seems."""


@dataclass(frozen=True, slots=True)
class Unheard:
    """A device that may have operations which the balances lack.

    pending: how many it said that it had, when it last said so; None when this till never heard it. offline_s: for how
    long this till knows that it is offline; None while it is online, and when it was offline already when this till
    connected.
    """

    device: str
    is_online: bool
    pending: int | None
    offline_s: int | None

    @property
    def text(self) -> str:
        if self.is_online:
            return f"{self.device} has {self.pending} to send"
        if self.offline_s is None:
            return f"{self.device} not seen since this till connected"
        return f"{self.device} not seen for {span(self.offline_s)}"


@dataclass(frozen=True, slots=True)
class Freshness:
    """What the balances may lack. Nothing, when it is as a new one is.

    is_heard: whether the coordinator is, and has told all that it has. silent_s: for how long it is not; None while it
    is, and when it was not since this till started. unheard: other devices, by name, as this till last heard of them.
    """

    is_heard: bool = True
    silent_s: int | None = None
    unheard: tuple[Unheard, ...] = ()

    @property
    def text(self) -> str:
        """For a person: `A2 not seen for 28 min, A3 has 4 to send`; "" when nothing is known to be missing."""
        return ", ".join((*self._silence(), *(one.text for one in self.unheard)))

    def _silence(self) -> Iterator[str]:
        if not self.is_heard:
            yield "coordinator not heard " + (
                "since this till started" if self.silent_s is None else f"for {span(self.silent_s)}"
            )


@dataclass(frozen=True, slots=True)
class _State:
    is_online: bool
    pending: int | None
    offline_since_ms: int | None = None


class Others:
    """The other devices of the shop, by their retained `state`. own: this till's own name."""

    def __init__(self, own: str) -> None:
        self._own = own
        self._states: dict[str, _State] = {}
        self._before: dict[str, _State] = {}

    def connected(self) -> None:
        """A new connection: every retained `state` comes again, and whose does not has been removed."""
        self._before |= self._states
        self._states = {}

    def heard(self, device: str, payload: bytes, now_ms: int) -> None:
        """Take a device's `state`; an empty one says that the device is no more."""
        if device == self._own:
            return
        if not payload:
            self._states.pop(device, None)
            self._before.pop(device, None)
            return
        said = read_device_state(payload)
        if said is None:
            return
        if said.is_online:
            self._states[device] = _State(is_online=True, pending=said.pending)
            return
        here, before = self._states.get(device), self._before.get(device)
        if here is not None and here.is_online:
            self._states[device] = _State(is_online=False, pending=here.pending, offline_since_ms=now_ms)
        elif here is None:
            # It went while this till was not there to hear it; if it was gone before that, it is gone since then.
            before = before or _State(is_online=False, pending=None)
            self._states[device] = replace(before, is_online=False)

    def unheard(self, now_ms: int) -> tuple[Unheard, ...]:
        """Return the devices that are offline, or online with operations to send, by name."""
        return tuple(
            Unheard(
                device,
                state.is_online,
                state.pending,
                None if state.offline_since_ms is None else (now_ms - state.offline_since_ms) // 1000,
            )
            for device, state in sorted(self._states.items())
            if not state.is_online or state.pending
        )


def span(seconds: int) -> str:
    """Return a length of time as a person says it: `28 min`."""
    for unit, size_s in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size_s:
            return f"{seconds // size_s} {unit}"
    return f"{seconds} s"
