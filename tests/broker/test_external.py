"""The link to a broker that others run, on a real mosquitto: who may speak, what is rewritten, and what is held."""

import logging
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from appliance.broker.external import ExternalBroker, ForeignRun, Limits
from appliance.broker.external.connection import Connection
from appliance.contract import messages
from appliance.contract.delivery import Channel
from appliance.contract.limits import HEAD_BYTES, PAYLOAD_MAX
from appliance.contract.topics import Topics
from tests.broker.mosquitto import COORDINATOR, PASSWORD, Mosquitto, configuration
from tests.broker.running import DEADLINE_S, ROOT, SHOP, Shop
from tests.broker.wire import PUBACK, PUBLISH, Client, Packet, publish
from tests.waiting import wait_until

TOPICS = Topics(SHOP)
README = Path(__file__).parents[2] / "appliance" / "broker" / "README.md"

LONG_S = 600.0
"""What a test that works does not wait for."""

TICK_S = 0.02
"""Between the ticks of a test."""


@pytest.fixture
def mosquitto(tmp_path: Path, free_port: int) -> Iterator[Mosquitto]:
    with closing(Mosquitto(tmp_path, free_port)) as broker:
        yield broker


class House:
    """A coordinator's side of the link: its presence, its projection, and what it was handed.

    limits: as of the link, whose waits between its tries are short here.
    """

    def __init__(
        self,
        mosquitto: Mosquitto,
        run: str = "aa",
        *,
        hold: bool = False,
        take_over: bool = False,
        host: str | None = None,
        user: str = COORDINATOR,
        password: str = PASSWORD,
        **limits: Any,
    ) -> None:
        self.shop = Shop(hold=hold)
        self.speaker = messages.Coordinator("ledger", run, "synchronised", "0")
        self.ledger: dict[str, bytes] = {}
        self.connected: list[set[str]] = []
        self.rewritten = 0
        self.before_online: Callable[[], object] = lambda: None
        self.link = ExternalBroker(
            topics=TOPICS,
            host=mosquitto.address[0] if host is None else host,
            port=mosquitto.address[1],
            user=user,
            password=password,
            run=run,
            will=messages.offline(self.speaker),
            take_over=take_over,
            take=self.shop.take,
            connected=self._connected,
            limits=Limits(**{"retry_min_s": 0.02, "retry_max_s": 0.1, **limits}),
        )
        self.end: Future[None] = self.link.start()

    def _connected(self, retained: set[str]) -> None:
        self.connected.append(retained)
        for leaf, payload in self.ledger.items():
            self.link.publish(ROOT + leaf, payload, retain=True)
        for topic in retained - {ROOT + leaf for leaf in self.ledger}:
            self.link.publish(topic, b"", retain=True)
        self.before_online()
        self.link.publish(TOPICS.coordinator, messages.online(self.speaker, len(self.connected)), retain=True)
        self.rewritten += 1

    def tick(self) -> None:
        self.link.publish(TOPICS.tick, messages.tick(self.speaker, 1, 1), retain=False)

    def close(self) -> None:
        self.link.stop()

    def wait_until_serving(self, mosquitto: Mosquitto, times: int = 1) -> "House":
        """Return when what a device says is heard; its question is not kept among the deliveries."""
        wait_until(lambda: self.rewritten >= times or self.end.done())
        assert not self.end.done(), self.end.exception()

        def is_heard() -> bool:
            mosquitto.publish("A2", "device/A2/query", b"serving?")
            return any(one.payload == b"serving?" for one in self.shop.deliveries)

        wait_until(is_heard)
        # Every question asked so far has an answer when a last one has.
        mosquitto.publish("A2", "device/A2/query", b"last")
        wait_until(lambda: any(one.payload == b"last" for one in self.shop.deliveries))
        for one in self.shop.deliveries if self.shop.hold else []:
            one.settled()
        self.shop.deliveries.clear()
        return self


@contextmanager
def at_work(mosquitto: Mosquitto, run: str = "aa", **options: Any) -> Iterator[House]:
    """A house that is stopped at the end, and whose link has not ended before."""
    with closing(House(mosquitto, run, **options)) as house:
        yield house
    assert house.end.exception(DEADLINE_S) is None


