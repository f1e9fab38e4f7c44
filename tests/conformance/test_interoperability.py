"""Each scenario of the suite, on both brokers; one that they answer differently says in its text what ours does."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.broker.mosquitto import Mosquitto
from tests.broker.running import ROOT, Ours
from tests.broker.wire import (
    CONNACK,
    CONNECT,
    GOODBYE,
    PUBACK,
    PUBLISH,
    UNSUBACK,
    Client,
    Packet,
    connect,
    packet,
    publish,
    text,
    unsubscribe,
)

PUBREC, PUBREL, PUBCOMP = 5, 6, 7

Broker = Ours | Mosquitto

EVERYTHING = "pattern readwrite #\npattern readwrite $outside/#\n"
"""An ACL under which mosquitto forbids nothing: its own answers are looked for, and not an ACL's."""


@pytest.fixture(params=["mosquitto", "ours"])
def broker(request: pytest.FixtureRequest, tmp_path: Path, free_port: int) -> Iterator[Broker]:
    made: Broker = Ours() if request.param == "ours" else Mosquitto(tmp_path, free_port, acl=EVERYTHING)
    with closing(made):
        yield made


def state(device: str) -> str:
    return f"{ROOT}device/{device}/state"


STATES = state("+")


def log_in(
    broker: Broker, device: str, *, clean: bool = True, session_present: bool = False, **options: object
) -> Client:
    """Connect as a device, under a client id of its own; the CONNACK must say whether there was a session."""
    client = Client(broker.address)
    client.send(connect(user=device, client_id=device, clean=clean, **options))  # type: ignore[arg-type]
    assert client.expect(CONNACK).body == bytes([session_present, 0])
    return client


def say(broker: Broker, device: str, payload: bytes, qos: int, *, retain: bool = False) -> None:
    """Publish a device's state, and return when the broker has it."""
    with log_in(broker, device) as till:
        till.send(publish(state(device), payload, qos=qos, retain=retain))
        assert [one.kind for one in till.until_ping()] == [PUBACK] * qos
        till.send(GOODBYE)
        assert till.is_closed()


def heard(reader: Client) -> list[tuple[str, bytes, int, bool]]:
    """Return the messages that came, acknowledged: their topics' devices, payloads, QoS and retain flags."""
    found = [one for one in reader.until_ping() if one.kind == PUBLISH]
    for one in found:
        acknowledge(reader, one)
    return [(one.topic.split("/")[4], one.payload, one.qos, one.retain) for one in found]


def acknowledge(reader: Client, one: Packet) -> None:
    if one.qos == 1:
        reader.send(packet(PUBACK, 0, one.packet_id.to_bytes(2)))


# Basic


@pytest.mark.parametrize("qos", [0, 1])
def test_a_client_hears_what_it_says_itself(broker: Broker, qos: int) -> None:
    with log_in(broker, "A1") as till:
        till.send(GOODBYE)
        assert till.is_closed()
    with log_in(broker, "A1") as till:
        assert till.subscribe((state("A1"), qos)) == bytes([qos])
        till.send(publish(state("A1"), b"hello", qos=qos))
        assert heard(till) == [("A1", b"hello", qos, False)]


def test_a_publish_of_qos_2_is_carried_out_or_closes_the_connection(broker: Broker) -> None:
    """Ours closes: an operation is applied once because it has a name, and QoS 2 would promise that a second time."""
    with log_in(broker, "A1") as till:
        till.send(publish(state("A1"), b"hello", qos=2))
        if isinstance(broker, Ours):
            assert till.is_closed()
            return
        till.expect(PUBREC)
        till.send(packet(PUBREL, 2, b"\0\1"))
        till.expect(PUBCOMP)


def test_a_second_connect_closes_the_connection(broker: Broker) -> None:
    with log_in(broker, "A1") as till:
        till.send(connect(user="A1"))
        assert till.is_closed()


def test_a_protocol_that_is_not_mqtt_is_not_let_in(broker: Broker) -> None:
    with Client(broker.address) as stranger:
        stranger.send(packet(CONNECT, 0, text("hj") + b"\x04\x02\x00\x3c" + text("stranger")))
        answer = stranger.read()
        assert answer is None or answer.body[1] != 0


# Retained messages


def test_a_retained_message_is_shown_to_who_comes_later_and_an_empty_one_clears_it(broker: Broker) -> None:
    for device, qos in (("A1", 0), ("A2", 1)):
        say(broker, device, b"kept", qos, retain=True)
    with log_in(broker, "A3") as reader:
        assert reader.subscribe((STATES, 1)) == b"\1"
        assert sorted(heard(reader)) == [("A1", b"kept", 0, True), ("A2", b"kept", 1, True)]
    for device, qos in (("A1", 0), ("A2", 1)):
        say(broker, device, b"", qos, retain=True)
    with log_in(broker, "A3") as reader:
        reader.subscribe((STATES, 1))
        assert heard(reader) == []


def test_a_state_without_the_retain_flag(broker: Broker) -> None:
    """Ours keeps it all the same: the flag is the sender's habit, and a screen that comes later wants the state."""
    say(broker, "A1", b"kept", 1)
    with log_in(broker, "A3") as reader:
        reader.subscribe((STATES, 1))
        assert heard(reader) == ([("A1", b"kept", 1, True)] if isinstance(broker, Ours) else [])


# Last wills


