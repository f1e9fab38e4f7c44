"""From an accepted connection to a stream of MQTT: what a listener speaks below it.

Behind `places`, which has counted the connection already: asyncio's own TLS server would let anybody hold handshakes
open that nobody counts.
"""

import asyncio
from asyncio import sslproto

from appliance.broker.embedded.limits import Limits
from appliance.broker.embedded.listeners import Listener
from appliance.broker.embedded.websocket import WebSocket

# asyncio reads into 256 KiB of each connection's own: 512 handshakes that strangers had begun made the process 640 MiB
# larger. A record of TLS has 16 KiB, and one more read costs little.
sslproto.SSLProtocol.max_size = 16 * 1024

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def open_stream(
    listener: Listener, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limits: Limits
) -> Stream:
    """Return the stream inside a connection, which is itself where nothing else is spoken.

    Raises ssl.SSLError when the peer does not speak TLS as we do, Malformed when it opens no WebSocket, another OSError
    when it goes away. The caller bounds the time.
    """
    if listener.tls is None:
        return reader, writer
    loop = asyncio.get_running_loop()
    inner = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(inner)
    websocket = WebSocket(inner, protocol, limits) if listener.is_websocket else None
    try:
        transport = await loop.start_tls(
            writer.transport,
            websocket or protocol,
            listener.tls,
            server_side=True,
            ssl_handshake_timeout=limits.connect_s,
        )
    except OSError as error:
        # The frames in its traceback hold the connection in a cycle, until the garbage is collected.
        error.__traceback__ = None
        raise
    if transport is None:
        raise ConnectionAbortedError("it was closed during its handshake")
    if websocket is None:
        protocol.connection_made(transport)
    else:
        await websocket.open(transport)
        transport = websocket
    return inner, asyncio.StreamWriter(transport, protocol, inner, loop)
