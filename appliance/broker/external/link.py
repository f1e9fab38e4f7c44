"""One shop's coordinator at a broker that others run: the public face of this folder.

`app` builds it; the coordinator is handed what devices publish and publishes through it. On every connection, in order:

    look    with a client id of its own: is another coordinator alive?
    claim   as `coordinator-{shop}`: say that this run is about to speak
    collect the retained topics that the broker holds
    listen  subscribe to what devices publish, and keep it
    rewrite the coordinator makes those topics the ledger's, and says `online`
    serve   take what was kept and what comes, until the connection ends; wait; look again

The invariants: one coordinator speaks for a shop, the later one yielding; what the broker retains is the ledger's
before anything is taken; whoever is told of this coordinator, by `online` or a tick, is heard by it; and a PUBACK
leaves only when what it answers is on disk.
"""

import logging
import math
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from functools import partial

from appliance.broker.external.connection import Broker, Connection, Heard, Lost, Refused, Will
from appliance.broker.external.limits import Limits
from appliance.broker.external.threads import in_thread
from appliance.contract.delivery import Channel, Delivery
from appliance.contract.fields import read_object
from appliance.contract.limits import HEAD_BYTES, PAYLOAD_MAX
from appliance.contract.topics import SHOP_DEVICE, Topics

_log = logging.getLogger(__name__)

_CHANCE = secrets.SystemRandom()


class ForeignRun(Exception):
    """Another coordinator of this shop is alive. The text says which, and how to start all the same."""


