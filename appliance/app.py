"""The composition root: builds the parts of one box, runs them, and takes them down in order.

    event loop   the broker, ticks, signals
    turns        the coordinator's commit turns; the only thread that writes the ledger
    answers      devices' queries
    print NAME   the spool of one printer
    control      commands on the Unix socket

A part that fails by our own fault ends the process with an error, and systemd starts it anew: what was acknowledged is
on the disk, and what was not comes again. The disk's faults are retried, for they may pass.
"""

import asyncio
import fcntl
import logging
import os
import secrets
import signal
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from appliance import __version__
from appliance.access.password import ShopPassword, make_password
from appliance.broker.embedded import EmbeddedBroker, Listener
from appliance.broker.external import ExternalBroker
from appliance.clock import ShopClock, boot_id, boottime_ms, synchronised_wall_ms
from appliance.contract import messages
from appliance.contract.delivery import Delivery
from appliance.contract.paper import Cancel, JobChange, Retry, SamplePage, printer_row
from appliance.contract.topics import Topics
from appliance.control import ControlError, ControlServer, Rows
from appliance.coordinator import Coordinator
from appliance.ledger import report
from appliance.ledger.database import DiskFault
from appliance.ledger.projection import Projection
from appliance.ledger.reader import Reader
from appliance.ledger.writer import KEEP_TIME_MS, Moment, Writer
from appliance.printing.driver import Capabilities, Driver
from appliance.printing.jobs import PrintRules, Station
from appliance.printing.layout.receipt import Shop
from appliance.printing.layout.sheet import Paper
from appliance.printing.models import CannotPrint, find_model
from appliance.printing.sheets import Sheets
from appliance.printing.spool import Spool
from appliance.printing.template import WrongTemplate, load_template
from appliance.printing.transport.address import BadUrl
from appliance.settings import Answers, Mode, Plain, PrinterSettings, Settings, variable
from appliance.stock.errors import Rejected

log = logging.getLogger(__name__)

TICK_S = 10
"""How often shop time is told (wire contract, "Topics")."""

_DISK_RETRY_S = (0.5, 1, 2, 5)
"""Waits while the disk fails; the last one repeats. Devices keep what is not acknowledged meanwhile."""

_ORDER_S = 20
"""How long a command waits for its own operation's commit; less than the command waits for its answer."""

_LOOK_S = 0.2
"""How often a rewrite that waits for its turn looks whether the box is being stopped."""

_COMMAND_S = 10.0
"""How long a command waits for the disk; a person then looks what is the matter."""

_RUN_BYTES = 8
"""Random bytes that name a run, so that two runs of a ledger never share a name, even across a restore."""


_LAST_COMMIT_S = 5.0
"""How long a printer's thread that is to stop waits for a disk that fails. What it then leaves begun is in doubt."""


class CannotStart(Exception):
    """The box cannot start as it is set up. The text names the thing and the remedy."""


@dataclass(frozen=True, slots=True)
class Started:
    """What a person is told once devices are served. host and port: where they log in.

    new_password: the shop's, when it was made just now.
    """

    mode: Mode
    shop: str
    host: str
    port: int
    new_password: str | None


