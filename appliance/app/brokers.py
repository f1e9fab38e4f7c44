"""The two ways to have a broker, as the box runs them: its own, and another one's. `serve` treats them alike."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from appliance.app.entrance import Entrance
from appliance.broker.embedded import EmbeddedBroker, Listener, Traffic
from appliance.broker.external import ExternalBroker
from appliance.broker.external.beside import Lost, say_beside
from appliance.broker.external.connection import Broker
from appliance.contract import messages
from appliance.contract.delivery import Delivery
from appliance.contract.topics import Topics
from appliance.ledger.projection import Projection
from appliance.settings import BrokerSettings, Mode, Plain, Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Started:
    """What a person is told once devices are served. host and port: where they log in.

    new_password: the shop's, when it was made just now. tls_port: of our own broker, 0 for none. tokens_only: whether
    only devices with a slip come in.
    """

    mode: Mode
    shop: str
    host: str
    port: int
    new_password: str | None = None
    tls_port: int = 0
    tokens_only: bool = False


class Embedded:
    """The broker in this process, as the box runs it."""

    def __init__(
        self,
        settings: Settings,
        entrance: Entrance,
        retained: Projection,
        take: Callable[[Delivery], None],
    ) -> None:
        self._settings = settings
        self.entrance = entrance
        self._broker = EmbeddedBroker(
            shop=settings.shop,
            listeners=_listeners(settings.broker, entrance),
            authenticator=entrance.door,
            retained=retained,
            take=take,
        )
        self.publish = self._broker.publish
        self.pause = self._broker.pause
        self.stop = self._broker.stop
        self.disconnect = self._broker.disconnect

    @property
    def started(self) -> Started:
        host, port = self._broker.addresses[0]
        return Started(
            Mode.EMBEDDED,
            self._settings.shop,
            host,
            port,
            self.entrance.new_password,
            self._settings.broker.tls_port,
            self._settings.devices.tokens_only,
        )

    def traffic(self) -> Traffic | None:
        return self._broker.traffic()

    def retain_beside(self, retained: Mapping[str, bytes]) -> bool:
        """Have topics retained that are none of the shop's; return whether they are."""
        for topic, payload in retained.items():
            self._broker.publish(topic, payload, True)
        return True

    def reaches(self, topics: Iterable[str]) -> bool:
        """Whether what is cleared on topics is heard by somebody: this broker has nothing to show who comes later."""
        try:
            return all(self._broker.is_heard(topic) for topic in topics)
        except TimeoutError:
            return False

    @property
    def is_connected(self) -> bool:
        return True

    async def start(self) -> asyncio.Future[None]:
        """Listen; that is `serving` already. Returns what would be done if the broker ended by itself: it doesn't."""
        await self._broker.start()
        loop = asyncio.get_running_loop()
        self.serving: asyncio.Future[None] = loop.create_future()
        self.serving.set_result(None)
        return loop.create_future()


class External:
    """Another broker, as the box runs its link to it."""

    def __init__(
        self,
        settings: Settings,
        topics: Topics,
        speaker: messages.Coordinator,
        take_over: bool,
        take: Callable[[Delivery], None],
        rewrite: Callable[[set[str]], None],
    ) -> None:
        broker = settings.broker
        assert broker.user is not None, "the settings were checked"
        assert broker.password is not None, "the settings were checked"
        password = broker.password.get_secret_value()
        self._topics = topics
        self._broker = Broker(broker.host, broker.port, broker.user, password)
        self.started = Started(Mode.EXTERNAL, settings.shop, broker.host, broker.port)
        self._link = ExternalBroker(
            topics=topics,
            host=broker.host,
            port=broker.port,
            user=broker.user,
            password=password,
            run=speaker.run,
            will=messages.offline(speaker),
            take_over=take_over,
            take=take,
            connected=rewrite,
        )
        self.publish = self._link.publish
        self.pause = self._link.pause

    def retain_beside(self, retained: Mapping[str, bytes]) -> bool:
        """Have topics retained that are none of the shop's; return whether they are."""
        try:
            say_beside(self._topics, self._broker, retained)
        except Lost as lost:
            log.warning("not retained topics=%s reason=%r", ",".join(retained), str(lost))
            return False
        return True

    def reaches(self, topics: Iterable[str]) -> bool:
        """Whether what is cleared on topics is heard by somebody: whoever comes finds nothing there."""
        del topics
        return True

    def traffic(self) -> Traffic | None:
        """Nothing: who comes in there, and who does not, that broker knows."""
        return None

    @property
    def is_connected(self) -> bool:
        return self._link.is_connected

    async def start(self) -> asyncio.Future[None]:
        """Connect, and stay connected; `serving` when the broker lets it and nobody else is alive there.

        Returns what ends when the link fails for good.
        """
        self.serving = asyncio.wrap_future(self._link.serving)
        return asyncio.wrap_future(self._link.start())

    async def stop(self) -> None:
        await asyncio.to_thread(self._link.stop)


_LAN = "0.0.0.0"  # noqa: S104  a till is not on the box
_HOSTS = {Plain.LOOPBACK: "127.0.0.1", Plain.LAN: _LAN}


def _listeners(broker: BrokerSettings, entrance: Entrance) -> list[Listener]:
    """The plain one is the first."""
    listeners = [Listener(_HOSTS[broker.plain], broker.port)]
    if entrance.certificate is not None and broker.tls_port:
        listeners.append(Listener(_LAN, broker.tls_port, entrance.certificate.context))
    if entrance.certificate is not None and broker.websocket_port:
        listeners.append(Listener(_LAN, broker.websocket_port, entrance.certificate.context, is_websocket=True))
    return listeners
