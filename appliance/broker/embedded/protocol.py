"""One device's live connection: every packet after the log-in, without a task or a queue per packet.

Between `framing` and `outgoing`; a publish goes to the coordinator through `Hub.take`. The invariants: a publish is
handed on before it is acknowledged, and acknowledged when it and all before it are settled; nothing is taken from a
device on another one's behalf; reading stops while too much is unsettled. Of amqtt's handler remain its place in the
session table and its life cycle; its reader loop, its queues and its waiters are replaced.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Protocol

from amqtt.mqtt.connack import CONNECTION_ACCEPTED, ConnackPacket
from amqtt.mqtt.packet import DISCONNECT, PINGREQ, PUBACK, SUBSCRIBE
from amqtt.mqtt.pingresp import PingRespPacket
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.mqtt.suback import SubackPacket
from amqtt.mqtt.unsuback import UnsubackPacket
from amqtt.plugins.manager import PluginManager

from appliance.broker.embedded import packets
from appliance.broker.embedded.acl import may_publish, may_subscribe
from appliance.broker.embedded.feed import Feed, Feeder
from appliance.broker.embedded.framing import Control, Framer, Malformed, Publish
from appliance.broker.embedded.limits import Limits
from appliance.broker.embedded.outgoing import Outgoing
from appliance.broker.embedded.publication import Publication, with_flags
from appliance.broker.embedded.session import DeviceSession
from appliance.broker.unsettled import Held, Unsettled
from appliance.contract.delivery import Channel, Delivery
from appliance.contract.topics import Topics

_CHUNK = 64 * 1024
"""Bytes read at a time: what asyncio's reader buffers before it stops the socket."""

_REFUSED = 0x80
_PINGRESP = PingRespPacket.build().to_bytes()


class Hub(Protocol):
    """What a connection asks of the broker it belongs to."""

    @property
    def limits(self) -> Limits: ...
    @property
    def topics(self) -> Topics: ...
    @property
    def feeder(self) -> Feeder: ...
    def take(self, delivery: Delivery) -> None: ...
    def post(self, call: Callable[[], None]) -> None: ...
    def show_state(self, device: str, payload: bytes, qos: int) -> None: ...
    def subscribe(self, session: DeviceSession, topic_filter: str, qos: int) -> None: ...
    def unsubscribe(self, session: DeviceSession, topic_filter: str) -> None: ...
    def complain(self, device: str, about: str) -> None: ...
    def closed(self, handler: "DeviceHandler", reason: str, *, will: bool) -> None: ...


