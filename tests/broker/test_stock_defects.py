"""What amqtt 0.12.1 does wrong out of the box, one test per defect: each shows it on the stock broker, and not on ours.

Both assertions matter: a defect that is gone from the stock broker is work that can be thrown away.
"""

import asyncio
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from amqtt.broker import BrokerContext
from amqtt.plugins.authentication import FileAuthPlugin
from amqtt.session import Session
from pwdlib.hashers.argon2 import Argon2Hasher

from tests.broker.running import ROOT, Ours, Shop, Stock
from tests.broker.stock_plugins import SlowTopicsPlugin
from tests.broker.wire import CONNACK, PING, PINGRESP, PUBACK, PUBLISH, Client, connect, publish
from tests.waiting import wait_until

STATES = f"{ROOT}device/+/state"
STATE_A = f"{ROOT}device/A1/state"
STATE_B = f"{ROOT}device/B1/state"

PLUGINS = "tests.broker.stock_plugins."

# Nothing more comes: only a broker that misbehaves makes a test wait this long.
SILENCE_S = 0.5

Make = Callable[[], Stock | Ours]


def on_stock_and_ours(stock: Make = Stock, ours: Make = Ours) -> pytest.MarkDecorator:
    """Run a test on both; `misbehaves` is what it must find."""
    return pytest.mark.parametrize(
        ("make", "misbehaves"), [pytest.param(stock, True, id="stock"), pytest.param(ours, False, id="ours")]
    )


def is_connected(broker: Stock | Ours, user: str) -> bool:
    """Whether the broker believes so."""

    def look() -> bool:
        return any(
            session.username == user or getattr(session, "device", None) == user
            for session, _ in broker.amqtt.sessions.values()
            if session.transitions.state == "connected"
        )

    return broker.thread.call(look)


@on_stock_and_ours(stock=lambda: Stock(f"{PLUGINS}OwnTopicsPlugin"))
def test_a_denied_publish_is_acknowledged_and_dropped(make: Make, misbehaves: bool) -> None:
    with closing(make()) as broker, Client(broker.address).log_in() as till:
        till.send(publish(STATE_B, b"forged", qos=1))
        answer = till.read()
        assert (answer is not None and answer.kind == PUBACK) == misbehaves


@on_stock_and_ours(ours=lambda: Ours(Shop(hold=True)))
def test_puback_precedes_whatever_could_go_wrong(make: Make, misbehaves: bool) -> None:
    with closing(make()) as broker, Client(broker.address).log_in() as till:
        till.send(publish(f"{ROOT}device/A1/op", b"sale", qos=1))
        assert any(packet.kind == PUBACK for packet in till.until_ping()) == misbehaves


@on_stock_and_ours()
def test_an_unacknowledged_message_is_lost_on_disconnect(make: Make, misbehaves: bool) -> None:
    with closing(make()) as broker:
        with Client(broker.address).log_in(client_id="reader", clean=False) as reader:
            reader.subscribe((STATES, 1))
            with Client(broker.address).log_in(user="B1", client_id="writer") as writer:
                writer.send(publish(STATE_B, b"once", qos=1))
                assert reader.expect(PUBLISH).payload == b"once"
        wait_until(lambda: not is_connected(broker, "A1"))
        with Client(broker.address).log_in(client_id="reader", clean=False) as reader:
            again = reader.until_ping() + reader.until_ping()
            found = [(packet.payload, packet.dup, packet.retain) for packet in again if packet.kind == PUBLISH]
            assert found == ([] if misbehaves else [(b"once", True, False)])


@on_stock_and_ours()
def test_an_unacknowledged_message_is_given_up_after_five_seconds(make: Make, misbehaves: bool) -> None:
    with closing(make()) as broker, Client(broker.address).log_in() as reader:
        reader.subscribe((STATES, 1))
        with Client(broker.address).log_in(user="B1", client_id="writer") as writer:
            writer.send(publish(STATE_B, b"once", qos=1))
            reader.expect(PUBLISH)
            broker.thread.advance(6)
            (session,) = [known for known, _ in broker.amqtt.sessions.values() if "till" in (known.client_id or "")]
            assert (broker.thread.call(lambda: len(session.inflight_out)) == 0) == misbehaves


