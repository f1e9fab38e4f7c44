"""A till and a screen of the wire contract, on raw sockets: the load of every contender that is an MQTT broker."""

import random
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from appliance.contract.topics import Topics
from scripts.benchmark.load import tills
from scripts.benchmark.load.tills import AT, STALLED_S
from scripts.processes import Failed

SHOP = Topics("shop")

_CHUNK = 256 * 1024
_PUBLISH, _PUBLISH_QOS_1, _PUBACK, _CONNACK, _SUBACK = 0x30, 0x32, 0x40, 0x20, 0x90


@dataclass(frozen=True, slots=True)
class Broker:
    """Where an MQTT broker listens on 127.0.0.1. run: what tills stamp their operations with. tokens: of the devices
    that do not log in with the password.
    """

    port: int
    password: str
    run: str
    tokens: Mapping[str, str] = field(default_factory=dict)


class Connection:
    """One MQTT 3.1.1 connection, logged in and subscribed to its filters, if any. Everything is bytes."""

    def __init__(self, broker: Broker, user: str, *topic_filters: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", broker.port), timeout=STALLED_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""
        self._early: list[tuple[bytes, bytes]] = []
        self.pubacks = 0
        self._ask(login(broker, user), _CONNACK)
        for topic_filter in topic_filters:
            self._ask(subscription(topic_filter), _SUBACK)

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, packets: bytes) -> None:
        try:
            self._socket.sendall(packets)
        except OSError as error:
            raise Failed(f"the contender took no more: {error}") from None

    def read(self) -> list[tuple[bytes, bytes]]:
        """Wait for bytes, and return the topics and payloads of what came with QoS 0; PUBACKs are counted.

        Raises Failed when the contender closed the connection or stalled.
        """
        return self._messages(self._packets())

    def take_early(self) -> list[tuple[bytes, bytes]]:
        """Return what came together with the SUBACK, without waiting: retained messages, which no read may lose."""
        early, self._early = self._early, []
        return early

    def close(self) -> None:
        self._socket.close()

    def _ask(self, packet: bytes, wanted: int) -> None:
        self.send(packet)
        answers: list[bytes] = []
        while not answers:
            packets = list(self._packets())
            self._early += self._messages(packets)
            answers = [answer for answered, answer in packets if answered == wanted]
        # A CONNACK ends in its code, a SUBACK in the QoS granted: 0 is what was hoped for.
        if answers[0][-1]:
            raise Failed(f"the contender refused a packet of type {packet[0]:#x} with {answers[0].hex()}")

    def _messages(self, packets: Iterable[tuple[int, bytes]]) -> list[tuple[bytes, bytes]]:
        found = []
        for kind, body in packets:
            if kind & 0xF0 == _PUBLISH:
                at = 2 + int.from_bytes(body[:2])
                found.append((body[2:at], body[at:]))
            elif kind == _PUBACK:
                self.pubacks += 1
        return found

    def _packets(self) -> Iterator[tuple[int, bytes]]:
        try:
            chunk = self._socket.recv(_CHUNK)
        except OSError as error:
            raise Failed(f"the contender said no more: {error}") from None
        if not chunk:
            raise Failed("the contender closed a connection")
        data = self._received + chunk
        start, size = 0, len(data)
        while size - start >= 2:
            length, at, shift = data[start + 1], start + 2, 7
            if length > 127:
                length &= 127
                while at < size:
                    length |= (data[at] & 127) << shift
                    shift, at = shift + 7, at + 1
                    if data[at - 1] < 128:
                        break
                else:
                    break
            if at + length > size:
                break
            yield data[start], data[at : at + length]
            start = at + length
        self._received = data[start:]