class ExternalBroker:
    """The link to a broker that others run.

    run: this process's own; will: the coordinator's `offline`.
    take_over: whether to start although another coordinator is alive. Once this one has spoken it yields to a later.
    take: is handed every message of a device, one after the other; must not block. `settled` releases the PUBACK.
    connected: is handed the retained topics of ours that the broker holds, on every connection, in a thread that may
    wait; must return when all of the projection and then `online` have been published, and also when the house is being
    stopped.
    """

    def __init__(
        self,
        *,
        topics: Topics,
        host: str,
        port: int,
        user: str,
        password: str,
        run: str,
        will: bytes,
        take_over: bool,
        take: Callable[[Delivery], None],
        connected: Callable[[set[str]], None],
        limits: Limits | None = None,
    ) -> None:
        self._topics = topics
        self._broker = Broker(host, port, user, password)
        self._run = run
        self._will = Will(topics.coordinator, will)
        self._take_over = take_over
        self._take = take
        self._connected = connected
        self._limits = limits or Limits()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._current: Connection | None = None
        self._speaking: Connection | None = None
        self._is_rewriting = False
        self._kept: list[Delivery] | None = None
        self._has_spoken = False
        self._presence = b""
        self._failures = 0
        self._serving_since_s = math.inf
        self._marker = topics.device(SHOP_DEVICE, "query")
        self.serving: Future[None] = Future()
        """Done when it serves for the first time; it never is when the link ends before."""

    # --- what the house calls -----------------------------------------------------------------------------------------

    def start(self) -> Future[None]:
        """Connect, and stay connected, in threads of its own.

        Returns what is done when the link has been stopped, or ends with ForeignRun, or with an error of ours: whoever
        waits for it ends the process then.
        """
        self._life = in_thread("broker-link", self._live)
        return self._life

    def pause(self) -> None:
        """Take nothing more, and don't connect again; what was taken can still be settled, and `publish` still works.

        So that, on the way down, everything taken can be committed and announced before `stop`.
        """
        with self._lock:
            self._stopping.set()
            if self._current is not None:
                self._current.pause()

    def stop(self) -> None:
        """Send what waits, disconnect, and wait for the threads. Later calls of `settled` and `publish` do nothing."""
        self.pause()
        if (connection := self._speaking) is not None:
            connection.disconnect()
        wait([self._life])

    @property
    def is_connected(self) -> bool:
        """Whether it can speak to the broker now."""
        return self._speaking is not None

    def publish(self, topic: str, payload: bytes, retain: bool) -> None:
        """Send a message to whoever listens. Thread-safe, and never blocks but in a rewrite, as below.

        What cannot be sent, for want of a connection or because the broker does not take it, is dropped: every
        connection begins with a rewrite of the whole projection, and tills catch up by query. It is sent with QoS 0,
        since MQTT resends nothing to a till with a clean session anyway.

        A rewrite publishes 100,000 topics at once, more than may wait here; so while `connected` runs, a retained
        message waits for room. Nothing is taken meanwhile, and the rewrite is the only one that says such a thing.
        """
        if topic == self._topics.coordinator:
            self._presence = payload
        if (connection := self._speaking) is not None:
            connection.publish(topic, payload, retain, patiently=retain and self._is_rewriting)

    # --- the life of the link -----------------------------------------------------------------------------------------

    def _live(self) -> None:
        while not self._stopping.is_set():
            try:
                self._look_for_another()
                self._serve()
            except Lost as lost:
                if not self._stopping.is_set():
                    self._stopping.wait(self._report(lost))

    def _report(self, lost: Lost) -> float:
        """Log why there is no connection, and return after how many seconds to try again.

        The waits grow, and with them the lines get rare. Chance keeps many coordinators of one broker apart.
        """
        limits = self._limits
        if time.monotonic() - self._serving_since_s >= limits.retry_max_s:
            self._failures = 0  # One that never lasts is not tried, and rewritten, twice a second.
        self._serving_since_s = math.inf
        wait_s = min(limits.retry_min_s * 2.0 ** min(self._failures, 32), limits.retry_max_s)
        if isinstance(lost, Refused):
            wait_s = limits.retry_max_s
        wait_s *= _CHANCE.uniform(0.5, 1)
        self._failures += 1
        level = logging.ERROR if isinstance(lost, Refused) else logging.WARNING
        where = (self._broker.host, self._broker.port)
        _log.log(level, "disconnected host=%s port=%d reason=%r retry_s=%.1f", *where, str(lost), wait_s)
        return wait_s

    def _connect(self, client_id: str, will: Will | None, heard: Callable[[Heard], None]) -> Connection:
        """Return a connection that is about to be opened, and that `pause` can reach."""
        with self._lock:
            if self._stopping.is_set():
                raise Lost("stopping")
            self._current = Connection(self._broker, client_id, self._marker, will, heard, self._limits)
            return self._current

    def _look_for_another(self) -> None:
        """Raise ForeignRun when another coordinator of this shop is alive.

        Its client id is ours, so that connecting as ourselves would already put it off. What is retained under
        `coordinator` tells its run; that it lives, a tick does: the broker may have died before it said the will.
        """
        others = _Others(self._topics, self._run)
        # No shop's name has an underscore, so that this is no other shop's client id either.
        client_id = f"coordinator-{self._topics.shop}_{secrets.token_hex(4)}"
        with self._connect(client_id, None, others.hear) as connection:
            connection.open()
            connection.subscribe([self._topics.coordinator, self._topics.tick], qos=0)
            connection.drain()
            # Whoever wrote here after us came later, even when it isn't online yet.
            if others.run is None or not (others.is_online or self._has_spoken):
                return
            if not connection.wait_until(lambda: others.ticking is not None, self._limits.tick_s):
                _log.warning("stale run=%s: no tick within %.1f s", others.run, self._limits.tick_s)
                return
        if not self._take_over or self._has_spoken:
            raise ForeignRun(
                f"another coordinator of shop {self._topics.shop} is alive at {self._broker.host}:{self._broker.port}:"
                f" run {others.ticking} ticks; stop it, or start this one with --take-over"
            )
        _log.warning("took-over run=%s", others.ticking)

    def _serve(self) -> None:
        """Make the broker's retained topics the ledger's, and serve until the connection ends. Raises Lost."""
        retained: set[str] = set()
        client_id = f"coordinator-{self._topics.shop}"
        with self._connect(client_id, self._will, partial(self._hear, retained)) as connection:
            connection.open()
            # The claim: one that we have put off, and that looks again, sees that somebody came after it.
            connection.publish(self._will.topic, self._will.payload, retain=True)
            self._has_spoken = True
            self._presence = b""
            connection.subscribe([self._topics.coordinator], qos=0)
            self._collect(connection)
            self._kept = []
            # Before anybody is told of us: a state that nobody hears is retained, but only one under each name.
            connection.subscribe([self._topics.device("+", channel) for channel in Channel], qos=1)
            try:
                self._is_rewriting = True
                self._speaking = connection
                self._connected(retained)
                self._is_rewriting = False
                self._take_kept()
                self._serving_since_s = time.monotonic()
                where = (self._broker.host, self._broker.port)
                _log.info("connected host=%s port=%d retained=%d", *where, len(retained))
                if not self.serving.done():
                    self.serving.set_result(None)
                connection.wait_for_end()
            finally:
                self._speaking = None

    def _collect(self, connection: Connection) -> None:
        """Have every retained topic of the projection heard once."""
        root = self._topics.root
        filters = [f"{root}{kind}/+" for kind in ("balance", "item", "alert", "printer")]
        filters.append(self._topics.device("+", "ack"))
        connection.subscribe(filters, qos=0)
        connection.drain()
        connection.unsubscribe(filters)

    def _take_kept(self) -> None:
        with self._lock:
            if self._stopping.is_set():
                raise Lost("stopping")  # There may have been no rewrite.
            assert self._kept is not None
            for delivery in self._kept:
                self._take(delivery)
            self._kept = None

    # --- what is heard, in the network's thread -----------------------------------------------------------------------

    def _hear(self, retained: set[str], heard: Heard) -> None:
        if (sender := self._topics.sender(heard.topic)) is not None:
            self._deliver(*sender, heard)
            return
        heard.settled()
        if heard.topic == self._topics.coordinator:
            self._hear_presence(heard.payload)
        elif heard.is_retained:
            retained.add(heard.topic)

    def _hear_presence(self, payload: bytes) -> None:
        """Say again what we said last, when the broker said our will after it, for a connection that is long gone."""
        said, connection = self._presence, self._speaking
        if said not in (b"", payload) and payload == self._will.payload and connection is not None:
            _log.warning("re-asserted run=%s", self._run)
            connection.publish(self._topics.coordinator, said, retain=True)

    def _deliver(self, device: str, channel: Channel, heard: Heard) -> None:
        payload, size = heard.payload, len(heard.payload)
        if channel is Channel.OP and not payload:
            heard.settled()  # The echo of a retained operation that was cleared.
            return
        settled = heard.settled
        if channel is Channel.OP and heard.is_retained:
            settled = partial(self._clear, heard)
        delivery = Delivery(device, channel, payload[:HEAD_BYTES] if size > PAYLOAD_MAX else payload, size, settled)
        with self._lock:
            if self._kept is not None:
                self._kept.append(delivery)  # No more than may be unsettled: then reading stops.
                return
        self._take(delivery)

    def _clear(self, heard: Heard) -> None:
        """Settle a retained operation, and only then take it from the broker."""
        heard.settled()
        self.publish(heard.topic, b"", retain=True)


class _Others:
    """What is heard of other coordinators of the shop. run: of the one that spoke last; ticking: of one that ticks."""

    def __init__(self, topics: Topics, own_run: str) -> None:
        self._topics = topics
        self._own_run = own_run
        self.run: str | None = None
        self.is_online = False
        self.ticking: str | None = None

    def hear(self, heard: Heard) -> None:
        heard.settled()
        try:
            said = read_object(heard.payload)
        except ValueError:
            return  # Cleared, or no coordinator's.
        run = said.get("run")
        if not isinstance(run, str) or run == self._own_run:
            return
        if heard.topic == self._topics.tick:
            self.ticking = run
        else:
            self.run, self.is_online = run, said.get("state") == "online"
