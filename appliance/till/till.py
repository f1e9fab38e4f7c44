"""A till that runs: the session with a real clock, a real connection and a lock around it.

What a cashier does comes in from any thread and is on disk when the method returns; paho's network thread brings what
the coordinator says; one more thread keeps the connection and the time. The invariant: every input to the session, and
every publish that follows from it, happens under one lock and in order.

Each connection is a new paho client. A client that reconnects would send again, on its own and before the handshake,
what it holds in its queue; here the outbox is the only queue there is.
"""

import logging
import random
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from appliance.contract.slip import parse_slip
from appliance.contract.topics import Topics, is_name
from appliance.till import drafts
from appliance.till.freshness import Freshness
from appliance.till.heard import Alert, CatalogueItem, FoundReceipt, HistoryEntry
from appliance.till.inquiry import Inquiry, NoAnswer
from appliance.till.line import CONNECT_TIMEOUT_S, Line
from appliance.till.outbox import Kept, Made, Outbox, Rejected
from appliance.till.session import Begun, Note, Phase, Publish, Session, Subscribe, last_will
from appliance.till.view import LocalBalance

BACKOFF_FIRST_S = 0.5
BACKOFF_MAX_S = 30.0
"""Waits between connections double from the first to the most, each shortened by chance so that tills do not return in
step after a power cut."""

TURN_S = 1.0
"""How often the session is told that time passes; its own waits are 10 s and more."""

ANSWER_S = 5.0
"""How long a person waits for a look-up: a page takes the coordinator milliseconds, and behind a backlog a second."""

_log = logging.getLogger(__name__)

T = TypeVar("T", FoundReceipt, HistoryEntry)


