"""Printers in the network, on the raw port 9100."""

import socket
import struct
from contextlib import suppress

from appliance.printing.transport.address import Network
from appliance.printing.transport.port import CannotOpen, Lost
from appliance.printing.transport.stream import Stream, said


class TcpStream(Stream):
    def __init__(self, address: Network, connect_s: float) -> None:
        try:
            self._socket = socket.create_connection((address.host, address.port), timeout=connect_s)
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
