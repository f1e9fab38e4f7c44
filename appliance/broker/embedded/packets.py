"""Decode the packets that are not PUBLISH, with amqtt's own codec, and refuse what it would have guessed at.

Between `framing` and `login` or `protocol`. amqtt drops a field that runs past the packet, ignores bytes behind the
last field, and turns text that is no UTF-8 into its repr. One check finds all three: amqtt's encoder must give back the
very bytes that its decoder has read.
"""

from typing import Any, TypeVar

from amqtt.adapters import BufferReader
from amqtt.errors import NoDataError
from amqtt.mqtt.connect import ConnectPacket
from amqtt.mqtt.packet import MQTTFixedHeader, MQTTPacket
from amqtt.mqtt.subscribe import SubscribePacket
from amqtt.mqtt.unsubscribe import UnsubscribePacket

from appliance.broker.embedded.framing import Control, Malformed

_Packet = TypeVar("_Packet", bound=MQTTPacket[Any, Any, Any])


async def connect(control: Control) -> ConnectPacket:
    """Return a CONNECT; its client id is made up when the client left it empty. Raises Malformed."""
    packet = await _decoded(ConnectPacket, control)
    payload, header = packet.payload, packet.variable_header
    assert payload is not None
    assert header is not None
    made_up = payload.client_id
    if payload.client_id_is_random:
        payload.client_id = ""
    _check(packet, control)
    payload.client_id = made_up
    promised = (
        (header.will_flag, payload.will_topic),
        (header.will_flag, payload.will_message),
        (header.username_flag, payload.username),
        (header.password_flag, payload.password),
    )
    # Neither does amqtt's encoder write a field that is missing.
    if any(flag and field is None for flag, field in promised):
        raise Malformed("a CONNECT without a field that its flags promise")
    if header.reserved_flag or (header.password_flag and not header.username_flag):
        raise Malformed("a CONNECT with forbidden flags")
    if header.will_qos == 3 or (not header.will_flag and (header.will_qos or header.will_retain_flag)):
        raise Malformed("a CONNECT with forbidden will flags")
    if any("\0" in (text or "") for text in (payload.client_id, payload.will_topic, payload.username)):
        raise Malformed("a CONNECT with U+0000 in it")
    return packet


async def subscribe(control: Control) -> tuple[int, list[tuple[str, int]]]:
    """Return the packet identifier of a SUBSCRIBE, and its filters with the QoS they ask for. Raises Malformed."""
    packet = await _decoded(SubscribePacket, control)
    _check(packet, control)
    assert packet.payload is not None
    topics = packet.payload.topics
    if not topics or any(qos > 2 for _, qos in topics):
        raise Malformed("a SUBSCRIBE without filters or with a QoS above 2")
    return _packet_id(control), topics


async def unsubscribe(control: Control) -> tuple[int, list[str]]:
    """Return the packet identifier of an UNSUBSCRIBE, and its filters. Raises Malformed."""
    packet = await _decoded(UnsubscribePacket, control)
    _check(packet, control)
    assert packet.payload is not None
    if not packet.payload.topics:
        raise Malformed("an UNSUBSCRIBE without filters")
    return _packet_id(control), packet.payload.topics


def acknowledged(control: Control) -> int:
    """Return the packet identifier of a PUBACK. Raises Malformed."""
    return _packet_id(control)


async def _decoded(packet: type[_Packet], control: Control) -> _Packet:
    # amqtt's decoders are coroutines; over a buffer they never suspend.
    flags = packet(None).fixed_header.flags
    header = MQTTFixedHeader(control.kind, flags, len(control.body))
    try:
        return await packet.from_stream(BufferReader(control.body), fixed_header=header)
    except NoDataError as error:
        raise Malformed(f"packet type {control.kind} ends within a field") from error


def _check(packet: MQTTPacket[Any, Any, Any], control: Control) -> None:
    header = MQTTFixedHeader(control.kind, packet.fixed_header.flags, len(control.body))
    if packet.to_bytes() != header.to_bytes() + control.body:
        raise Malformed(f"packet type {control.kind} has a field that is cut short, left over or no UTF-8")


def _packet_id(control: Control) -> int:
    packet_id = int.from_bytes(control.body[:2])
    if packet_id == 0:
        raise Malformed("packet identifier 0")
    return packet_id
