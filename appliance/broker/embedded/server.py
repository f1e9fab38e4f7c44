"""The embedded broker as the rest of the house sees it: start, publish, stop.

`app` builds it; the coordinator publishes through it, from its own thread. The invariant: `publish` never waits for a
reader or for the event loop, and what it queues is bounded.
"""

import asyncio
import importlib.metadata
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from functools import partial
from typing import TypeVar

from appliance.broker.embedded.descriptors import make_room
from appliance.broker.embedded.doorway import Doorway
from appliance.broker.embedded.limits import Limits
from appliance.broker.embedded.listeners import Listener, bind
from appliance.broker.embedded.shop_broker import ShopBroker
from appliance.broker.embedded.traffic import Traffic
from appliance.broker.ports import Authenticator, RetainedSource
from appliance.contract.delivery import Delivery
from appliance.contract.topics import Topics

_log = logging.getLogger(__name__)

T = TypeVar("T")

_AMQTT = "0.12.1"
"""The only version whose internals are known to fit; the README says which they are."""

LOOK_S = 5.0
"""How long the event loop may let whoever watches wait; it stood still for 0.6 s at worst."""


class WrongVersion(Exception):
    """Another amqtt is installed than the one this broker stands on."""


class EmbeddedBroker:
    """One shop's broker.

    take: is handed every message of a device, in the event loop; must not block. Its `settled` releases the PUBACK.
    """

    def __init__(
        self,
        *,
        shop: str,
        listeners: Sequence[Listener],
        authenticator: Authenticator,
        retained: RetainedSource,
        take: Callable[[Delivery], None],
        limits: Limits | None = None,
    ) -> None:
        self._topics = Topics(shop)
        self._listeners = listeners
        self._authenticator = authenticator
        self._retained = retained
        self._take = take
        self._limits = limits or Limits()
        self.addresses: list[tuple[str, int]] = []
        """Host and port of each listener, known after `start`."""
        self._lock = threading.Lock()
        self._waiting_bytes = 0
        self._overrun = False

    async def start(self) -> None:
        """Listen and serve. Raises CannotListen, TooFewDescriptors or WrongVersion, naming the remedy."""
        if (installed := importlib.metadata.version("amqtt")) != _AMQTT:
            raise WrongVersion(
                f"amqtt {installed} is installed, and the embedded broker stands on the internals of {_AMQTT}:"
                f" install amqtt=={_AMQTT}"
            )
        make_room(self._limits)
        self._doorway = Doorway(asyncio.get_running_loop())
        with ExitStack() as bound:
            sockets = [bound.enter_context(bind(listener)) for listener in self._listeners]
            self.addresses = [listening.getsockname()[:2] for listening in sockets]
            self._broker = ShopBroker(
                topics=self._topics,
                sockets=list(zip(self._listeners, sockets, strict=True)),
                authenticator=self._authenticator,
                retained=self._retained,
                take=self._take,
                post=self._doorway.post,
                limits=self._limits,
            )
            await self._broker.start()
            bound.pop_all()
        for listener, (host, port) in zip(self._listeners, self.addresses, strict=True):
            _log.info("listening host=%s port=%d kind=%s", host, port, listener.kind)

    def pause(self) -> None:
        """Stop accepting and taking; what was taken is still acknowledged, and `publish` still works.

        So that, on the way down, everything taken can be committed and announced before `stop`.
        """
        self._broker.pause()

    async def stop(self) -> None:
        """Write what is on its way, close every connection, and free the ports. Later calls of `settled` do nothing."""
        crossed = asyncio.Event()
        self._doorway.post(crossed.set)
        await crossed.wait()
        await self._broker.shutdown()

    def publish(self, topic: str, payload: bytes, retain: bool) -> None:
        """Send a message to its subscribers. Thread-safe, never blocks; nothing is sent after `stop`.

        It is on its way for a moment: who subscribes in the same millisecond may get it as a live one.
        Retained topics that the ledger answers are not kept. When more waits than `announcements_bytes_max`, messages
        are dropped and every connection is closed: a till that comes back catches up by query.
        """
        with self._lock:
            is_over = self._waiting_bytes + len(payload) > self._limits.announcements_bytes_max
            # The few topics that exist nowhere else are not dropped.
            if is_over and not (retain and self._broker.keeps(topic)):
                if not self._overrun:
                    self._overrun = True
                    self._doorway.post(self._cut_off)
                return
            self._waiting_bytes += len(payload)
        self._doorway.post(partial(self._announce, topic, payload, retain))

    def disconnect(self, device: str) -> None:
        """Close every connection of a device. Thread-safe."""
        self._doorway.post(partial(self._broker.close_all, "it was cut off", device))

    def traffic(self) -> Traffic:
        """Return how it goes at the door. Not to be called in the event loop. Raises TimeoutError when that is over."""
        return self._look(self._broker.traffic)

    def is_heard(self, topic: str) -> bool:
        """Return whether somebody who is connected subscribes to a topic. As `traffic`; what was published has gone."""
        return self._look(lambda: self._broker.is_heard(topic))

    def _look(self, look: Callable[[], T]) -> T:
        found: Future[T] = Future()
        self._doorway.post(lambda: found.set_result(look()))
        return found.result(LOOK_S)

    def _announce(self, topic: str, payload: bytes, retain: bool) -> None:
        with self._lock:
            self._waiting_bytes -= len(payload)
        self._broker.announce(topic, payload, retain)

    def _cut_off(self) -> None:
        with self._lock:
            self._overrun = False
        _log.warning("announcements-dropped waiting_max_bytes=%d", self._limits.announcements_bytes_max)
        self._broker.close_all("it must catch up: announcements were dropped")
