"""The embedded broker on a real socket: what a device may do, what its PUBACK means, and what each limit does."""

import asyncio
import gc
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from unittest.mock import patch

import pytest

from appliance.broker.embedded import CannotListen, EmbeddedBroker, Listener, WrongVersion
from appliance.broker.embedded.protocol import DeviceHandler
from appliance.broker.embedded.session import DeviceSession
from appliance.contract.delivery import Channel
from tests.broker.running import ROOT, SHOP, LoopThread, Ours, Shop
from tests.broker.wire import (
    CONNACK,
    GOODBYE,
    PING,
    PINGRESP,
    PUBACK,
    PUBLISH,
    SUBACK,
    UNSUBACK,
    Client,
    connect,
    packet,
    publish,
    subscribe,
    text,
    unsubscribe,
)
from tests.waiting import wait_until

OP = f"{ROOT}device/A1/op"
QUERY = f"{ROOT}device/A1/query"
STATE = f"{ROOT}device/A1/state"
STATES = f"{ROOT}device/+/state"


@pytest.fixture
def ours() -> Iterator[Ours]:
    with closing(Ours()) as broker:
        yield broker


@pytest.fixture
def holding() -> Iterator[Ours]:
    """Nothing is settled but by the test."""
    with closing(Ours(Shop(hold=True))) as broker:
        yield broker


def connack(broker: Ours, **options: object) -> int:
    """Return the code that a CONNECT is answered with; a refused one must be followed by closing."""
    with Client(broker.address) as client:
        client.send(connect(**options))  # type: ignore[arg-type]
        code = client.expect(CONNACK).body[1]
        assert code == 0 or client.is_closed()
        return code


# Handing on, and the PUBACK


def test_what_a_device_publishes_is_handed_on_as_it_is(ours: Ours) -> None:
    with Client(ours.address).log_in() as till:
        till.send(publish(OP, b"\xff\0sale", qos=1), publish(QUERY, b"", qos=0), publish(STATE, b"online", qos=0))
        found = ours.shop.wait_for(3)
    assert [(one.device, one.channel, one.payload, one.size) for one in found] == [
        ("A1", Channel.OP, b"\xff\0sale", 6),
        ("A1", Channel.QUERY, b"", 0),
        ("A1", Channel.STATE, b"online", 6),
    ]


def test_a_puback_waits_until_its_own_and_every_earlier_publish_is_settled(holding: Ours) -> None:
    with Client(holding.address).log_in() as till:
        till.send(
            publish(OP, b"1", qos=1, packet_id=30), publish(OP, b"2", qos=0), publish(STATE, b"3", qos=1, packet_id=10)
        )
        first, second, third = holding.shop.wait_for(3)
        third.settled()
        first.settled()
        assert [one.packet_id for one in till.until_ping()] == [30]
        second.settled()
        assert till.expect(PUBACK).packet_id == 10