async def serve(
    settings: Settings, *, may_show_password: bool, take_over: bool, started: Callable[[Started], None]
) -> None:
    """Run one box until SIGTERM or SIGINT: stop taking, commit what was taken, ack it, say `offline`, and return.

    may_show_password: whether `started` shows a person the password that a new shop gets; else one must be set.
    take_over: whether to start at an external broker although another coordinator of the shop is alive there.
    Raises CannotStart, or what a part of the box could not start or go on with.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_die_in_loop)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    with ExitStack() as parts:
        directory = _own(settings.data_dir, parts)
        began_ms = boottime_ms()
        writer = Writer(directory, shop=settings.shop, new_ledger=str(uuid.uuid4()))
        parts.callback(writer.close)
        run = secrets.token_hex(_RUN_BYTES)
        clock = ShopClock(writer.begin_run(run, Moment(boot_id(), began_ms, synchronised_wall_ms())), began_ms)
        topics = Topics(settings.shop)
        speaker = messages.Coordinator(writer.ledger, run, "estimated", __version__)

        def read() -> Reader:
            reader = Reader(directory)
            parts.callback(reader.close)
            return reader

        def take(delivery: Delivery) -> None:
            coordinator.take(delivery)

        def rewrite(retained: set[str]) -> None:
            turns.rewrite(retained)

        broker: _Embedded | _External
        if settings.broker.mode is Mode.EMBEDDED:
            password, new_password = _shop_password(settings, may_show=may_show_password)
            broker = _Embedded(settings, password, new_password, Projection(topics, read()), take)
        else:
            broker = _External(settings, topics, speaker, take_over, take, rewrite)
        coordinator = Coordinator(
            topics=topics,
            speaker=speaker,
            store=writer,
            pages=read(),
            projection=Projection(topics, read()),
            link=broker,
            clock=clock,
            printing=_print_rules(settings),
            reserve_ms=settings.stock.reserve_hours * 3_600_000,
        )
        turns = _Turns(coordinator, writer, clock)
        answers = _Answers(coordinator)
        printers = [
            _Printer(name, printer, settings, coordinator, read()) for name, printer in settings.all_printers.items()
        ]
        control = ControlServer(directory, _handlers(read(), settings, run, coordinator, clock))

        def opened(_: asyncio.Future[None]) -> None:
            log.info("online shop=%s ledger=%s run=%s rev=%d", settings.shop, writer.ledger, run, writer.last_rev)
            started(broker.started)

        ended = await broker.start()
        # Not before: a first turn may have an alert to announce, and a broker that has not started takes none.
        threads = [_start("turns", turns.run), _start("answers", answers.run)]
        coordinator.install_printers()
        print_threads = [_start(f"print {printer.name}", printer.run) for printer in printers]
        control.start()
        if settings.broker.mode is Mode.EMBEDDED:
            coordinator.say_online()  # To an external broker the rewrite says it, on every connection.
        broker.serving.add_done_callback(opened)
        await _tick_until(stopping, ended, coordinator)
        log.info("stopping")
        broker.pause()
        for printer in printers:  # They have their last words committed, so they stop before the turns do.
            await asyncio.to_thread(printer.stop)
        for thread in print_threads:
            await asyncio.to_thread(thread.join)
        turns.stop()
        answers.stop()
        for thread in threads:
            await asyncio.to_thread(thread.join)
        coordinator.say_offline()
        await broker.stop()
        await asyncio.to_thread(control.close)
        log.info("stopped rev=%d", writer.last_rev)
        if ended.done():
            ended.result()


class _Embedded:
    """The broker in this process, as the box runs it."""

    def __init__(
        self,
        settings: Settings,
        password: ShopPassword,
        new_password: str | None,
        retained: Projection,
        take: Callable[[Delivery], None],
    ) -> None:
        self._shop = settings.shop
        self._new_password = new_password
        self._broker = EmbeddedBroker(
            shop=settings.shop,
            listeners=[Listener(_HOSTS[settings.broker.plain], settings.broker.port)],
            authenticator=password,
            retained=retained,
            take=take,
        )
        self.publish = self._broker.publish
        self.pause = self._broker.pause
        self.stop = self._broker.stop

    @property
    def started(self) -> Started:
        host, port = self._broker.addresses[0]
        return Started(Mode.EMBEDDED, self._shop, host, port, self._new_password)

    async def start(self) -> asyncio.Future[None]:
        """Listen; that is `serving` already. Returns what would be done if the broker ended by itself: it doesn't."""
        await self._broker.start()
        loop = asyncio.get_running_loop()
        self.serving: asyncio.Future[None] = loop.create_future()
        self.serving.set_result(None)
        return loop.create_future()


