"""Printers in the network, on the raw port 9100."""

import ipaddress
import socket
import struct
import threading
import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from appliance.printing.transport.address import Network
from appliance.printing.transport.port import CannotOpen, Lost
from appliance.printing.transport.stream import Stream, said


class TcpStream(Stream):
    is_shared = True

    def __init__(self, address: Network, connect_s: float) -> None:
        try:
            self._socket = _connected(address, connect_s)
        except socket.gaierror as error:
            raise CannotOpen(f"{address.host}: nobody knows that name; write the printer's address") from error
        except TimeoutError as error:
            words = "that host does not answer: check the cable, and switch the printer on"
            raise CannotOpen(f"{address.host}:{address.port}: {words}") from error
        except OSError as error:
            raise CannotOpen(f"{address.host}:{address.port}: {said(error)}") from error
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().__init__(self._socket.fileno())

    def close(self) -> None:
        # What the printer did not take is dropped with a reset; the kernel would go on delivering it for minutes. With
        # nothing left the end is orderly: a reset could make a printer forget what it has not printed yet.
        with suppress(OSError, Lost):
            if self.unsent() > 0:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()


def _connected(address: Network, connect_s: float) -> socket.socket:
    """Return a connection to the first of a host's addresses that takes one. Raises OSError.

    Each gets its share of the time that is left, so that a dead one does not hide those behind it.
    """
    ends_s = time.monotonic() + connect_s
    found = _looked_up(address, connect_s)
    failed: OSError = TimeoutError()
    for number, (family, kind, protocol, _, at) in enumerate(found):
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(max(0.001, (ends_s - time.monotonic()) / (len(found) - number)))
            connection.connect(at)
        except OSError as error:
            connection.close()
            failed = error
        else:
            return connection
    raise failed


def _looked_up(address: Network, wait_s: float) -> list[Any]:
    """Return a host's addresses, as `socket.getaddrinfo` does, within so many seconds. Raises OSError or CannotOpen.

    The system's look-up takes as long as its servers are silent, and nobody can end it. So a thread does it that is
    left behind when it is late; it ends by itself within the half minute that the system gives a name.
    """
    host, port = address.host, address.port
    with suppress(ValueError):
        ipaddress.ip_address(host)
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    answers: SimpleQueue[list[Any] | OSError] = SimpleQueue()

    def look_up() -> None:
        try:
            answers.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            answers.put(error)

    threading.Thread(target=look_up, name="look-up", daemon=True).start()
    try:
        answer = answers.get(timeout=wait_s)
    except Empty:
        raise CannotOpen(f"{host}: nobody tells who has that name; write the printer's address") from None
    if isinstance(answer, OSError):
        raise answer
    return answer
