"""What leaves on one connection: gathered, written together, and bounded.

Last in the data's path. The invariant: a sender never waits for a reader. Whatever a slow one has not taken is held up
to a limit; beyond it the connection is closed, and the till catches up by query when it is back.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress


class Outgoing:
    """overflowed: called, at most once, when the reader is too slow; the connection is dead by then.

    It is forgotten at the end. Who made this can then be freed at once, and does not wait for the garbage collector,
    which stopped the event loop for a third of a second after some thousand connections.
    """

    def __init__(
        self, writer: asyncio.StreamWriter, limit_bytes: int, linger_s: float, overflowed: Callable[[], None]
    ) -> None:
        self._writer = writer
        self._transport = writer.transport
        self._limit_bytes = limit_bytes
        self._linger_s = linger_s
        self._overflowed: Callable[[], None] | None = overflowed
        self._loop = asyncio.get_running_loop()
        self._parts: list[bytes] = []
        self._parts_bytes = 0
        self._closed = False

    @property
    def pending_bytes(self) -> int:
        """Bytes that the peer's socket has not taken."""
        return self._parts_bytes + self._transport.get_write_buffer_size()

    def send(self, packet: bytes) -> None:
        """Send a packet; after `close` it is dropped."""
        if self._closed:
            return
        if not self._parts:
            # One system call for everything that one turn of the event loop sends here.
            self._loop.call_soon(self.flush)
        self._parts.append(packet)
        self._parts_bytes += len(packet)
        if self.pending_bytes > self._limit_bytes:
            overflowed = self._overflowed
            self.abort()
            if overflowed is not None:
                overflowed()

    def flush(self) -> None:
        """Give what was gathered to the socket."""
        if self._parts:
            packets = b"".join(self._parts)
            self._parts.clear()
            self._parts_bytes = 0
            self._writer.write(packets)

    async def drained(self) -> None:
        """Wait until the peer has taken most of it. Raises ConnectionError when it is gone."""
        self.flush()
        await self._writer.drain()

    def close(self) -> None:
        """Write what is held and close; a peer that takes nothing for `linger_s` is cut off."""
        if not self._closed:
            self.flush()
            self._closed = True
            self._overflowed = None
            self._writer.close()
            self._loop.call_later(self._linger_s, self._transport.abort)

    async def gone(self) -> None:
        """Return when the connection is over; `close` or `abort` has been called."""
        with suppress(OSError):  # However it ended.
            await self._writer.wait_closed()

    def abort(self) -> None:
        """Close at once and drop what is held."""
        self._closed = True
        self._overflowed = None
        self._parts.clear()
        self._parts_bytes = 0
        self._transport.abort()
