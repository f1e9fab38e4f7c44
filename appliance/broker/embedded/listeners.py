"""Where the broker listens: its addresses, bound before anything else is started.

Binding first turns a port that is taken into one clear error instead of a half-started broker.
"""

import errno
import os
import socket
import ssl
from dataclasses import dataclass

BACKLOG = 1024
"""Connections that the kernel may hold: 500 tills that come back at once, and one that finds no room waits a second."""

ACCEPTS = 16
"""Connections that are accepted in one turn of the event loop: log-ins of about 10 ms, and then a till's turn."""


@dataclass(frozen=True, slots=True)
class Listener:
    """One address. Port 0 takes any free one. tls: the certificate to show; None for plain TCP. is_websocket: whether
    MQTT is inside a WebSocket there, inside TLS.
    """

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    is_websocket: bool = False

    @property
    def kind(self) -> str:
        if self.is_websocket:
            return "websocket"
        return "plain" if self.tls is None else "tls"


class CannotListen(Exception):
    """An address cannot be bound; the message names it and the remedy. kind: the listener's."""

    def __init__(self, text: str, kind: str) -> None:
        super().__init__(text)
        self.kind = kind


def bind(listener: Listener) -> socket.socket:
    """Return a listening socket. Raises CannotListen."""
    family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
    try:
        return socket.create_server((listener.host, listener.port), family=family, backlog=BACKLOG)
    except OSError as error:
        remedy = {
            errno.EADDRINUSE: "another program listens there: stop it, or choose another port",
            errno.EACCES: "ports below 1024 need the right to bind them: choose a higher one",
            errno.EADDRNOTAVAIL: "this machine does not have that address: choose one of its own, or 0.0.0.0",
        }.get(error.errno or 0, "choose another address or port")
        raise CannotListen(
            # Not its `strerror`, into which Python 3.13 writes the address a second time.
            f"cannot listen on {listener.host} port {listener.port} ({os.strerror(error.errno or 0)}): {remedy}",
            listener.kind,
        ) from error