def test_settling_works_from_any_thread_in_any_order(holding: Ours) -> None:
    with Client(holding.address).log_in() as till:
        till.send(*(publish(OP, b"x", qos=1, packet_id=number) for number in range(1, 61)))
        deliveries = holding.shop.wait_for(60)
        threads = [
            threading.Thread(target=lambda part=part: [one.settled() for one in part])
            for part in (deliveries[::-3], deliveries[-2::-3], deliveries[-3::-3])
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [till.expect(PUBACK).packet_id for _ in range(60)] == list(range(1, 61))


def test_reading_stops_while_too_much_is_unsettled_and_goes_on_afterwards() -> None:
    with closing(Ours(Shop(hold=True), unsettled_max=8)) as broker, Client(broker.address).log_in() as till:
        till.send(*(publish(OP, b"x", qos=1, packet_id=number) for number in range(1, 101)))
        settled = 0
        while settled < 100:
            found = broker.shop.wait_for(min(settled + 8, 100))
            assert len(found) <= settled + 8
            found[settled].settled()
            settled += 1
            assert till.expect(PUBACK).packet_id == settled


def test_a_till_that_outruns_the_disk_is_held_back_by_tcp_and_not_by_memory() -> None:
    most_bytes = 64 * 1024 * 1024
    with closing(Ours(Shop(hold=True))) as broker, Client(broker.address).log_in() as till:
        assert till.send_until_stuck(publish(OP, bytes(200 * 1024)), most_bytes) < most_bytes
        held = sum(len(one.payload) for one in broker.shop.deliveries)
        assert held <= 1024 * 1024 + 200 * 1024
        broker.shop.hold = False
        for delivery in list(broker.shop.deliveries):
            delivery.settled()
        assert till.send_until_stuck(publish(OP, bytes(200 * 1024)), 4 * 1024 * 1024) >= 4 * 1024 * 1024


def test_silence_while_reading_is_stopped_is_not_the_tills_fault() -> None:
    with (
        closing(Ours(Shop(hold=True), unsettled_max=1)) as broker,
        Client(broker.address).log_in(keep_alive_s=10) as till,
    ):
        till.send(publish(OP, b"x", qos=1))
        (delivery,) = broker.shop.wait_for(1)
        broker.thread.advance(1000)
        delivery.settled()
        till.expect(PUBACK)
        assert till.answers()


def test_a_till_whose_ping_waited_unread_is_not_silent_at_the_moment_reading_goes_on() -> None:
    with (
        closing(Ours(Shop(hold=True), unsettled_max=1)) as broker,
        Client(broker.address).log_in(keep_alive_s=10) as till,
    ):
        till.send(publish(OP, b"x", qos=1), PING)
        (delivery,) = broker.shop.wait_for(1)
        broker.thread.advance(14)
        # Settled in the very turn of the event loop in which its keep-alive runs out.
        broker.thread.advance(2, delivery.settled)
        till.expect(PUBACK)
        till.expect(PINGRESP)
        assert till.answers()


def test_what_was_taken_from_a_connection_that_broke_may_still_be_settled(holding: Ours) -> None:
    with Client(holding.address).log_in() as till:
        till.send(publish(OP, b"sale", qos=1))
        (delivery,) = holding.shop.wait_for(1)
    wait_until(lambda: not holding.amqtt.sessions)
    delivery.settled()
    with Client(holding.address).log_in() as till:
        assert till.until_ping() == []


def test_settling_twice_is_told_to_whoever_does_it(holding: Ours) -> None:
    with Client(holding.address).log_in() as till:
        till.send(publish(OP, b"sale", qos=1))
        (delivery,) = holding.shop.wait_for(1)
        delivery.settled()
        with pytest.raises(AssertionError, match="twice"):
            delivery.settled()


@pytest.mark.parametrize("topic", [OP, QUERY, STATE])
def test_an_oversize_message_is_skipped_its_head_handed_on_and_acknowledged(ours: Ours, topic: str) -> None:
    payload = b"head" + bytes(3 * 1024 * 1024)
    with Client(ours.address).log_in() as till:
        till.send(publish(topic, payload, qos=1, packet_id=5), publish(OP, b"next", qos=1, packet_id=6))
        assert [till.expect(PUBACK).packet_id for _ in range(2)] == [5, 6]
    head, after = ours.shop.wait_for(2)
    assert (head.payload, head.size) == (payload[:4096], len(payload))
    assert (after.payload, after.size) == (b"next", 4)
    assert not ours.amqtt.retained_messages


def test_the_largest_operation_is_handed_on_whole(ours: Ours) -> None:
    with Client(ours.address).log_in() as till:
        till.send(publish(OP, bytes(256 * 1024), qos=1), publish(OP, bytes(256 * 1024 + 1), qos=1, packet_id=2))
        whole, head = ours.shop.wait_for(2)
    assert (len(whole.payload), whole.size) == (256 * 1024, 256 * 1024)
    assert (len(head.payload), head.size) == (4096, 256 * 1024 + 1)


@pytest.mark.parametrize("topic", [f"{ROOT}device/B1/op", f"{ROOT}device/B1/state", f"{ROOT}tick"])
def test_an_oversize_packet_elsewhere_closes_the_connection(ours: Ours, topic: str) -> None:
    with Client(ours.address).log_in() as till:
        with suppress(ConnectionError):
            till.send(publish(topic, bytes(256 * 1024 + 1), qos=1))
        assert till.is_closed()
    assert ours.shop.deliveries == []


# What is allowed


@pytest.mark.parametrize(
    "topic",
    ["device/B1/op", "device/A1/ack", "device/A1/print", "device/A1/answer", "device/A1/op/x", "balance/A", "tick"],
)
def test_a_publish_to_anything_but_the_devices_own_topics_closes_the_connection(ours: Ours, topic: str) -> None:
    with Client(ours.address).log_in(user="C1") as reader, Client(ours.address).log_in() as till:
        reader.subscribe((ROOT + "balance/+", 0), (ROOT + "tick", 0))
        till.send(publish(ROOT + topic, b"forged", qos=1))
        assert till.read() is None
        assert reader.until_ping() == []
    assert ours.shop.deliveries == []


def test_operations_and_queries_are_neither_broadcast_nor_retained(ours: Ours) -> None:
    with Client(ours.address).log_in() as till:
        till.subscribe((f"{ROOT}device/A1/#", 1))
        till.send(publish(OP, b"sale", qos=1, retain=True), publish(QUERY, b"q", qos=0, retain=True))
        ours.shop.wait_for(2)
        assert [one.kind for one in till.until_ping()] == [PUBACK]
    assert not ours.amqtt.retained_messages


def test_a_refused_filter_among_granted_ones_is_refused_alone(ours: Ours) -> None:
    with Client(ours.address).log_in() as till:
        wanted = [(STATES, 2), (f"{ROOT}device/+/ack", 1), (f"{ROOT}device/A1/ack", 0), ("#", 0), ("$SYS/#", 0)]
        assert till.subscribe(*wanted) == bytes([1, 0x80, 0, 0x80, 0x80])


def test_too_many_subscriptions_are_refused_and_renewed_ones_are_not() -> None:
    with closing(Ours(subscriptions_max=2)) as broker, Client(broker.address).log_in() as till:
        filters = [(f"{ROOT}balance/{number}", 0) for number in range(3)]
        assert till.subscribe(*filters) == bytes([0, 0, 0x80])
        assert till.subscribe(filters[0]) == b"\0"
        till.send(unsubscribe(filters[1][0]))
        till.expect(UNSUBACK)
        assert till.subscribe(filters[2]) == b"\0"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"password": "wrong"}, 4),
        ({"password": None}, 4),
        ({"user": None, "password": None}, 4),
        ({"user": ""}, 4),
        ({"user": "_shop"}, 4),
        ({"user": "_"}, 4),
        ({"user": "A 1"}, 4),
        ({"user": "A/1"}, 4),
        ({"user": "A" * 65}, 4),
        ({"user": "Касса"}, 4),
        ({"user": "A1\n"}, 4),
        ({"level": 3}, 1),
        ({"level": 5}, 1),
        ({"client_id": "", "clean": False}, 2),
        ({"client_id": ""}, 0),
        ({"client_id": "x" * 256}, 0),
        ({"client_id": "x" * 257}, 2),
        ({"will": (STATE, b"offline", 1, True)}, 0),
        ({"will": (STATE, b"offline", 2, True)}, 5),
        ({"will": (STATE, bytes(16 * 1024 + 1), 0, True)}, 5),
        ({"will": (OP, b"sale", 0, False)}, 5),
        ({"will": (f"{ROOT}device/B1/state", b"offline", 0, True)}, 5),
        ({"will": (f"{ROOT}coordinator", b"offline", 0, True)}, 5),
    ],
)
def test_a_connect_gets_the_code_that_the_contract_says(ours: Ours, options: dict[str, object], code: int) -> None:
    assert connack(ours, **options) == code