class DeviceHandler(BrokerProtocolHandler):
    """One connection of a device that has logged in."""

    def __init__(
        self,
        hub: Hub,
        plugins: PluginManager,  # type: ignore[type-arg]  # amqtt's context is of no use here.
        session: DeviceSession,
        framer: Framer,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        super().__init__(plugins, session)
        self.device_session = session
        self._hub = hub
        self._framer = framer
        self._stream = reader
        self._out = Outgoing(
            writer,
            hub.limits.outgoing_bytes_max,
            hub.limits.linger_s,
            partial(self.abort, "it takes what it is sent too slowly"),
        )
        self._own_topics = framer.skippable_topics = may_publish(hub.topics, session.device)
        self._unsettled = Unsettled(hub.limits.unsettled_max, hub.limits.unsettled_bytes_max)
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._paused = False
        self._acknowledged = asyncio.Event()
        self._feeds: deque[Feed] = deque()
        self._feeding: asyncio.Task[None] | None = None
        self._closed = False
        most_s = hub.limits.keepalive_max_s
        # Keep-alive 0 would let a till that lost its power live for ever.
        self._silence_max_s = hub.limits.keepalive_factor * min(session.keep_alive or most_s, most_s)
        self._heard_s = self._loop.time()
        self._silence = self._loop.call_later(self._silence_max_s, self._check_silence)
        session.deliver = self.deliver

    @property
    def device(self) -> str:
        return self.device_session.device

    @property
    def held_bytes(self) -> int:
        """What is kept for this connection: not taken by its peer, not acknowledged by it, or not on disk yet."""
        session = self.device_session
        unacked = session.unacked_bytes + session.unacked_count * self._hub.limits.message_bytes
        return self._out.pending_bytes + unacked + self._unsettled.size

    async def serve(self) -> None:
        """Handle packets until the connection is closed."""
        turn_s = self._hub.limits.turn_s
        turn_ends_s = self._loop.time() + turn_s
        try:
            while not self._closed:
                if not self._may_read.is_set():
                    await self._may_read.wait()
                elif (packet := self._framer.next()) is None:
                    data = await self._stream.read(_CHUNK)
                    if not data:
                        self.close("the peer went away", will=True)
                    self._heard_s = self._loop.time()
                    turn_ends_s = self._heard_s + turn_s
                    self._framer.feed(data)
                else:
                    await self._handle(packet)
                    if self._loop.time() > turn_ends_s:
                        # As long as there are bytes, neither a read nor a packet lets the others run.
                        await asyncio.sleep(0)
                        turn_ends_s = self._loop.time() + turn_s
        except Malformed as error:
            self._hub.complain(self.device, str(error))
            self.close("it broke the protocol", will=True)
        except OSError as error:
            self.close(f"the connection broke: {error.strerror or type(error).__name__}", will=True)
        finally:
            # Only when this task failed or was cancelled is there anything left to close.
            self.close("the broker gave up", will=False)

    async def gone(self) -> None:
        """Return when what was held is written and the socket closed, after `linger_s` at the latest."""
        await self._out.gone()

    def deliver(self, publication: Publication, qos: int) -> None:
        """Send a live message; the sender never waits."""
        for feed in self._feeds:
            feed.live.add(publication.topic)
            if len(feed.live) > self._hub.limits.feed_live_max:
                self.abort("it takes its retained messages too slowly")
                return
        if qos == 0:
            self._out.send(publication.at_most_once)
        elif self._has_room():
            self._out.send(publication.at_least_once(self.device_session.remember(publication)))

    async def keeps_up(self) -> None:
        """Return when there is room for a retained message. Raises ConnectionError when the client is gone."""
        while len(self.device_session.inflight_out) >= self._hub.limits.feed_unacked_max:
            self._acknowledged.clear()
            await self._acknowledged.wait()
        if self._out.pending_bytes > _CHUNK:
            await self._out.drained()

    def send_retained(self, publication: Publication, qos: int) -> None:
        if qos == 0:
            packet = publication.at_most_once
        else:
            packet = publication.at_least_once(self.device_session.remember(publication))
        self._out.send(with_flags(packet, retain=True))

    def greet(self, *, resumed: bool) -> None:
        """Accept the connection. With a kept session send what it had not acknowledged, then what came meanwhile."""
        session = self.device_session
        self._out.send(ConnackPacket.build(int(resumed), CONNECTION_ACCEPTED).to_bytes())
        for packet_id, message in list(session.inflight_out.items()):
            publication = Publication(message.topic, bytes(message.data), 1)
            self._out.send(publication.at_least_once(packet_id, dup=True))
        for publication in session.take_queued():
            self._out.send(publication.at_least_once(session.remember(publication)))

    def pause(self) -> None:
        """Take nothing more; what is unsettled is still acknowledged."""
        self._paused = True
        self._may_read.clear()

    def close(self, reason: str, *, will: bool) -> None:
        """Write what is held and end the connection. will: whether the last will is due."""
        if not self._closed:
            self._out.close()
            self._end(reason, will=will)

    def abort(self, reason: str) -> None:
        """End the connection of a peer that takes nothing."""
        if not self._closed:
            self._out.abort()
            self._end(reason, will=True)

    async def stop(self) -> None:
        """amqtt's name for closing, called by its session table."""
        self.close("stopped", will=False)

    def _end(self, reason: str, *, will: bool) -> None:
        self._closed = True
        self._silence.cancel()
        self._may_read.set()
        if self._feeding is not None:
            self._feeding.cancel()
        self.device_session.deliver = None
        self._hub.closed(self, reason, will=will)

    def _publish(self, packet: Publish) -> None:
        session = self.device_session
        channel = self._own_topics.get(packet.topic)
        if channel is None:
            # MQTT 3.1.1 has no negative PUBACK.
            raise Malformed(f"it must not publish to {packet.topic!r:.200}")
        if channel is Channel.STATE and packet.size == len(packet.payload):  # The head of one is no state.
            self._hub.show_state(session.device, packet.payload, packet.qos)
        held = self._unsettled.hold(packet.packet_id, len(packet.payload))
        if self._unsettled.is_full:
            self._may_read.clear()
        self._hub.take(
            Delivery(session.device, channel, packet.payload, packet.size, partial(self._settled_in_any_thread, held))
        )

    def _settled_in_any_thread(self, held: Held) -> None:
        held.settle()
        self._hub.post(self._acknowledge)

    def _acknowledge(self) -> None:
        for packet_id in self._unsettled.release():
            # PUBACK; amqtt's own encoder takes ten times as long, and there is one for every operation.
            self._out.send(b"\x40\x02" + packet_id.to_bytes(2))
        if not self._unsettled.is_full and not self._paused and not self._may_read.is_set():
            # The time in which nothing was read is not the peer's silence.
            self._heard_s = self._loop.time()
            self._may_read.set()

    async def _handle(self, packet: Publish | Control) -> None:
        if isinstance(packet, Publish):
            self._publish(packet)
        elif packet.kind == PINGREQ:
            self._out.send(_PINGRESP)
        elif packet.kind == PUBACK:
            self.device_session.acknowledge(packets.acknowledged(packet))
            self._acknowledged.set()
        elif packet.kind == SUBSCRIBE:
            self._subscribe(*await packets.subscribe(packet))
        elif packet.kind == DISCONNECT:
            self.close("it said goodbye", will=False)
        else:  # The framer lets only UNSUBSCRIBE through besides.
            packet_id, filters = await packets.unsubscribe(packet)
            for topic_filter in filters:
                self._hub.unsubscribe(self.device_session, topic_filter)
            self._out.send(UnsubackPacket.build(packet_id).to_bytes())

    def _subscribe(self, packet_id: int, wanted: list[tuple[str, int]]) -> None:
        session, limits = self.device_session, self._hub.limits
        codes: list[int] = []
        granted: list[tuple[str, int]] = []
        for topic_filter, qos in wanted:
            is_new = topic_filter not in session.filters
            if (
                not may_subscribe(topic_filter, self._hub.topics.shop, session.device)
                or len(topic_filter) > limits.topic_bytes_max
                or (is_new and len(session.filters) >= limits.subscriptions_max)
            ):
                codes.append(_REFUSED)
                continue
            # QoS 2 is granted as 1, which MQTT allows.
            granted.append((topic_filter, min(qos, 1)))
            codes.append(min(qos, 1))
            self._hub.subscribe(session, topic_filter, min(qos, 1))
        self._out.send(SubackPacket.build(packet_id, codes).to_bytes())
        if not granted:
            return
        if len(self._feeds) >= limits.feeds_max:
            raise Malformed("it subscribes faster than it takes the retained messages")
        self._feeds.append(Feed(granted))
        if self._feeding is None:
            self._feeding = self._loop.create_task(self._feed())

    async def _feed(self) -> None:
        try:
            while self._feeds:
                await self._hub.feeder.run(self._feeds[0], self)
                self._feeds.popleft()
        except ConnectionError:
            pass
        finally:
            self._feeding = None
            if self._feeds:
                # Also when the ledger could not be read: a subscriber must not take a part for the whole.
                self.abort("its retained messages could not be sent")

    def _has_room(self) -> bool:
        session, limits = self.device_session, self._hub.limits
        if session.unacked_count < limits.unacked_max and session.unacked_bytes < limits.unacked_bytes_max:
            return True
        self.abort("it acknowledges nothing")
        return False

    def _check_silence(self) -> None:
        now_s = self._loop.time()
        if not self._may_read.is_set():
            self._heard_s = now_s
        if (due_s := self._heard_s + self._silence_max_s) <= now_s:
            self.close("it was silent for longer than its keep-alive allows", will=True)
        else:
            self._silence = self._loop.call_at(due_s, self._check_silence)