def presence(mosquitto: Mosquitto) -> tuple[str, str]:
    said = orjson.loads(mosquitto.retained("coordinator")["coordinator"])
    return said["state"], said["run"]


def put_off(mosquitto: Mosquitto) -> None:
    """Break the connection of the coordinator: whoever has its client id is let in instead."""
    with Client(mosquitto.address) as same:
        same.log_in(user=COORDINATOR, password=PASSWORD, client_id=f"coordinator-{SHOP}")


def pretend(mosquitto: Mosquitto, run: str, state: str = "online") -> None:
    """Leave in the broker what a coordinator of this run said last."""
    speaker = messages.Coordinator("ledger", run, "synchronised", "0")
    said = messages.online(speaker, 1) if state == "online" else messages.offline(speaker)
    mosquitto.publish(COORDINATOR, "coordinator", said, retain=True)


@contextmanager
def ticking(tick: Callable[[], object]) -> Iterator[None]:
    """Tick again and again, in a thread."""
    stop = threading.Event()

    def keep_ticking() -> None:
        while not stop.wait(TICK_S):
            tick()

    thread = threading.Thread(target=keep_ticking)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def living(mosquitto: Mosquitto, run: str) -> Iterator[None]:
    """Have another coordinator of this run say that it is online, and tick."""
    pretend(mosquitto, run)
    tick = messages.tick(messages.Coordinator("ledger", run, "synchronised", "0"), 1, 1)
    with mosquitto.client(COORDINATOR) as client, ticking(lambda: client.send(publish(TOPICS.tick, tick))):
        yield


# --- what devices say -------------------------------------------------------------------------------------------------


def test_each_message_of_a_device_is_handed_on_under_its_channel(mosquitto: Mosquitto) -> None:
    with at_work(mosquitto) as house, mosquitto.client("A1") as till:
        house.wait_until_serving(mosquitto)
        for at, channel in enumerate(Channel, start=1):
            till.send(publish(TOPICS.device("A1", channel), b"x", qos=1, packet_id=at))
            till.expect(PUBACK)
        assert [(one.device, one.channel, one.payload, one.size) for one in house.shop.wait_for(3)] == [
            ("A1", Channel.OP, b"x", 1),
            ("A1", Channel.STATE, b"x", 1),
            ("A1", Channel.QUERY, b"x", 1),
        ]


def test_the_broker_gets_its_puback_only_when_the_message_is_settled(tmp_path: Path, free_port: int) -> None:
    with (
        closing(Mosquitto(tmp_path, free_port, inflight_max=1)) as mosquitto,
        at_work(mosquitto, hold=True) as house,
        mosquitto.client("A1") as till,
    ):
        house.wait_until_serving(mosquitto)
        # mosquitto sends the second operation only after the PUBACK of the first. A question with QoS 0 needs none.
        till.send(*(publish(TOPICS.device("A1", "op"), b"%d" % at, qos=1, packet_id=at) for at in (1, 2)))
        till.send(publish(TOPICS.device("A1", "query"), b"q"))
        assert [one.payload for one in house.shop.wait_for(2)] == [b"1", b"q"]
        house.shop.deliveries[0].settled()
        assert [one.payload for one in house.shop.wait_for(3)] == [b"1", b"q", b"2"]


def test_pubacks_leave_in_the_order_of_receipt(tmp_path: Path, free_port: int) -> None:
    with (
        closing(Mosquitto(tmp_path, free_port, inflight_max=2)) as mosquitto,
        at_work(mosquitto, hold=True) as house,
        mosquitto.client("A1") as till,
    ):
        house.wait_until_serving(mosquitto)
        till.subscribe((TOPICS.tick, 0))
        till.send(*(publish(TOPICS.device("A1", "op"), b"%d" % at, qos=1, packet_id=at) for at in (1, 2, 3)))
        first, second = house.shop.wait_for(2)
        till.until_ping()
        second.settled()
        house.tick()  # Behind whatever PUBACK has left.
        assert till.expect(PUBLISH).topic == TOPICS.tick
        till.send(publish(TOPICS.device("A1", "query"), b"q"))
        assert [one.payload for one in house.shop.wait_for(3)] == [b"1", b"2", b"q"]
        first.settled()
        assert [one.payload for one in house.shop.wait_for(4)] == [b"1", b"2", b"q", b"3"]