def test_only_a_real_device_name_costs_a_password_check(ours: Ours) -> None:
    for user in ("_shop", "A 1", ""):
        assert connack(ours, user=user) == 4
    assert ours.shop.authenticated == []


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(packet(1, 0, text("MQTT") + b"\4\3\0\0" + text("x")), id="the reserved flag"),
        pytest.param(packet(1, 0, text("MQTT") + b"\4\x42\0\0" + text("x") + text("p")), id="password without user"),
        pytest.param(packet(1, 0, text("MQTT") + b"\4\x0a\0\0" + text("x")), id="will QoS without will"),
        pytest.param(packet(1, 0, text("MQTT") + b"\4\xc2\0\0" + text("x") + text("A1")), id="the password is missing"),
        pytest.param(packet(1, 0, text("MQTT") + b"\4\x06\0\0" + text("x")), id="the will is missing"),
        pytest.param(connect()[:-1], id="a packet that is not whole"),
        pytest.param(packet(1, 0, text("MQTT") + b"\4\x02\0\0" + text("x") + b"more"), id="rubbish at the end"),
        pytest.param(packet(1, 0, text("MQTT") + b"\4\x02\0\0" + text(b"\xff")), id="a client id that is no UTF-8"),
        pytest.param(packet(1, 0, text("MQTT") + b"\4\x02\0\0" + b"\0\x09x"), id="a client id that runs past"),
        pytest.param(packet(1, 0, b"\0"), id="next to nothing"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n", id="a browser"),
    ],
)
def test_a_malformed_connect_is_closed_without_an_answer(bad: bytes) -> None:
    # A packet that is not whole is given up when the time for a CONNECT is over.
    with closing(Ours(connect_s=0.3)) as broker, Client(broker.address) as client:
        client.send(bad)
        assert client.read() is None
        assert broker.shop.authenticated == []


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(packet(8, 2, b"\0\1"), id="no filter"),
        pytest.param(packet(8, 2, b"\0\0" + text("a") + b"\0"), id="packet identifier 0"),
        pytest.param(packet(8, 2, b"\0\1" + text("a") + b"\3"), id="QoS 3"),
        pytest.param(packet(8, 2, b"\0\1" + text("a")), id="no QoS"),
        pytest.param(packet(8, 2, b"\0\1\0\7a\0"), id="a filter that runs past the packet"),
        pytest.param(packet(8, 2, b"\0\1" + text(b"\xff") + b"\0"), id="a filter that is no UTF-8"),
        pytest.param(packet(8, 2, b"\0"), id="half a packet identifier"),
        pytest.param(packet(10, 2, b"\0\1"), id="nothing to unsubscribe"),
        pytest.param(packet(10, 2, b"\0\1\0\7a"), id="an unsubscribe that runs past the packet"),
    ],
)
def test_a_malformed_packet_closes_its_connection_and_no_other(ours: Ours, bad: bytes) -> None:
    with Client(ours.address).log_in(user="B1") as other, Client(ours.address).log_in() as till:
        till.send(bad)
        assert till.read() is None
        assert other.answers()


# States and last wills


def test_a_state_is_broadcast_and_kept_and_its_qos_is_the_lower_one(ours: Ours) -> None:
    with Client(ours.address).log_in() as till, Client(ours.address).log_in(user="B1") as reader:
        reader.subscribe((STATES, 1))
        till.send(publish(STATE, b"first", qos=0))
        ours.shop.wait_for(1)
        with Client(ours.address).log_in(user="C1") as early:
            early.subscribe((STATES, 1))
            assert early.expect(PUBLISH).qos == 0
        till.send(publish(STATE, b"second", qos=1))
        assert [(one.payload, one.qos, one.retain) for one in (reader.expect(PUBLISH), reader.expect(PUBLISH))] == [
            (b"first", 0, False),
            (b"second", 1, False),
        ]
        with Client(ours.address).log_in(user="C1") as late:
            late.subscribe((STATES, 0))
            kept = late.expect(PUBLISH)
            assert (kept.payload, kept.qos, kept.retain) == (b"second", 0, True)
        till.send(publish(STATE, b"", retain=True))
        assert reader.expect(PUBLISH).payload == b""
        assert not ours.amqtt.retained_messages


