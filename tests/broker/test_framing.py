"""Bytes to packets: the same ones however the network cuts them, and never anything but whole packets."""

import random

import pytest

from appliance.broker.embedded.framing import Control, Framer, Malformed, Publish
from appliance.broker.embedded.limits import Limits
from tests.broker.wire import (
    CONNACK,
    CONNECT,
    GOODBYE,
    PING,
    PINGREQ,
    PUBACK,
    PUBLISH,
    connect,
    packet,
    publish,
    subscribe,
    text,
    unsubscribe,
)

LIMITS = Limits(payload_bytes_max=1000, head_bytes=16)
OP = "stock/v1/shop/device/A1/op"

CONVERSATION = [
    connect(will=("stock/v1/shop/device/A1/state", b"offline", 1, True)),
    subscribe(("stock/v1/shop/balance/+", 1), ("stock/v1/shop/tick", 0)),
    publish(OP, b"", qos=1, packet_id=65535),
    publish(OP, bytes(range(200)), qos=0),
    publish(OP, bytes(1000), qos=1, packet_id=2),
    publish(OP, b"0123456789abcdef" + bytes(5000), qos=1, packet_id=3),
    PING,
    packet(PUBACK, 0, b"\0\7"),
    publish("товар", "Молоко".encode()),
    unsubscribe("stock/v1/shop/tick"),
    GOODBYE,
]


def framed(pieces: list[bytes]) -> list[Publish | Control]:
    framer = Framer(LIMITS)
    framer.skippable_topics = {OP}
    found: list[Publish | Control] = []
    for piece in pieces:
        framer.feed(piece)
        while (one := framer.next()) is not None:
            found.append(one)
    return found


def test_packets_do_not_depend_on_how_the_bytes_arrive() -> None:
    stream = b"".join(CONVERSATION)
    whole = framed([stream])
    assert len(whole) == len(CONVERSATION)
    assert framed([bytes([byte]) for byte in stream]) == whole
    dice = random.Random(2)
    for _ in range(200):
        cuts = sorted(dice.sample(range(len(stream)), dice.randrange(1, 40)))
        assert framed([stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]) == whole


def test_an_oversize_publish_on_the_own_op_topic_is_skipped_by_its_length_and_its_head_kept() -> None:
    found = framed(CONVERSATION)
    assert found[5] == Publish(OP, b"0123456789abcdef", 5016, 1, 3)
    assert found[6] == Control(PINGREQ, b"")


def test_an_oversize_publish_is_not_buffered() -> None:
    framer = Framer(LIMITS)
    framer.skippable_topics = {OP}
    framer.feed(CONVERSATION[0])
    framer.next()
    large = publish(OP, bytes(100_000), qos=1)
    for at in range(0, len(large), 1000):
        framer.feed(large[at : at + 1000])
        one = framer.next()
        assert len(framer._buffer) <= 1000
    assert isinstance(one, Publish)
    assert one.size == 100_000


def test_an_oversize_publish_elsewhere_is_refused_before_it_has_arrived() -> None:
    with pytest.raises(Malformed, match="5000 bytes"):
        framed([CONVERSATION[0], publish("stock/v1/shop/device/A1/state", bytes(5000))[:60]])


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(connect(), id="a second CONNECT"),
        pytest.param(packet(CONNACK, 0, b"\0\0"), id="a packet only a broker sends"),
        pytest.param(b"\x00\x00", id="the reserved type 0"),
        pytest.param(b"\xf0\x00", id="the reserved type 15"),
        pytest.param(packet(PINGREQ, 1, b""), id="a flag that must be 0"),
        pytest.param(packet(PINGREQ, 0, b"x"), id="a PINGREQ with a body"),
        pytest.param(packet(PUBACK, 0, b"x"), id="a PUBACK of one byte"),
        pytest.param(packet(8, 0, b"\0\1" + text("a") + b"\0"), id="a SUBSCRIBE with flags 0"),
        pytest.param(packet(5, 0, b"\0\1"), id="a PUBREC"),
        pytest.param(packet(6, 2, b"\0\1"), id="a PUBREL"),
        pytest.param(publish("a", b"x", qos=2), id="QoS 2"),
        pytest.param(publish("a", b"x", qos=3), id="QoS 3"),
        pytest.param(packet(PUBLISH, 8, text("a")), id="DUP with QoS 0"),
        pytest.param(publish("a", b"x", qos=1, packet_id=0), id="packet identifier 0"),
        pytest.param(publish("", b"x"), id="an empty topic"),
        pytest.param(publish("a/+/b", b"x"), id="a + in a topic"),
        pytest.param(publish("a/#", b"x"), id="a # in a topic"),
        pytest.param(publish("a\0", b"x"), id="U+0000 in a topic"),
        pytest.param(publish(b"\xff", b"x"), id="a topic that is no UTF-8"),
        pytest.param(publish(b"\xed\xa0\x80", b"x"), id="a surrogate in a topic"),
        pytest.param(publish("a" * 513, b"x"), id="a topic of 513 bytes"),
        pytest.param(packet(PUBLISH, 0, b"\0"), id="half a topic length"),
        pytest.param(packet(PUBLISH, 0, b"\0\5ab"), id="a topic that runs past its packet"),
        pytest.param(packet(PUBLISH, 2, text("ab") + b"\0"), id="half a packet identifier"),
        pytest.param(b"\xc0\x80\x80\x80\x80\x01", id="a remaining length of five bytes"),
        pytest.param(packet(8, 2, bytes(20 * 1024 + 1))[:5], id="a large SUBSCRIBE, at its first bytes"),
    ],
)
def test_what_breaks_the_protocol_or_a_limit_is_refused(bad: bytes) -> None:
    with pytest.raises(Malformed):
        framed([connect(), bad])


@pytest.mark.parametrize("first", [PING, publish("a", b"x"), GOODBYE, subscribe(("a", 0))])
def test_the_first_packet_must_be_a_connect(first: bytes) -> None:
    with pytest.raises(Malformed, match="no CONNECT"):
        framed([first[:1]])


def test_rubbish_ends_in_packets_or_a_refusal_and_never_in_another_error() -> None:
    dice = random.Random(3)
    stream = b"".join(CONVERSATION)
    for _ in range(2000):
        broken = bytearray(stream)
        for _ in range(dice.randrange(1, 6)):
            broken[dice.randrange(len(CONVERSATION[0]) if dice.random() < 0.3 else len(stream))] = dice.randrange(256)
        try:
            found = framed([bytes(broken[: dice.randrange(len(broken))])])
        except Malformed:
            continue
        assert isinstance(found[0], Control) if found else True
        assert all(isinstance(one, Publish) or one.kind != CONNECT for one in found[1:])