class _External:
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
        self.started = Started(Mode.EXTERNAL, settings.shop, broker.host, broker.port, None)
        self._link = ExternalBroker(
            topics=topics,
            host=broker.host,
            port=broker.port,
            user=broker.user,
            password=broker.password.get_secret_value(),
            run=speaker.run,
            will=messages.offline(speaker),
            take_over=take_over,
            take=take,
            connected=rewrite,
        )
        self.publish = self._link.publish
        self.pause = self._link.pause

    async def start(self) -> asyncio.Future[None]:
        """Connect, and stay connected; `serving` when the broker lets it and nobody else is alive there.

        Returns what ends when the link fails for good.
        """
        self.serving = asyncio.wrap_future(self._link.serving)
        return asyncio.wrap_future(self._link.start())

    async def stop(self) -> None:
        await asyncio.to_thread(self._link.stop)


_HOSTS = {Plain.LOOPBACK: "127.0.0.1", Plain.LAN: "0.0.0.0"}  # noqa: S104  a person asked for the LAN by name


class _Turns:
    """The thread that writes the ledger: it calls the coordinator's turn, and keeps shop time while nothing is sold."""

    def __init__(self, coordinator: Coordinator, writer: Writer, clock: ShopClock) -> None:
        self._coordinator = coordinator
        self._writer = writer
        self._clock = clock
        self._kept_ms = clock.shop_ms()
        self._rewrites: SimpleQueue[tuple[set[str], threading.Event]] = SimpleQueue()
        self._stopping = threading.Event()
        self._ended = threading.Event()

    def run(self) -> None:
        """Take turns until `stop`, and then until nothing is left."""
        while True:
            keep_in_ms = self._kept_ms + KEEP_TIME_MS - self._clock.shop_ms()
            self._coordinator.has_inbox.wait(timeout=max(0, keep_in_ms) / 1000)
            # Cleared before anything is looked at: what comes from here on wakes the next round.
            self._coordinator.has_inbox.clear()
            is_stopping = self._stopping.is_set()  # Asked before the turn: what was taken before `stop` is committed.
            self._rewrite_for_link()
            if not self._turn() and is_stopping:
                break
        self._ended.set()

    def stop(self) -> None:
        self._stopping.set()
        self._coordinator.has_inbox.set()

    def rewrite(self, retained: set[str]) -> None:
        """Have the projection rewritten between two turns; return when it is, or when there will be no more turns."""
        done = threading.Event()
        self._rewrites.put((retained, done))
        self._coordinator.has_inbox.set()
        while not (done.wait(_LOOK_S) or self._ended.is_set()):
            pass

    def _rewrite_for_link(self) -> None:
        with suppress(Empty):
            while True:
                retained, done = self._rewrites.get_nowait()
                self._coordinator.rewrite(retained)
                done.set()

    def _turn(self) -> int:
        """Take one turn, however long the disk fails; return how many messages it dealt with."""
        for wait_s in chain(_DISK_RETRY_S, repeat(_DISK_RETRY_S[-1])):
            try:
                taken = self._coordinator.turn()
                if self._clock.shop_ms() - self._kept_ms >= KEEP_TIME_MS:
                    self._kept_ms = self._clock.shop_ms()
                    self._writer.keep_time(self._kept_ms, synchronised_wall_ms())
                return taken
            except DiskFault as fault:
                log.error("disk fault=%r retry_s=%s", str(fault), wait_s)
                if self._stopping.wait(wait_s):
                    return 0  # Nobody was told that the rest is safe; its devices send it again.
        raise AssertionError("the waits have no end")