def test_a_last_will_is_handed_on_broadcast_and_kept(ours: Ours) -> None:
    with Client(ours.address).log_in(user="B1") as reader:
        reader.subscribe((STATES, 1))
        with Client(ours.address).log_in(will=(STATE, b"offline", 1, True)):
            pass
        assert reader.expect(PUBLISH).payload == b"offline"
        (delivery,) = ours.shop.wait_for(1)
        assert (delivery.device, delivery.channel, delivery.payload) == ("A1", Channel.STATE, b"offline")
        reader.subscribe((STATE, 0))
        kept = reader.expect(PUBLISH)
        assert (kept.payload, kept.retain) == (b"offline", True)


def test_a_goodbye_discards_the_last_will(ours: Ours) -> None:
    with Client(ours.address).log_in(will=(STATE, b"offline", 1, True)) as till:
        till.send(GOODBYE)
        assert till.is_closed()
    assert ours.shop.deliveries == []
    assert not ours.amqtt.retained_messages


def test_the_old_connections_will_is_not_said_of_a_device_that_is_back_under_another_client_id(ours: Ours) -> None:
    """A till whose network broke is back long before its old connection counts as silent."""
    with Client(ours.address).log_in(user="B1") as reader:
        reader.subscribe((STATES, 0))
        with Client(ours.address).log_in(client_id="new", will=(STATE, b"gone", 0, True)) as new:
            with Client(ours.address).log_in(client_id="old", will=(STATE, b"offline", 0, True)):
                new.send(publish(STATE, b"online"))
                assert reader.expect(PUBLISH).payload == b"online"
            wait_until(lambda: len(ours.thread.call(lambda: list(ours.amqtt.sessions))) == 2)
            assert reader.until_ping() == []
            assert bytes(ours.amqtt.retained_messages[STATE].data) == b"online"
        assert reader.expect(PUBLISH).payload == b"gone"


def test_states_are_kept_within_so_many_bytes_and_what_is_no_longer_so_is_forgotten() -> None:
    with closing(Ours(retained_bytes_max=10)) as broker, Client(broker.address).log_in() as till:
        for payload, kept in ((b"10 bytes..", True), (b"11 bytes...", False), (b"10 again..", True), (b"", False)):
            till.send(publish(STATE, payload, qos=1))
            till.expect(PUBACK)
            assert (STATE in broker.amqtt.retained_messages) == kept
        with Client(broker.address).log_in(user="B1") as other:
            other.send(publish(f"{ROOT}device/B1/state", b"6 byte", qos=1))
            other.expect(PUBACK)
            till.send(publish(STATE, b"5 byt", qos=1), publish(STATE, b"4 by", qos=1))
            assert [till.expect(PUBACK).kind for _ in range(2)] == [PUBACK] * 2
        assert {topic: bytes(message.data) for topic, message in broker.amqtt.retained_messages.items()} == {
            STATE: b"4 by",
            f"{ROOT}device/B1/state": b"6 byte",
        }
    assert [len(one.payload) for one in broker.shop.deliveries] == [10, 11, 10, 0, 6, 5, 4]


def test_only_so_many_states_are_kept() -> None:
    with closing(Ours(retained_max=2)) as broker, Client(broker.address).log_in(user="reader") as reader:
        reader.subscribe((STATES, 0))
        for device in ("A1", "B1", "C1", "A1"):
            with Client(broker.address).log_in(user=device) as till:
                till.send(publish(f"{ROOT}device/{device}/state", b"online"))
                reader.expect(PUBLISH)
        assert sorted(broker.amqtt.retained_messages) == [STATE, f"{ROOT}device/B1/state"]
        broker.publish("coordinator", b"online", retain=True)
        reader.subscribe((f"{ROOT}coordinator", 0))
        assert reader.expect(PUBLISH).payload == b"online"


# Taking over, limits, throttling


def test_the_same_client_id_takes_over_and_the_old_will_comes_before_the_new_life(ours: Ours) -> None:
    with (
        Client(ours.address).log_in(user="B1") as reader,
        Client(ours.address).log_in(will=(STATE, b"offline", 0, True)) as old,
    ):
        reader.subscribe((STATES, 0))
        with Client(ours.address).log_in() as new:
            assert old.read() is None
            new.send(publish(STATE, b"online"))
            assert [reader.expect(PUBLISH).payload for _ in range(2)] == [b"offline", b"online"]


def test_clients_without_a_client_id_do_not_take_over_one_another(ours: Ours) -> None:
    with Client(ours.address).log_in(client_id="") as first, Client(ours.address).log_in(client_id="") as second:
        assert first.answers()
        assert second.answers()


def test_another_device_with_the_same_client_id_takes_over_nothing(ours: Ours) -> None:
    with Client(ours.address).log_in(user="A1") as mine, Client(ours.address).log_in(user="B1") as other:
        mine.subscribe((STATES, 0))
        other.send(publish(f"{ROOT}device/B1/state", b"online"))
        assert mine.expect(PUBLISH).payload == b"online"


def test_the_newer_of_two_connections_that_log_in_at_once_wins() -> None:
    with closing(Ours()) as broker:
        clients = [Client(broker.address) for _ in range(10)]
        for client in clients:
            client.send(connect())
        assert [client.expect(CONNACK).body[1] for client in clients] == [0] * 10
        assert sum(client.answers() for client in clients) == 1
        assert broker.thread.call(lambda: len(broker.amqtt.sessions)) == 1
        for client in clients:
            client.__exit__(None, None, None)


