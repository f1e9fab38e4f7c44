"""Cut the bytes of one connection into whole packets, before anything looks inside them.

First in the data's path, and without I/O: `feed` takes bytes, `next` gives packets. Its invariant: nothing is handed on
that is not one whole packet of an allowed kind and size, so that no field can run past its packet (in stock amqtt the
payload of a refused publish was read as the next packet). PUBLISH is taken apart here, because its topic decides
whether an oversize one is skipped; the other packets are few, and amqtt decodes them (`packets`).
"""

from collections.abc import Container
from dataclasses import dataclass

from amqtt.mqtt.packet import CONNECT, DISCONNECT, PINGREQ, PUBACK, PUBLISH, SUBSCRIBE, UNSUBSCRIBE

from appliance.broker.embedded.limits import Limits

# The flags that MQTT 3.1.1 prescribes for each packet a client may send (table 2.2). PUBREC, PUBREL and PUBCOMP are
# missing: QoS 2 is refused, and so they can never be an answer to anything.
_FLAGS = {CONNECT: 0, PUBACK: 0, SUBSCRIBE: 2, UNSUBSCRIBE: 2, PINGREQ: 0, DISCONNECT: 0}
_LENGTHS = {PUBACK: 2, PINGREQ: 0, DISCONNECT: 0}


class Malformed(Exception):
    """The peer broke the protocol or a limit; there is no way back into step, so its connection is closed."""


@dataclass(frozen=True, slots=True)
class Publish:
    """One PUBLISH. size: the payload's full length in bytes; larger than len(payload) when only its head was kept."""

    topic: str
    payload: bytes
    size: int
    qos: int
    packet_id: int | None


@dataclass(frozen=True, slots=True)
class Control:
    """Any other packet: its kind, and what follows its fixed header."""

    kind: int
    body: bytes


class Framer:
    """Frames what one client sends."""

    def __init__(self, limits: Limits) -> None:
        self.skippable_topics: Container[str] = ()
        """The topics on which an oversize payload is skipped and its head kept; known after the log-in."""
        self._limits = limits
        self._buffer = bytearray()
        self._start = 0  # Where the next packet begins; what lies before it is dropped when no packet is whole.
        self._greeted = False
        self._skipping: tuple[Publish, int] | None = None  # A publish whose head was kept, and its bytes still to come.

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next(self) -> Publish | Control | None:
        """Return the next whole packet, or None when more bytes are needed. Raises Malformed."""
        packet = self._skip() if self._skipping is not None else self._frame()
        if packet is None:
            del self._buffer[: self._start]
            self._start = 0
        return packet

    def _frame(self) -> Publish | Control | None:
        buffer, at = self._buffer, self._start
        if len(buffer) == at:
            return None
        kind, flags = buffer[at] >> 4, buffer[at] & 0x0F
        if self._greeted == (kind == CONNECT):
            raise Malformed("a second CONNECT" if self._greeted else "the first packet is no CONNECT")
        if kind != PUBLISH and _FLAGS.get(kind) != flags:
            raise Malformed(f"packet type {kind} with flags {flags}")
        length = 0
        for shift in (0, 7, 14, 21):
            at += 1
            if at == len(buffer):
                return None
            length |= (buffer[at] & 0x7F) << shift
            if buffer[at] < 0x80:
                break
        else:
            raise Malformed("a remaining length of more than 4 bytes")
        at += 1
        if kind == PUBLISH:
            return self._publish(flags, at, at + length)
        if length > self._limits.control_bytes_max or _LENGTHS.get(kind, length) != length:
            raise Malformed(f"packet type {kind} with {length} bytes")
        if len(buffer) < at + length:
            return None
        self._greeted = True
        self._start = at + length
        return Control(kind, bytes(buffer[at : at + length]))

    def _publish(self, flags: int, at: int, end: int) -> Publish | None:
        """at: where the topic's length begins. end: where the packet ends."""
        buffer = self._buffer
        qos = flags >> 1 & 3
        if qos > 1:
            raise Malformed("QoS 2 is not served" if qos == 2 else "QoS 3")
        if qos == 0 and flags & 8:
            raise Malformed("DUP with QoS 0")
        if end < at + 2:
            raise Malformed("a PUBLISH without a topic")
        if len(buffer) < at + 2:
            return None
        topic_at = at + 2
        topic_end = topic_at + int.from_bytes(buffer[at:topic_at])
        payload_at = topic_end + 2 * qos
        size = end - payload_at
        if size < 0 or topic_end - topic_at > self._limits.topic_bytes_max:
            raise Malformed(f"a topic of {topic_end - topic_at} bytes in a packet of {end - at}")
        kept = size if size <= self._limits.payload_bytes_max else self._limits.head_bytes
        if len(buffer) < payload_at + kept:
            # An oversize packet on any other topic is refused when its topic is known.
            if kept < size and len(buffer) >= payload_at:
                self._check_skippable(self._topic(topic_at, topic_end), size)
            return None
        topic = self._topic(topic_at, topic_end)
        packet_id = int.from_bytes(buffer[topic_end:payload_at]) if qos else None
        if packet_id == 0:
            raise Malformed("packet identifier 0")
        with memoryview(buffer) as view:  # One copy, not two.
            publish = Publish(topic, bytes(view[payload_at : payload_at + kept]), size, qos, packet_id)
        self._start = payload_at + kept
        if kept == size:
            return publish
        self._check_skippable(topic, size)
        self._skipping = (publish, size - kept)
        return self._skip()

    def _topic(self, start: int, end: int) -> str:
        try:
            topic = self._buffer[start:end].decode()
        except UnicodeDecodeError as error:
            raise Malformed("a topic that is no UTF-8") from error
        if not topic or any(sign in topic for sign in "+#\0"):
            raise Malformed("a topic that is empty or has a wildcard or U+0000 in it")
        return topic

    def _check_skippable(self, topic: str, size: int) -> None:
        if topic not in self.skippable_topics:
            raise Malformed(f"a payload of {size} bytes")

    def _skip(self) -> Publish | None:
        assert self._skipping is not None
        publish, left = self._skipping
        skipped = min(left, len(self._buffer) - self._start)
        self._start += skipped
        self._skipping = (publish, left - skipped) if left > skipped else None
        # It is handed on when its last byte is here: a PUBACK in the middle of a packet would confuse its sender.
        return publish if self._skipping is None else None
