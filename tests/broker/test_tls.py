"""TLS at the embedded broker: the guard stands before the handshake, and whatever is said there harms nobody else."""

import gc
import random
import socket
import ssl
import tracemalloc
from asyncio.sslproto import SSLProtocol
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress

import pytest

from appliance.access.certificate import Certificate
from tests.broker import wire
from tests.broker.running import ROOT, Ours
from tests.waiting import wait_until


@pytest.fixture
def broker(certificate: Certificate) -> Iterator[Ours]:
    with closing(Ours(tls=certificate.context)) as broker:
        yield broker


def drained(raw: socket.socket) -> bool:
    """Whether the peer closes, whatever it still says before."""
    try:
        while raw.recv(4096):
            pass
    except ConnectionResetError:
        pass
    except TimeoutError:
        return False
    return True


def test_a_device_logs_in_sells_and_reads_by_tls(broker: Ours, client: ssl.SSLContext) -> None:
    large = bytes(200_000)
    with wire.Client(broker.address, tls=client).log_in() as device:
        device.send(wire.publish(f"{ROOT}device/A1/op", large, qos=1))
        device.expect(wire.PUBACK)
        assert device.subscribe((f"{ROOT}balance/+", 0)) == b"\0"
        broker.publish("balance/A", large)
        assert device.expect(wire.PUBLISH).payload == large
    [delivery] = broker.shop.wait_for(1)
    assert delivery.payload == large


def test_plain_mqtt_and_rubbish_at_the_tls_port_harm_nobody(broker: Ours, client: ssl.SSLContext) -> None:
    chance = random.Random(20261124)
    with wire.Client(broker.address, tls=client).log_in() as device:
        for _ in range(100):
            with socket.create_connection(broker.address, wire.DEADLINE_S) as rubbish:
                rubbish.sendall(chance.randbytes(chance.randrange(1, 600)))
        with wire.Client(broker.address) as plain:
            plain.send(wire.connect(user="A2"))
            with plain.beneath() as raw:
                assert drained(raw)
        assert device.answers()


def test_rubbish_inside_a_connection_harms_nobody(broker: Ours, client: ssl.SSLContext) -> None:
    with (
        wire.Client(broker.address, tls=client).log_in() as device,
        wire.Client(broker.address, tls=client).log_in(user="A2") as other,
        other.beneath() as raw,
    ):
        raw.sendall(b"no TLS record" * 100)
        assert drained(raw)
        assert device.answers()


def test_who_never_finishes_the_handshake_is_closed_in_time(certificate: Certificate) -> None:
    with (
        closing(Ours(tls=certificate.context, connect_s=0.2)) as broker,
        socket.create_connection(broker.address, wire.DEADLINE_S) as silent,
    ):
        assert drained(silent)


def test_who_says_nothing_after_the_handshake_is_closed_in_time(
    certificate: Certificate, client: ssl.SSLContext
) -> None:
    with (
        closing(Ours(tls=certificate.context, connect_s=0.2)) as broker,
        wire.Client(broker.address, tls=client) as silent,
    ):
        assert silent.is_closed()


@pytest.mark.parametrize("said", [0, 20])
def test_the_longest_silent_goes_in_the_middle_of_its_handshake(
    certificate: Certificate, client: ssl.SSLContext, said: int
) -> None:
    hello = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        client.wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost").do_handshake()
    with (
        closing(Ours(tls=certificate.context, strangers_max=1)) as broker,
        socket.create_connection(broker.address, wire.DEADLINE_S) as silent,
    ):
        silent.sendall(hello.read(said))
        wait_until(lambda: broker.broker._broker._connections)
        with wire.Client(broker.address, tls=client).log_in() as device:
            assert drained(silent)
            assert device.answers()


def test_a_full_broker_still_says_so_by_tls(certificate: Certificate, client: ssl.SSLContext) -> None:
    with (
        closing(Ours(tls=certificate.context, connections_max=1)) as broker,
        wire.Client(broker.address, tls=client).log_in(),
        wire.Client(broker.address, tls=client) as second,
    ):
        second.send(wire.connect(user="A2"))
        assert second.expect(wire.CONNACK).body[1] == 3


def test_a_refused_peer_that_says_no_goodbye_is_cut_off(certificate: Certificate, client: ssl.SSLContext) -> None:
    with (
        closing(Ours(tls=certificate.context, linger_s=0.1)) as broker,
        wire.Client(broker.address, tls=client) as refused,
        refused.beneath() as raw,
    ):
        refused.send(wire.connect(password="wrong"))
        assert refused.expect(wire.CONNACK).body[1] == 4
        assert drained(raw)


def test_a_handshake_costs_little_memory_before_anybody_has_logged_in(broker: Ours, client: ssl.SSLContext) -> None:
    count = 50
    with ExitStack() as clients:
        for _ in range(5):  # What is made once is made.
            clients.enter_context(wire.Client(broker.address, tls=client))
        tracemalloc.start()
        try:
            for _ in range(count):
                clients.enter_context(wire.Client(broker.address, tls=client))
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert held / count < 64 * 1024


def test_a_handshake_that_failed_is_freed_at_once_and_not_left_to_the_garbage_collector(broker: Ours) -> None:
    gc.collect()
    gc.disable()
    try:
        for rubbish in (wire.PING, b"\x16\x03\x01\x00\x05hello", _client_hello()):
            with socket.create_connection(broker.address, wire.DEADLINE_S) as stranger:
                stranger.sendall(rubbish)
                stranger.recv(1)  # It is read, and answered if only by an alert.
        wait_until(lambda: not [one for one in gc.get_objects() if type(one) is SSLProtocol])
    finally:
        gc.enable()


def _client_hello() -> bytes:
    said = ssl.MemoryBIO()
    speaker = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(ssl.MemoryBIO(), said, server_hostname="localhost")
    with suppress(ssl.SSLWantReadError):
        speaker.do_handshake()
    return said.read()