def test_others_are_served_while_a_password_is_checked() -> None:
    class Slow(Shop):
        async def authenticate(self, user: str, password: bytes) -> bool:
            if user == "slow":
                await gate.wait()
            return await super().authenticate(user, password)

    shop = Slow()
    with closing(Ours(shop)) as broker:
        gate = asyncio.Event()
        with Client(broker.address) as slow, Client(broker.address).log_in() as till:
            # It may send on before it is let in.
            slow.send(connect(user="slow"), subscribe((STATES, 0)))
            assert till.answers()
            broker.thread.call(gate.set)
            assert slow.expect(CONNACK).body[1] == 0
            slow.expect(SUBACK)


def test_a_connection_that_broke_during_its_log_in_takes_over_nothing() -> None:
    class Second(Shop):
        async def authenticate(self, user: str, password: bytes) -> bool:
            if len(self.authenticated) == 1:
                reached.set()
                await gate.wait()
            return await super().authenticate(user, password)

    gate, reached = asyncio.Event(), threading.Event()
    with closing(Ours(Second())) as broker, Client(broker.address).log_in() as till:
        with Client(broker.address) as broken:
            broken.send(connect())
            assert reached.wait(10)
        # Its end has arrived before this answer, because the event loop looks at all sockets in each turn.
        assert till.answers()
        assert till.answers()
        broker.thread.call(gate.set)
        wait_until(lambda: len(broker.amqtt._connections) == 1)  # type: ignore[attr-defined]
        assert till.answers()


def test_a_password_check_that_takes_too_long_is_answered_with_come_back_later() -> None:
    class Stuck(Shop):
        async def authenticate(self, user: str, password: bytes) -> bool:
            reached.set()
            await asyncio.Event().wait()
            return True

    reached = threading.Event()
    with closing(Ours(Stuck())) as broker, Client(broker.address) as client:
        client.send(connect())
        assert reached.wait(10)
        broker.thread.advance(31)
        assert client.expect(CONNACK).body[1] == 3


def test_failed_log_ins_are_throttled_and_the_penalty_ends() -> None:
    with closing(Ours(tries_free=2)) as broker:
        assert [connack(broker, password="wrong") for _ in range(4)] == [4, 4, 4, 3]
        # The right password is not even looked at.
        assert connack(broker) == 3
        assert len(broker.shop.authenticated) == 3
        # Nobody else at that address has to wait.
        assert connack(broker, user="B1") == 0
        broker.thread.advance(1.5)
        assert connack(broker) == 0
        assert [connack(broker, password="wrong"), connack(broker)] == [4, 0]
        broker.thread.advance(1200)
        assert [connack(broker, password="wrong", client_id="new") for _ in range(3)] == [4, 4, 4]


def test_an_address_that_guesses_is_throttled_but_for_tills_that_have_been_in() -> None:
    with closing(Ours(guesses_free=2)) as broker:
        assert connack(broker, user="A1") == 0
        assert [connack(broker, user=user, password="wrong") for user in ("B1", "_shop", "C1", "D1")] == [4, 4, 4, 4]
        assert [connack(broker, user=user) for user in ("A1", "E1", "_shop")] == [0, 3, 4]
        assert [connack(broker, client_id=client_id) for client_id in ("till", "new", "")] == [0, 3, 3]
        broker.thread.advance(11)
        assert connack(broker, user="E1") == 0