class _Printer:
    """The thread of one printer: it calls the spool's step, and waits until there is something to do."""

    def __init__(
        self, name: str, printer: PrinterSettings, settings: Settings, coordinator: Coordinator, reader: Reader
    ) -> None:
        """Raises CannotStart when the printer cannot be as it is set up."""
        self.name = name
        self._coordinator = coordinator
        self._has_jobs = coordinator.has_jobs[name]
        self._stop_at_s: float | None = None
        paper = Paper(printer.width, printer.codepage)
        answers = printer.answers
        try:
            model = find_model(printer.profile)
            model.check_width(paper)
            if printer.table is None:
                model.table(paper.code_page)
            template = load_template(settings.precheck.template, paper)
            self._driver = Driver(
                printer.url,
                capabilities=Capabilities(
                    has_marker=answers is Answers.MARKER,
                    has_fence=answers is Answers.FENCE,
                    has_status=answers is not Answers.NOTHING,
                    codepage=paper.code_page,
                ),
                changed=lambda status: self._spool.show(status),
            )
        except (BadUrl, CannotPrint, WrongTemplate) as error:
            raise CannotStart(f"the printer {name!r}: {error}") from error
        shop = Shop(settings.shop_name or settings.shop, settings.shop_inn, settings.shop_address)
        self._spool = Spool(
            name,
            jobs=reader.jobs,
            driver=self._driver,
            sheet=Sheets(shop, paper, template, printer.profile, printer.table).sheet,
            commit=self._commit,
            entropy=secrets.randbelow,
        )

    def run(self) -> None:
        with suppress(_Stopped):
            self._spool.begin()
            while self._stop_at_s is None:
                self._has_jobs.clear()
                wait_s = self._spool.step()
                if self._stop_at_s is None:
                    self._has_jobs.wait(wait_s)

    def stop(self) -> None:
        """End a job that is under way in doubt, and return when it is."""
        self._stop_at_s = time.monotonic() + _LAST_COMMIT_S
        self._has_jobs.set()
        self._driver.close()

    def _commit(self, change: JobChange) -> str:
        return _committed(self._coordinator, change, is_given_up=self._is_given_up)

    def _is_given_up(self) -> bool:
        return self._stop_at_s is not None and time.monotonic() > self._stop_at_s


class _Stopped(Exception):
    """The box stops, and the disk did not take the last change."""


def _committed(coordinator: Coordinator, change: JobChange, *, is_given_up: Callable[[], bool]) -> str:
    """Have a print job moved on; return why it was not, "" when it is on the disk. Raises _Stopped."""
    done = threading.Event()
    verdicts: list[str] = []

    def tell(verdict: str) -> None:
        verdicts.append(verdict)
        done.set()

    coordinator.change_job(change, tell)
    while not done.wait(_LOOK_S):
        if is_given_up():
            raise _Stopped
    return verdicts[0]


def _print_rules(settings: Settings) -> PrintRules:
    stations = [Station(name, frozenset(printer.groups)) for name, printer in settings.all_printers.items()]
    return PrintRules(tuple(stations), settings.precheck.print_on, settings.precheck.stale_s * 1000)


