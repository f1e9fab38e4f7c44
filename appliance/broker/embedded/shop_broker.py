"""amqtt's broker, made safe for a shop: who is connected, who reads what, and what is kept in memory.

Behind `server`, in the event loop only. amqtt keeps its life cycle, its session, subscription and retained tables, its
topic matching and its expiry of sessions; accepting, logging in and sending to subscribers are replaced. The invariant:
every table is changed without a suspension point in between, so that nobody ever sees half a change.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from operator import itemgetter
from typing import cast

from amqtt.broker import Broker, RetainedApplicationMessage, Server
from amqtt.contexts import BrokerConfig, ListenerConfig
from amqtt.mqtt.connack import SERVER_UNAVAILABLE, ConnackPacket
from amqtt.mqtt.connect import ConnectPacket
from amqtt.session import Session

from appliance.broker.embedded.feed import Feeder
from appliance.broker.embedded.framing import Framer, Malformed
from appliance.broker.embedded.guard import Guard
from appliance.broker.embedded.limits import Limits
from appliance.broker.embedded.listeners import ACCEPTS, BACKLOG, Listener
from appliance.broker.embedded.login import Login, Refused, read_connect
from appliance.broker.embedded.matching import filters_matching
from appliance.broker.embedded.opening import open_stream
from appliance.broker.embedded.places import Places
from appliance.broker.embedded.protocol import DeviceHandler
from appliance.broker.embedded.publication import Publication
from appliance.broker.embedded.repeats import Repeats
from appliance.broker.embedded.session import DeviceSession
from appliance.broker.embedded.traffic import REFUSALS, Traffic
from appliance.broker.embedded.websocket import BrokenFrames
from appliance.broker.ports import Authenticator, RetainedSource
from appliance.contract.delivery import Channel, Delivery
from appliance.contract.topics import Topics

_log = logging.getLogger(__name__)

_ROUTES_MAX = 4096
"""Topics whose subscribers are remembered: the busy SKUs of a shop."""


class ShopBroker(Broker):
    """sockets: listening ones, each with what is spoken there; they are its own from `start` on. post: how another
    thread's call reaches the event loop.
    """

    def __init__(
        self,
        *,
        topics: Topics,
        sockets: Sequence[tuple[Listener, socket.socket]],
        authenticator: Authenticator,
        retained: RetainedSource,
        take: Callable[[Delivery], None],
        post: Callable[[Callable[[], None]], None],
        limits: Limits,
    ) -> None:
        config = BrokerConfig(
            # amqtt insists on this name; where the broker listens is settled by its sockets.
            listeners={"default": ListenerConfig(bind=None)},
            # No plugin: no anonymous access, no packet logging, no $SYS.
            plugins={},
            session_expiry_interval=limits.session_expiry_s,
        )
        super().__init__(config)
        self.topics = topics
        self.limits = limits
        self.take = take
        self.post = post
        self.feeder = Feeder(retained, self._retained_matching, limits)
        self._sockets = {f"{listener.kind}-{number}": (listener, at) for number, (listener, at) in enumerate(sockets)}
        self._places: Places[asyncio.StreamWriter] = Places(limits)
        self._guard = Guard(limits, self._loop.time)
        self._login = Login(topics, authenticator, self._guard, limits)
        self._repeats = Repeats(_log, limits.repeat_s)
        self._refused = dict.fromkeys(REFUSALS, 0)
        self._connections: set[asyncio.Task[None]] = set()
        self._newcomers: set[asyncio.Task[None]] = set()  # Those of the connections that have not logged in.
        self._routes: dict[str, list[tuple[DeviceSession, int]]] = {}
        self._retained_bytes = 0
        self._paused = False

    async def start(self) -> None:
        await super().start()
        self._look = self._loop.call_later(self.limits.held_look_s, self._look_at_what_is_held)

    def pause(self) -> None:
        """Accept nobody and take nothing more; what is unsettled is still acknowledged, and announcements go out."""
        self._paused = True
        for server in self._servers.values():
            server.instance.close()
        for handler in self._live():
            handler.pause()

    async def shutdown(self) -> None:
        """Write what is held, close every connection, and end amqtt's own tasks."""
        self.pause()
        self._look.cancel()
        self.close_all("the broker stops")
        for newcomer in self._newcomers:
            newcomer.cancel()
        if self._connections:
            # Closed ones end by themselves within `linger_s`.
            await asyncio.wait(self._connections)
        await self.feeder.stop()
        await super().shutdown()

    def announce(self, topic: str, payload: bytes, retain: bool) -> None:
        """Send the coordinator's message to whoever subscribes to it, and keep it when nobody else does."""
        publication = Publication(topic, payload, 1)
        if retain and self.keeps(topic):
            self._remember(publication)
        self._route(publication)

    def keeps(self, topic: str) -> bool:
        """Whether a retained topic is kept in memory here, and not answered by the ledger."""
        levels = topic.removeprefix(self.topics.root).split("/")
        return levels[0] not in ("balance", "item", "alert") and (levels[0] != "device" or levels[-1] != "ack")

    def is_heard(self, topic: str) -> bool:
        """Whether somebody who is connected subscribes to a topic."""
        return any(session.deliver is not None for session, _ in self._subscribers(topic))

    def traffic(self) -> Traffic:
        return Traffic(*self._places.counts, *self._guard.throttled(), dict(self._refused))

    def close_all(self, reason: str, device: str | None = None) -> None:
        """Close every connection, or those of one device."""
        for handler in list(self._live()):
            if device in (None, handler.device):
                handler.close(reason, will=not self._paused)

    def show_state(self, device: str, payload: bytes, qos: int) -> None:
        """Show a device's state to its subscribers, and keep it."""
        publication = Publication(self.topics.device(device, Channel.STATE), payload, qos)
        # What it said before is no longer so, whether or not this one is kept.
        self._forget_retained(publication.topic)
        kept, kept_bytes = len(self._retained_messages), self._retained_bytes
        if kept < self.limits.retained_max and kept_bytes + len(payload) <= self.limits.retained_bytes_max:
            self._remember(publication)
        else:
            details = f"bytes={len(payload)} kept={kept} kept_bytes={kept_bytes}"
            self._repeats.write(logging.WARNING, "state-not-kept", f"device={device}", details)
        self._route(publication)

    def subscribe(self, session: DeviceSession, topic_filter: str, qos: int) -> None:
        """Subscribe; a second SUBSCRIBE to the same filter replaces the first, and its QoS (amqtt keeps the first)."""
        self.unsubscribe(session, topic_filter)
        self._subscriptions.setdefault(topic_filter, []).append((session, qos))
        session.filters.add(topic_filter)
        self._routes.clear()

    def unsubscribe(self, session: DeviceSession, topic_filter: str) -> None:
        if topic_filter in session.filters:
            session.filters.remove(topic_filter)
            self._del_subscription(topic_filter, session)
            if not self._subscriptions[topic_filter]:
                del self._subscriptions[topic_filter]

    def complain(self, device: str, about: str) -> None:
        """Write why a device's connection is closed for its own fault."""
        self._repeats.write(logging.WARNING, "device-misbehaved", f"device={device}", f"reason={about!r}")

    def closed(self, handler: DeviceHandler, reason: str, *, will: bool) -> None:
        """Take a connection out of the tables, and fire its last will when it is due."""
        session = handler.device_session
        session.end()
        self._repeats.write(logging.INFO, "device-disconnected", f"device={session.device}", f"reason={reason!r}")
        if session.clean_session or not self._may_keep(session):
            self._forget(session)
        # A device that has come back under another client id is not offline: the old connection only ends late.
        if will and session.will_flag and all(other.device != session.device for other in self._live()):
            self._fire_will(session)

    async def stream_connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener_name: str
    ) -> None:
        """Serve one connection from its first byte to its last."""
        peer = writer.get_extra_info("peername")
        address = str(peer[0]) if peer else "unknown"
        connection = asyncio.current_task()
        assert connection is not None
        self._connections.add(connection)
        self._newcomers.add(connection)
        if (stranger := self._places.knock(writer, address)) is not None:
            stranger.transport.abort()
            self._refuse(
                "crowded", address, "too many connections have not logged in, and the longest of them was closed"
            )
        try:
            listener, _ = self._sockets[listener_name]
            handler = await self._admit(listener, reader, writer, address)
            self._newcomers.remove(connection)
            if handler is not None:
                await handler.serve()
                await handler.gone()
        except asyncio.CancelledError:
            # By `shutdown`; asyncio before 3.12 would report a cancelled connection as a failed one.
            if not self._paused:
                raise
        finally:
            # Below TLS the socket is still open, whoever has closed what is inside.
            writer.close()
            self._places.leave(writer)
            self._connections.remove(connection)
            self._newcomers.discard(connection)

    async def _admit(
        self, listener: Listener, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: str
    ) -> DeviceHandler | None:
        """Return the session of a connection that has logged in, or None when it was refused or went away."""
        framer = Framer(self.limits)
        handler = None
        place = writer

        def is_gone() -> bool:
            return writer.is_closing() or reader.at_eof()

        try:
            async with asyncio.timeout(self.limits.connect_s):
                reader, writer = await open_stream(listener, reader, writer, self.limits)
                connect = await read_connect(reader, framer)
            device = await self._login.check(connect, address, is_gone)
            if not self._places.enter(place, device):
                raise Refused(SERVER_UNAVAILABLE, "there are too many connections")
        except Refused as refused:
            writer.write(ConnackPacket.build(0, refused.code).to_bytes())
            self._refuse(REFUSALS[refused.code - 1], address, str(refused))
        except Malformed as error:
            self._refuse("malformed", address, f"malformed: {error}")
        except TimeoutError:
            self._refuse("late", address, f"no CONNECT within {self.limits.connect_s} s")
        except ssl.SSLError as error:
            self._refuse("tls", address, f"TLS: {error.reason}")
        except BrokenFrames as error:
            self._refuse("malformed", address, f"malformed: {error.strerror}")
        except OSError:
            pass  # It went away before it was anybody: there is nothing to tell, and nobody.
        else:
            # A connection that broke meanwhile must not take over a live one.
            if not (self._paused or is_gone()):
                self._repeats.write(logging.INFO, "device-connected", f"device={device}", f"address={address}")
                handler = self._open(connect, device, framer, reader, writer)
        finally:
            if handler is None:
                writer.close()
        return handler

    def _refuse(self, kind: str, address: str, reason: str) -> None:
        """kind: one of REFUSALS."""
        self._refused[kind] += 1
        self._repeats.write(logging.WARNING, "connection-refused", f"address={address}", f"reason={reason!r}")

    def _open(
        self,
        connect: ConnectPacket,
        device: str,
        framer: Framer,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> DeviceHandler:
        """Give a proved device its session, taking over from the connection that has it."""
        key = f"{device}/{connect.client_id}"
        if (known := self._known(key)) is not None:
            known[1].close("another connection with its client id took over", will=True)
            known = self._known(key)
        if known is not None and connect.clean_session_flag:
            self._forget(known[0])
            known = None
        session = DeviceSession(device, key) if known is None else known[0]
        session.adopt(connect)
        session.begin()
        handler = DeviceHandler(self, self.plugins_manager, session, framer, reader, writer)
        self._sessions[key] = (session, handler)
        handler.greet(resumed=known is not None)
        return handler

    def _known(self, key: str) -> tuple[DeviceSession, DeviceHandler] | None:
        known = self._sessions.get(key)
        if known is None:
            return None
        session, handler = known
        assert isinstance(session, DeviceSession)
        assert isinstance(handler, DeviceHandler)
        return session, handler

    def _live(self) -> Iterator[DeviceHandler]:
        for session, handler in self._sessions.values():
            if session.transitions.state == "connected":
                assert isinstance(handler, DeviceHandler)
                yield handler

    def _look_at_what_is_held(self) -> None:
        """Close whoever holds most, until all together hold no more than they may."""
        held = sorted(((handler.held_bytes, handler) for handler in self._live()), key=itemgetter(0))
        total = sum(size for size, _ in held)
        while total > self.limits.held_bytes_max:
            size, handler = held.pop()
            total -= size
            handler.abort("all connections together hold too much, and this one holds most")
        self._look = self._loop.call_later(self.limits.held_look_s, self._look_at_what_is_held)

    def _may_keep(self, session: DeviceSession) -> bool:
        """Whether a session fits among those that outlive their connection; one that does not is told so by CONNACK."""
        if not self._has_room(session):
            return False
        offline = [known for known, _ in self._sessions.values() if known.transitions.state == "disconnected"]
        if len(offline) > self.limits.offline_sessions_max:
            oldest = min(offline, key=lambda known: known.last_disconnect_time or 0)
            assert isinstance(oldest, DeviceSession)
            self._forget(oldest)
            return oldest is not session
        return True

    def _has_room(self, session: DeviceSession) -> bool:
        return (
            session.unacked_count <= self.limits.offline_messages_max
            and session.unacked_bytes <= self.limits.offline_bytes_max
        )

    def _forget(self, session: DeviceSession) -> None:
        self._sessions.pop(session.key, None)
        for topic_filter in list(session.filters):
            self.unsubscribe(session, topic_filter)

    def _fire_will(self, session: DeviceSession) -> None:
        payload = bytes(session.will_message or b"")
        self.show_state(session.device, payload, session.will_qos or 0)
        if not self._paused:
            # Nobody waits for its PUBACK.
            self.take(Delivery(session.device, Channel.STATE, payload, len(payload), lambda: None))

    def _remember(self, publication: Publication) -> None:
        self._forget_retained(publication.topic)
        if publication.payload:
            self._retained_messages[publication.topic] = RetainedApplicationMessage(
                None, publication.topic, publication.payload, publication.qos
            )
            self._retained_bytes += len(publication.payload)

    def _forget_retained(self, topic: str) -> None:
        if (known := self._retained_messages.pop(topic, None)) is not None:
            self._retained_bytes -= len(known.data)

    def _retained_matching(self, topic_filter: str) -> list[Publication]:
        return [
            Publication(topic, bytes(message.data), message.qos or 0)
            for topic, message in self._retained_messages.items()
            if self._matches(topic, topic_filter)
        ]

    def _route(self, publication: Publication) -> None:
        for session, subscribed_qos in self._subscribers(publication.topic):
            qos = min(subscribed_qos, publication.qos)
            if session.deliver is not None:
                session.deliver(publication, qos)
            elif qos and not session.clean_session:
                session.queue(publication)
                if not self._has_room(session):
                    _log.warning("session-dropped device=%s reason=too-much-waited", session.device)
                    self._forget(session)

    def _subscribers(self, topic: str) -> list[tuple[DeviceSession, int]]:
        """Return each session that subscribes to a topic, with the highest QoS of its filters that match."""
        if (known := self._routes.get(topic)) is not None:
            return known
        found: dict[str, tuple[DeviceSession, int]] = {}
        for topic_filter in filters_matching(topic, self.topics.root):
            for subscription in cast("list[tuple[DeviceSession, int]]", self._subscriptions.get(topic_filter, [])):
                session, qos = subscription
                if session.key not in found or found[session.key][1] < qos:
                    # No new pair: those of 500 tills for each of 4,096 topics would take 110 MiB.
                    found[session.key] = subscription
        if len(self._routes) >= _ROUTES_MAX:
            self._routes.clear()
        return self._routes.setdefault(topic, list(found.values()))

    def _del_subscription(self, a_filter: str, session: Session) -> int:
        # Called by `unsubscribe`, and by amqtt when a session expires.
        self._routes.clear()
        return super()._del_subscription(a_filter, session)

    async def _start_listeners(self) -> None:
        for name, (_, listening) in self._sockets.items():
            connected = partial(self.stream_connected, listener_name=name)
            self._servers[name] = Server(name, await asyncio.start_server(connected, sock=listening, backlog=ACCEPTS))
            # asyncio has one number for both: how many it accepts in one turn, and how many the kernel holds for it.
            listening.listen(BACKLOG)
