"""Between the till under test and the box: it notes every packet, and does to them what a scene wants done.

    till ──said──▶ tap ──▶ box's broker
         ◀─heard──

A fault is asked about each packet and says what goes on in its place. Pulled, the tap ends the connections and lets new
ones wait, as a network that has gone does. The invariant: `log` holds what the till said, whether or not it got
through, and what it was really given, whether or not the box had said it.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

from tests.broker import wire
from tests.broker.wire import Packet

SEND_S = 10.0
"""An end that takes no bytes for so long is given up."""

Fault = Callable[[Packet, bool], Sequence[Packet] | None]
"""Asked with a packet and whether the till said it. Returns what goes on in its place; None ends the connection."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One packet. at_s: by this process's monotonic clock. connection: of the till, numbered from 1."""

    at_s: float
    connection: int
    is_said: bool
    packet: Packet


def through(packet: Packet, _is_said: bool) -> Sequence[Packet]:
    """The fault of a network that has none."""
    return (packet,)


class Tap:
    """A tap in front of a port of 127.0.0.1, on a port of its own; it starts plugged in and without a fault."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.fault: Fault = through
        self.log: list[Seen] = []
        self._changed = threading.Condition(threading.RLock())
        self._is_plugged = True
        self._is_closed = False
        self._connections = 0
        self._ends: set[socket.socket] = set()
        self._till: tuple[int, socket.socket] | None = None
        self._thread = threading.Thread(target=self._accept, name=f"tap-{self.port}", daemon=True)
        self._thread.start()

    def pull(self) -> None:
        with self._changed:
            self._is_plugged = False
            self._hang_up()

    def plug(self) -> None:
        with self._changed:
            self._is_plugged = True
            self._changed.notify_all()

    def cut(self) -> None:
        """End the connections, as a router does that restarts; new ones are served."""
        with self._changed:
            self._hang_up()

    def tell(self, topic: str, payload: bytes) -> None:
        """Give the till a message that the box has not said."""
        self.give(Packet(wire.PUBLISH, 0, wire.text(topic) + payload))

    def give(self, packet: Packet) -> None:
        """Give the till a packet, on its newest connection."""
        with self._changed:
            assert self._till is not None, "a till that has connected"
            connection, till = self._till
            with suppress(OSError):  # It has left meanwhile: it hears this as little as it would on a real network.
                till.sendall(_bytes(packet))
                self.log.append(Seen(time.monotonic(), connection, False, packet))

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            self._hang_up()
            self._changed.notify_all()
        self._listener.shutdown(socket.SHUT_RDWR)  # It wakes the thread that waits in accept().
        self._thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                till, _ = self._listener.accept()
            except OSError:
                return
            with self._changed:
                self._changed.wait_for(lambda: self._is_plugged or self._is_closed)
                if self._is_closed:
                    till.close()
                    return
                self._join(till)

    def _join(self, till: socket.socket) -> None:
        try:
            box = socket.create_connection(("127.0.0.1", self._to_port), SEND_S)
        except OSError:
            till.close()
            return
        for end in (till, box):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            end.settimeout(None)
        self._connections += 1
        self._till = (self._connections, till)
        self._ends |= {till, box}
        threading.Thread(target=self._carry, args=(self._connections, till, box), daemon=True).start()

    def _carry(self, connection: int, till: socket.socket, box: socket.socket) -> None:
        back = threading.Thread(target=self._pump, args=(connection, box, till, False), daemon=True)
        back.start()
        self._pump(connection, till, box, True)
        back.join()
        with self._changed:
            self._ends -= {till, box}
            till.close()
            box.close()

    def _pump(self, connection: int, source: socket.socket, sink: socket.socket, is_said: bool) -> None:
        with suppress(OSError), source.makefile("rb") as stream:
            for packet in _packets(stream):
                with self._changed:
                    if not self._pass(connection, packet, is_said, source, sink):
                        break
        for end in (source, sink):
            _shut(end)

    def _pass(self, connection: int, packet: Packet, is_said: bool, source: socket.socket, sink: socket.socket) -> bool:
        """Carry one packet, or what a fault makes of it. Returns whether the connection goes on."""
        going_on = self.fault(packet, is_said)
        if is_said:
            self.log.append(Seen(time.monotonic(), connection, True, packet))
        if going_on is None:
            return False
        if not is_said and packet.kind == wire.PUBLISH and packet.qos and tuple(going_on) != (packet,):
            # The till will not acknowledge what it does not get as it was sent; the box need not wait for it.
            source.sendall(wire.packet(wire.PUBACK, 0, packet.packet_id.to_bytes(2)))
            going_on = [_without_qos(one) for one in going_on]
        for one in going_on:
            sink.sendall(_bytes(one))
            if not is_said:
                self.log.append(Seen(time.monotonic(), connection, False, one))
        return True

    def _hang_up(self) -> None:
        for end in self._ends:
            _shut(end)


def with_payload(packet: Packet, payload: bytes) -> Packet:
    """Return a PUBLISH with another payload."""
    head = packet.body[: len(packet.body) - len(packet.payload)]
    return Packet(packet.kind, packet.flags, head + payload)


def _without_qos(packet: Packet) -> Packet:
    if packet.kind != wire.PUBLISH or not packet.qos:
        return packet
    return Packet(wire.PUBLISH, int(packet.retain), wire.text(packet.topic) + packet.payload)


def _bytes(packet: Packet) -> bytes:
    return wire.packet(packet.kind, packet.flags, packet.body)


def _packets(stream: BinaryIO) -> Iterator[Packet]:
    while head := stream.read(1):
        length, shift = 0, 0
        while True:
            more = stream.read(1)
            if not more:
                return
            length |= (more[0] & 0x7F) << shift
            shift += 7
            if not more[0] & 0x80:
                break
        body = stream.read(length)
        if len(body) < length:
            return
        yield Packet(head[0] >> 4, head[0] & 0x0F, body)


def _shut(end: socket.socket) -> None:
    with suppress(OSError):  # The other side was faster.
        end.shutdown(socket.SHUT_RDWR)