class Slow(Shop):
    """Looks at no password before it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.is_told = threading.Event()

    async def authenticate(self, user: str, password: bytes) -> bool:
        await asyncio.to_thread(self.is_told.wait)
        return await super().authenticate(user, password)


def test_of_guesses_that_come_at_once_no_more_are_looked_at_than_of_those_that_come_in_turn() -> None:
    shop = Slow()
    with closing(Ours(shop, guesses_free=5)) as broker, ExitStack() as clients:
        guesses = [clients.enter_context(Client(broker.address)) for _ in range(50)]
        for at, client in enumerate(guesses):
            client.send(connect(user=f"A{at}", password=f"{at}"))
        wait_until(lambda: len(broker.amqtt._connections) == 50)  # type: ignore[attr-defined]
        shop.is_told.set()
        assert sorted(client.expect(CONNACK).body[1] for client in guesses) == [3] * 44 + [4] * 6
    assert len(shop.authenticated) == 6


def test_the_password_of_who_is_gone_is_not_looked_at() -> None:
    shop = Slow()
    with closing(Ours(shop)) as broker, Client(broker.address) as first, Client(broker.address) as last:
        first.send(connect(user="A1"))
        for at in range(5):
            with Client(broker.address) as gone:
                gone.send(connect(user=f"B{at}"))
        last.send(connect(user="C1"))
        wait_until(lambda: _waiting(broker) == 6)
        shop.is_told.set()
        assert [client.expect(CONNACK).body[1] for client in (first, last)] == [0, 0]
    assert shop.authenticated == ["A1", "C1"]


def _waiting(broker: Ours) -> int:
    """Return how many wait for their turn to have their password looked at."""
    locks: list[asyncio.Lock] = list(broker.amqtt._login._turns.values())  # type: ignore[attr-defined]
    return sum(len(lock._waiters or ()) for lock in locks)


def test_a_full_broker_says_come_back_later_at_once_and_has_room_again() -> None:
    with closing(Ours(connections_max=2)) as broker:
        with Client(broker.address).log_in(client_id="1"), Client(broker.address).log_in(client_id="2") as second:
            assert connack(broker, client_id="3") == 3
            assert second.answers()
        wait_until(lambda: not broker.amqtt._connections)  # type: ignore[attr-defined]
        assert connack(broker) == 0


def test_who_says_nothing_makes_room_for_who_does() -> None:
    with (
        closing(Ours(strangers_max=3)) as broker,
        Client(broker.address).log_in(client_id="in") as till,
        ExitStack() as clients,
    ):
        silent = [clients.enter_context(Client(broker.address)) for _ in range(3)]
        wait_until(lambda: len(broker.amqtt._connections) == 4)  # type: ignore[attr-defined]
        assert connack(broker) == 0
        assert silent[0].is_closed()
        assert not silent[1].is_closed(0.01)
        assert till.answers()


def test_one_address_cannot_take_every_place() -> None:
    with (
        closing(Ours(connections_per_address_max=1)) as broker,
        Client(broker.address).log_in(client_id="1"),
    ):
        assert connack(broker, client_id="2") == 3


def test_a_till_that_is_half_open_is_given_up_whatever_keep_alive_it_asked_for(ours: Ours) -> None:
    with (
        Client(ours.address).log_in(client_id="never", keep_alive_s=0) as never,
        Client(ours.address).log_in(client_id="long", keep_alive_s=65535) as long,
    ):
        ours.thread.advance(80)
        assert never.answers()
        assert long.answers()
        ours.thread.advance(95)
        assert never.is_closed()
        assert long.is_closed()


def test_a_reader_that_acknowledges_nothing_is_cut_off() -> None:
    with closing(Ours(unacked_max=10)) as broker, Client(broker.address).log_in() as reader:
        reader.subscribe((f"{ROOT}tick", 1))
        for _ in range(10):
            broker.publish("tick")
        assert all(reader.expect(PUBLISH).packet_id for _ in range(10))
        assert reader.answers()
        broker.publish("tick")
        assert reader.is_closed()


def test_a_slow_reader_makes_nobody_wait() -> None:
    with (
        closing(Ours(outgoing_bytes_max=300 * 1024, offline_bytes_max=1024)) as broker,
        Client(broker.address, receive_buffer_bytes=4096).log_in(client_id="slow") as slow,
        Client(broker.address).log_in(client_id="quick") as quick,
    ):
        slow.subscribe((f"{ROOT}changes", 0))
        quick.subscribe((f"{ROOT}changes", 0))
        for number in range(400):
            broker.publish("changes", number.to_bytes(2) + bytes(50_000))
            assert quick.expect(PUBLISH).payload[:2] == number.to_bytes(2)
        wait_until(lambda: len(broker.amqtt.sessions) == 1)


def test_when_all_together_hold_too_much_whoever_holds_most_is_closed() -> None:
    with (
        closing(Ours(held_bytes_max=400_000, offline_bytes_max=1)) as broker,
        Client(broker.address).log_in(client_id="most") as most,
        Client(broker.address).log_in(client_id="less") as less,
        Client(broker.address).log_in(client_id="none") as none,
    ):
        most.subscribe((f"{ROOT}changes", 1))
        less.subscribe((f"{ROOT}tick", 1))
        none.subscribe((f"{ROOT}changes", 0), (f"{ROOT}tick", 0))
        for leaf, size, readers in (("changes", 250_000, (most, none)), ("tick", 149_500, (less, none))):
            broker.publish(leaf, bytes(size))
            assert [len(reader.expect(PUBLISH).payload) for reader in readers] == [size] * 2
        broker.thread.advance(1.5)
        assert all(one.answers() for one in (most, less, none))
        # Counted with it is what a message costs beside its payload.
        broker.publish("tick", b"")
        broker.thread.advance(1.5)
        assert most.is_closed()
        broker.thread.advance(1.5)
        assert less.answers()
        assert none.answers()


def test_a_connection_that_ended_is_freed_at_once_and_not_left_to_the_garbage_collector() -> None:
    """Collecting some thousand of them stopped the event loop for a third of a second."""
    with closing(Ours(outgoing_bytes_max=300 * 1024, offline_bytes_max=1024)) as broker:
        gc.collect()
        gc.disable()
        try:
            with Client(broker.address).log_in() as leaves:
                leaves.subscribe((STATES, 1))
                leaves.send(GOODBYE)
                assert leaves.is_closed()
            with Client(broker.address).log_in(will=(STATE, b"offline", 1, True)) as goes:
                goes.subscribe((STATES, 1))
            with Client(broker.address).log_in() as breaks:
                breaks.send(packet(0, 0, b""))
                assert breaks.is_closed()
            with Client(broker.address, receive_buffer_bytes=4096).log_in() as slow:
                slow.subscribe((f"{ROOT}changes", 0))
                for _ in range(100):
                    broker.publish("changes", bytes(200_000))
                wait_until(lambda: not broker.amqtt.sessions)
            wait_until(lambda: not [one for one in gc.get_objects() if type(one) in (DeviceHandler, DeviceSession)])
        finally:
            gc.enable()


# Sessions that are kept


def test_a_kept_session_is_resumed_with_its_subscriptions_and_what_came_meanwhile(ours: Ours) -> None:
    with Client(ours.address).log_in(clean=False) as reader:
        reader.subscribe((f"{ROOT}tick", 1), (f"{ROOT}changes", 0))
    wait_until(lambda: not list(ours.amqtt._live()))  # type: ignore[attr-defined]
    for payload in (b"1", b"2"):
        ours.publish("tick", payload)
        ours.publish("changes", payload)
    with Client(ours.address) as reader:
        reader.send(connect(clean=False))
        assert reader.expect(CONNACK).body == b"\1\0"
        assert [(one.payload, one.dup) for one in (reader.expect(PUBLISH), reader.expect(PUBLISH))] == [
            (b"1", False),
            (b"2", False),
        ]
        ours.publish("changes", b"3")
        assert reader.expect(PUBLISH).payload == b"3"
        reader.send(connect(clean=False))
    wait_until(lambda: not list(ours.amqtt._live()))  # type: ignore[attr-defined]
    with Client(ours.address) as reader:
        reader.send(connect(clean=True))
        assert reader.expect(CONNACK).body == b"\0\0"
        ours.publish("tick", b"4")
        assert reader.until_ping() == []
        assert ours.amqtt.subscriptions == {}


@pytest.mark.parametrize(("count", "size"), [(5, 10_000), (1000, 50)])
def test_a_kept_session_for_which_too_much_waits_is_dropped_and_its_client_can_tell(count: int, size: int) -> None:
    with closing(Ours(offline_messages_max=count, offline_bytes_max=size)) as broker:
        with Client(broker.address).log_in(clean=False) as reader:
            reader.subscribe((f"{ROOT}tick", 1))
        wait_until(lambda: not list(broker.amqtt._live()))  # type: ignore[attr-defined]
        for _ in range(6):
            broker.publish("tick", b"0123456789")
        wait_until(lambda: not broker.amqtt.sessions)
        assert broker.amqtt.subscriptions == {}
        with Client(broker.address) as reader:
            reader.send(connect(clean=False))
            assert reader.expect(CONNACK).body == b"\0\0"


def test_what_a_kept_session_has_delivered_counts_no_more() -> None:
    with closing(Ours(offline_bytes_max=50)) as broker:
        with Client(broker.address).log_in(clean=False) as reader:
            reader.subscribe((f"{ROOT}tick", 1))
        for _ in range(3):
            wait_until(lambda: not list(broker.amqtt._live()))  # type: ignore[attr-defined]
            broker.publish("tick", bytes(30))
            with Client(broker.address) as reader:
                reader.send(connect(clean=False))
                assert reader.expect(CONNACK).body == b"\1\0"
                reader.send(packet(4, 0, reader.expect(PUBLISH).packet_id.to_bytes(2)))
                assert reader.answers()


def test_only_so_many_sessions_are_kept_and_only_for_so_long() -> None:
    with closing(Ours(offline_sessions_max=2, session_expiry_s=0)) as broker:
        for number in range(4):
            with Client(broker.address).log_in(client_id=f"{number}", clean=False) as reader:
                reader.subscribe((f"{ROOT}tick", 1))
                reader.send(GOODBYE)
                assert reader.is_closed()
        kept = broker.thread.call(lambda: [session for session, _ in broker.amqtt.sessions.values()])
        assert len(kept) <= 2
        broker.publish("tick")
        # amqtt's own monitor looks once a second, with the clock on the wall.
        wait_until(lambda: broker.thread.call(lambda: dict(broker.amqtt.sessions)) == {})
        assert broker.amqtt.subscriptions == {}
        # An expired session is not remembered as a subscriber of what was published before.
        waiting = [session.retained_messages.qsize() for session in kept]
        broker.publish("tick")
        with Client(broker.address).log_in() as reader:
            assert reader.answers()
        assert [session.retained_messages.qsize() for session in kept] == waiting


# Announcing, starting and stopping


def test_one_reader_gets_one_copy_at_the_highest_qos_of_its_filters(ours: Ours) -> None:
    with Client(ours.address).log_in() as reader:
        reader.subscribe((f"{ROOT}balance/+", 0), (f"{ROOT}balance/A", 1), (f"{ROOT}balance/#", 0))
        ours.publish("balance/A", b"1", retain=True)
        assert reader.expect(PUBLISH).qos == 1
        assert reader.until_ping() == []


def test_announcements_arrive_in_the_order_they_were_published(ours: Ours) -> None:
    with Client(ours.address).log_in() as reader:
        reader.subscribe((f"{ROOT}changes", 0))
        for number in range(2000):
            ours.publish("changes", number.to_bytes(2))
        assert [int.from_bytes(reader.expect(PUBLISH).payload) for _ in range(2000)] == list(range(2000))


def test_a_second_subscribe_changes_the_qos_and_an_unsubscribe_ends_it(ours: Ours) -> None:
    with Client(ours.address).log_in() as reader:
        for qos in (1, 0):
            reader.subscribe((f"{ROOT}tick", qos))
            ours.publish("tick")
            assert reader.expect(PUBLISH).qos == qos
        reader.send(unsubscribe(f"{ROOT}tick", f"{ROOT}never"))
        reader.expect(UNSUBACK)
        ours.publish("tick")
        assert reader.until_ping() == []


def test_a_topic_that_nobody_read_before_has_a_new_reader(ours: Ours) -> None:
    with Client(ours.address).log_in() as early, Client(ours.address).log_in(user="B1") as late:
        early.subscribe((f"{ROOT}tick", 0))
        ours.publish("tick")
        early.expect(PUBLISH)
        late.subscribe((f"{ROOT}+", 0))
        ours.publish("tick", b"again")
        assert [reader.expect(PUBLISH).payload for reader in (early, late)] == [b"again"] * 2


def test_who_reads_what_is_remembered_for_so_many_topics_only(ours: Ours) -> None:
    with Client(ours.address).log_in() as reader:
        reader.subscribe((f"{ROOT}balance/+", 0))
        for number in range(5000):
            ours.publish(f"balance/{number}", b"", retain=True)
            reader.expect(PUBLISH)
        assert 0 < len(ours.amqtt._routes) <= 4096  # type: ignore[attr-defined]


def test_too_many_waiting_announcements_are_dropped_and_every_reader_must_come_back() -> None:
    with closing(Ours(announcements_bytes_max=10_000)) as broker, Client(broker.address).log_in() as reader:
        reader.subscribe((f"{ROOT}changes", 0))
        overrun(broker)
        assert reader.is_closed()
        with Client(broker.address).log_in() as reader:
            reader.subscribe((f"{ROOT}coordinator", 0), (f"{ROOT}changes", 0))
            assert reader.expect(PUBLISH).payload == b"online"
            broker.publish("changes", b"on")
            assert reader.expect(PUBLISH).payload == b"on"
            overrun(broker)
            assert reader.is_closed()


def overrun(broker: Ours) -> None:
    """Publish more than may wait while the event loop stands still; `coordinator` comes last."""
    blocked, release = threading.Event(), threading.Event()

    def block() -> None:
        blocked.set()
        assert release.wait(10)

    broker.broker._doorway.post(block)
    assert blocked.wait(10)
    for _ in range(100):
        broker.post("changes", bytes(1000))
    broker.post("coordinator", b"online", retain=True)
    release.set()


def test_a_device_can_be_cut_off_at_once(ours: Ours) -> None:
    with (
        Client(ours.address).log_in(client_id="1") as first,
        Client(ours.address).log_in(client_id="2") as second,
        Client(ours.address).log_in(user="B1") as other,
    ):
        ours.broker.disconnect("A1")
        assert first.is_closed()
        assert second.is_closed()
        assert other.answers()


def test_on_the_way_down_what_was_taken_is_settled_acknowledged_and_announced() -> None:
    broker = Ours(Shop(hold=True))
    with Client(broker.address).log_in(will=(STATE, b"offline", 0, True)) as till:
        till.subscribe((f"{ROOT}coordinator", 1))
        till.send(publish(OP, b"taken", qos=1, packet_id=1))
        (delivery,) = broker.shop.wait_for(1)
        broker.thread.call(broker.broker.pause)
        till.send(publish(OP, b"too late", qos=1, packet_id=2))
        with pytest.raises(OSError, match="refused"):
            Client(broker.address)
        delivery.settled()
        assert till.expect(PUBACK).packet_id == 1
        broker.publish("coordinator", b"stopping", retain=True)
        assert till.expect(PUBLISH).payload == b"stopping"
        broker.post("coordinator", b"offline", retain=True)
        broker.close()
        assert till.expect(PUBLISH).payload == b"offline"
        assert till.read() is None
    assert len(broker.shop.deliveries) == 1


def test_everything_that_was_published_before_stop_is_sent() -> None:
    broker = Ours()
    with Client(broker.address).log_in() as reader:
        reader.subscribe((f"{ROOT}changes", 0))
        for number in range(2000):
            broker.post("changes", number.to_bytes(2))
        broker.close()
        assert [int.from_bytes(reader.expect(PUBLISH).payload) for _ in range(2000)] == list(range(2000))
        assert reader.read() is None


def test_a_reader_that_takes_nothing_does_not_hold_up_its_end() -> None:
    with (
        closing(Ours(outgoing_bytes_max=64 * 1024 * 1024)) as broker,
        Client(broker.address, receive_buffer_bytes=4096).log_in() as reader,
    ):
        reader.subscribe((f"{ROOT}changes", 0))
        for _ in range(100):
            broker.post("changes", bytes(200_000))
        broker.broker.disconnect("A1")
        wait_until(lambda: not broker.amqtt.sessions)
        assert broker.amqtt._connections  # type: ignore[attr-defined]
        broker.thread.advance(3)
        wait_until(lambda: not broker.amqtt._connections)  # type: ignore[attr-defined]


def test_nothing_is_acknowledged_after_stop_without_being_settled() -> None:
    # Who has not sent a CONNECT does not hold it up, however long there is time for one.
    broker = Ours(Shop(hold=True), connect_s=10_000)
    with Client(broker.address).log_in() as till, Client(broker.address) as silent:
        till.send(publish(OP, b"sale", qos=1))
        (delivery,) = broker.shop.wait_for(1)
        broker.close()
        delivery.settled()
        assert till.read() is None
        assert silent.read() is None


def test_a_port_that_is_taken_is_named_with_the_remedy(free_port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, closing(LoopThread()) as thread:
        port = other.getsockname()[1]
        broker = build([Listener("127.0.0.1", free_port), Listener("127.0.0.1", port)])
        with pytest.raises(CannotListen, match=f"127.0.0.1 port {port} .*choose another port"):
            thread.run(broker.start())
        # What was bound before is free again.
        socket.create_server(("127.0.0.1", free_port)).close()


def test_another_amqtt_is_refused_at_the_start() -> None:
    with closing(LoopThread()) as thread, patch("importlib.metadata.version", return_value="0.13.0"):
        broker = build([Listener("127.0.0.1", 0)])
        with pytest.raises(WrongVersion, match=r"amqtt 0\.13\.0 .* install amqtt==0\.12\.1"):
            thread.run(broker.start())


def build(listeners: list[Listener]) -> EmbeddedBroker:
    shop = Shop()
    return EmbeddedBroker(shop=SHOP, listeners=listeners, authenticator=shop, retained=shop, take=shop.take)
