"""The roster: which devices the shop has, and how each is, for people.

What devices say passes here on its way to the coordinator, and nothing is decided by it. The ledger adds who committed
something before this run began. The invariant: a device that was removed, or is not heard any more, goes from the
roster, for a till in the dustbin must not look like one whose sales are missing.
"""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from appliance.clock import boottime_ms, wall_ms
from appliance.contract.delivery import Channel, Delivery
from appliance.contract.limits import PAYLOAD_MAX
from appliance.contract.messages import State, read_state
from appliance.ledger.devices import LastCommit
from appliance.stock.stamps import rfc3339

SHOWN_DAYS = 14
"""A device that was not heard for so long is on holiday or in the dustbin, and nobody waits for it."""

DEVICES_MAX = 4096
"""More than any shop has. Whoever knows the shop's password may choose names without end."""

_SHOWN_MS = SHOWN_DAYS * 24 * 3_600_000


@dataclass(frozen=True, slots=True)
class Heard:
    """A device as this run has heard it last. state: None for one that only publishes operations, as a shell does."""

    at_boottime_ms: int
    state: State | None = None


class Roster:
    """The devices that are heard. Any thread may tell it, and ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._heard: dict[str, Heard] = {}

    def hear(self, delivery: Delivery) -> None:
        """Note that a device has said something."""
        device = delivery.device
        with self._lock:
            known = self._heard.get(device)
            if delivery.channel is not Channel.STATE:
                self._note(device, None if known is None else known.state)
            elif delivery.size <= PAYLOAD_MAX:
                state = read_state(delivery.payload)
                if state.is_online:
                    self._note(device, state)
                elif known is not None:
                    # What it had to send it still has. Of one that was never online here its last will says nothing
                    # new: a broker may keep that for years.
                    pending = None if known.state is None else known.state.pending
                    program = "" if known.state is None else known.state.program
                    self._note(device, State(False, None, pending, program))

    def remove(self, device: str) -> None:
        """A person has sent a device away."""
        with self._lock:
            self._heard.pop(device, None)

    def heard(self) -> dict[str, Heard]:
        with self._lock:
            return dict(self._heard)

    def _note(self, device: str, state: State | None) -> None:
        self._heard.pop(device, None)  # Who was heard last stands last.
        self._heard[device] = Heard(boottime_ms(), state)
        if len(self._heard) > DEVICES_MAX:
            del self._heard[next(iter(self._heard))]


def tills(heard: Mapping[str, Heard], committed: Iterable[LastCommit]) -> list[dict[str, Any]]:
    """Return the devices to show, by name.

    `{"device": "A1", "state": "online"|"offline"|"unknown", "pending": 3|null, "seen": RFC 3339, "seen_s": seconds ago,
    "clock_off_s": its clock is so far ahead of the box's, or null, "program": "…"}`. `state` is `unknown` of a device
    that does not say; `seen` is when it was there last, or committed last before this run.
    """
    now_ms, now_wall_ms = boottime_ms(), wall_ms()
    commits = {commit.device: commit for commit in committed}
    found = []
    for device in sorted(heard.keys() | commits.keys()):
        commit, here = commits.get(device), heard.get(device)
        state = None if here is None else here.state
        if state is not None and state.is_online:
            word, gone_ms = "online", 0
        elif here is not None:
            word, gone_ms = "unknown" if state is None else "offline", now_ms - here.at_boottime_ms
        else:
            assert commit is not None, "it is in one of the two"
            word, gone_ms = "offline", max(now_wall_ms - commit.wall_ms, 0)
        if gone_ms > _SHOWN_MS:
            continue
        off_ms = None if commit is None else commit.clock_off_ms
        found.append(
            {
                "device": device,
                "state": word,
                "pending": None if state is None else state.pending,
                "seen": rfc3339(now_wall_ms - gone_ms),
                "seen_s": gone_ms // 1000,
                "clock_off_s": None if off_ms is None else round(off_ms / 1000, 1),
                "program": "" if state is None else state.program,
            }
        )
    return found
