"""Metrics for Prometheus, on the box's own loopback: for who watches many shops, and knows none of them by name.

    Prometheus ──GET /metrics──▶ a thread ──▶ the row of `overview`, the machine, the broker, the ledger
    coordinator's turn, a device's message ──▶ how long it took

Nothing is counted for it beside what the box knows anyway, but for two times. The invariants: no sale waits for a
scrape, which has its own thread and Reader (80 ms for a million operations); no label is of a kind that a shop has
without end (a SKU, a receipt, a run).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from threading import Lock
from time import perf_counter
from typing import Any, Protocol

from prometheus_client import CollectorRegistry, Histogram, PlatformCollector, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from appliance.app import machine
from appliance.app.machine import Machine
from appliance.app.overview import Running
from appliance.app.refusal import CannotStart
from appliance.broker.embedded import Traffic
from appliance.contract.delivery import Channel, Delivery
from appliance.ledger.database import DISK_FAULTS
from appliance.ledger.reader import Reader
from appliance.ledger.turn import Turn
from appliance.ledger.writer import Writer
from appliance.settings import variable

HOST = "127.0.0.1"
"""Who is on the box may read it. A shop's network may not, nor does it get another open port."""

TILLS_MAX = 256
"""Tills that have series of their own: whoever knows the shop's password may choose names without end."""

