"""Retained messages at SUBSCRIBE: whose, in which order, how fast, and never older than what went out live."""

import threading
from collections.abc import Iterator
from contextlib import closing

from tests.broker.running import ROOT, Ours, Shop
from tests.broker.wire import PUBLISH, SUBACK, Client, packet, publish, subscribe
from tests.waiting import wait_until

BALANCES = f"{ROOT}balance/+"


class SteppedShop(Shop):
    """A ledger that is read only as far as the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Event()
        self.may_read = threading.Event()
        self.closed = threading.Event()
        self.closed_in = ""

    def matching(self, topic_filter: str) -> Iterator[tuple[str, bytes]]:
        try:
            for topic, payload in super().matching(topic_filter):
                self.asked.set()
                assert self.may_read.wait(10)
                yield topic, payload
        finally:
            self.closed_in = threading.current_thread().name
            self.closed.set()


def balances(count: int) -> dict[str, bytes]:
    return {f"{ROOT}balance/{number}": b"old %d" % number for number in range(count)}


def test_retained_messages_follow_the_suback_from_memory_and_ledger_with_the_retain_flag() -> None:
    shop = Shop()
    shop.ledger = {**balances(3), f"{ROOT}device/A1/ack": b"ack", f"{ROOT}device/B1/ack": b"not yours"}
    with closing(Ours(shop)) as broker, Client(broker.address).log_in() as reader:
        broker.publish("coordinator", b"online", retain=True)
        broker.publish("printer/main", b"ready", retain=True)
        broker.publish("printer/main", b"", retain=True)
        reader.send(subscribe((f"{ROOT}+", 0), (BALANCES, 1), (f"{ROOT}device/A1/#", 1), (f"{ROOT}printer/+", 1)))
        assert reader.expect(SUBACK).body[2:] == bytes([0, 1, 1, 1])
        found = [reader.expect(PUBLISH) for _ in range(5)]
        assert [(one.topic.removeprefix(ROOT), one.payload, one.qos, one.retain) for one in found] == [
            ("coordinator", b"online", 0, True),
            ("balance/0", b"old 0", 1, True),
            ("balance/1", b"old 1", 1, True),
            ("balance/2", b"old 2", 1, True),
            ("device/A1/ack", b"ack", 1, True),
        ]
        assert reader.until_ping() == []


def test_topics_of_the_ledger_are_not_kept_in_memory() -> None:
    with closing(Ours()) as broker, Client(broker.address).log_in() as reader:
        reader.subscribe((f"{ROOT}alert/+", 0))
        for leaf in ("balance/A", "item/A", "device/A1/ack", "alert/low-1"):
            broker.publish(leaf, b"{}", retain=True)
        live = reader.expect(PUBLISH)
        assert (live.topic, live.retain) == (f"{ROOT}alert/low-1", False)
        assert broker.thread.call(lambda: dict(broker.amqtt.retained_messages)) == {}


def test_a_subscribe_is_fed_its_own_filters_only_and_each_subscribe_anew() -> None:
    shop = Shop()
    shop.ledger = balances(2)
    with closing(Ours(shop)) as broker, Client(broker.address).log_in() as reader:
        reader.subscribe((f"{ROOT}balance/0", 0))
        assert reader.expect(PUBLISH).payload == b"old 0"
        for _ in range(2):
            reader.subscribe((f"{ROOT}balance/1", 0))
            assert reader.expect(PUBLISH).payload == b"old 1"
        with Client(broker.address).log_in(user="B1") as other:
            assert other.until_ping() == []


def test_an_older_value_of_the_feed_never_follows_a_newer_live_one() -> None:
    shop = SteppedShop()
    shop.ledger = balances(3)
    with closing(Ours(shop)) as broker, Client(broker.address).log_in() as reader:
        reader.send(subscribe((BALANCES, 0)))
        reader.expect(SUBACK)
        # The feed has begun, and what it has read is already old when the commit is announced.
        assert shop.asked.wait(10)
        broker.publish("balance/1", b"new 1", retain=True)
        assert reader.expect(PUBLISH).payload == b"new 1"
        shop.may_read.set()
        assert [reader.expect(PUBLISH).payload for _ in range(2)] == [b"old 0", b"old 2"]
        assert reader.until_ping() == []


def test_an_older_value_that_waited_for_its_turn_does_not_follow_a_newer_live_one_either() -> None:
    """The feed has the old value in its hand and waits for room while the new one goes out."""
    shop = Shop()
    shop.ledger = balances(3)
    with closing(Ours(shop, feed_unacked_max=1)) as broker, Client(broker.address).log_in() as reader:
        reader.subscribe((BALANCES, 1))
        first = reader.expect(PUBLISH)
        assert first.payload == b"old 0"
        assert reader.until_ping() == []
        broker.publish("balance/1", b"new 1", retain=True)
        live = reader.expect(PUBLISH)
        assert (live.payload, live.retain) == (b"new 1", False)
        for one in (first, live):
            reader.send(packet(4, 0, one.packet_id.to_bytes(2)))
        assert reader.expect(PUBLISH).payload == b"old 2"


def test_a_later_subscribe_is_fed_what_went_out_live_before_it() -> None:
    shop = SteppedShop()
    shop.ledger = balances(2)
    with closing(Ours(shop)) as broker, Client(broker.address).log_in() as reader:
        reader.send(subscribe((BALANCES, 0)))
        reader.expect(SUBACK)
        assert shop.asked.wait(10)
        broker.publish("balance/0", b"new 0", retain=True)
        reader.expect(PUBLISH)
        shop.ledger[f"{ROOT}balance/0"] = b"new 0"
        reader.send(subscribe((f"{ROOT}balance/0", 0)))
        reader.expect(SUBACK)
        shop.may_read.set()
        assert [reader.expect(PUBLISH).payload for _ in range(2)] == [b"old 1", b"new 0"]


def test_a_feed_goes_as_fast_as_its_reader_and_others_are_served_meanwhile() -> None:
    class Counting(Shop):
        read = 0

        def matching(self, topic_filter: str) -> Iterator[tuple[str, bytes]]:
            for number in range(20_000):
                self.read = number + 1
                yield f"{ROOT}balance/{number}", bytes(1000)

    shop = Counting()
    with (
        closing(Ours(shop)) as broker,
        Client(broker.address, receive_buffer_bytes=4096).log_in(client_id="slow") as slow,
        Client(broker.address).log_in(client_id="other") as other,
    ):
        slow.subscribe((BALANCES, 0))
        wait_until(lambda: shop.read > 0)
        for number in range(200):
            other.send(publish(f"{ROOT}device/A1/op", b"sale", qos=1, packet_id=number + 1))
            assert other.until_ping() or other.answers()
        # 20 MB wait in the ledger, not in memory: the kernel's buffers hold up to about 6 MB.
        assert shop.read < 10_000
        assert sum(slow.expect(PUBLISH).retain for _ in range(20_000)) == 20_000


def test_a_feed_waits_for_acknowledgements_and_not_for_more_than_it_must() -> None:
    shop = Shop()
    shop.ledger = balances(30)
    with closing(Ours(shop, feed_unacked_max=10)) as broker, Client(broker.address).log_in() as reader:
        reader.subscribe((BALANCES, 1))
        found = [reader.expect(PUBLISH) for _ in range(10)]
        assert reader.until_ping() == []
        while found:
            reader.send(packet(4, 0, found.pop(0).packet_id.to_bytes(2)))
            found += [one for one in reader.until_ping() if one.kind == PUBLISH]
        assert broker.thread.call(lambda: [len(known.inflight_out) for known, _ in broker.amqtt.sessions.values()]) == [
            0
        ]


def test_a_reader_that_leaves_ends_its_feed_and_frees_the_ledger() -> None:
    shop = SteppedShop()
    shop.ledger = balances(3)
    with closing(Ours(shop, feed_chunk=1)) as broker:
        with Client(broker.address).log_in() as reader:
            reader.subscribe((BALANCES, 0))
            assert shop.asked.wait(10)
        wait_until(lambda: not broker.amqtt.sessions)
        assert not shop.closed.is_set()
        shop.may_read.set()
        assert shop.closed.wait(10)


def test_a_ledger_is_left_in_the_thread_that_read_it() -> None:
    shop = SteppedShop()
    shop.ledger = balances(3)
    shop.may_read.set()
    with closing(Ours(shop, feed_chunk=1, feed_unacked_max=1)) as broker:
        with Client(broker.address).log_in() as reader:
            reader.subscribe((BALANCES, 1))
            # The second message waits for the acknowledgement of the first: the ledger is not being read just now.
            reader.expect(PUBLISH)
        assert shop.closed.wait(10)
        assert shop.closed_in.startswith("retained")


def test_a_ledger_that_cannot_be_read_closes_the_reader_and_is_reported() -> None:
    class Broken(Shop):
        def matching(self, topic_filter: str) -> Iterator[tuple[str, bytes]]:
            yield f"{ROOT}balance/0", b"old"
            raise RuntimeError("disk gone")

    broker = Ours(Broken(), feed_chunk=1)
    with Client(broker.address).log_in() as reader:
        reader.subscribe((BALANCES, 0))
        assert reader.is_closed()
    wait_until(lambda: broker.thread.errors)
    assert str(broker.thread.errors.pop()["exception"]) == "disk gone"
    broker.close()


def test_a_reader_that_subscribes_faster_than_it_is_fed_is_cut_off() -> None:
    shop = SteppedShop()
    shop.ledger = balances(1)
    with closing(Ours(shop, feeds_max=3)) as broker, Client(broker.address).log_in() as reader:
        reader.send(*(subscribe((BALANCES, 0)) for _ in range(4)))
        shop.may_read.set()
        assert reader.is_closed()


def test_a_feed_that_the_live_traffic_outruns_is_given_up() -> None:
    shop = SteppedShop()
    shop.ledger = balances(1)
    with closing(Ours(shop, feed_live_max=5)) as broker, Client(broker.address).log_in() as reader:
        reader.subscribe((BALANCES, 0))
        for number in range(6):
            broker.publish(f"balance/{number}", b"new", retain=True)
        assert reader.is_closed()
        shop.may_read.set()


def test_stopping_waits_until_the_ledger_is_left() -> None:
    shop = SteppedShop()
    shop.ledger = balances(3)
    broker = Ours(shop)
    with Client(broker.address).log_in() as reader:
        reader.subscribe((BALANCES, 0))
        assert shop.asked.wait(10)
        stopping = threading.Thread(target=broker.close)
        stopping.start()
        assert reader.is_closed()
        # Only a broker that does not wait ends in this time.
        stopping.join(0.3)
        assert stopping.is_alive()
        assert not shop.closed.is_set()
        shop.may_read.set()
        stopping.join(10)
        assert shop.closed.is_set()
