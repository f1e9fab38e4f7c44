"""A client that sends any bytes it is told to: MQTT 3.1.1 packets by hand, well formed or not.

paho cannot publish to `$…`, break off within a packet or leave a message unacknowledged; a broker must survive it.
A read waits until a deadline and then raises TimeoutError, so that no test sleeps.
"""

import os
import socket
import ssl
from dataclasses import dataclass
from types import TracebackType
from typing import Self

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK = 1, 2, 3, 4, 8, 9
UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT = 10, 11, 12, 13, 14

DEADLINE_S = 10.0


@dataclass(frozen=True, slots=True)
class Packet:
    kind: int
    flags: int
    body: bytes

    @property
    def qos(self) -> int:
        return self.flags >> 1 & 3

    @property
    def retain(self) -> bool:
        return bool(self.flags & 1)

    @property
    def dup(self) -> bool:
        return bool(self.flags & 8)

    @property
    def packet_id(self) -> int:
        at = 2 + int.from_bytes(self.body[:2]) if self.kind == PUBLISH else 0
        return int.from_bytes(self.body[at : at + 2])

    @property
    def topic(self) -> str:
        return self.body[2 : 2 + int.from_bytes(self.body[:2])].decode()

    @property
    def payload(self) -> bytes:
        return self.body[2 + int.from_bytes(self.body[:2]) + (2 if self.qos else 0) :]


def text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return len(raw).to_bytes(2) + raw


def packet(kind: int, flags: int, body: bytes) -> bytes:
    length, encoded = len(body), bytearray()
    while True:
        length, low = divmod(length, 128)
        encoded.append(low | 0x80 if length else low)
        if not length:
            return bytes([kind << 4 | flags]) + bytes(encoded) + body


def connect(
    *,
    user: str | None = "A1",
    password: str | bytes | None = "secret",
    client_id: str = "till",
    clean: bool = True,
    keep_alive_s: int = 60,
    will: tuple[str, bytes, int, bool] | None = None,
    level: int = 4,
) -> bytes:
    """will: topic, payload, QoS, retain."""
    flags = 0x02 if clean else 0
    payload = text(client_id)
    if will is not None:
        topic, message, qos, retain = will
        flags |= 0x04 | qos << 3 | (0x20 if retain else 0)
        payload += text(topic) + text(message)
    if user is not None:
        flags |= 0x80
        payload += text(user)
    if password is not None:
        flags |= 0x40
        payload += text(password)
    return packet(CONNECT, 0, text("MQTT") + bytes([level, flags]) + keep_alive_s.to_bytes(2) + payload)


def publish(topic: str | bytes, payload: bytes, *, qos: int = 0, packet_id: int = 1, retain: bool = False) -> bytes:
    return packet(PUBLISH, qos << 1 | retain, text(topic) + (packet_id.to_bytes(2) if qos else b"") + payload)


def subscribe(*filters: tuple[str, int], packet_id: int = 1) -> bytes:
    return packet(SUBSCRIBE, 2, packet_id.to_bytes(2) + b"".join(text(name) + bytes([qos]) for name, qos in filters))


def unsubscribe(*filters: str, packet_id: int = 1) -> bytes:
    return packet(UNSUBSCRIBE, 2, packet_id.to_bytes(2) + b"".join(text(name) for name in filters))


PING = packet(PINGREQ, 0, b"")
GOODBYE = packet(DISCONNECT, 0, b"")


class Client:
    """One TCP connection. receive_buffer_bytes: a small one makes a reader that takes little.

    source: the address that it comes from, anything in 127.0.0.0/8. tls: to speak it, and what to trust.
    """

    def __init__(
        self,
        address: tuple[str, int],
        *,
        receive_buffer_bytes: int | None = None,
        source: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._socket = socket.socket()
        if source != "127.0.0.1":
            self._socket.bind((source, 0))
        if receive_buffer_bytes is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self._socket.settimeout(DEADLINE_S)
        try:
            self._socket.connect(address)
            if tls is not None:
                self._socket = tls.wrap_socket(self._socket, server_hostname="localhost")
        except OSError:
            self._socket.close()
            raise
        self._received = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def send(self, *packets: bytes) -> None:
        self._socket.sendall(b"".join(packets))

    def beneath(self) -> socket.socket:
        """Return the connection without its TLS, for whoever breaks it; to be closed beside this one."""
        raw = socket.socket(fileno=os.dup(self._socket.fileno()))
        raw.settimeout(DEADLINE_S)
        return raw

    def send_until_stuck(self, data: bytes, most_bytes: int) -> int:
        """Send the same bytes again and again until the peer stops reading. Returns how many bytes it took."""
        self._socket.settimeout(0.5)
        sent = 0
        try:
            while sent < most_bytes:
                sent += self._socket.send(data[sent % len(data) :])
        except TimeoutError:
            pass
        finally:
            self._socket.settimeout(DEADLINE_S)
        return sent

    def read(self, deadline_s: float = DEADLINE_S) -> Packet | None:
        """Return the next packet, or None when the peer has closed. Raises TimeoutError."""
        self._socket.settimeout(deadline_s)
        head = self._exactly(2)
        while head is not None and head[-1] & 0x80:
            more = self._exactly(1)
            head = None if more is None else head + more
        if head is None:
            return None
        length = sum((byte & 0x7F) << 7 * at for at, byte in enumerate(head[1:]))
        body = self._exactly(length)
        return None if body is None else Packet(head[0] >> 4, head[0] & 0x0F, body)

    def expect(self, kind: int) -> Packet:
        """Return the next packet, which must be of this kind. Raises ConnectionError when the peer has closed."""
        found = self.read()
        if found is None:
            raise ConnectionAbortedError(f"the peer closed, expected a packet of type {kind}")
        assert found.kind == kind, f"{found}, expected a packet of type {kind}"
        return found

    def log_in(self, **options: object) -> Self:
        """Connect as `connect(**options)` says; must be accepted."""
        self.send(connect(**options))  # type: ignore[arg-type]
        assert self.expect(CONNACK).body[1] == 0
        return self

    def subscribe(self, *filters: tuple[str, int]) -> bytes:
        """Subscribe. Returns the codes of the SUBACK."""
        self.send(subscribe(*filters))
        return self.expect(SUBACK).body[2:]

    def until_ping(self) -> list[Packet]:
        """Return every packet that the peer sent before its answer to a PINGREQ. Raises ConnectionError."""
        self.send(PING)
        found: list[Packet] = []
        while (one := self.read()) is not None and one.kind != PINGRESP:
            found.append(one)
        if one is None:
            raise ConnectionAbortedError("the peer closed, expected a PINGRESP")
        return found

    def is_closed(self, deadline_s: float = DEADLINE_S) -> bool:
        """Whether the peer closes before the deadline; what it still sends is dropped."""
        try:
            while self.read(deadline_s) is not None:
                pass
        except TimeoutError:
            return False
        return True

    def answers(self, deadline_s: float = DEADLINE_S) -> bool:
        """Whether the peer still answers a PINGREQ."""
        try:
            self.send(PING)
            while (one := self.read(deadline_s)) is not None and one.kind != PINGRESP:
                pass
        except OSError:  # TimeoutError is one, too.
            return False
        return one is not None

    def _exactly(self, count: int) -> bytes | None:
        try:
            while len(self._received) < count:
                data = self._socket.recv(65536)
                if not data:
                    return None
                self._received += data
        except ConnectionError:
            return None
        found, self._received = self._received[:count], self._received[count:]
        return found
