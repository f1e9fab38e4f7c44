"""What a broker asks of the rest of the house: who may come in, and what the ledger knows.

`access` and `ledger` satisfy these structurally and know nothing of brokers.
"""

from collections.abc import Iterator
from typing import Protocol


class Authenticator(Protocol):
    """Knows passwords and tokens."""

    def is_token(self, user: str, password: bytes) -> bool:
        """Return whether this is that device's own token. It takes a microsecond, and nobody guesses one."""
        ...

    async def authenticate(self, user: str, password: bytes) -> bool:
        """Return whether this password is that device's. Expensive hashing is its own affair, off the event loop.

        Raises OSError when a first password cannot be kept, which lets nobody in who could not come back.
        """
        ...


class RetainedSource(Protocol):
    """Answers the retained topics that are a projection of the ledger: `balance`, `item`, `alert`, `device/+/ack`."""

    def matching(self, topic_filter: str) -> Iterator[tuple[str, bytes]]:
        """Yield each retained topic that matches, with its payload.

        Blocks: it is called, advanced and closed in one thread, which serves every feed in turn.
        """
        ...
