"""What a broker's link hands to the coordinator: one message of one device.

This is the seam between the two adapters under `broker` and the coordinator. Its invariant is the PUBACK's: `settled`
is called once, when what the payload caused is on disk (committed, refused, quarantined, or answered with a gap).
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Channel(StrEnum):
    """The three topics under `device/{device}/` that a device publishes on."""

    OP = "op"
    STATE = "state"
    QUERY = "query"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message of a device.

    device: the authenticated user, never a field of the payload.
    payload: all of it, or its head when it was larger than the contract allows.
    size: the payload's full length in bytes; larger than len(payload) for a head.
    settled: may be called from any thread.
    """

    device: str
    channel: Channel
    payload: bytes
    size: int
    settled: Callable[[], None]
