"""MQTT inside a WebSocket: the same broker, the same guard, and whatever is done to the frames harms nobody else."""

import asyncio
import gc
import random
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

import pytest
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import State
from websockets.typing import Subprotocol

from appliance.access.certificate import Certificate
from appliance.broker.embedded import Limits
from appliance.broker.embedded.websocket import WebSocket
from appliance.contract.limits import PAYLOAD_MAX
from tests.broker import wire
from tests.broker.running import ROOT, Ours
from tests.broker.websocket import Frames, WebSocketClient
from tests.waiting import DEADLINE_S, wait_until


@pytest.fixture
def broker(certificate: Certificate) -> Iterator[Ours]:
    with closing(Ours(tls=certificate.context, is_websocket=True)) as broker:
        yield broker


def test_a_device_logs_in_sells_and_reads(broker: Ours, client: ssl.SSLContext) -> None:
    large = bytes(200_000)
    with WebSocketClient(broker.address, client).log_in() as device:
        assert device.frames.protocol.subprotocol == "mqtt"
        device.send(wire.publish(f"{ROOT}device/A1/op", large, qos=1))
        device.expect(wire.PUBACK)
        assert device.subscribe((f"{ROOT}balance/+", 0)) == b"\0"
        broker.publish("balance/A", large)
        assert device.expect(wire.PUBLISH).payload == large
    [delivery] = broker.shop.wait_for(1)
    assert delivery.payload == large


def test_packets_may_be_cut_anywhere_among_frames(broker: Ours, client: ssl.SSLContext) -> None:
    said = wire.connect() + wire.publish(f"{ROOT}device/A1/op", b"sale", qos=1) + wire.PING
    with WebSocketClient(broker.address, client) as device:
        for byte in said:
            device.send(bytes([byte]))
        assert answers(device) == {wire.CONNACK, wire.PUBACK, wire.PINGRESP}
    with WebSocketClient(broker.address, client) as device:
        protocol = device.frames.protocol
        protocol.send_binary(said[:3], fin=False)
        protocol.send_continuation(said[3:-1], fin=False)
        protocol.send_ping(b"in between")
        protocol.send_continuation(said[-1:], fin=True)
        device.frames.flush()
        assert answers(device) == {wire.CONNACK, wire.PUBACK, wire.PINGRESP}
    assert [delivery.payload for delivery in broker.shop.wait_for(2)] == [b"sale", b"sale"]


def answers(device: wire.Client) -> set[int]:
    found = [device.read() for _ in range(3)]
    return {packet.kind for packet in found if packet is not None}


def test_who_does_not_offer_mqtt_is_refused_by_http(
    broker: Ours, client: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    for subprotocols in ((), (Subprotocol("chat"),)):
        with WebSocketClient(broker.address, client, subprotocols=subprotocols) as other:
            assert other.frames.status == 400
            assert other.is_closed()
    assert "missing subprotocol" in caplog.text


def test_a_browser_that_is_sent_there_is_told_so(broker: Ours, client: ssl.SSLContext) -> None:
    with wire.Client(broker.address, tls=client) as browser:
        browser.send(b"GET / HTTP/1.1\r\nHost: stock.local\r\n\r\n")
        answer = b""
        while data := browser._socket.recv(4096):
            answer += data
    assert answer.startswith(b"HTTP/1.1 426")


def test_what_is_no_request_is_closed(broker: Ours, client: ssl.SSLContext) -> None:
    chance = random.Random(20261124)
    with WebSocketClient(broker.address, client).log_in() as device:
        for said in (wire.connect(user="A2"), *(chance.randbytes(600) for _ in range(20))):
            with wire.Client(broker.address, tls=client) as other:
                with suppress(ConnectionError):  # It is closed in the middle of what it says.
                    other.send(said, b"\r\n\r\n")
                assert other.is_closed()
        assert device.answers()


_REQUEST = (
    b"GET / HTTP/1.1\r\nHost: stock.local\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: 0123456789abcdef012345==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
)


@pytest.mark.parametrize(
    "said",
    [
        *(_REQUEST.replace(word, word + b"\xff") for word in (b"websocket\r", b": Upgrade", b"Version: 13", b": mqtt")),
        _REQUEST.replace(b": 13", b": 12") + b"no frame",
        _REQUEST + b"no frame",
        _REQUEST + _REQUEST,
    ],
)
def test_a_request_that_is_out_of_order_harms_nobody(broker: Ours, client: ssl.SSLContext, said: bytes) -> None:
    with WebSocketClient(broker.address, client).log_in() as device, wire.Client(broker.address, tls=client) as other:
        other.send(said)
        with suppress(ConnectionError):
            while other._socket.recv(4096):
                pass
        assert device.answers()


def test_one_that_goes_when_its_time_is_over_is_no_fault_of_ours() -> None:
    """Its handshake has ended in the very turn of the event loop in which nobody waited for it any more."""
    faults: list[dict[str, Any]] = []

    async def go() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
        reader = asyncio.StreamReader()
        WebSocket(reader, asyncio.StreamReaderProtocol(reader), Limits()).connection_lost(None)
        gc.collect()

    asyncio.run(go())
    assert faults == []


def test_a_request_that_grows_on_is_not_held(certificate: Certificate, client: ssl.SSLContext) -> None:
    with (
        closing(Ours(tls=certificate.context, is_websocket=True, connect_s=60)) as broker,
        wire.Client(broker.address, tls=client) as endless,
    ):
        with suppress(ConnectionError):
            endless.send(b"GET / HTTP/1.1\r\n", b"X: %s\r\n" % (b"y" * 8000) * 100)
        assert endless.is_closed()


def test_a_peer_that_asks_for_nothing_is_closed_in_time(certificate: Certificate, client: ssl.SSLContext) -> None:
    with (
        closing(Ours(tls=certificate.context, is_websocket=True, connect_s=0.2)) as broker,
        wire.Client(broker.address, tls=client) as silent,
        WebSocketClient(broker.address, client) as opened,
    ):
        assert silent.is_closed()
        assert opened.is_closed()


def head_of(size: int) -> bytes:
    """Return the head of a frame of so many bytes, which never come: who waits for them would hold them all."""
    return Frame(Opcode.BINARY, bytes(size)).serialize(mask=True)[:-size]


def text(frames: Frames) -> None:
    frames.protocol.send_text(b"MQTT?")


def unmasked(frames: Frames) -> None:
    frames.protocol.writes.append(Frame(Opcode.BINARY, wire.PING).serialize(mask=False))


def too_large(frames: Frames) -> None:
    frames.protocol.writes.append(head_of(2 * PAYLOAD_MAX + 1))


def goodbye(frames: Frames) -> None:
    frames.protocol.send_close(CloseCode.GOING_AWAY)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (text, "MQTT is binary"),
        (unmasked, "masking"),
        (too_large, "exceeds limit of 524288"),
        (goodbye, "the peer went away"),
    ],
)
def test_what_breaks_the_frames_ends_that_connection_alone_and_is_said(
    broker: Ours,
    client: ssl.SSLContext,
    sent: Callable[[Frames], None],
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "appliance")
    with (
        WebSocketClient(broker.address, client).log_in(user="A1") as device,
        WebSocketClient(broker.address, client).log_in(user="A2") as other,
    ):
        sent(other.frames)
        other.frames.flush()
        assert other.is_closed()
        assert device.answers()
    wait_until(lambda: not broker.broker._broker._connections)
    assert reason in caplog.text


