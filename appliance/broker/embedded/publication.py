"""One message on its way to many subscribers, encoded once.

Between `shop_broker`, which finds the subscribers, and `outgoing`. With QoS 0 all of them share the same bytes; with
QoS 1 they differ in the two bytes of the packet identifier.
"""

from functools import cached_property

from amqtt.mqtt.publish import PublishPacket

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
        return PublishPacket.build(self.topic, self.payload, None, False, 0, False).to_bytes()

    def at_least_once(self, packet_id: int, *, dup: bool = False) -> bytes:
        """The packet for QoS 1."""
        head, tail = self._around_packet_id
        return b"".join((with_flags(head, dup=dup) if dup else head, packet_id.to_bytes(2), tail))

    @cached_property
    def _around_packet_id(self) -> tuple[bytes, bytes]:
        packet = PublishPacket.build(self.topic, self.payload, 0, False, 1, False).to_bytes()
        at = len(packet) - len(self.payload) - 2
        return packet[:at], packet[at + 2 :]


def with_flags(packet: bytes, *, retain: bool = False, dup: bool = False) -> bytes:
    """Return an encoded PUBLISH with further flags set."""
    return bytes([packet[0] | (_RETAIN if retain else 0) | (_DUP if dup else 0)]) + packet[1:]
