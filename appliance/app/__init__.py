"""The composition root: builds the parts of one box, runs them, and takes them down in order.

    event loop   the broker, ticks, signals
    turns        the coordinator's commit turns; the only thread that writes the ledger
    answers      devices' queries
    print NAME   the spool of one printer
    first slip   of a new box, until somebody can come in
    home assistant   hears how the box is, where it is wanted
    backups      has the ledger copied to a second medium
    control      commands on the Unix socket
    metrics      answers Prometheus, where it is wanted

A part that fails by our own fault ends the process with an error, and systemd starts it anew: what was acknowledged is
on the disk, and what was not comes again. What it died of twice in a row is set aside. The disk's faults are retried,
for they may pass.
"""

import asyncio
import gc
import logging
import secrets
import signal
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from appliance import __version__
from appliance.app.backups import Backups, Command
from appliance.app.brokers import Embedded, External, Started
from appliance.app.commands import Readers, answering, one_at_a_time, printer_handlers
from appliance.app.crashes import ANSWERS_PART, TURNS_PART, Crashes
from appliance.app.devices import Devices, refusals
from appliance.app.entrance import open_entrance
from appliance.app.first_slip import FirstSlip
from appliance.app.home_assistant import HomeAssistant
from appliance.app.overview import Running
from appliance.app.ownership import own
from appliance.app.printers import Printer, print_rules
from appliance.app.refusal import CannotStart
from appliance.app.roster import Roster
from appliance.app.setups import printers_in_force
from appliance.app.shop_password import password_handlers
from appliance.app.slips import Slips
from appliance.app.supervision import Supervisor
from appliance.app.turns import Answerer, Turns
from appliance.app.watchdog import Watchdog
from appliance.clock import ShopClock, boot_id, boottime_ms, synchronised_wall_ms
from appliance.contract import messages
from appliance.contract.delivery import Delivery
from appliance.contract.topics import Topics
from appliance.control import ControlServer
from appliance.coordinator import Coordinator
from appliance.ledger.medium import Medium
from appliance.ledger.projection import Projection
from appliance.ledger.reader import Reader
from appliance.ledger.writer import Moment, Writer
from appliance.printing.learned import WrongFile
from appliance.settings import Mode, PrinterSettings, ServiceManager, Settings

if TYPE_CHECKING:
    from appliance.app.metrics import Metrics

__all__ = ["CannotStart", "Started", "serve"]

log = logging.getLogger(__name__)

TICK_S = 10
"""How often shop time is told (wire contract, "Topics")."""

_RUN_BYTES = 8
"""Random bytes that name a run, so that two runs of a ledger never share a name, even across a restore."""