@pytest.mark.parametrize("qos", [0, 1])
def test_a_will_is_said_of_who_is_gone_without_a_word_and_of_nobody_else(broker: Broker, qos: int) -> None:
    with log_in(broker, "A2", clean=False) as reader:
        reader.subscribe((STATES, 1))
        will = (state("A1"), b"gone", qos, False)
        with log_in(broker, "A1", will=will) as till:
            till.send(GOODBYE)
            assert till.is_closed()
        assert heard(reader) == []
        with log_in(broker, "A1", will=will):
            pass
        assert reader.expect(PUBLISH).payload == b"gone"


# Client ids


def test_no_client_id_is_enough_for_a_session_that_ends_with_its_connection(broker: Broker) -> None:
    with Client(broker.address) as client:
        client.send(connect(user="A1", client_id="", clean=False))
        assert client.expect(CONNACK).body == b"\0\2"
        assert client.is_closed()
    with Client(broker.address) as client:
        client.send(connect(user="A1", client_id="", clean=True))
        assert client.expect(CONNACK).body == b"\0\0"


# Sessions that are kept


def test_what_comes_while_a_client_is_away_waits_for_it(broker: Broker) -> None:
    with log_in(broker, "A2", clean=False) as reader:
        reader.subscribe((STATES, 1))
        reader.send(GOODBYE)
        assert reader.is_closed()
    say(broker, "A1", b"at most once", 0)
    say(broker, "A1", b"at least once", 1)
    with log_in(broker, "A2", clean=False, session_present=True) as reader:
        # With QoS 0 a broker may keep it or not.
        assert heard(reader) == [("A1", b"at least once", 1, False)]
    with log_in(broker, "A2", clean=True):
        pass
    with log_in(broker, "A2", clean=False, session_present=False):
        pass


@pytest.mark.parametrize("qos", [1, 2])
def test_what_was_not_acknowledged_comes_again_on_the_next_connection(broker: Broker, qos: int) -> None:
    """Of QoS 2 ours grants 1, as MQTT allows."""
    granted = min(qos, 1) if isinstance(broker, Ours) else qos
    with log_in(broker, "A2", clean=False) as reader:
        assert reader.subscribe((STATES, qos)) == bytes([granted])
        say(broker, "A1", b"hello", 1)
        first = reader.expect(PUBLISH)
        reader.send(GOODBYE)
        assert reader.is_closed()
    with log_in(broker, "A2", clean=False, session_present=True) as reader:
        again = reader.expect(PUBLISH)
        assert (first.payload, first.dup, again.payload, again.dup) == (b"hello", False, b"hello", True)
        assert first.packet_id == again.packet_id
        acknowledge(reader, again)
        assert reader.until_ping() == []
    with log_in(broker, "A2", clean=False, session_present=True) as reader:
        assert reader.until_ping() == []


# Subscriptions


def test_overlapping_filters_bring_one_message_at_the_highest_qos_or_one_for_each(broker: Broker) -> None:
    """mosquitto 2.0 brings one at the QoS of one of them, which the suite does not allow."""
    with log_in(broker, "A2") as reader:
        reader.subscribe((STATES, 1), (state("A1"), 0))
        say(broker, "A1", b"hello", 1)
        qos = sorted(one[2] for one in heard(reader))
        assert qos in ([1], [0, 1]) or (qos == [0] and isinstance(broker, Mosquitto))


def test_a_filter_that_nobody_may_read(broker: Broker) -> None:
    """mosquitto, under the ACL of the contract too, grants it and shows nothing; ours refuses it."""
    with log_in(broker, "A2") as reader:
        refused = reader.subscribe((f"{ROOT}device/A1/ack", 1))
        assert refused == (b"\x80" if isinstance(broker, Ours) else b"\1")


def test_a_topic_with_a_dollar_is_outside_of_every_wildcard(broker: Broker) -> None:
    """Ours has none: it refuses the wildcard, and closes the connection of who publishes there, which MQTT allows."""
    with log_in(broker, "A2") as reader, log_in(broker, "A1") as till:
        granted = reader.subscribe(("#", 1), ("+/x", 1))
        till.send(publish("$outside/x", b"hello", qos=1))
        if isinstance(broker, Ours):
            assert granted == b"\x80\x80"
            assert till.is_closed()
        else:
            assert granted == b"\1\1"
            till.expect(PUBACK)
        assert reader.until_ping() == []


def test_an_unsubscribe_ends_one_subscription(broker: Broker) -> None:
    with log_in(broker, "D") as reader:
        reader.subscribe(*((state(device), 1) for device in ("A1", "A2", "A3")))
        reader.send(unsubscribe(state("A1"), packet_id=2))
        reader.expect(UNSUBACK)
        for device in ("A1", "A2", "A3"):
            say(broker, device, b"hello", 1)
        assert [one[0] for one in heard(reader)] == ["A2", "A3"]


# Keep-alive


def test_who_is_silent_for_longer_than_its_keep_alive_is_closed_and_its_will_said(broker: Broker) -> None:
    with (
        log_in(broker, "A2", keep_alive_s=0) as reader,
        log_in(broker, "A1", keep_alive_s=1, will=(state("A1"), b"silent", 0, False)) as silent,
    ):
        reader.subscribe((STATES, 1))
        assert silent.is_closed()
        assert reader.expect(PUBLISH).payload == b"silent"


def test_a_keep_alive_of_0(broker: Broker) -> None:
    """Ours counts it as 60 s: a till that lost its power must be noticed."""
    with log_in(broker, "A1", keep_alive_s=0) as silent:
        if isinstance(broker, Ours):
            broker.thread.advance(91)
            assert silent.is_closed()
        else:
            assert silent.answers()
