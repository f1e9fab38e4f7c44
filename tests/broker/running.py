"""Brokers that run for a test: ours, with an authenticator, a ledger and a coordinator that a test can look into; and
amqtt as it comes out of the box, to show what it does wrong.

Each runs in a thread with its own event loop, on a free port of 127.0.0.1, so that tests are plain blocking code.
"""

import asyncio
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

from amqtt.broker import Broker

from appliance.broker.embedded import EmbeddedBroker, Limits, Listener
from appliance.contract.delivery import Delivery

SHOP = "shop"
ROOT = f"stock/v1/{SHOP}/"

DEADLINE_S = 10.0

T = TypeVar("T")


class _AheadLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock a test can put forward."""

    ahead_s = 0.0

    def time(self) -> float:
        return super().time() + self.ahead_s


class LoopThread:
    """An event loop in a thread. `errors` gathers what nobody caught; a test fails when there is any."""

    def __init__(self) -> None:
        self._loop = _AheadLoop()
        self.errors: list[dict[str, Any]] = []
        self._loop.set_exception_handler(lambda _, context: self.errors.append(context))
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(DEADLINE_S)

    def call(self, function: Callable[[], T]) -> T:
        async def called() -> T:
            return function()

        return self.run(called())

    def advance(self, seconds: float, do: Callable[[], None] = lambda: None) -> None:
        """Let the broker's time pass: what is due by then is done when this returns. do: called in the same turn."""

        def put_forward() -> None:
            do()
            self._loop.ahead_s += seconds

        self.call(put_forward)
        # One turn finds the timers that are due, the next ones run what they woke.
        for _ in range(5):
            self.call(lambda: None)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Shop:
    """What the broker asks of the house, and a record of what it handed on.

    hold: whether deliveries are left unsettled for the test to settle.
    """

    def __init__(self, *, hold: bool = False) -> None:
        self.hold = hold
        self.passwords: dict[str, bytes] = {}
        self.tokens: dict[str, bytes] = {}
        self.ledger: dict[str, bytes] = {}
        self.authenticated: list[str] = []
        self.deliveries: list[Delivery] = []
        self._changed = threading.Condition()

    def is_token(self, user: str, password: bytes) -> bool:
        return self.tokens.get(user) == password

    async def authenticate(self, user: str, password: bytes) -> bool:
        self.authenticated.append(user)
        return password == self.passwords.get(user, b"secret")

    def matching(self, topic_filter: str) -> Iterator[tuple[str, bytes]]:
        for topic in list(self.ledger):
            if matches(topic_filter, topic):
                yield topic, self.ledger[topic]

    def take(self, delivery: Delivery) -> None:
        with self._changed:
            self.deliveries.append(delivery)
            self._changed.notify_all()
        if not self.hold:
            delivery.settled()

    def wait_for(self, count: int) -> list[Delivery]:
        """Return the deliveries when there are that many."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.deliveries) >= count, DEADLINE_S), (
                f"{len(self.deliveries)} deliveries, expected {count}"
            )
            return list(self.deliveries)


class Ours:
    """The embedded broker."""

    def __init__(
        self,
        shop: Shop | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        is_websocket: bool = False,
        **limits: Any,
    ) -> None:
        self.shop = shop or Shop()
        self.thread = LoopThread()
        self.broker = EmbeddedBroker(
            shop=SHOP,
            listeners=[Listener("127.0.0.1", 0, tls, is_websocket)],
            authenticator=self.shop,
            retained=self.shop,
            take=self.shop.take,
            limits=Limits(**limits),
        )
        self.thread.run(self.broker.start())
        self.address = self.broker.addresses[0]

    @property
    def amqtt(self) -> Broker:
        return self.broker._broker

    def post(self, leaf: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish as the coordinator does, which waits for nothing."""
        self.broker.publish(ROOT + leaf, payload, retain)

    def publish(self, leaf: str, payload: bytes = b"{}", *, retain: bool = False) -> None:
        """Publish, and return when the event loop has sent it: whoever subscribes afterwards comes after it."""
        self.post(leaf, payload, retain=retain)
        crossed = threading.Event()
        self.broker._doorway.post(crossed.set)
        assert crossed.wait(DEADLINE_S)

    def close(self) -> None:
        self.thread.run(self.broker.stop())
        self.thread.close()
        assert self.thread.errors == []


class _Stock(Broker):
    """The stock broker; only its connections are noted, because it loses track of those that never log in."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self.writers: list[asyncio.StreamWriter] = []

    async def stream_connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener_name: str
    ) -> None:
        self.writers.append(writer)
        await super().stream_connected(reader, writer, listener_name)


class Stock:
    """amqtt as it comes, with the same password as ours, further plugins, and this listener configuration."""

    def __init__(self, *plugins: str, **listener: Any) -> None:
        self.thread = LoopThread()
        self.amqtt = self.thread.call(lambda: self.build(*plugins, **listener))
        self.thread.run(self.amqtt.start())
        server = self.amqtt._servers["default"].instance
        assert isinstance(server, asyncio.Server)
        self.address: tuple[str, int] = server.sockets[0].getsockname()[:2]

    @staticmethod
    def build(*plugins: str, **listener: Any) -> _Stock:
        return _Stock(
            {
                "listeners": {"default": {"type": "tcp", "bind": "127.0.0.1:0", **listener}},
                "plugins": {"tests.broker.stock_plugins.PasswordPlugin": {}, **{plugin: {} for plugin in plugins}},
            }
        )

    def close(self) -> None:
        # A connection that never logged in would keep the stock broker from stopping.
        for writer in self.amqtt.writers:
            self.thread.call(writer.transport.abort)
        self.thread.run(self.amqtt.shutdown())
        self.thread.close()


def matches(topic_filter: str, topic: str) -> bool:
    """MQTT's matching, written independently of amqtt's: recursively, level by level."""

    def match(wanted: list[str], levels: list[str]) -> bool:
        if wanted == ["#"]:
            return True
        if not wanted or not levels:
            return not wanted and not levels
        return wanted[0] in ("+", levels[0]) and (
            match(wanted[1:], levels[1:]) if levels[1:] or wanted[1:] != ["#"] else True
        )

    return match(topic_filter.split("/"), topic.split("/"))
