"""What one turn of the coordinator deals with, how much of it, and what its senders hear.

Beside `coordinator`, which alone uses it. The invariant: a turn ends soon, whatever waits: its bytes and its time are
bounded, and a message that is too long for one goes on in the next.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import floor

from appliance.contract.delivery import Delivery
from appliance.contract.messages import Covered, Refusal
from appliance.contract.operations import Message
from appliance.contract.paper import PaperChange
from appliance.ports import Clock
from appliance.stock.alerts import Cleared, Raised
from appliance.stock.errors import Rejected

TURN_BYTES = 256 * 1024
"""Bytes of operations that one turn takes on: 1,000 single sales. As many as ten tills have under way go into one
commit, which is what counts on a card that takes 30 ms for it."""

TURN_MS = 20
"""For how long a turn judges operations, on any machine: 50 receipts of 8 lines here, a dozen on a Pi. A sale waits for
the turn that is under way and then for its own, so half of 100 ms is left for the disk and for telling it. With 64 KiB
and no such bound a turn took 30 ms here, and beyond 64 operations a commit gets no faster."""

TURN_MAX_MS = 50
"""On a slow disk a turn judges for as long as the last commit took, so that no more than half of the time is waited for
the disk; but not for longer than this, for a disk that stood still once must not keep a sale waiting."""


@dataclass(slots=True)
class Order:
    """An operation that a person has commanded. done: is told why it was rejected, or None when it is on the disk."""

    operation: dict[str, object]
    done: Callable[[Rejected | None], None]
    verdict: Rejected | None = None


@dataclass(slots=True)
class Change:
    """A print job moves on. done: is told why it does not ("" when it does), now that this is on the disk."""

    change: PaperChange
    done: Callable[[str], None]
    verdict: str = ""


@dataclass(frozen=True, slots=True)
class Rest:
    """What is left of a message that is too long for one turn. begun: how many of its operations are dealt with."""

    delivery: Delivery
    message: Message
    begun: int

    @property
    def each_bytes(self) -> float:
        """Of one operation, on average."""
        return self.delivery.size / len(self.message.operations)

    @property
    def size(self) -> int:
        return self.delivery.size - floor(self.begun * self.each_bytes)


Work = Delivery | Rest | Order | Change | Covered | Raised | Cleared


@dataclass(slots=True)
class Room:
    """What a turn may still take on. size: bytes of operations. ends_ms: in shop time."""

    size: int
    ends_ms: int
    clock: Clock

    def is_over(self) -> bool:
        return self.size <= 0 or self.clock.shop_ms() >= self.ends_ms


@dataclass(slots=True)
class Reply:
    """What a device is to hear of one epoch when the turn is committed."""

    committed: int = 0
    resent: int = 0
    gap: bool = False
    refused: list[Refusal] = field(default_factory=list)
    is_handshake: bool = False