def slow_stock() -> Stock:
    SlowTopicsPlugin.may_answer = asyncio.Event()
    SlowTopicsPlugin.asked = asyncio.Event()
    return Stock(f"{PLUGINS}SlowTopicsPlugin")


@on_stock_and_ours(stock=slow_stock)
def test_a_subscription_during_a_broadcast_loses_it_for_live_readers(make: Make, misbehaves: bool) -> None:
    with (
        closing(make()) as broker,
        Client(broker.address).log_in(user="A1", client_id="first") as first,
        Client(broker.address).log_in(user="B1", client_id="second") as second,
        Client(broker.address).log_in(user="C1", client_id="third") as third,
    ):
        first.subscribe((STATES, 0))
        second.subscribe((STATE_A, 0))
        first.send(publish(STATE_A, b"sale"))
        if isinstance(broker, Stock):
            broker.thread.run(SlowTopicsPlugin.asked.wait())
        third.subscribe((STATE_B, 0))
        if isinstance(broker, Stock):
            broker.thread.call(SlowTopicsPlugin.may_answer.set)
        # What is published next goes through the same queue: who has that one would have had the first before.
        first.send(publish(STATE_A, b"marker"))
        assert (second.expect(PUBLISH).payload == b"marker") == misbehaves


@on_stock_and_ours()
def test_keep_alive_is_not_enforced(make: Make, misbehaves: bool) -> None:
    with closing(make()) as broker, Client(broker.address).log_in(user="B1", client_id="reader") as reader:
        reader.subscribe((STATES, 0))
        will = (STATE_A, b"offline", 0, True)
        with Client(broker.address).log_in(keep_alive_s=10, will=will) as till:
            broker.thread.advance(16)
            assert till.answers() == misbehaves
            if not misbehaves:
                assert reader.expect(PUBLISH).payload == b"offline"


@on_stock_and_ours()
def test_a_wrong_password_deletes_the_subscriptions_of_a_live_till(make: Make, misbehaves: bool) -> None:
    with closing(make()) as broker, Client(broker.address).log_in() as till:
        till.subscribe((STATES, 0))
        with Client(broker.address) as stranger:
            stranger.send(connect(password="wrong"))
            stranger.expect(CONNACK)
        with Client(broker.address).log_in(user="B1", client_id="writer") as writer:
            writer.send(publish(STATE_B, b"sale", qos=1))
            writer.expect(PUBACK)
            assert (till.until_ping() + till.until_ping() == []) == misbehaves


@on_stock_and_ours()
def test_a_wrong_password_kicks_a_live_till(make: Make, misbehaves: bool) -> None:
    with closing(make()) as broker, Client(broker.address).log_in(clean=False) as till, Client(broker.address) as liar:
        liar.send(connect(password="wrong", clean=False))
        liar.expect(CONNACK)
        assert till.answers() != misbehaves


@on_stock_and_ours(ours=lambda: Ours(tries_free=100))
def test_a_failed_log_in_leaves_a_session_behind(make: Make, misbehaves: bool) -> None:
    with closing(make()) as broker:
        for attempt in range(10):
            with Client(broker.address) as liar:
                liar.send(connect(password="wrong", client_id=f"attempt-{attempt}"))
                liar.expect(CONNACK)
                assert liar.is_closed()
        assert (broker.thread.call(lambda: len(broker.amqtt.sessions)) > 0) == misbehaves


@on_stock_and_ours()
def test_take_over_leaves_the_old_connection_open(make: Make, misbehaves: bool) -> None:
    with closing(make()) as broker, Client(broker.address).log_in() as old, Client(broker.address).log_in() as new:
        assert old.answers() == misbehaves
        assert new.answers()


