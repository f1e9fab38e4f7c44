"""A client that speaks MQTT inside a WebSocket: `wire.Client`, with the frames of `websockets` around what it says."""

import socket
import ssl
from collections.abc import Sequence
from typing import Any, cast

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from tests.broker import wire

MQTT = Subprotocol("mqtt")


class Frames:
    """A socket as far as `wire.Client` needs one, with a WebSocket around it; `protocol` is for who sends what else."""

    def __init__(self, beneath: socket.socket, subprotocols: Sequence[Subprotocol]) -> None:
        self.beneath = beneath
        self.protocol = ClientProtocol(parse_uri("wss://localhost/"), subprotocols=subprotocols or None, max_size=None)
        self._received = b""
        self.status = 0
        self.protocol.send_request(self.protocol.connect())
        self.flush()
        while not self.status and self._more():
            pass

    def sendall(self, data: bytes) -> None:
        self.protocol.send_binary(data)
        self.flush()

    def recv(self, most: int) -> bytes:
        while not self._received and self._more():
            pass
        found, self._received = self._received[:most], self._received[most:]
        return found

    def flush(self) -> None:
        self.beneath.sendall(b"".join(self.protocol.data_to_send()))

    def _more(self) -> bool:
        """Take what comes next; return whether there may be more."""
        data = self.beneath.recv(65536)
        if not data:
            return False
        self.protocol.receive_data(data)
        for event in self.protocol.events_received():
            if isinstance(event, Response):
                self.status = event.status_code
            elif isinstance(event, Frame) and event.opcode in (Opcode.BINARY, Opcode.CONT):
                self._received += event.data
        return self.protocol.close_rcvd is None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.beneath, name)


class WebSocketClient(wire.Client):
    """One connection, opened, or refused with `frames.status`."""

    def __init__(
        self, address: tuple[str, int], tls: ssl.SSLContext, *, subprotocols: Sequence[Subprotocol] = (MQTT,)
    ) -> None:
        super().__init__(address, tls=tls)
        self.frames = Frames(self._socket, subprotocols)
        self._socket = cast("socket.socket", self.frames)
