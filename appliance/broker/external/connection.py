"""One connection to the broker, from CONNECT to its end; the next one is a new object with a new paho client.

It stands between the socket and `link`. A client that lived on would send on the next connection what it could not on
this one, an older balance after a newer; so nothing outlives its connection, and the rewrite says it anew. The
invariants: what waits is bounded in both directions, and no PUBACK leaves before its message is settled.

paho is driven by a loop of ours and not by its own thread, for two reasons: an exception in that thread would end it
unseen, and only who selects can stop reading. While too much is unsettled nothing is read, so that TCP holds the broker
back; writing goes on, and the coordinator's ticks keep the connection alive.
"""

import secrets
import select
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, NoReturn

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from appliance.broker.external.limits import Limits
from appliance.broker.external.threads import in_thread
from appliance.broker.unsettled import Held, Unsettled

_LOOK_S = 1.0
"""How often paho looks at its keep-alive when nothing else happens; it counts whole seconds."""

_NOT_LET_IN = ("Bad user name or password", "Not authorized")
"""CONNACK 4 and 5, as paho names them. Any other refusal passes: the broker is full, or starts, or stops."""


class Lost(Exception):
    """The connection ended, or never came about: the world's fault, so it is tried again."""


class Refused(Lost):
    """The broker does not let the coordinator do its work: a person must change something. The text says what."""


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is, and who the coordinator is to it."""

    host: str
    port: int
    user: str
    password: str


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker says for us, retained, when we are gone without a word."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Heard:
    """One message from the broker. is_retained: it was kept there, and is no news.

    settled: to be called exactly once, from any thread.
    """

    topic: str
    payload: bytes
    is_retained: bool
    settled: Callable[[], None]


class Connection:
    """Leaving the `with` block without `disconnect` lets the will speak.

    marker: a topic of ours, on which the connection hears itself; see `drain`.
    heard: is handed every other message, in the network's thread; must not block.
    """

    def __init__(
        self,
        broker: Broker,
        client_id: str,
        marker: str,
        will: Will | None,
        heard: Callable[[Heard], None],
        limits: Limits,
    ) -> None:
        self._broker = broker
        self._marker = marker
        self._heard = heard
        self._limits = limits
        self._changed = threading.Condition()
        self._unsettled = Unsettled(limits.unsettled_max, limits.unsettled_bytes_max)
        self._outgoing: deque[int] = deque()
        self._outgoing_bytes = 0
        self._is_open = False
        self._is_paused = False
        self._is_leaving = False
        self._is_cut = False
        self._why = "the broker closed the connection"
        self._welcome: ReasonCode | None = None
        self._agreed: dict[int, list[ReasonCode]] = {}
        self._received = 0
        self._marked = b""
        self._network: Future[None] | None = None
        self._waker, self._wakes = socket.socketpair()
        self._waker.setblocking(False)
        self._wakes.setblocking(False)
        self._client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=True,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        self._client.username_pw_set(broker.user, broker.password)
        self._client.connect_timeout = limits.answer_s
        if will is not None:
            self._client.will_set(will.topic, will.payload, qos=1, retain=True)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_agreed
        self._client.on_unsubscribe = self._on_agreed
        self._client.on_publish = self._on_sent
        self._client.on_message = self._on_message
        # With this set paho writes in our loop only, never in the thread that publishes.
        self._client.on_socket_register_write = lambda client, userdata, sock: self._wake()

    # --- its life -----------------------------------------------------------------------------------------------------

    def __enter__(self) -> "Connection":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut("closed")
        if self._network is not None:
            wait([self._network])
        with self._changed:
            self._is_open = False
            self._waker.close()
            self._wakes.close()

    def open(self) -> None:
        """Return when the broker has accepted us. Raises Lost or Refused."""
        try:
            self._client.connect(self._broker.host, self._broker.port, self._limits.keep_alive_s)
        except OSError as error:
            raise Lost(f"{error}") from None
        except ValueError as error:  # A UnicodeError is one.
            raise Refused(f"{self._broker.host!r} is no host name ({error}); set STOCK_BROKER__HOST to one") from None
        sock = self._client.socket()
        assert isinstance(sock, socket.socket)
        # An ack is a small packet: it must not wait for the one after it.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._is_open = True
        self._network = in_thread("broker-network", self._carry)
        if not self._wait(lambda: self._welcome is not None):
            raise Lost(f"no answer to CONNECT within {self._limits.answer_s} s")
        assert self._welcome is not None
        if self._welcome in _NOT_LET_IN:
            raise Refused(
                f"the broker refuses the log-in of {self._broker.user!r}: {self._welcome}; set"
                " STOCK_BROKER__USER and STOCK_BROKER__PASSWORD to a user that it knows"
            )
        if self._welcome.is_failure:
            raise Lost(f"the broker refuses the connection: {self._welcome}")
        self.subscribe([self._marker], qos=0)

    def pause(self) -> None:
        """Take nothing more. What was taken can still be settled, and `publish` still works."""
        with self._changed:
            self._is_paused = True
            self._changed.notify_all()
            self._wake()

    def disconnect(self) -> None:
        """Send what waits, and say good-bye when the broker has it; give up on one that doesn't take it.

        What it still sends us is read and dropped: a socket that is closed with something unread in it is reset, and
        what the broker has not read yet would be lost.
        """
        token = secrets.token_bytes(8)
        with self._changed:
            self._is_leaving = True
            self.publish(self._marker, token, retain=False)
            self._changed.wait_for(lambda: self._marked == token or not self._is_open, self._limits.answer_s)
            if self._marked == token and self._is_open:
                self._client.disconnect()
                self._changed.wait_for(lambda: not self._is_open, self._limits.answer_s)
        self.cut("the broker does not take what it is sent")

    def cut(self, why: str) -> None:
        """End the connection without a word. why: for the log, unless it has ended already."""
        with self._changed:
            if self._is_open and not self._is_cut:
                self._why = why
                self._is_cut = True
                self._changed.notify_all()
                self._wake()

    def wait_for_end(self) -> None:
        """Wait until the connection has ended. Raises Lost, or what went wrong in the network's thread."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_open)
        self._raise_lost()

    # --- what is asked of the broker ----------------------------------------------------------------------------------

    def subscribe(self, filters: Sequence[str], qos: int) -> None:
        """Return when the broker has agreed. Raises Lost or Refused."""
        with self._changed:
            _, packet_id = self._client.subscribe([(topic, qos) for topic in filters])
        for topic, code in zip(filters, self._wait_for_agreement(packet_id), strict=False):
            if code.is_failure:
                raise Refused(
                    f"the broker lets {self._broker.user!r} not read {topic}: its ACL must allow that user to read and"
                    " write everything of the shop"
                )

    def unsubscribe(self, filters: Sequence[str]) -> None:
        with self._changed:
            _, packet_id = self._client.unsubscribe(list(filters))
        self._wait_for_agreement(packet_id)

    def _wait_for_agreement(self, packet_id: int | None) -> list[ReasonCode]:
        """Return the reason codes of a SUBACK; an UNSUBACK has none."""
        if packet_id is None:
            self._raise_lost()  # There was no connection to ask on.
        if not self._wait(lambda: packet_id in self._agreed):
            raise Lost(f"no answer to SUBSCRIBE within {self._limits.answer_s} s")
        return self._agreed.pop(packet_id)

    def drain(self) -> None:
        """Return when everything has arrived that the broker had for us when this was called.

        MQTT does not say when the retained messages of a SUBSCRIBE are all sent; but a broker sends one client its
        messages in order, so that one of our own, published now, comes after them. A broker whose queue for us is full
        drops it like the others: then another one is sent.
        """
        token = secrets.token_bytes(8)
        try:
            while not self._comes_back(token):
                pass
        except Lost as lost:
            # mosquitto 2.0 closes the connection of whoever publishes what its ACL forbids; others say nothing.
            raise Lost(
                f"{lost}, when {self._broker.user!r} published on {self._marker}; the broker's ACL must allow that user"
                " to read and write everything of the shop"
            ) from None

    def _comes_back(self, token: bytes) -> bool:
        """Publish a marker, and return whether it came; if it didn't, something else did. Raises Lost."""
        received = self._received
        self.publish(self._marker, token, retain=False)
        if self._wait(lambda: self._marked == token):
            return True
        if self._received == received:
            raise Lost(f"nothing came back within {self._limits.answer_s} s")
        return False

    def wait_until(self, condition: Callable[[], bool], longest_s: float) -> bool:
        """Return whether the condition, which depends on what is heard, came true in time. Raises Lost."""
        return self._wait(condition, longest_s)

    def publish(self, topic: str, payload: bytes, retain: bool, *, patiently: bool = False) -> None:
        """Send a message with QoS 0; after the connection's end it is dropped.

        A stuck broker is cut off when too much waits for it. patiently: wait for room long before that.
        """
        size = len(topic.encode()) + len(payload) + self._limits.packet_bytes
        with self._changed:
            if patiently:
                half = self._limits.outgoing_bytes_max // 2
                self._changed.wait_for(lambda: not self._is_open or self._outgoing_bytes <= half)
            if not self._is_open:
                return
            if self._outgoing_bytes + size > self._limits.outgoing_bytes_max:
                self.cut(f"the broker does not take what it is sent: {self._outgoing_bytes} bytes wait")
                return
            # Both in one breath, so that the sizes stand in the order in which the packets leave.
            self._outgoing.append(size)
            self._outgoing_bytes += size
            self._client.publish(topic, payload, qos=0, retain=retain)

    # --- the network's thread -----------------------------------------------------------------------------------------

    def _carry(self) -> None:
        """Move packets until the connection ends."""
        client = self._client
        try:
            while (sock := client.socket()) is not None and not self._is_cut:
                is_reading = self._is_leaving or not (self._is_paused or self._unsettled.is_full)
                reading = [self._waker, sock] if is_reading else [self._waker]
                readable, writable, _ = select.select(reading, [sock] if client.want_write() else [], [], _LOOK_S)
                if self._waker in readable:
                    self._waker.recv(4096)
                if writable:
                    client.loop_write()
                if sock in readable and (self._is_leaving or not self._is_paused):
                    client.loop_read()  # Not what came just after `pause`, while this thread still waited to read.
                if is_reading:
                    # Who does not listen must not blame the broker for its silence.
                    client.loop_misc()
        finally:
            with self._changed:
                self._is_open = False
                self._changed.notify_all()
            if (sock := client.socket()) is not None:
                sock.close()

    def _on_connect(
        self, client: Client, userdata: Any, flags: ConnectFlags, code: ReasonCode, properties: Properties | None
    ) -> None:
        with self._changed:
            self._welcome = code
            self._changed.notify_all()

    def _on_disconnect(
        self, client: Client, userdata: Any, flags: DisconnectFlags, code: ReasonCode, properties: Properties | None
    ) -> None:
        self._why = "the broker closed the connection" if code == "Unspecified error" else str(code)

    def _on_agreed(
        self, client: Client, userdata: Any, packet_id: int, codes: list[ReasonCode], properties: Properties | None
    ) -> None:
        with self._changed:
            self._agreed[packet_id] = codes
            self._changed.notify_all()

    def _on_sent(
        self, client: Client, userdata: Any, packet_id: int, code: ReasonCode, properties: Properties | None
    ) -> None:
        with self._changed:
            self._outgoing_bytes -= self._outgoing.popleft()
            self._changed.notify_all()

    def _on_message(self, client: Client, userdata: Any, message: MQTTMessage) -> None:
        payload = bytes(message.payload)
        with self._changed:
            self._received += 1
            held = self._unsettled.hold(message.mid if message.qos else None, len(payload))
        settled = partial(self._settle, held)
        try:
            topic = message.topic
        except UnicodeDecodeError:
            settled()  # No topic of ours; the broker should not have let it in.
            return
        if topic == self._marker:
            self._marked = payload
            settled()
        elif not self._is_leaving:
            self._heard(Heard(topic, payload, message.retain, settled))
        with self._changed:
            self._changed.notify_all()

    def _settle(self, held: Held) -> None:
        with self._changed:
            held.settle()
            ready = self._unsettled.release()
            if self._is_open:
                for packet_id in ready:
                    self._client.ack(packet_id, qos=1)
                self._wake()

    def _wake(self) -> None:
        """Let the network's thread look again at what it may read and has to write."""
        if self._is_open:
            with suppress(BlockingIOError):  # It is awake already.
                self._wakes.send(b"\0")

    # --- waiting ------------------------------------------------------------------------------------------------------

    def _wait(self, condition: Callable[[], bool], longest_s: float | None = None) -> bool:
        """Return whether the condition came true in time (`answer_s`). Raises Lost when it cannot any more."""
        longest_s = self._limits.answer_s if longest_s is None else longest_s
        with self._changed:
            self._changed.wait_for(lambda: condition() or not self._is_open or self._is_paused, longest_s)
            if condition():
                return True
            is_open = self._is_open
        if not is_open:
            self._raise_lost()
        if self._is_paused:
            raise Lost("stopping")
        return False

    def _raise_lost(self) -> NoReturn:
        assert self._network is not None
        self._network.result()  # An error of ours in the network's thread is raised here, and ends the process.
        raise Lost(self._why)