async def serve(
    settings: Settings,
    *,
    command: Command,
    may_show_password: bool,
    take_over: bool,
    manager: ServiceManager,
    started: Callable[[Started], None],
) -> None:
    """Run one box until SIGTERM or SIGINT: stop taking, commit what was taken, ack it, say `offline`, and return.

    command: makes a command line of the box's own, with these settings, of its words.
    may_show_password: whether `started` shows a person the password that a new shop gets; else one must be set.
    take_over: whether to start at an external broker although another coordinator of the shop is alive there.
    manager: is told that the box serves, and that it goes on.
    Raises CannotStart, or what a part of the box could not start or go on with.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    with ExitStack() as parts:
        directory = own(settings.data_dir, parts)
        crashes = Crashes(directory)
        parts.callback(crashes.close)
        crashes.watch()
        supervisor = Supervisor(crashes.died)
        loop.set_exception_handler(supervisor.die_in_loop)
        began_ms = boottime_ms()
        in_force = _printers(settings)
        metrics = _metrics(settings)
        make_writer = Writer if metrics is None else metrics.writer
        writer = make_writer(directory, shop=settings.shop, new_ledger=str(uuid.uuid4()))
        parts.callback(writer.close)
        run = secrets.token_hex(_RUN_BYTES)
        clock = ShopClock(writer.begin_run(run, Moment(boot_id(), began_ms, synchronised_wall_ms())), began_ms)
        topics = Topics(settings.shop)
        speaker = messages.Coordinator(writer.ledger, run, "estimated", __version__)

        def read() -> Reader:
            reader = Reader(directory)
            parts.callback(reader.close)
            return reader

        roster = Roster()

        def take(delivery: Delivery) -> None:
            roster.hear(delivery)
            coordinator.take(delivery)

        def rewrite(retained: set[str]) -> None:
            turns.rewrite(retained)
            for home in homes:
                home.say_anew()

        take_in = take if metrics is None else metrics.timed(take)
        homes: list[HomeAssistant] = []
        # Of the two that know it one asks: our own broker, or the coordinator that rewrites another one's topics.
        projection = Projection(topics, read(), lambda: coordinator.standing_alerts())
        broker: Embedded | External
        if settings.broker.mode is Mode.EMBEDDED:
            broker = Embedded(
                settings, open_entrance(settings, may_show_password=may_show_password), projection, take_in
            )
        else:
            broker = External(settings, topics, speaker, take_over, take_in, rewrite)
        coordinator = Coordinator(
            topics=topics,
            speaker=speaker,
            store=writer,
            pages=read(),
            projection=projection,
            link=broker,
            clock=clock,
            hand=crashes,
            printing=print_rules(settings, in_force),
            reserve_ms=settings.stock.reserve_hours * 3_600_000,
        )
        turns = Turns(coordinator, writer, clock, keep_months=settings.ledger.keep_months)
        answers = Answerer(coordinator.questions)
        printers = [Printer(name, printer, settings, coordinator, read(), clock) for name, printer in in_force.items()]
        backups = _backups(settings, command, coordinator, read, clock)
        running = Running(settings, run, clock, clock.shop_ms(), coordinator, roster, next(iter(backups), None))
        readers = Readers(lambda: Reader(directory))
        parts.callback(readers.close)
        changes = printer_handlers(printers)
        if HomeAssistant.is_wanted(settings):
            homes.append(HomeAssistant(running, broker, read()))
        first_slips: list[FirstSlip] = []
        if isinstance(broker, Embedded):
            entrance, slips = broker.entrance, Slips(settings, broker.entrance.certificate)
            changes |= Devices(settings.shop, slips, entrance, broker, printers, roster).handlers()
            if entrance.wants_first_slip:
                first_slips.append(FirstSlip(entrance, slips, printers))
            changes |= password_handlers(settings, entrance.password, first_slips)
        else:
            changes |= refusals()
        control = ControlServer(directory, partial(answering, readers, running, one_at_a_time(changes)))

        def opened(_: asyncio.Future[None]) -> None:
            log.info("online shop=%s ledger=%s run=%s rev=%d", settings.shop, writer.ledger, run, begun_rev)
            started(broker.started)

        begun_rev = writer.last_rev  # When the shop is open, the writer belongs to the turns.
        ended = await broker.start()
        # Not before: a first turn may have an alert to announce, and a broker that has not started takes none.
        threads = [supervisor.start_part(TURNS_PART, turns.run), supervisor.start_part(ANSWERS_PART, answers.run)]
        coordinator.install_printers()
        print_threads = [supervisor.start_part(f"print {printer.name}", printer.run) for printer in printers]
        backup_threads = [supervisor.start_part("backups", one.run) for one in backups]
        home_threads = [supervisor.start_part("home assistant", home.run) for home in homes]
        print_threads += [supervisor.start_part("first slip", one.run) for one in first_slips]
        control.start()
        if settings.broker.mode is Mode.EMBEDDED:
            coordinator.say_online()  # To an external broker the rewrite says it, on every connection.
        broker.serving.add_done_callback(opened)
        if metrics is not None:
            metrics.watch(running, broker, read())
        # What was loaded so far lives as long as the process. Looking through it was half of a full garbage collection,
        # the longest time for which the event loop stands still when 500 tills come at once.
        gc.freeze()
        watchdog = Watchdog(manager, turns)
        watchdog.ready()
        feeding = asyncio.ensure_future(watchdog.run())
        await _tick_until(stopping, ended, coordinator)
        log.info("stopping")
        watchdog.stopping()
        feeding.cancel()
        if metrics is not None:
            await asyncio.to_thread(metrics.close)
        broker.pause()
        for one in backups:
            one.stop()
        for home in homes:
            home.stop()
        for thread in (*backup_threads, *home_threads):
            await asyncio.to_thread(thread.join)
        for first in first_slips:
            first.stop()
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


async def _tick_until(stopping: asyncio.Event, ended: asyncio.Future[None], coordinator: Coordinator) -> None:
    """Tell the shop's time until a person stops the box, or its link has ended."""
    stopped: asyncio.Future[Any] = asyncio.ensure_future(stopping.wait())
    while not (stopped.done() or ended.done()):
        coordinator.tick()
        coordinator.look_at_printers()
        await asyncio.wait([stopped, ended], timeout=TICK_S, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()


def _metrics(settings: Settings) -> "Metrics | None":
    """Return what serves the metrics, where somebody wants them."""
    if not settings.metrics_port:
        return None
    from appliance.app.metrics import Metrics  # Imported here: most boxes have no use for it.

    return Metrics(settings.metrics_port)


def _backups(
    settings: Settings, command: Command, coordinator: Coordinator, read: Callable[[], Reader], clock: ShopClock
) -> list[Backups]:
    """Return what looks after the second medium, where there is to be one."""
    if settings.backup.dir is None:
        return []
    medium = Medium(settings.backup.dir, settings.shop, settings.data_dir)
    keep = settings.backup.keep
    return [Backups(medium, keep=keep, command=command, coordinator=coordinator, reader=read(), clock=clock)]


def _printers(settings: Settings) -> dict[str, PrinterSettings]:
    try:
        return printers_in_force(settings)
    except WrongFile as error:
        raise CannotStart(str(error)) from error
