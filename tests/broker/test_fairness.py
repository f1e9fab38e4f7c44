"""Whoever has logged in may be hostile, or out of order: the others get their turn whatever one device does."""

import asyncio
from contextlib import ExitStack, closing

from appliance.contract.delivery import Delivery
from tests.broker import wire
from tests.broker.running import ROOT, Ours, Shop
from tests.waiting import wait_until


def test_a_device_that_says_much_at_once_is_heard_in_many_turns_of_the_event_loop() -> None:
    shop = _Turns()
    with closing(Ours(shop, turn_s=0.0, unsettled_max=10_000)) as broker:
        broker.thread.call(shop.count)
        with wire.Client(broker.address).log_in() as device:
            device.send(wire.publish(f"{ROOT}device/A1/query", b"{}") * 500)
            shop.wait_for(500)
        shop.is_over = True
    # In one go it would be two or three: as often as the system gives a part of it to read.
    assert len(shop.heard_in) > 100


def test_a_device_comes_in_by_its_token_where_somebody_guesses() -> None:
    shop = Shop()
    shop.tokens["A1"] = b"token"
    with closing(Ours(shop, guesses_free=1)) as broker:
        assert [_code(broker, user=f"E{at}", password=f"{at}") for at in range(4)] == [4, 4, 3, 3]
        assert _code(broker, user="B1") == 3, "with the right password it has to wait at that address"
        assert _code(broker, user="A1", password="token") == 0
        assert _code(broker, user="A2", password="token") == 3


def test_who_waits_for_a_password_to_be_looked_at_takes_no_place_and_no_turn_from_a_token() -> None:
    shop = _Stuck()
    shop.tokens["A1"] = b"token"
    with closing(Ours(shop, connections_max=2)) as broker, ExitStack() as clients:
        for at in range(5):
            stranger = clients.enter_context(wire.Client(broker.address, source=f"127.0.1.{at + 1}"))
            stranger.send(wire.connect(user="E1", password=f"{at}"))
        wait_until(lambda: len(shop.authenticated) == 5)
        assert _code(broker, user="A1", password="token") == 0
        broker.thread.call(shop.is_told.set)


def test_what_is_remembered_of_a_topics_readers_is_shared_with_every_other_topic() -> None:
    with closing(Ours()) as broker, wire.Client(broker.address).log_in() as reader:
        reader.subscribe((f"{ROOT}balance/+", 1))
        for at in range(3):
            broker.publish(f"balance/{at}")
        routes = broker.amqtt._routes  # type: ignore[attr-defined]
        assert len({id(pair) for topic in routes for pair in routes[topic]}) == 1
        assert len(routes) == 3


def _code(broker: Ours, *, user: str, password: str = "secret") -> int:
    """Return the code of the CONNACK."""
    with wire.Client(broker.address) as client:
        client.send(wire.connect(user=user, client_id="new", password=password))
        return client.expect(wire.CONNACK).body[1]


class _Stuck(Shop):
    """Begins to look at passwords, and ends when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.is_told = asyncio.Event()

    async def authenticate(self, user: str, password: bytes) -> bool:
        is_right = await super().authenticate(user, password)
        await self.is_told.wait()
        return is_right


class _Turns(Shop):
    """Notes in which turns of the event loop it was handed something."""

    def __init__(self) -> None:
        super().__init__()
        self.heard_in: set[int] = set()
        self.is_over = False
        self._turn = 0

    def count(self) -> None:
        self._turn += 1
        if not self.is_over:
            asyncio.get_running_loop().call_soon(self.count)

    def take(self, delivery: Delivery) -> None:
        self.heard_in.add(self._turn)
        super().take(delivery)
