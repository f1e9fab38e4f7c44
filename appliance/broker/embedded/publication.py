"""One message on its way to many subscribers, encoded once.

Between `shop_broker`, which finds the subscribers, and `outgoing`. With QoS 0 all of them share the same bytes; with
QoS 1 they differ in the two bytes of the packet identifier.
"""

from functools import cached_property

_PUBLISH, _QOS_1 = 0x30, 0x02
_RETAIN, _DUP = 0x01, 0x08


class Publication:
    """qos: what it was published with; a subscriber gets the lower of this and its own."""

    def __init__(self, topic: str, payload: bytes, qos: int) -> None:
        self.topic = topic
        self.payload = payload
        self.qos = qos

    @cached_property
    def at_most_once(self) -> bytes:
        """The packet for QoS 0."""
        return self._head(_PUBLISH, len(self.payload)) + self.payload

    def at_least_once(self, packet_id: int, *, dup: bool = False) -> bytes:
        """The packet for QoS 1."""
        packet = b"".join((self._head_of_qos_1, packet_id.to_bytes(2), self.payload))
        return with_flags(packet, dup=dup) if dup else packet

    @cached_property
    def _head_of_qos_1(self) -> bytes:
        return self._head(_PUBLISH | _QOS_1, 2 + len(self.payload))

    def _head(self, first: int, behind: int) -> bytes:
        """Everything through the topic; behind: how many bytes follow it.

        By hand, for there are two or three for every operation: amqtt's encoder took 6 µs for each, which
        was a seventh of what the event loop did, and this takes 2.
        """
        topic = self.topic.encode()
        head = bytearray((first,))
        length = 2 + len(topic) + behind
        while length > 0x7F:
            head.append(length & 0x7F | 0x80)
            length >>= 7
        head.append(length)
        head += len(topic).to_bytes(2)
        head += topic
        return bytes(head)


def with_flags(packet: bytes, *, retain: bool = False, dup: bool = False) -> bytes:
    """Return an encoded PUBLISH with further flags set."""
    return bytes([packet[0] | (_RETAIN if retain else 0) | (_DUP if dup else 0)]) + packet[1:]