@on_stock_and_ours()
def test_take_over_of_a_kept_session_receives_nothing(make: Make, misbehaves: bool) -> None:
    with closing(make()) as broker, Client(broker.address).log_in(clean=False) as old:
        old.subscribe((STATES, 0))
        with (
            Client(broker.address).log_in(clean=False) as new,
            Client(broker.address).log_in(user="B1", client_id="writer") as writer,
        ):
            writer.send(publish(STATE_B, b"sale", qos=1))
            writer.expect(PUBACK)
            try:
                found = new.read(SILENCE_S if misbehaves else 10)
            except TimeoutError:
                found = None
            assert (found is None) == misbehaves


@on_stock_and_ours()
def test_a_client_is_sent_the_retained_messages_of_other_peoples_filters(make: Make, misbehaves: bool) -> None:
    with closing(make()) as broker, Client(broker.address).log_in() as reader:
        reader.subscribe((STATES, 0))
        reader.send(publish(STATE_A, b"online", retain=True))
        reader.expect(PUBLISH)
        with Client(broker.address).log_in(user="B1", client_id="new") as new:
            found = [packet for _ in range(3) for packet in new.until_ping()]
            assert (found != []) == misbehaves


@on_stock_and_ours()
def test_a_publish_to_a_dollar_topic_makes_a_zombie(make: Make, misbehaves: bool) -> None:
    with (
        closing(make()) as broker,
        Client(broker.address).log_in(user="B1", client_id="reader") as reader,
        Client(broker.address).log_in(user="C1", client_id="other") as other,
        Client(broker.address).log_in() as till,
    ):
        reader.subscribe((STATES, 0))
        till.send(publish("$anything", b"x"))
        if not misbehaves:
            assert till.is_closed()
            return
        till.until_ping()
        till.send(publish(STATE_A, b"sale", qos=1))
        till.expect(PUBACK)
        other.send(publish(f"{ROOT}device/C1/state", b"marker"))
        assert reader.expect(PUBLISH).payload == b"marker"


@on_stock_and_ours()
def test_the_payload_of_a_refused_publish_is_read_as_a_packet(make: Make, misbehaves: bool) -> None:
    with closing(make()) as broker, Client(broker.address).log_in() as till:
        till.send(publish("x/+/y", PING))
        answer = till.read()
        assert (answer is not None and answer.kind == PINGRESP) == misbehaves


@on_stock_and_ours()
def test_a_packet_of_any_size_is_accepted(make: Make, misbehaves: bool) -> None:
    with (
        closing(make()) as broker,
        Client(broker.address).log_in(user="B1", client_id="reader") as reader,
        Client(broker.address).log_in() as till,
    ):
        reader.subscribe((STATE_A, 0))
        till.send(publish(STATE_A, bytes(8 * 1024 * 1024)), publish(STATE_A, b"online"))
        assert (reader.expect(PUBLISH).payload != b"online") == misbehaves


@on_stock_and_ours()
def test_a_connect_that_never_comes_holds_its_socket(make: Make, misbehaves: bool) -> None:
    with closing(make()) as broker, Client(broker.address) as silent:
        silent.send(connect()[:5])
        if not misbehaves:
            wait_until(lambda: len(broker.amqtt._connections) == 1)  # type: ignore[attr-defined]
        broker.thread.advance(60)
        assert silent.is_closed(SILENCE_S if misbehaves else 10) != misbehaves


@on_stock_and_ours(stock=lambda: Stock(max_connections=1), ours=lambda: Ours(connections_max=1))
def test_a_full_broker_keeps_newcomers_waiting(make: Make, misbehaves: bool) -> None:
    with closing(make()) as broker, Client(broker.address).log_in(), Client(broker.address) as late:
        late.send(connect(user="B1", client_id="late"))
        try:
            answer = late.read(SILENCE_S if misbehaves else 10)
        except TimeoutError:
            answer = None
        assert (answer is None) == misbehaves
        if answer is not None:
            assert (answer.kind, answer.body[1]) == (CONNACK, 3)