def test_a_message_that_is_settled_after_its_connection_is_acknowledged_on_no_other(
    tmp_path: Path, free_port: int
) -> None:
    with closing(Mosquitto(tmp_path, free_port, inflight_max=1)) as mosquitto, at_work(mosquitto, hold=True) as house:
        house.wait_until_serving(mosquitto)
        mosquitto.publish("A1", "device/A1/op", b"before")
        (before,) = house.shop.wait_for(1)
        house.shop.deliveries.clear()
        mosquitto.kill()
        mosquitto.start()
        house.wait_until_serving(mosquitto, times=2)
        with mosquitto.client("A1") as till:
            till.send(*(publish(TOPICS.device("A1", "op"), b"%d" % at, qos=1, packet_id=at) for at in (1, 2)))
            house.shop.wait_for(1)
            before.settled()
            till.send(publish(TOPICS.device("A1", "query"), b"q"))
            assert [one.payload for one in house.shop.wait_for(2)] == [b"1", b"q"]


def test_an_oversize_message_comes_as_its_head_and_its_size(mosquitto: Mosquitto) -> None:
    with at_work(mosquitto) as house:
        house.wait_until_serving(mosquitto)
        mosquitto.publish("A1", "device/A1/op", b"x" * PAYLOAD_MAX)
        mosquitto.publish("A1", "device/A1/op", b"y" * (PAYLOAD_MAX + 1))
        fits, oversize = house.shop.wait_for(2)
        assert (len(fits.payload), fits.size) == (PAYLOAD_MAX, PAYLOAD_MAX)
        assert (oversize.payload, oversize.size) == (b"y" * HEAD_BYTES, PAYLOAD_MAX + 1)


def test_a_retained_operation_is_taken_and_cleared_once_it_is_on_disk(mosquitto: Mosquitto) -> None:
    mosquitto.publish("A1", "device/A1/op", b"sale", retain=True)
    with at_work(mosquitto, hold=True) as house:
        (sale,) = house.shop.wait_for(1)
        assert (sale.device, sale.payload) == ("A1", b"sale")
        assert mosquitto.retained("device/A1/op") == {"device/A1/op": b"sale"}
        sale.settled()
        wait_until(lambda: mosquitto.retained("device/A1/op") == {})
        # The clearing came back to us as well, before this.
        mosquitto.publish("A1", "device/A1/op", b"next")
        assert [one.payload for one in house.shop.wait_for(2)] == [b"sale", b"next"]


def test_what_is_said_under_a_name_that_no_device_may_have_is_not_handed_on(mosquitto: Mosquitto) -> None:
    with at_work(mosquitto) as house:
        house.wait_until_serving(mosquitto)
        mosquitto.publish(COORDINATOR, "device/_shop/op", b"forged")
        mosquitto.publish("A1", "device/A1/op", b"true")
        assert [one.payload for one in house.shop.wait_for(1)] == [b"true"]


def test_no_more_is_read_than_may_wait_and_ticks_keep_the_connection_meanwhile(mosquitto: Mosquitto) -> None:
    with at_work(mosquitto, hold=True, unsettled_max=3, keep_alive_s=1) as house, mosquitto.client("A2") as reader:
        house.wait_until_serving(mosquitto)
        reader.subscribe((TOPICS.tick, 0))
        with mosquitto.client("A1") as till:
            till.send(*(publish(TOPICS.device("A1", "op"), b"%d" % at, qos=1, packet_id=at) for at in range(1, 11)))
            till.until_ping()
        house.shop.wait_for(3)
        # So many take far longer than the broker, or paho, waits for the other's sign of life.
        with ticking(house.tick):
            for _ in range(int(4 / TICK_S)):
                assert reader.expect(PUBLISH).topic == TOPICS.tick
        assert len(house.shop.deliveries) == 3
        house.shop.hold = False
        for one in list(house.shop.deliveries):
            one.settled()
        assert [one.payload for one in house.shop.wait_for(10)] == [b"%d" % at for at in range(1, 11)]
        assert len(house.connected) == 1


# --- the projection ---------------------------------------------------------------------------------------------------