class _Answers:
    """The thread that answers devices' queries."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator
        self._is_stopping = False

    def run(self) -> None:
        while not self._is_stopping:
            self._coordinator.has_questions.wait()
            self._coordinator.has_questions.clear()
            self._coordinator.answer()

    def stop(self) -> None:
        self._is_stopping = True
        self._coordinator.has_questions.set()


async def _tick_until(stopping: asyncio.Event, ended: asyncio.Future[None], coordinator: Coordinator) -> None:
    """Tell the shop's time until a person stops the box, or its link has ended."""
    stopped: asyncio.Future[Any] = asyncio.ensure_future(stopping.wait())
    while not (stopped.done() or ended.done()):
        coordinator.tick()
        coordinator.look_at_printers()
        await asyncio.wait([stopped, ended], timeout=TICK_S, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()


def _die_in_loop(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """End the process when the broker fails by our own fault.

    The world's faults the broker deals with itself, but for one: that nobody can be accepted, for want of a file
    descriptor or of memory. The loop goes on without, and tries again. What fails in a task or a connection is ours.
    """
    error = context.get("exception")
    if isinstance(error, OSError) and context.keys().isdisjoint({"future", "task", "transport"}):
        log.error("cannot accept a connection reason=%r", str(error))
        return
    loop.default_exception_handler(context)
    if error is not None:
        os._exit(1)


def _start(name: str, run: Callable[[], None]) -> threading.Thread:
    """Run a part in a thread. When it fails by our own fault the process ends at once: nothing else can be right."""

    def run_or_die() -> None:
        try:
            run()
        except BaseException:
            log.critical("died part=%s", name, exc_info=True)
            os._exit(1)

    thread = threading.Thread(target=run_or_die, name=name, daemon=True)
    thread.start()
    return thread


def _own(directory: Path, parts: ExitStack) -> Path:
    """Make the data directory this process's own, for as long as it lives."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = parts.enter_context((directory / "lock").open("w"))
    except OSError as error:
        raise CannotStart(
            f"{variable('data_dir')} is {str(directory)!r}: {error.strerror}: write a directory that this user may use"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise CannotStart(
            f"another coordinator runs with its data in {directory}: stop it, or set {variable('data_dir')}"
        ) from error
    return directory


def _shop_password(settings: Settings, *, may_show: bool) -> tuple[ShopPassword, str | None]:
    """Return the shop's password, and its text if it was made just now."""
    password = ShopPassword(settings.data_dir)
    wanted = settings.password.get_secret_value() if settings.password else ""
    if wanted:
        password.set(wanted)
    if password.is_set:
        return password, None
    if not may_show:
        raise CannotStart(
            f"the shop has no password yet, and here nobody would see a new one: set {variable('password')}"
        )
    made = make_password()
    password.set(made)
    return password, made


def _handlers(
    reader: Reader, settings: Settings, run: str, coordinator: Coordinator, clock: ShopClock
) -> dict[str, Callable[[dict[str, Any]], Rows]]:
    """What the control socket answers; it asks from one thread."""

    def status(_: dict[str, Any]) -> Rows:
        yield {
            "state": "running",
            "version": __version__,
            "shop": settings.shop,
            "run": run,
            "broker": settings.broker.mode,
            "port": settings.broker.port,
            **report.totals(reader),
        }

    def acknowledge(request: dict[str, Any]) -> Rows:
        for row in report.alerts(reader):
            if row["alert"] == request["alert"]:
                _order(coordinator, {"type": "alert", "alert": row["alert"], "status": "acknowledged"})
                yield {**row, "status": "acknowledged"}

    def printers(_: dict[str, Any]) -> Rows:
        for printer in reader.jobs.printers(clock.shop_ms()):
            yield printer_row(printer)

    def queue(_: dict[str, Any]) -> Rows:
        return report.jobs(reader)

    def change(change: JobChange) -> Rows:
        ends_s = time.monotonic() + _COMMAND_S
        try:
            verdict = _committed(coordinator, change, is_given_up=lambda: time.monotonic() > ends_s)
        except _Stopped:
            raise ControlError("the disk does not take it now: look at the log") from None
        if verdict:
            raise ControlError(verdict)
        yield from ()

    return {
        "printers": printers,
        "print-queue": queue,
        "print-retry": lambda request: change(Retry(int(request["job"]))),
        "print-cancel": lambda request: change(Cancel(int(request["job"]))),
        "print-test": lambda request: change(SamplePage(str(request["printer"]))),
        "status": status,
        "balance": lambda request: report.balances(reader, request.get("sku")),
        "explain": lambda request: report.history(reader, request["sku"]),
        "alerts": lambda _: report.alerts(reader),
        "acknowledge": acknowledge,
    }


def _order(coordinator: Coordinator, operation: dict[str, object]) -> None:
    """Have an operation of the box's own committed. Raises ControlError when it is rejected, or takes too long."""
    verdicts: SimpleQueue[Rejected | None] = SimpleQueue()
    coordinator.order(operation, verdicts.put)
    try:
        rejected = verdicts.get(timeout=_ORDER_S)
    except Empty:
        raise ControlError(
            f"it was not committed within {_ORDER_S} s, and may be yet: look in the log whether the disk fails"
        ) from None
    if rejected is not None:
        raise ControlError(rejected.detail)
