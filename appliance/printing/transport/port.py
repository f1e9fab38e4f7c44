"""What a transport is to the driver.

The invariant: no call waits longer than it was told to, and what the other side has not taken when a transport is
closed is dropped, so that no half of an old job comes out in front of a new one.
"""

from typing import Protocol


class CannotOpen(Exception):
    """There is nothing at that address now, or it may not be used; the text says what and what to do."""


class Lost(Exception):
    """The connection ended: unplugged, switched off, or closed by the other side."""


class Transport(Protocol):
    """One open connection. Only the constructor's caller uses it, and only from one thread at a time."""

    @property
    def answers(self) -> bool:
        """Whether anything can ever come back."""

    @property
    def is_shared(self) -> bool:
        """Whether others may wait for the printer until this is closed."""

    def write(self, data: bytes) -> int:
        """Return how many bytes were taken, at once; 0 when none can be now. Raises Lost."""

    def read(self) -> bytes:
        """Return what is there, at once; may be empty. Raises Lost."""

    def wait(self, timeout_s: float, *, to_write: bool) -> bool:
        """Return when there is something to read, or room for writing (where asked), or the time is over.

        Returns whether there is room, as far as it was asked. Raises Lost.
        """

    def unsent(self) -> int:
        """Return how many taken bytes are known not to have left this machine; 0 where nobody can tell. Raises Lost."""

    def close(self) -> None:
        """Never waits and never fails."""