def test_the_projection_is_rewritten_and_what_is_unknown_is_cleared_before_online(mosquitto: Mosquitto) -> None:
    stale = ("balance/OLD", "item/OLD", "alert/fork-1", "device/A1/ack", "printer/old")
    for leaf in stale:
        mosquitto.publish(COORDINATOR, leaf, b"old", retain=True)
    mosquitto.publish("A1", "device/A1/state", b"{}", retain=True)
    seen: list[dict[str, bytes]] = []
    with at_work(mosquitto) as house:
        house.ledger = {"balance/NEW": b"new", "device/A1/ack": b"new"}
        house.before_online = lambda: seen.append(mosquitto.retained("coordinator"))
        house.wait_until_serving(mosquitto)
        assert house.connected == [{ROOT + leaf for leaf in stale}]
        retained = mosquitto.retained()
    assert b"offline" in seen[0]["coordinator"]
    assert b"online" in retained.pop("coordinator")
    assert retained == {"balance/NEW": b"new", "device/A1/ack": b"new", "device/A1/state": b"{}"}


def test_a_large_projection_waits_for_room_and_arrives_whole(mosquitto: Mosquitto) -> None:
    count = 5000
    with at_work(mosquitto, outgoing_bytes_max=100 * 2048, answer_s=30) as house:
        house.ledger = {f"balance/{at}": b"%d" % at for at in range(count)}
        house.wait_until_serving(mosquitto)
        assert len(house.connected) == 1
        assert mosquitto.retained("balance/+") == house.ledger
        # And it is read back whole when the link comes again.
        mosquitto.publish(COORDINATOR, "balance/unknown", b"x", retain=True)
        put_off(mosquitto)
        house.wait_until_serving(mosquitto, times=2)
        assert house.connected[1] == {ROOT + leaf for leaf in house.ledger} | {f"{ROOT}balance/unknown"}
        assert mosquitto.retained("balance/+") == house.ledger


def test_a_broker_that_was_killed_and_lost_everything_is_told_everything_again(mosquitto: Mosquitto) -> None:
    with at_work(mosquitto) as house:
        house.ledger = {"balance/A": b"1"}
        house.wait_until_serving(mosquitto)
        mosquitto.kill()
        house.ledger["balance/A"] = b"2"
        house.link.publish(f"{ROOT}balance/A", b"2", retain=True)  # Nobody hears it.
        mosquitto.start()
        house.wait_until_serving(mosquitto, times=2)
        assert mosquitto.retained("balance/+") == {"balance/A": b"2"}
        assert presence(mosquitto) == ("online", "aa")
        mosquitto.publish("A1", "device/A1/op", b"sale")
        house.shop.wait_for(1)


