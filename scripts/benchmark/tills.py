"""The load: tills that sell, and a screen that watches, on raw sockets in the benchmark's own process.

They are as cheap as Python can make them, because on two cores they compete with the contender: bytes are formatted and
not encoded, one write carries all that a till may send, one read takes all that came. A real till's care (outbox,
resend) is left out; a fault ends the run instead. The same code loads every contender.
"""

import random
import selectors
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

import orjson

from appliance.contract.topics import Topics
from scripts.benchmark.contenders import Running
from scripts.processes import Failed

SHOP = Topics("shop")
SKUS = [str(4_600_000_000_000 + n) for n in range(1000)]
"""A small shop's shelf, as EANs."""

RECEIVED = 10_000
"""Pieces of each SKU that the tills receive first: more than a run can sell, so that nothing is oversold."""

_STALLED_S = 30.0
"""A contender that says nothing for so long has lost something; only a failing run waits for it."""

_CHUNK = 256 * 1024
_PUBLISH, _PUBLISH_QOS_1, _CONNACK, _SUBACK = 0x30, 0x32, 0x20, 0x90


class Connection:
    """One MQTT 3.1.1 connection, logged in and subscribed to one filter. Everything is bytes."""

    def __init__(self, running: Running, user: str, topic_filter: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", running.port), timeout=_STALLED_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""
        self._early: list[tuple[bytes, bytes]] = []
        self._ask(login(running, user), _CONNACK)
        self._ask(subscription(topic_filter), _SUBACK)

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, packets: bytes) -> None:
        try:
            self._socket.sendall(packets)
        except OSError as error:
            raise Failed(f"the contender took no more: {error}") from None

    def read(self) -> list[tuple[bytes, bytes]]:
        """Wait for bytes, and return the topics and payloads of what came with QoS 0; all else was an acknowledgement.

        Raises Failed when the contender closed the connection or stalled.
        """
        return _messages(self._packets())

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
            self._early += _messages(packets)
            answers = [answer for answered, answer in packets if answered == wanted]
        # A CONNACK ends in its code, a SUBACK in the QoS granted: 0 is what was hoped for.
        if answers[0][-1]:
            raise Failed(f"the contender refused a packet of type {packet[0]:#x} with {answers[0].hex()}")

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


class Till:
    """A till that has its `seq`, and knows by its acks how many of its operations are durable."""

    def __init__(self, running: Running, name: str) -> None:
        self._connection = Connection(running, name, SHOP.device(name, "ack"))
        self._epoch = f"{random.getrandbits(128):032x}"
        self._topic = _text(SHOP.device(name, "op"))
        self._stamp = f'"run":"{running.run}","shop_ms":%d,"seen":0,"at":"2026-11-24T10:00:01+03:00","type":"move"'
        self._began_s = time.monotonic()
        self._tag = ""
        self._sent = bytearray()
        self.seq = 0
        self.durable = 0

    @property
    def in_flight(self) -> int:
        return self.seq - self.durable

    def fileno(self) -> int:
        return self._connection.fileno()

    def move(self, sku: str, pieces: int, reason: str) -> None:
        """Add one operation, as its own message, to what `flush` sends."""
        self.seq += 1
        after = f'"after":"{self._tag}",' if self._tag else ""
        self._tag = f"{random.getrandbits(64):016x}"
        stamp = self._stamp % ((time.monotonic() - self._began_s) * 1000)
        body = (
            self._topic
            + (self.seq % 65535 + 1).to_bytes(2)
            + f'{{"epoch":"{self._epoch}",{after}"seq":{self.seq},"tag":"{self._tag}",{stamp},'
            f'"sku":"{sku}","qty":"{pieces}","reason":"{reason}"}}'.encode()
        )
        self._sent += bytes([_PUBLISH_QOS_1]) + _length(len(body)) + body

    def flush(self) -> None:
        self._connection.send(bytes(self._sent))
        self._sent.clear()

    def read(self) -> None:
        """Take the acks that came. They are cumulative, so only the last is looked into."""
        messages = self._connection.read()
        if not messages:
            return
        ack = orjson.loads(messages[-1][1])
        if ack["epoch"] != self._epoch or ack.get("gap") or ack.get("refused") or ack.get("rejected_total"):
            raise Failed(f"a till heard a bad ack: {ack}")
        self.durable = ack["seq"]

    def close(self) -> None:
        self._connection.close()


class Screen:
    """Another till's screen: it hears every balance, checks it, and says when it came."""

    def __init__(self, running: Running) -> None:
        self._connection = Connection(running, "screen", SHOP.balance("") + "+")
        self.on_hand: dict[str, str] = {}
        self._show(self._connection.take_early())

    def fileno(self) -> int:
        return self._connection.fileno()

    def read(self) -> list[str]:
        """Take the balances that came, and return their SKUs."""
        return self._show(self._connection.read())

    def close(self) -> None:
        self._connection.close()

    def _show(self, messages: list[tuple[bytes, bytes]]) -> list[str]:
        balances = [orjson.loads(payload) for _, payload in messages]
        self.on_hand.update((balance["sku"], balance["on_hand"]) for balance in balances)
        return [balance["sku"] for balance in balances]