class Till:
    """The reference device. See the package's docstring for its use.

    host, port: of the broker; of several hosts each is tried. device: also the MQTT user. path: of the outbox file,
    which belongs to this device alone. sha256: of the certificate that the broker shows by TLS; None for plain MQTT.
    accept_ledger: follow any ledger that answers, without asking a person.
    on_change: called without arguments, from some thread, whenever a balance, `pending` or the connection may have
    changed. It must not block.
    Raises ValueError for a shop or device that is no name, and OutboxError for an outbox that cannot be used.
    """

    def __init__(
        self,
        *,
        host: str | Sequence[str],
        port: int,
        shop: str,
        device: str,
        path: Path,
        password: str | None = None,
        sha256: bytes | None = None,
        accept_ledger: bool = False,
        on_change: Callable[[], None] | None = None,
    ) -> None:
        if not is_name(device):
            raise ValueError(f"{device!r} cannot name a device: use 1 to 64 of A-Z, a-z, 0-9 and -")
        self._line = Line([host] if isinstance(host, str) else host, port, sha256)
        self._topics = Topics(shop)
        self._device = device
        self._password = password
        self.on_change = on_change
        self._outbox = Outbox(path, device, secrets)
        self._session = Session(self._outbox, self._topics, device, secrets, _now_ms(), accept_ledger=accept_ledger)
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._client: mqtt.Client | None = None
        self._is_over = threading.Event()
        self._closing = threading.Event()
        self._fault: str | None = None
        self._was_agreed = False
        self._thread = threading.Thread(target=self._keep_connected, name=f"till-{device}")

    @classmethod
    def from_slip(
        cls, slip: str, *, path: Path, accept_ledger: bool = False, on_change: Callable[[], None] | None = None
    ) -> Self:
        """Return a till that knows all from its slip, `stock://…`. Raises BadSlip (a ValueError) and OutboxError."""
        says = parse_slip(slip)
        return cls(
            host=says.hosts,
            port=says.port,
            shop=says.shop,
            device=says.device,
            password=says.token,
            sha256=says.sha256,
            path=path,
            accept_ledger=accept_ledger,
            on_change=on_change,
        )

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self) -> None:
        """Start to connect, and keep connected. Returns at once; selling needs no connection."""
        self._thread.start()

    def close(self) -> None:
        """Say `offline`, disconnect and close the outbox. What is not acked stays in it for the next start."""
        self._closing.set()
        self._is_over.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._outbox.close()

    # --- what a cashier does ------------------------------------------------------------------------------------------
    # Each returns the operation's tag once it is on disk, and raises ValueError when the coordinator would reject it.

    def sell(self, sku: str, qty: str | int) -> str:
        """Sell without a receipt. qty: how much leaves the shelf."""
        return self._do(drafts.move(sku, drafts.negated(qty), "sale"))

    def receive(self, sku: str, qty: str | int) -> str:
        """Take in a delivery. qty: how much comes to the shelf."""
        return self._do(drafts.move(sku, qty, "receive"))

    def write_off(self, sku: str, qty: str | int) -> str:
        """Throw away, or miss. qty: how much has left the shelf."""
        return self._do(drafts.move(sku, drafts.negated(qty), "write_off"))

    def move(self, sku: str, qty: str | int, reason: str) -> str:
        """Move for any reason of the contract. qty: signed, negative for what leaves the shelf."""
        return self._do(drafts.move(sku, qty, reason))

    def receipt(
        self,
        lines: Sequence[Mapping[str, object]],
        *,
        status: str = "paid",
        kind: str = "sale",
        receipt: str | None = None,
        edit: int | None = None,
        **header: object,
    ) -> str:
        """Pay a receipt, open or edit one (`status="open"`), or take goods back (`kind="return"`, `of=` the sale).

        All its lines or none. Returns not the tag but the receipt's identity, which continues it on any till:

            tab = till.receipt([{"sku": "4607001234567", "qty": "2"}], status="open", table="7")  # Reserves 2.
            till.receipt([{"sku": "4607001234567", "qty": "3"}], status="open", receipt=tab)  # Now it reserves 3.
            till.receipt([{"sku": "4607001234567", "qty": "3"}], receipt=tab)  # Paid: 3 leave the shelf.
            till.receipt([{"sku": "4607001234567", "qty": "1"}], kind="return", of=tab)  # One comes back.

        lines, header: in the wire's own keys, `{"sku": …, "qty": "2", "price_minor": 8990, "marks": [code]}` and
        `number="A1-000123"`; a mark is the raw text of the scanner. receipt: its identity in the shop for ever; a new
        one unless given. edit: of several opens of a receipt the highest wins; one more than this till knows of unless
        given, and it knows of those that it made since it started or that `find_receipt` has found.
        """
        if status == "open" and edit is None:
            edit = 1 if receipt is None else self._next_edit(receipt)
        identity = receipt or secrets.token_hex(16)
        self._do(drafts.receipt(identity, kind, status, lines, header if edit is None else {**header, "edit": edit}))
        return identity

    def cancel(self, receipt: str) -> str:
        """Cancel an open receipt: what it reserved is for sale again."""
        return self._do(drafts.cancelled(receipt))

    def count(self, sku: str, counted: str | int, *, includes_reserved: bool = False) -> str:
        """Say how much of a SKU there is at this moment, goods of open receipts included, wherever they lie.

        includes_reserved: the person has looked for the goods of open receipts too. Only they can know; while there is
        something `reserved` and they don't say so, the shop is asked to count again.
        """
        return self.begin_count().count(sku, counted, includes_reserved=includes_reserved)

    def begin_count(self) -> "Counting":
        """Begin a stocktake: call this before the first thing is counted, for what is sold from here on matters."""
        with self._lock:
            begun = self._session.begin(_now_ms())
        return Counting(partial(self._counted, begun))

    def acknowledge(self, alert: str) -> str:
        """Say that a person has seen an alert of `alerts`. alert: its name, `Alert.alert`."""
        return self._do(drafts.acknowledged(alert))

    def item(self, sku: str, **details: object) -> str:
        """Put a SKU into the catalogue, in the wire's own keys: `name="Milk", unit="pcs", price_minor=8990`."""
        return self._do(drafts.item(sku, details))

    # --- what a screen shows ------------------------------------------------------------------------------------------

    def balance(self, sku: str) -> LocalBalance | None:
        """Return what there is of a SKU, and how fresh that is; None when nobody has told.

        This till's own unacked operations are included: its movements, what its open receipts reserve, and its count,
        which takes the place of all that was before it here.
        """
        with self._lock:
            return self._session.balance(sku, _now_ms())

    @property
    def freshness(self) -> Freshness:
        """What all balances may lack: devices that are offline, or this till itself."""
        with self._lock:
            return self._session.freshness(_now_ms())

    @property
    def alerts(self) -> list[Alert]:
        """What a person in this shop must know, by name, as the coordinator last told it on this connection."""
        with self._lock:
            return self._session.alerts()

    def skus(self) -> list[str]:
        """Return every SKU that has a balance here, in order."""
        with self._lock:
            return self._session.view.skus()

    def items(self) -> list[CatalogueItem]:
        """Return the catalogue, as the coordinator last told it and this till has said since."""
        with self._lock:
            return list(self._session.view.items.rows.values())

    def newest(self, count_max: int) -> list[Made]:
        """Return the newest operations of this till that it still keeps, acked or not, the newest first."""
        with self._lock:
            return self._outbox.newest(count_max)

    @property
    def acked_s(self) -> int | None:
        """How many seconds ago the coordinator last acked something; None when it has not since this till started."""
        with self._lock:
            acked_ms = self._session.acked_ms
        return None if acked_ms is None else (_now_ms() - acked_ms) // 1000

    @property
    def pending(self) -> int:
        """How many operations wait for their ack."""
        with self._lock:
            return self._outbox.pending

    @property
    def rejected(self) -> list[Rejected]:
        """What the coordinator has rejected, oldest first, for a person to put right."""
        with self._lock:
            return self._outbox.rejected()

    @property
    def is_connected(self) -> bool:
        """Whether the coordinator, not only the broker, has answered on this connection."""
        with self._lock:
            return self._session.phase is Phase.READY

    @property
    def fault(self) -> str | None:
        """Why the last connection failed or ended; None while there is nothing to tell."""
        with self._lock:
            return self._fault

    @property
    def other_ledger(self) -> str | None:
        """A ledger that is not this outbox's own and waits for a person's `accept`; None when all is well."""
        with self._lock:
            return self._session.other_ledger

    def accept(self, ledger: str) -> None:
        """Follow another ledger (`other_ledger`) from now on: a new box. What was never acked goes there too."""
        with self._lock:
            self._session.accept(ledger, _now_ms())
            self._carry_out()
        self._tell()

    def wait_acked(self, timeout_s: float) -> bool:
        """Wait until every operation is acked. Returns whether that came about in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._outbox.pending == 0, timeout_s)

    # --- what a person looks up ---------------------------------------------------------------------------------------
    # Only the coordinator knows. Both raise NoAnswer when it cannot be asked, or has not answered in time.

    def find_receipt(self, receipt: str, timeout_s: float = ANSWER_S) -> FoundReceipt | None:
        """Return what the coordinator knows of a receipt of any till; None when it has never heard of it.

        After it this till can edit, pay or cancel the receipt as the one that opened it. Own operations that wait for
        their ack are not in it.
        """
        found = self._look_up(lambda: self._session.find_receipt(receipt), timeout_s)
        return found[0] if found else None

    def history(self, sku: str, timeout_s: float = ANSWER_S) -> list[HistoryEntry]:
        """Return a SKU's whole history, the oldest entry first; the last one's `on_hand` is the coordinator's balance.

        timeout_s: for all its pages together. Returns [] for a SKU that no operation has named.
        """
        return self._look_up(lambda: self._session.history(sku), timeout_s)

    def _look_up(self, ask: Callable[[], Inquiry[T]], timeout_s: float) -> list[T]:
        with self._changed:
            inquiry = ask()
            self._carry_out()
            if not self._changed.wait_for(lambda: inquiry.is_over, timeout_s):
                self._session.give_up(inquiry)
                raise NoAnswer(f"the coordinator has not answered within {timeout_s:g} s")
            if inquiry.failure is not None:
                raise NoAnswer(f"the coordinator has not answered: {inquiry.failure}")
            return inquiry.rows

    # --- the connection -----------------------------------------------------------------------------------------------

    def _do(self, fields: dict[str, object]) -> str:
        return self._make(lambda now_ms, at: self._session.wanted(fields, now_ms, at))

    def _counted(self, begun: Begun, sku: str, counted: str | int, includes_reserved: bool) -> str:
        return self._make(
            lambda now_ms, at: self._session.counted(
                begun, sku, counted, now_ms, at, includes_reserved=includes_reserved
            )
        )

    def _make(self, make: Callable[[int, str], Kept]) -> str:
        with self._lock:
            kept = make(_now_ms(), _at())
            self._carry_out()
        self._tell()
        return kept.tag

    def _next_edit(self, receipt: str) -> int:
        with self._lock:
            return self._session.next_edit(receipt)

    def _keep_connected(self) -> None:
        backoff_s = BACKOFF_FIRST_S
        while not self._closing.is_set():
            if self._stay_connected():
                backoff_s = BACKOFF_FIRST_S
            # Chance spreads the tills; it needs no secrecy.
            self._closing.wait(backoff_s * random.uniform(0.5, 1.0))  # noqa: S311
            backoff_s = min(2 * backoff_s, BACKOFF_MAX_S)

    def _stay_connected(self) -> bool:
        """Hold one connection for as long as it lasts. Returns whether the broker ever agreed to it."""
        client = self._connect()
        if client is None:
            return False
        self._is_over.clear()
        if self._closing.is_set():
            self._is_over.set()
        self._client = client
        self._was_agreed = False
        client.loop_start()
        given_up_s = time.monotonic() + CONNECT_TIMEOUT_S
        while not self._is_over.wait(TURN_S):
            with self._lock:
                if not self._was_agreed and time.monotonic() >= given_up_s:
                    self._fault = "the broker does not answer"
                    break
                self._session.elapsed(_now_ms())
                self._carry_out()
        self._leave(client)
        return self._was_agreed

    def _connect(self) -> mqtt.Client | None:
        """Return a client that is connected to the first host that is found to be the box, if there is one."""
        faults = []
        for host in self._line.hosts:
            client = self._new_client()
            try:
                self._line.connect(client, host)
            except (OSError, ValueError) as error:
                # Nobody is there, or (ValueError) no address can be so: a person reads it and mends the setting, and
                # the till goes on selling meanwhile.
                faults.append(f"{host}:{self._line.port}: {error}")
            else:
                return client
            if self._closing.is_set():
                break
        self._note_fault("; ".join(faults))
        return None

    def _leave(self, client: mqtt.Client) -> None:
        with self._lock:
            self._client = None
            self._session.disconnected()
        if self._was_agreed and self._closing.is_set() and client.is_connected():
            will = last_will(self._topics, self._device)
            # An orderly DISCONNECT takes the will away, so its word is said here; whoever misses it loses nothing.
            said = client.publish(will.topic, will.payload, qos=1, retain=will.retain)
            if said.rc == mqtt.MQTT_ERR_SUCCESS:  # The connection may be lost just now.
                said.wait_for_publish(TURN_S)
        client.disconnect()
        client.loop_stop()
        self._tell()

    def _new_client(self) -> mqtt.Client:
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            # A second till of this name takes nothing over from this one: it has an epoch of its own, or soon will.
            client_id=f"till-{self._device}-{self._outbox.epoch[:8]}",
            clean_session=True,
            reconnect_on_failure=False,
        )
        client.username_pw_set(self._device, self._password)
        will = last_will(self._topics, self._device)
        client.will_set(will.topic, will.payload, qos=1, retain=will.retain)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect
        return client

    def _on_connect(
        self, client: mqtt.Client, _data: object, _flags: mqtt.ConnectFlags, reason: ReasonCode, _properties: object
    ) -> None:
        if reason.is_failure:
            self._note_fault(f"the broker refuses {self._device}: {reason}")
            self._is_over.set()
            return
        with self._lock:
            if client is self._client:
                self._session.connected()
                self._carry_out()

    def _on_subscribe(
        self, client: mqtt.Client, _data: object, _mid: int, reasons: list[ReasonCode], _properties: object
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            self._note_fault(f"the broker refuses a subscription of {self._device}: check its rights")
            self._is_over.set()
            return
        with self._lock:
            if client is self._client:
                self._fault = None
                self._was_agreed = True
                self._session.subscribed(_now_ms())
                self._carry_out()
        self._tell()

    def _on_message(self, client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        with self._lock:
            if client is not self._client:
                return
            # A disk that is full, or a fault of ours, ends paho's thread, and that would look like a silent
            # coordinator: so the connection ends too, and the next one tries again.
            with ExitStack() as unless_it_was_carried_out:
                unless_it_was_carried_out.callback(self._is_over.set)
                self._session.received(message.topic, bytes(message.payload), _now_ms())
                self._carry_out()
                unless_it_was_carried_out.pop_all()
        self._tell()

    def _on_disconnect(
        self, client: mqtt.Client, _data: object, _flags: mqtt.DisconnectFlags, reason: ReasonCode, _properties: object
    ) -> None:
        if client is self._client:
            # After a refusal it ends as well, and the refusal is what a person must read.
            if reason.is_failure and not self._is_over.is_set():
                self._note_fault(f"the connection ended: {reason}")
            self._is_over.set()

    def _carry_out(self) -> None:
        """Do what the session says. A publish that fails is sent again after the next handshake."""
        for output in self._session.outputs():
            match output:
                case Note(text):
                    _log.warning("%s", text)
                case Subscribe(topics) if self._client is not None:
                    self._client.subscribe([(topic, 1) for topic in topics])
                case Publish(topic, payload, retain) if self._client is not None:
                    self._client.publish(topic, payload, qos=1, retain=retain)

    def _note_fault(self, text: str) -> None:
        with self._lock:
            is_news, self._fault = text != self._fault, text
        if is_news:
            _log.warning("not-connected device=%s reason=%s", self._device, text)
        self._tell()

    def _tell(self) -> None:
        with self._changed:
            self._changed.notify_all()
        if self.on_change is not None:
            self.on_change()


class Counting:
    """A stocktake under way: made by `Till.begin_count`, called with each SKU when its number is known.

        counting = till.begin_count()  # Before the first thing is counted.
        counting.count("4607001234567", "12")
        counting.count("4601234567890", "3.5")

    All its counts bear the moment at which it began; how long each took is until it is entered. What others sell
    meanwhile of a SKU that is not entered yet asks for a recount, so begin a new one for each shelf.
    """

    def __init__(self, record: Callable[[str, str | int, bool], str]) -> None:
        self._record = record

    def count(self, sku: str, counted: str | int, *, includes_reserved: bool = False) -> str:
        """Say how much there was of a SKU, as `Till.count` does; on disk when it returns, with its tag.

        Raises ValueError also when the SKU has moved on this very till meanwhile: it is to be counted again.
        """
        return self._record(sku, counted, includes_reserved)


def _now_ms() -> int:
    """A clock that runs while the device sleeps, as the contract wants it."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def _at() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")