def test_a_broker_that_takes_nothing_is_cut_off_when_too_much_waits(
    mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    with at_work(mosquitto, outgoing_bytes_max=1_000_000, answer_s=1) as house:
        house.wait_until_serving(mosquitto)
        mosquitto.freeze()

        def is_cut_off() -> bool:
            house.link.publish(TOPICS.changes, b"x" * 100_000, retain=False)
            return "does not take what it is sent" in caplog.text

        wait_until(is_cut_off)
        mosquitto.kill()
        mosquitto.start()
        house.wait_until_serving(mosquitto, times=2)


def test_a_rewrite_does_not_wait_for_a_broker_that_takes_nothing(mosquitto: Mosquitto) -> None:
    def freeze() -> None:
        if len(house.connected) == 1:
            mosquitto.freeze()
            for at in range(300):
                house.link.publish(f"{ROOT}balance/{at}", b"x" * 100_000, retain=True)
            mosquitto.kill()
            mosquitto.start()

    with at_work(mosquitto, keep_alive_s=1, outgoing_bytes_max=1_000_000) as house:
        house.before_online = freeze
        house.wait_until_serving(mosquitto, times=2)
        assert mosquitto.retained("balance/+") == {}


# --- who speaks for the shop ------------------------------------------------------------------------------------------


def test_a_living_coordinator_of_another_run_is_left_alone(mosquitto: Mosquitto) -> None:
    with (
        living(mosquitto, "bb"),
        closing(House(mosquitto, tick_s=LONG_S)) as house,
        pytest.raises(ForeignRun, match=r"run bb .*--take-over"),
    ):
        house.end.result(DEADLINE_S)
    assert presence(mosquitto) == ("online", "bb")
    assert house.connected == []


def test_take_over_starts_although_another_coordinator_lives(mosquitto: Mosquitto) -> None:
    with living(mosquitto, "bb"), at_work(mosquitto, take_over=True, tick_s=LONG_S) as house:
        house.wait_until_serving(mosquitto)
        assert presence(mosquitto) == ("online", "aa")


def test_a_run_that_no_longer_ticks_is_stale(mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture) -> None:
    pretend(mosquitto, "bb")
    with at_work(mosquitto, tick_s=0.2) as house:
        house.wait_until_serving(mosquitto)
        assert presence(mosquitto) == ("online", "aa")
    assert "stale run=bb" in caplog.text


def test_it_serves_only_when_devices_are_heard(mosquitto: Mosquitto) -> None:
    """A person is told that the shop is open, and must not be while another coordinator lives or the broker is away."""
    with living(mosquitto, "bb"), closing(House(mosquitto)) as house:
        assert isinstance(house.end.exception(DEADLINE_S), ForeignRun)
        assert not house.link.serving.done()
    mosquitto.kill()
    seen: list[bool] = []
    with at_work(mosquitto) as house:
        house.before_online = lambda: seen.append(house.link.serving.done())
        assert not house.link.serving.done()
        mosquitto.start()
        house.link.serving.result(DEADLINE_S)
        assert seen == [False]
        mosquitto.publish("A1", "device/A1/op", b"sale")
        assert [one.payload for one in house.shop.wait_for(1)] == [b"sale"]
        house.shop.deliveries.clear()
        put_off(mosquitto)
        house.wait_until_serving(mosquitto, times=2)


def test_whoever_is_told_of_the_coordinator_is_heard_by_it(
    mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two tills that share a name shake hands as soon as they are told: unheard, the state of one is overwritten."""
    subscribe = Connection.subscribe
    told: list[Packet] = []
    is_ready = threading.Event()

    def subscribe_late(connection: Connection, filters: Sequence[str], qos: int) -> None:
        if TOPICS.device("+", "state") in filters:
            assert is_ready.wait(DEADLINE_S)
            house.tick()
            told.extend(till.until_ping())
        subscribe(connection, filters, qos)

    def shake_hands() -> None:
        house.tick()
        assert till.expect(PUBLISH).topic == TOPICS.tick
        for epoch in (b"one", b"other"):
            mosquitto.publish("A1", "device/A1/state", epoch, retain=True)
        wait_until(lambda: len(house.link._kept or []) == 2)
        assert house.shop.deliveries == []

    monkeypatch.setattr(Connection, "subscribe", subscribe_late)
    with mosquitto.client("A1") as till, at_work(mosquitto) as house:
        till.subscribe((TOPICS.coordinator, 0), (TOPICS.tick, 0))
        house.before_online = shake_hands
        is_ready.set()
        assert [one.payload for one in house.shop.wait_for(2)] == [b"one", b"other"]
    assert [(one.topic, orjson.loads(one.payload)["state"]) for one in told] == [(TOPICS.coordinator, "offline")]


@pytest.mark.parametrize("state", ["online", "offline"])
def test_nobody_waits_for_ticks_after_an_orderly_end_or_of_its_own_run(mosquitto: Mosquitto, state: str) -> None:
    pretend(mosquitto, "aa" if state == "online" else "bb", state)
    with at_work(mosquitto, tick_s=LONG_S) as house:
        house.wait_until_serving(mosquitto)


def test_rubbish_in_place_of_a_coordinator_is_nobody(mosquitto: Mosquitto) -> None:
    mosquitto.publish(COORDINATOR, "coordinator", b"\xff", retain=True)
    with at_work(mosquitto, tick_s=LONG_S) as house:
        house.wait_until_serving(mosquitto)


def test_the_one_that_is_taken_over_yields_for_good(mosquitto: Mosquitto) -> None:
    is_over = threading.Event()
    with closing(House(mosquitto, "aa", take_over=True, tick_s=LONG_S)) as first:
        first.wait_until_serving(mosquitto)
        with ticking(first.tick), at_work(mosquitto, "bb", take_over=True, tick_s=LONG_S) as second:
            # It is not online yet while the first one looks again: its claim tells that it is there.
            second.before_online = lambda: is_over.wait(DEADLINE_S)
            with ticking(second.tick), pytest.raises(ForeignRun, match="run bb"):
                first.end.result(DEADLINE_S)
            is_over.set()
            second.wait_until_serving(mosquitto)
            assert presence(mosquitto) == ("online", "bb")
            assert len(second.connected) == 1


def test_its_own_stale_offline_is_contradicted(mosquitto: Mosquitto) -> None:
    with at_work(mosquitto) as house:
        house.wait_until_serving(mosquitto)
        pretend(mosquitto, "aa", "offline")
        wait_until(lambda: presence(mosquitto) == ("online", "aa"))
        assert len(house.connected) == 1


def test_its_own_last_word_is_not_contradicted(mosquitto: Mosquitto) -> None:
    with at_work(mosquitto) as house:
        house.wait_until_serving(mosquitto)
        house.link.publish(TOPICS.coordinator, messages.offline(house.speaker), retain=True)
        wait_until(lambda: presence(mosquitto) == ("offline", "aa"))
        mosquitto.publish("A1", "device/A1/op", b"later")
        house.shop.wait_for(1)
        assert presence(mosquitto) == ("offline", "aa")


def test_the_broker_says_offline_for_a_coordinator_that_is_gone_without_a_word(mosquitto: Mosquitto) -> None:
    with at_work(mosquitto) as house:
        house.wait_until_serving(mosquitto)
        house.before_online = lambda: wait_until(lambda: presence(mosquitto) == ("offline", "aa"))
        put_off(mosquitto)
        house.wait_until_serving(mosquitto, times=2)
        assert presence(mosquitto) == ("online", "aa")


# --- its end, and what is wrong ---------------------------------------------------------------------------------------


def test_on_the_way_down_nothing_is_taken_and_what_was_taken_is_settled_and_said(mosquitto: Mosquitto) -> None:
    with at_work(mosquitto, hold=True) as house:
        house.wait_until_serving(mosquitto)
        mosquitto.publish("A1", "device/A1/op", b"taken")
        (taken,) = house.shop.wait_for(1)
        house.link.pause()
        mosquitto.publish("A1", "device/A1/op", b"too late")
        taken.settled()
        house.link.publish(f"{ROOT}balance/A", b"1", retain=True)
        house.link.publish(TOPICS.coordinator, messages.offline(house.speaker), retain=True)
        house.link.stop()
        house.link.stop()
        wait_until(lambda: mosquitto.retained("balance/+") == {"balance/A": b"1"})
        assert presence(mosquitto) == ("offline", "aa")
        assert house.shop.deliveries == [taken]
        house.link.publish(f"{ROOT}balance/A", b"2", retain=True)
        assert mosquitto.retained("balance/+") == {"balance/A": b"1"}


def test_nothing_said_last_is_lost_because_a_device_was_not_heard_out(mosquitto: Mosquitto) -> None:
    with at_work(mosquitto, hold=True, answer_s=LONG_S) as house:
        house.wait_until_serving(mosquitto)
        house.link.pause()
        mosquitto.publish("A1", "device/A1/op", b"too late")
        mosquitto.freeze()
        # More than the broker's socket holds, less than ours does.
        last = {f"balance/{at}": b"x" * 10_000 for at in range(100)}
        for leaf, payload in last.items():
            house.link.publish(ROOT + leaf, payload, retain=True)
        house.link.publish(TOPICS.coordinator, messages.offline(house.speaker), retain=True)
        connection = house.link._speaking
        assert connection is not None
        stopping = threading.Thread(target=house.link.stop)
        stopping.start()
        # Everything is on its way, and the broker has read nothing yet.
        wait_until(lambda: connection._is_leaving and not connection._outgoing)
        mosquitto.thaw()
        stopping.join()
        assert mosquitto.retained("balance/+") == last
        assert presence(mosquitto) == ("offline", "aa")


def test_it_can_be_stopped_while_it_connects_looks_rewrites_or_waits(mosquitto: Mosquitto) -> None:
    for _ in range(20):
        with at_work(mosquitto) as house:
            wait_until(lambda: house.link._current)
    pretend(mosquitto, "bb")
    with at_work(mosquitto, tick_s=LONG_S) as house:
        wait_until(lambda: house.link._current and house.link._current._marked)
    mosquitto.publish(COORDINATOR, "coordinator", b"", retain=True)
    rewriting = threading.Event()
    with at_work(mosquitto, retry_min_s=LONG_S, retry_max_s=LONG_S) as house:
        house.before_online = rewriting.set
        assert rewriting.wait(DEADLINE_S)
    mosquitto.kill()
    with at_work(mosquitto, retry_min_s=LONG_S, retry_max_s=LONG_S):
        pass


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"password": "wrong"}, "STOCK_BROKER__USER and STOCK_BROKER__PASSWORD"),
        ({"host": "a..b"}, "set STOCK_BROKER__HOST"),
        ({"host": ""}, "set STOCK_BROKER__HOST"),
    ],
)
def test_what_a_person_must_put_right_is_named_and_tried_again(
    mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture, options: dict[str, Any], complaint: str
) -> None:
    with at_work(mosquitto, **options):
        wait_until(lambda: len(re.findall(complaint, caplog.text)) >= 2)
    assert {one.levelno for one in caplog.records if one.name.startswith("appliance.broker")} == {logging.ERROR}


def test_a_broker_that_lets_the_coordinator_only_read_is_named(
    mosquitto: Mosquitto, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mosquitto.kill()
    rules = tmp_path / "acl"
    rules.write_text(rules.read_text().replace("topic readwrite", "topic read"))
    mosquitto.start()
    with at_work(mosquitto):
        wait_until(lambda: re.search(r"when 'coordinator' published on .*; the broker's ACL must allow", caplog.text))


def test_a_broker_that_refuses_a_subscription_is_named(mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture) -> None:
    mosquitto.kill()
    with socket.create_server(mosquitto.address) as strict, at_work(mosquitto, retry_max_s=LONG_S):
        asked, _ = strict.accept()
        with asked:
            asked.sendall(b"\x20\x02\x00\x00" + b"\x90\x03\x00\x01\x80")
            wait_until(lambda: re.search("lets 'coordinator' not read .*: its ACL must allow", caplog.text))


def test_a_broker_that_answers_nothing_is_given_up(mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture) -> None:
    mosquitto.kill()
    with socket.create_server(mosquitto.address), at_work(mosquitto, answer_s=0.1):
        wait_until(lambda: caplog.text.count("no answer to CONNECT within 0.1 s") >= 2)


def test_a_broker_that_is_full_or_away_is_tried_again(mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture) -> None:
    mosquitto.kill()
    with at_work(mosquitto) as house:
        wait_until(lambda: caplog.text.count("Connection refused") >= 2)
        with socket.create_server(mosquitto.address) as full:
            refused, _ = full.accept()
            with refused:
                refused.sendall(b"\x20\x02\x00\x03")
                wait_until(lambda: "Server unavailable" in caplog.text)
        mosquitto.start()
        house.wait_until_serving(mosquitto)
    assert not [one for one in caplog.records if one.levelno == logging.ERROR]


def test_a_bug_in_what_hears_a_message_ends_the_link_with_it(mosquitto: Mosquitto) -> None:
    def fails(_: object) -> None:
        raise ZeroDivisionError

    with closing(House(mosquitto)) as house:
        house.wait_until_serving(mosquitto)
        house.link._take = fails
        mosquitto.publish("A1", "device/A1/op", b"x")
        with pytest.raises(ZeroDivisionError):
            house.end.result(DEADLINE_S)
    assert presence(mosquitto) == ("offline", "aa")


def test_a_process_that_ends_by_another_error_is_gone(mosquitto: Mosquitto) -> None:
    host, port = mosquitto.address
    program = f"""
from appliance.broker.external import ExternalBroker
from appliance.contract.topics import Topics
ExternalBroker(topics=Topics("{SHOP}"), host="{host}", port={port}, user="{COORDINATOR}", password="{PASSWORD}",
    run="aa", will=b"{{}}", take_over=False, take=print, connected=print).start()
raise SystemExit(3)
"""
    ended = subprocess.run([sys.executable, "-c", program], timeout=DEADLINE_S, check=False)
    assert ended.returncode == 3


def test_the_readme_tells_a_shop_to_set_its_mosquitto_as_it_is_set_here() -> None:
    told = {line.strip() for line in README.read_text().splitlines()}
    settings = ("max_", "message_size_limit", "set_tcp_nodelay")
    needed = configuration(Path(), 0, inflight_max=0).splitlines()
    assert {line for line in needed if line.startswith(settings)} <= told