_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""From what a fast disk needs to what a till waits before it asks again."""

Row = dict[str, Any]
Take = Callable[[Delivery], None]


class Broker(Protocol):
    """The way to the devices; both of `brokers` satisfy it."""

    @property
    def is_connected(self) -> bool: ...
    def traffic(self) -> Traffic | None: ...


class Metrics:
    """The metrics of one box, served from the start; what a whole box has to tell is in them from `watch` on."""

    def __init__(self, port: int) -> None:
        """Raises CannotStart when the port is another one's."""
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self._commit_s = self._histogram(
            "stock_commit_seconds", "How long the disk took to make a turn durable, with all that waited for it."
        )
        self._ack_s = self._histogram(
            "stock_ack_seconds", "From an operation's arrival until it is on the disk and its ack is on its way."
        )
        self._box: _Box | None = None
        try:
            self._server, self._thread = start_http_server(port, HOST, self._registry)
        except OSError as error:
            raise CannotStart(
                f"the metrics cannot be served on {HOST}:{port} ({error.strerror}): {variable('metrics_port')} sets "
                "the port, and 0 is none"
            ) from error

    def watch(self, running: Running, broker: Broker, reader: Reader) -> None:
        """Tell of a box from now on. reader: nobody else's."""
        self._box = _Box(running, broker, reader)
        self._registry.register(self._box)

    def writer(self, *of: Any, **how: Any) -> Writer:
        """Return a ledger's writer whose commits are timed."""
        return _TimedWriter(self._commit_s.observe, *of, **how)

    def timed(self, take: Take) -> Take:
        """Return what takes a device's message as `take` does, and times its operations until they are settled."""
        observe = self._ack_s.observe

        def take_timed(delivery: Delivery) -> None:
            if delivery.channel is not Channel.OP:
                take(delivery)
                return
            began_s, settled = perf_counter(), delivery.settled

            def settle() -> None:
                observe(perf_counter() - began_s)
                settled()

            take(Delivery(delivery.device, delivery.channel, delivery.payload, delivery.size, settle))

        return take_timed

    def close(self) -> None:
        """Serve no more; a scrape under way has ended when this returns."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        if self._box is not None:
            self._registry.unregister(self._box)
            self._box.close()

    def _histogram(self, name: str, what: str) -> Histogram:
        return Histogram(name, what, buckets=_BUCKETS_S, registry=self._registry)


class _TimedWriter(Writer):
    def __init__(self, observe_s: Callable[[float], None], *of: Any, **how: Any) -> None:
        super().__init__(*of, **how)
        self._observe_s = observe_s

    @contextmanager
    def turn(self, now_ms: int, wall_ms: int) -> Iterator[Turn]:
        with super().turn(now_ms, wall_ms) as turn:
            yield turn
            began_s = perf_counter()  # All that is judged is judged; what follows is the disk's.
        self._observe_s(perf_counter() - began_s)


class _Box(Collector):
    """What is read anew for each scrape. Two at once take their turns, for one thread at a time may use a Reader."""

    def __init__(self, running: Running, broker: Broker, reader: Reader) -> None:
        self._running = running
        self._broker = broker
        self._reader = reader
        self._one_at_a_time = Lock()
        self._is_closed = False

    def close(self) -> None:
        with self._one_at_a_time:
            self._is_closed = True

    def describe(self) -> Iterable[Metric]:
        """Nothing: the registry would scrape to find out, while the box starts."""
        return ()

    def collect(self) -> Iterable[Metric]:
        with self._one_at_a_time:
            return [] if self._is_closed else list(self._collect())

    def _collect(self) -> Iterator[Metric]:
        yield from _of_machine(machine.look(self._running.settings.data_dir))
        yield _gauge("stock_broker_connected", "Whether the box can speak to its broker.", self._broker.is_connected)
        # An event loop that stands still is worth a scrape all the same: the rest tells why.
        with suppress(TimeoutError):
            if (traffic := self._broker.traffic()) is not None:
                yield from _of_traffic(traffic)
        try:
            row, jobs = self._running.row(self._reader), self._reader.jobs.counts()
        except DISK_FAULTS:
            yield _gauge("stock_ledger_readable", "Whether the ledger can be read.", False)
            return
        yield _gauge("stock_ledger_readable", "Whether the ledger can be read.", True)
        yield from _of_row(row, self._running.coordinator.resent)
        printed = GaugeMetricFamily(
            "stock_print_jobs", "Print jobs in the ledger, by printer and outcome.", labels=("printer", "state")
        )
        for printer, state, count in jobs:
            printed.add_metric((printer, state), count)
        yield printed


def _of_row(row: Row, resent: int) -> Iterator[Metric]:
    info = {"version": row["version"], "shop": row["shop"], "broker": row["broker"]}
    yield InfoMetricFamily("stock", "Which shop's box this is.", value=info)
    yield _gauge("stock_uptime_seconds", "Since when the box runs, in shop time.", row["up_s"])
    yield _gauge(
        "stock_clock_synchronised", "Whether the box's clock follows a time server.", row["clock"] == "synchronised"
    )
    operations = CounterMetricFamily(
        "stock_operations",
        "Operations by outcome; committed and rejected ones of the whole ledger, resent ones since the start.",
        labels=("outcome",),
    )
    operations.add_metric(("committed",), row["rev"] - row["rejected"])
    operations.add_metric(("rejected",), row["rejected"])
    operations.add_metric(("resent",), resent)
    yield operations
    yield CounterMetricFamily(
        "stock_messages_quarantined", "Messages in the ledger that name no operation.", value=row["quarantined"]
    )
    yield _gauge("stock_ledger_revision", "The newest revision of the ledger.", row["rev"])
    yield _gauge("stock_ledger_size_bytes", "The ledger's files.", row["size_bytes"])
    yield _gauge("stock_ledger_skus", "SKUs in the ledger.", row["skus"])
    yield _gauge("stock_ledger_receipts", "Receipts in the ledger.", row["receipts"])
    yield _gauges("stock_alerts", "Alerts that are open.", "kind", Counter(alert["kind"] for alert in row["alerts"]))
    yield from _of_tills(row["tills"])
    yield from _of_printers(row["printers"])
    if row["backup"] is not None:
        yield from _of_backup(row["backup"])


def _of_tills(tills: list[Row]) -> Iterator[Metric]:
    states = {"online": 0, "offline": 0, "unknown": 0} | Counter(till["state"] for till in tills)
    yield _gauges("stock_tills", "Tills of the last 14 days, by state.", "state", states)
    shown = tills[:TILLS_MAX]
    online = {till["device"]: till["state"] == "online" for till in shown if till["state"] != "unknown"}
    yield _gauges("stock_till_online", "Whether a till is online.", "device", online)
    pending = {till["device"]: till["pending"] for till in shown if till["pending"] is not None}
    yield _gauges("stock_till_pending_operations", "Operations that a till has still to send.", "device", pending)
    seen = {till["device"]: till["seen_s"] for till in shown}
    yield _gauges("stock_till_last_seen_seconds", "For how long a till has not been seen.", "device", seen)


def _of_printers(printers: list[Row]) -> Iterator[Metric]:
    def each(name: str, what: str, key: str) -> Metric:
        return _gauges(name, what, "printer", {printer["printer"]: printer[key] for printer in printers})

    ready = {printer["printer"]: printer["state"] == "ready" for printer in printers}
    yield _gauges("stock_printer_ready", "Whether a printer is known to be ready.", "printer", ready)
    yield each("stock_printer_paper_low", "Whether a printer says that its paper is low.", "paper_low")
    yield each("stock_printer_queue_jobs", "Sheets that wait for a printer.", "queued")
    yield each("stock_printer_queue_oldest_seconds", "How long the oldest of them has waited.", "oldest_s")


def _of_backup(backup: Row) -> Iterator[Metric]:
    yield _gauge("stock_backup_copies", "Copies of the ledger on the second medium.", backup["kept"])
    yield _gauge("stock_backup_failing", "Whether no copy can be made.", bool(backup["fault"]))
    if backup["age_s"] is not None:
        yield _gauge("stock_backup_age_seconds", "How old the newest copy is, in shop time.", backup["age_s"])


def _of_traffic(traffic: Traffic) -> Iterator[Metric]:
    inside = {"device": traffic.devices, "stranger": traffic.strangers}
    yield _gauges("stock_broker_connections", "Connections, of devices and of who has not logged in.", "of", inside)
    throttled = {"device": traffic.throttled_devices, "address": traffic.throttled_addresses}
    yield _gauges("stock_broker_throttled", "Who has to wait after wrong passwords.", "who", throttled)
    refused = CounterMetricFamily(
        "stock_broker_refused_connections", "Connections that were refused since the start.", labels=("reason",)
    )
    for reason, count in traffic.refused.items():
        refused.add_metric((reason,), count)
    yield refused


def _of_machine(found: Machine) -> Iterator[Metric]:
    if found.temperature_c is not None:
        yield _gauge("stock_box_temperature_celsius", "The hottest part of the box.", found.temperature_c)
    if found.is_power_low is not None:
        yield _gauge("stock_box_power_low", "Whether the supply does not hold its voltage.", found.is_power_low)
    if found.disk is not None:
        yield _gauge("stock_disk_free_bytes", "Room on the ledger's disk.", found.disk.free_bytes)
        yield _gauge("stock_disk_size_bytes", "The ledger's disk.", found.disk.size_bytes)
        yield _gauge("stock_disk_read_only", "Whether the disk has become read-only.", found.disk.is_read_only)


def _gauge(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(name, what, value=value)


def _gauges(name: str, what: str, label: str, values: "dict[str, int] | dict[str, bool]") -> Metric:
    family = GaugeMetricFamily(name, what, labels=(label,))
    for key, value in values.items():
        family.add_metric((key,), value)
    return family