class Till(tills.Till):
    """A till of the wire contract: durable is what its acks cover."""

    def __init__(self, broker: Broker, name: str) -> None:
        super().__init__()
        self._connection = Connection(broker, name, *self._hears(name))
        self._epoch = f"{random.getrandbits(128):032x}"
        self._topic = _text(SHOP.device(name, "op"))
        self._stamp = f'"run":"{broker.run}","shop_ms":%d,"seen":0,"at":"{AT}"'
        self._began_s = time.monotonic()
        self._tag = ""
        self._packet_id = 0

    def fileno(self) -> int:
        return self._connection.fileno()

    def read(self) -> None:
        messages = self._connection.read()
        if not messages:
            return
        # Acks are cumulative, so only the last is looked into.
        ack = orjson.loads(messages[-1][1])
        if ack["epoch"] != self._epoch or ack.get("gap") or ack.get("refused") or ack.get("rejected_total"):
            raise Failed(f"a till heard a bad ack: {ack}")
        self.durable = ack["seq"]

    def close(self) -> None:
        self._connection.close()

    def send_bodies(self, bodies: Sequence[str], per_message: int = 1) -> None:
        """Send operations of any type, each `"type":…` and its own fields as JSON without the braces."""
        self.seq += len(bodies)
        first = self.seq - len(bodies) + 1
        self._publish(first, [bodies[at : at + per_message] for at in range(0, len(bodies), per_message)])

    def _hears(self, name: str) -> tuple[str, ...]:
        return (SHOP.device(name, "ack"),)

    def _send(self, first: int, messages: list[list[tuple[str, int, str]]]) -> None:
        self._publish(
            first,
            [
                [f'"type":"move","sku":"{sku}","qty":"{pieces}","reason":"{reason}"' for sku, pieces, reason in message]
                for message in messages
            ],
        )

    def _publish(self, seq: int, messages: Sequence[Sequence[str]]) -> None:
        stamp = self._stamp % ((time.monotonic() - self._began_s) * 1000)
        packets = bytearray()
        for message in messages:
            head = f'{{"epoch":"{self._epoch}",' + (f'"after":"{self._tag}",' if self._tag else "")
            operations = []
            for body in message:
                self._tag = f"{random.getrandbits(64):016x}"
                operations.append(f'"seq":{seq},"tag":"{self._tag}",{stamp},{body}')
                seq += 1
            payload = f"{operations[0]}}}" if len(operations) == 1 else f'"ops":[{{{"},{".join(operations)}}}]}}'
            self._packet_id = self._packet_id % 65535 + 1
            packet = self._topic + self._packet_id.to_bytes(2) + (head + payload).encode()
            packets += bytes([_PUBLISH_QOS_1]) + _length(len(packet)) + packet
        self._connection.send(bytes(packets))


class UnackedTill(Till):
    """A till whose broker has no coordinator behind it: `durable` is what the broker has taken, which is on no disk."""

    def __init__(self, broker: Broker, name: str) -> None:
        super().__init__(broker, name)
        self._through = [0]
        """The last `seq` of each message so far: PUBACKs come in the order of the messages."""

    def read(self) -> None:
        self._connection.read()
        self.durable = self._through[self._connection.pubacks]

    def _hears(self, name: str) -> tuple[str, ...]:
        return ()

    def _publish(self, seq: int, messages: Sequence[Sequence[str]]) -> None:
        for message in messages:
            seq += len(message)
            self._through.append(seq - 1)
        super()._publish(self._through[-1] - sum(map(len, messages)) + 1, messages)


class Screen:
    """A till's screen, which hears every balance, or with another filter the operations themselves."""

    def __init__(self, broker: Broker, name: str, topic_filter: str = SHOP.balance("") + "+") -> None:
        self._connection = Connection(broker, name, topic_filter)
        self.shows_balances = topic_filter.startswith(SHOP.balance(""))
        self.on_hand: dict[str, str] = {}
        self._show(self._connection.take_early())

    def fileno(self) -> int:
        return self._connection.fileno()

    def read(self) -> list[str]:
        """Take what came, and return the SKUs that it is about."""
        return self._show(self._connection.read())

    def close(self) -> None:
        self._connection.close()

    def _show(self, messages: list[tuple[bytes, bytes]]) -> list[str]:
        told = [orjson.loads(payload) for _, payload in messages]
        self.on_hand.update((said["sku"], said["on_hand"]) for said in told if "on_hand" in said)
        return [said["sku"] for said in told]


def login(broker: Broker, user: str) -> bytes:
    """The CONNECT of a user, under a client id of the same name."""
    body = _text("MQTT") + b"\x04\xc2\x00\x3c" + _text(user) + _text(user)
    body += _text(broker.tokens.get(user, broker.password))
    return b"\x10" + _length(len(body)) + body


def subscription(topic_filter: str) -> bytes:
    """A SUBSCRIBE with QoS 0."""
    body = b"\x00\x01" + _text(topic_filter) + b"\x00"
    return b"\x82" + _length(len(body)) + body


def publication(topic: str, payload: bytes, *, retain: bool = False) -> bytes:
    """A PUBLISH with QoS 0."""
    body = _text(topic) + payload
    return bytes([_PUBLISH | retain]) + _length(len(body)) + body


def _text(value: str) -> bytes:
    encoded = value.encode()
    return len(encoded).to_bytes(2) + encoded


def _length(length: int) -> bytes:
    """A packet's remaining length."""
    encoded = bytearray()
    while length > 127:
        encoded.append(length & 127 | 128)
        length >>= 7
    encoded.append(length)
    return bytes(encoded)