@on_stock_and_ours(ours=lambda: Ours(outgoing_bytes_max=300 * 1024, offline_bytes_max=1024))
def test_a_slow_reader_fills_the_memory(make: Make, misbehaves: bool) -> None:
    with (
        closing(make()) as broker,
        Client(broker.address, receive_buffer_bytes=4096).log_in(user="B1", client_id="slow") as slow,
        Client(broker.address).log_in() as till,
    ):
        slow.subscribe((STATES, 0))
        for _ in range(1500):
            till.send(publish(STATE_A, bytes(10_000), qos=1))
            till.expect(PUBACK)
        if misbehaves:
            assert is_connected(broker, "B1")
        else:
            wait_until(lambda: not is_connected(broker, "B1"))


def test_the_password_file_plugin_hashes_on_the_event_loop(tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    passwords.write_text(f"A1:{Argon2Hasher().hash('secret')}\n")

    async def check() -> None:
        broker = Stock.build(f"{PLUGINS}PasswordPlugin")
        context = BrokerContext(broker)
        context.config = FileAuthPlugin.Config(password_file=str(passwords))  # type: ignore[assignment]
        session = Session()
        session.username, session.password = "A1", "secret"
        # It runs through without giving the event loop back once.
        with pytest.raises(StopIteration, match="True"):
            FileAuthPlugin(context).authenticate(session=session).send(None)

    asyncio.run(check())


@on_stock_and_ours()
def test_qos_is_raised_to_the_subscribers(make: Make, misbehaves: bool) -> None:
    with closing(make()) as broker, Client(broker.address).log_in() as till:
        till.subscribe((STATES, 1))
        till.send(publish(STATE_A, b"online", qos=0))
        assert (till.expect(PUBLISH).qos == 1) == misbehaves


@on_stock_and_ours()
def test_will_retain_is_forgotten_when_a_kept_session_reconnects(make: Make, misbehaves: bool) -> None:
    with closing(make()) as broker, Client(broker.address).log_in(user="B1", client_id="reader") as reader:
        reader.subscribe((STATE_A, 0))
        with Client(broker.address).log_in(clean=False):
            pass
        wait_until(lambda: not is_connected(broker, "A1"))
        with Client(broker.address).log_in(clean=False, will=(STATE_A, b"offline", 0, True)):
            pass
        assert reader.expect(PUBLISH).payload == b"offline"
        wait_until(lambda: not is_connected(broker, "A1"))
        late = Client(broker.address).log_in(user="C1", client_id="late")
        with late:
            late.subscribe((STATE_A, 0))
            assert (late.until_ping() + late.until_ping() == []) == misbehaves


@on_stock_and_ours()
def test_what_came_while_offline_is_marked_as_retained(make: Make, misbehaves: bool) -> None:
    with closing(make()) as broker:
        with Client(broker.address).log_in(clean=False) as reader:
            reader.subscribe((STATES, 1))
        wait_until(lambda: not is_connected(broker, "A1"))
        with Client(broker.address).log_in(user="B1", client_id="writer") as writer:
            writer.send(publish(STATE_B, b"meanwhile", qos=1))
            writer.expect(PUBACK)
            writer.until_ping()
        with Client(broker.address).log_in(clean=False) as reader:
            found = reader.expect(PUBLISH)
            assert (found.payload, found.retain) == (b"meanwhile", misbehaves)


@on_stock_and_ours()
def test_qos_2_is_half_served(make: Make, misbehaves: bool) -> None:
    """The stock broker forgets a QoS 2 message that was not released when its connection ended; ours refuses QoS 2."""
    with closing(make()) as broker, Client(broker.address).log_in(clean=False) as till:
        till.send(publish(STATE_A, b"sale", qos=2))
        answer = till.read()
        assert (answer is not None) == misbehaves
