"""From an accepted connection to a stream of MQTT: what a listener speaks below it.

Behind `places`, which has counted the connection already: asyncio's own TLS server would let anybody hold handshakes
open that nobody counts.
"""

import asyncio

from appliance.broker.embedded.limits import Limits
from appliance.broker.embedded.listeners import Listener

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def open_stream(
    listener: Listener, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limits: Limits
) -> Stream:
    """Return the stream inside a connection, which is itself where nothing else is spoken.

    Raises ssl.SSLError when the peer does not speak TLS as we do, another OSError when it goes away. The caller bounds
    the time.
    """
    if listener.tls is None:
        return reader, writer
    loop = asyncio.get_running_loop()
    inner = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(inner)
    transport = await loop.start_tls(
        writer.transport,
        protocol,
        listener.tls,
        server_side=True,
        ssl_handshake_timeout=limits.connect_s,
    )
    if transport is None:
        raise ConnectionAbortedError("it was closed during its handshake")
    protocol.connection_made(transport)
    return inner, asyncio.StreamWriter(transport, protocol, inner, loop)