class Tills:
    """The shop's tills, selling one piece of each SKU in turn; what they sold is kept for the check afterwards."""

    def __init__(self, running: Running, count: int) -> None:
        self.all = [Till(running, f"till-{n}") for n in range(count)]
        self.sold: Counter[str] = Counter()
        self._next = 0
        self._selector = selectors.SelectSelector()  # epoll would round a wait up to whole milliseconds.
        for till in self.all:
            self._selector.register(till, selectors.EVENT_READ, till.read)

    @property
    def durable(self) -> int:
        return sum(till.durable for till in self.all)

    def hear(self, screen: Screen, heard: Callable[[], object]) -> None:
        """Have `heard` called, too, when something came for the screen."""
        self._selector.register(screen, selectors.EVENT_READ, heard)

    def receive(self, in_flight: int) -> None:
        """Put every SKU on the shelf, and wait until that is durable."""
        waiting = iter(SKUS)

        def one_more(till: Till) -> bool:
            if (sku := next(waiting, None)) is None:
                return False
            till.move(sku, RECEIVED, "receive")
            return True

        self._fill(self.all, one_more, in_flight)
        while self._is_anything_in_flight():
            self._fill(self._wait(), one_more, in_flight)

    def sell_for(self, seconds: float, in_flight: int) -> None:
        """Sell as fast as the acks allow, with so many operations of each till in flight."""

        def one_more(till: Till) -> bool:
            self.sell(till)
            return True

        ends_s = time.perf_counter() + seconds
        self._fill(self.all, one_more, in_flight)
        while time.perf_counter() < ends_s:
            self._fill(self._wait(), one_more, in_flight)

    def sell(self, till: Till) -> str:
        """Have a till sell a piece of the next SKU, which is returned; `flush` sends it."""
        sku = SKUS[self._next % len(SKUS)]
        self._next += 1
        self.sold[sku] += 1
        till.move(sku, -1, "sale")
        return sku

    def listen_until(self, until_s: float) -> None:
        """Take what comes until an instant of `time.perf_counter()`."""
        while (left_s := until_s - time.perf_counter()) > 0:
            self._ready(left_s)

    def listen_while(self, condition: Callable[[], bool]) -> None:
        """Take what comes for as long as a condition holds. Raises Failed when nothing comes any more."""
        while condition():
            self._wait()

    def drain(self) -> None:
        """Wait until everything sent is durable."""
        self.listen_while(self._is_anything_in_flight)

    def close(self) -> None:
        self._selector.close()
        for till in self.all:
            till.close()

    def _is_anything_in_flight(self) -> bool:
        return any(till.in_flight for till in self.all)

    def _wait(self) -> list[Till]:
        """Take what came, and return the tills among those who heard something. Raises Failed when nothing came."""
        if not (ready := self._ready(_STALLED_S)):
            raise Failed(f"the contender said nothing for {_STALLED_S:.0f} s")
        return [listener for listener in ready if isinstance(listener, Till)]

    def _ready(self, timeout_s: float) -> list[object]:
        ready = self._selector.select(timeout_s)
        for key, _ in ready:
            key.data()
        return [key.fileobj for key, _ in ready]

    def _fill(self, tills: Sequence[Till], one_more: Callable[[Till], bool], in_flight: int) -> None:
        for till in tills:
            while till.in_flight < in_flight and one_more(till):
                pass
            till.flush()


def login(running: Running, user: str) -> bytes:
    """The CONNECT of a user, under a client id of the same name."""
    body = _text("MQTT") + b"\x04\xc2\x00\x3c" + _text(user) + _text(user) + _text(running.password)
    return b"\x10" + _length(len(body)) + body


def subscription(topic_filter: str) -> bytes:
    """A SUBSCRIBE with QoS 0."""
    body = b"\x00\x01" + _text(topic_filter) + b"\x00"
    return b"\x82" + _length(len(body)) + body


def _messages(packets: Iterable[tuple[int, bytes]]) -> list[tuple[bytes, bytes]]:
    """The topics and payloads of the QoS 0 publishes among packets."""
    found = []
    for kind, body in packets:
        if kind & 0xF0 == _PUBLISH:
            at = 2 + int.from_bytes(body[:2])
            found.append((body[2:at], body[at:]))
    return found


def _text(value: str) -> bytes:
    encoded = value.encode()
    return len(encoded).to_bytes(2) + encoded


def _length(length: int) -> bytes:
    """A packet's remaining length; none here is longer than 16 KiB."""
    return bytes([length]) if length < 128 else bytes([length & 127 | 128, length >> 7])