@pytest.mark.parametrize(
    ("sent", "reason"), [(text, "MQTT is binary"), (unmasked, "masking"), (too_large, "exceeds limit of 20480")]
)
def test_a_stranger_that_breaks_the_frames_is_one_line_however_often_it_comes(
    certificate: Certificate,
    client: ssl.SSLContext,
    sent: Callable[[Frames], None],
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with closing(Ours(tls=certificate.context, is_websocket=True)) as broker:
        for _ in range(3):
            with WebSocketClient(broker.address, client) as stranger:
                sent(stranger.frames)
                stranger.frames.flush()
                assert stranger.is_closed()
        wait_until(lambda: broker.broker.traffic().refused["malformed"] == 3)
    [said] = [line for line in caplog.messages if "connection-refused" in line]
    assert reason in said


def test_before_its_log_in_a_peer_makes_us_hold_little(certificate: Certificate, client: ssl.SSLContext) -> None:
    with (
        closing(Ours(tls=certificate.context, is_websocket=True, connect_s=60)) as broker,
        WebSocketClient(broker.address, client) as stranger,
    ):
        stranger.frames.protocol.writes.append(head_of(Limits().control_bytes_max + 1))
        stranger.frames.flush()
        assert stranger.is_closed()
        assert stranger.frames.protocol.close_rcvd is not None
        assert stranger.frames.protocol.close_rcvd.code == CloseCode.MESSAGE_TOO_BIG


def test_an_operation_that_is_too_large_is_skipped_and_its_head_noted(broker: Ours, client: ssl.SSLContext) -> None:
    with WebSocketClient(broker.address, client).log_in() as device:
        device.send(wire.publish(f"{ROOT}device/A1/op", bytes(PAYLOAD_MAX + 1), qos=1))
        device.expect(wire.PUBACK)
        assert device.answers()
    [delivery] = broker.shop.wait_for(1)
    assert delivery.size == PAYLOAD_MAX + 1


def test_who_pings_and_takes_no_answer_is_cut_off(certificate: Certificate, client: ssl.SSLContext) -> None:
    with (
        closing(Ours(tls=certificate.context, is_websocket=True, connect_s=60)) as broker,
        WebSocketClient(broker.address, client).log_in() as device,
        WebSocketClient(broker.address, client) as stranger,
    ):
        for _ in range(40_000):
            stranger.frames.protocol.send_ping(bytes(125))
        flood = b"".join(stranger.frames.protocol.data_to_send())
        with pytest.raises((ConnectionError, ssl.SSLEOFError)):  # which of them is a matter of time, and of Python
            stranger.frames.beneath.sendall(flood * 20)
        assert device.answers()


@pytest.mark.parametrize("opcode", [Opcode.PING, Opcode.PONG, Opcode.BINARY])
def test_a_stranger_does_not_fill_its_time_with_frames_that_say_nothing(
    certificate: Certificate, client: ssl.SSLContext, opcode: Opcode
) -> None:
    with (
        closing(Ours(tls=certificate.context, is_websocket=True, connect_s=60)) as broker,
        WebSocketClient(broker.address, client) as stranger,
    ):
        idle = Frame(opcode, b"").serialize(mask=True)
        stranger.frames.protocol.writes.extend([idle] * (Limits().idle_frames_max + 1))
        stranger.frames.flush()
        assert stranger.is_closed()
        assert stranger.frames.protocol.close_rcvd is not None
        assert stranger.frames.protocol.close_rcvd.code == CloseCode.POLICY_VIOLATION


def test_a_device_that_sends_thousands_of_frames_is_heard_in_many_turns_of_the_event_loop() -> None:
    """And what was said before a goodbye is heard before it."""
    heard_in: list[int] = []
    turns = 0

    class Inside(asyncio.StreamReaderProtocol):
        heard_bytes = 0

        def data_received(self, data: bytes) -> None:
            heard_in.append(turns)
            self.heard_bytes += len(data)

        def connection_lost(self, exc: Exception | None) -> None:
            lost.set_result(self.heard_bytes)

    def count() -> None:
        nonlocal turns
        turns += 1
        if not lost.done():
            asyncio.get_running_loop().call_soon(count)

    lost: asyncio.Future[int]

    async def go() -> int:
        nonlocal lost
        lost = asyncio.get_running_loop().create_future()
        count()
        reader = asyncio.StreamReader()
        websocket = WebSocket(reader, Inside(reader), Limits(turn_s=0.0))
        websocket.data_received(_REQUEST)
        websocket.data_received(Frame(Opcode.BINARY, b"x").serialize(mask=True) * 10_000)
        websocket.connection_lost(None)
        return await asyncio.wait_for(lost, DEADLINE_S)

    assert asyncio.run(go()) == 10_000
    assert len(set(heard_in)) > 50


def test_what_comes_behind_a_refusal_is_not_read_and_is_no_fault_of_ours(
    certificate: Certificate, client: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        closing(Ours(tls=certificate.context, is_websocket=True, turn_s=0.0)) as broker,
        WebSocketClient(broker.address, client).log_in() as device,
        WebSocketClient(broker.address, client) as stranger,
    ):
        stranger.frames.protocol.writes.extend([Frame(Opcode.PING, b"").serialize(mask=True)] * 10_000)
        with suppress(ConnectionError):
            stranger.frames.flush()
            while stranger.frames.beneath.recv(4096):
                pass
        wait_until(lambda: len(broker.broker._broker._connections) == 1)
        assert device.answers()
    assert "Exception" not in caplog.text


def test_a_refused_log_in_is_told_and_closed_as_a_websocket(broker: Ours, client: ssl.SSLContext) -> None:
    with WebSocketClient(broker.address, client) as stranger:
        stranger.send(wire.connect(password="wrong"))
        assert stranger.expect(wire.CONNACK).body[1] == 4
        assert stranger.is_closed()
        assert stranger.frames.protocol.state is not State.OPEN


def test_a_full_broker_says_so(certificate: Certificate, client: ssl.SSLContext) -> None:
    with (
        closing(Ours(tls=certificate.context, is_websocket=True, connections_max=1)) as broker,
        WebSocketClient(broker.address, client).log_in(),
        WebSocketClient(broker.address, client) as second,
    ):
        second.send(wire.connect(user="A2"))
        assert second.expect(wire.CONNACK).body[1] == 3


def test_a_slow_reader_is_closed_and_the_sender_never_waits(broker: Ours, client: ssl.SSLContext) -> None:
    with (
        WebSocketClient(broker.address, client).log_in(user="A1") as device,
        WebSocketClient(broker.address, client).log_in(user="A2") as slow,
    ):
        slow.subscribe((f"{ROOT}balance/+", 0))
        for _ in range(100):
            broker.publish("balance/A", bytes(200_000))
        wait_until(lambda: len(broker.broker._broker._connections) == 1)
        assert device.answers()


def test_what_is_not_on_disk_yet_holds_the_reading_back(certificate: Certificate, client: ssl.SSLContext) -> None:
    with (
        closing(Ours(tls=certificate.context, is_websocket=True)) as broker,
        WebSocketClient(broker.address, client).log_in() as device,
    ):
        broker.shop.hold = True
        sale = wire.publish(f"{ROOT}device/A1/op", bytes(100_000), qos=0)
        device.frames.protocol.send_binary(sale * 5)
        framed = b"".join(device.frames.protocol.data_to_send())
        beneath = device.frames.beneath
        beneath.settimeout(0.5)
        with pytest.raises(TimeoutError):
            beneath.sendall(framed * 200)
        assert len(broker.shop.deliveries) < 20
