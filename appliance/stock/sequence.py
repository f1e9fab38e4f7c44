"""Where an operation stands in its device's sequence: the rules of identity, order and forks.

`(device, epoch, seq)` names an operation for ever. Three things must never happen: one operation counted twice, two
operations under one name, and a place that a clone of the device has taken being acked to the other clone. The wire
contract's section "Operations" is the source; every rule here was found by brute force over clones, restores and races.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class EpochState:
    """How far one epoch of a device is committed: everything through `seq`, whose operation bore `tag`.

    An epoch that the ledger has never met is EpochState(). A fork closes the epochs it comes from: what they hold stays
    acknowledged, and nothing more is added to them.
    """

    seq: int = 0
    tag: str | None = None
    closed: bool = False


class Place(Enum):
    """What to do with an operation, or with a whole message."""

    RESENT = "resent"  # Committed already: acked again, changes nothing.
    NEXT = "next"  # The one that the ledger waits for.
    GAP = "gap"  # Something before it has not arrived: the ack asks for it.
    REUSED = "sequence-reused"  # Another operation has this name: refused, the device forks.
    CLOSED = "epoch-closed"  # A fork has left this epoch: refused, the device forks.


def place_message(first_seq: int, after: str | None, epoch: EpochState, tag_at: Callable[[int], str | None]) -> Place:
    """Judge a message as a whole by the operation that it says came before its first one.

    after: the tag of the operation at `first_seq - 1`, as the device knows it; None when the message does not say.
    tag_at: the tag committed at a seq of this epoch.
    Returns GAP, REUSED, or NEXT when its operations are to be judged one by one. A clone whose own predecessor was
    refused must not have its next message committed behind the other clone's: that is what `after` prevents.
    """
    before = first_seq - 1
    if before > epoch.seq:
        return Place.GAP
    # Nearly always it is the last of its epoch, which is known already.
    if before < 1 or after is None or (epoch.tag if before == epoch.seq else tag_at(before)) == after:
        return Place.NEXT
    return Place.REUSED


def place(seq: int, epoch: EpochState, is_same: Callable[[], bool]) -> Place:
    """Judge one operation of a message.

    is_same: whether the operation committed at `seq` is this very one (it bears the same tag).
    A resend is looked at before everything else, so that it is harmless also after a fork.
    """
    if seq <= epoch.seq:
        return Place.RESENT if is_same() else Place.REUSED
    if epoch.closed:
        return Place.CLOSED
    return Place.NEXT if seq == epoch.seq + 1 else Place.GAP
