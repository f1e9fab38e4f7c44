"""The box of a simulated shop: its turns, its printer, and its way through all that befalls it.

What its threads do in the product is done here by planned events: a turn some milliseconds after a message, a step of
the spool when there is a job. A kill may come between any two of them, in the middle of an announcement, and while a
sheet is being printed.
"""

import random
import shutil
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import orjson

from appliance import coordinator
from appliance.app.crashes import TURNS_PART
from appliance.contract.delivery import Channel
from appliance.contract.operations import Head, read_operation
from appliance.contract.paper import Cancel, Job, JobState, Material, PaperChange, Retry
from appliance.ledger import pruning
from appliance.ledger.backup import make_backup
from appliance.ledger.coverage import stand
from appliance.ledger.database import DiskFault
from appliance.ledger.restore import restore_backup
from appliance.ledger.writer import KEEP_TIME_MS, Moment
from appliance.printing.driver import Level
from appliance.printing.spool import Spool
from appliance.printing.status import PrinterState
from appliance.stock.operation import Operation as Said
from tests.printing.press import Crash
from tests.shop import WALL_MS
from tests.simulation.broken import PAPER, demand
from tests.simulation.inspector import Inspector, Operation
from tests.simulation.mix import Mix
from tests.simulation.network import Network
from tests.simulation.printer import Printer
from tests.simulation.schedule import Schedule

TURN_MS = 15
"""The mean time from a message to its turn: the commit before it, on a card."""

RETRY_MS = 20_000
"""How soon a printer that was not ready is tried again; a person needs longer to put paper in."""

BACKUPS_KEPT = 3

DISK_RETRY_MS = 5_000
"""How soon a turn is tried again that the disk did not take."""

MONTH_MS = 600_000
"""A month of the retention is so short here: a day of ten hours has many."""

PRINTER = "main"


class _OwnFault(Exception):
    """A fault of the coordinator's own, which some operation brings about."""


class Box:
    def __init__(
        self,
        chance: random.Random,
        mix: Mix,
        network: Network,
        schedule: Schedule,
        inspector: Inspector,
        faults: Counter[str],
    ) -> None:
        self._chance = chance
        self._mix = mix
        self._network = network
        self._schedule = schedule
        self._inspector = inspector
        self._faults = faults
        self.printer = Printer(chance, Level(mix.level), self._pass_while_printing)
        self.printer.changed = lambda status: self._spool.show(status)
        self.is_back: Callable[[], None] = lambda: None
        """Is called when tills that lost their connection may come back."""
        self.is_running = True
        self.restores = 0
        self.fragile: set[Operation] = set()
        """Operations that no till holds any more."""
        self.lost: set[Operation] = set()
        """Those of them that a restore has taken out of the ledger."""
        self.poison: set[str] = set()
        """Tags of operations of which the coordinator dies."""
        self.is_other = False
        """Whether the box has a ledger of its own making, in the place of the shop's, which was lost with its card."""
        self._backups: list[Path] = []
        self._is_copy_to_come = False
        self._is_off = False
        self._runs = 0
        self._boot_ms = 0
        self._boot = network.shop.boot
        self._kept_ms = 0
        self._retry_ms = 0
        self._is_turn_planned = False
        self._spooling = -1
        self._announced_until_kill: int | None = None
        network.heard = self._heard
        network.link()
        self._begin_printing()

    # --- what it does by itself -------------------------------------------------------------------------------------

    @property
    def lets_tills_in(self) -> bool:
        """Whether a till finds a broker."""
        return self._network.is_broker_up and (self._mix.is_external or self.is_running)

    @property
    def is_reachable(self) -> bool:
        """Whether what a till says gets through to the coordinator."""
        return self.is_running and self._network.is_linked

    def hand(self, device: str, payload: bytes, channel: Channel) -> None:
        """A message arrives by whatever way."""
        if self.is_reachable:
            self._network.shop.hand(device, payload, channel)
            self.has_work()

    def has_work(self) -> None:
        """Plan what follows from what was handed to it."""
        if not self._is_turn_planned:
            self._is_turn_planned = True
            self._schedule.after(self._chance.expovariate(1 / TURN_MS), partial(self._work, self._runs))

    def beat(self) -> None:
        """Time has passed: keep it, tick, and look for what has expired."""
        if not self.is_running:
            return
        shop = self._network.shop
        shop.clock.synchronised = self._wall_ms() is not None
        if shop.clock.now_ms - self._kept_ms >= KEEP_TIME_MS:
            self._kept_ms = shop.clock.now_ms
            with suppress(DiskFault):
                shop.writer.keep_time(shop.clock.now_ms, self._wall_ms())
        self._work(self._runs)
        if self.is_running:
            self._or_die(shop.coordinator.tick)

    def heal(self) -> None:
        """Nothing goes wrong any more."""
        self._announced_until_kill = None
        self.printer.be(None)
        self._make_room()
        if self._is_off:
            self._switch_on(self._runs)
        if self.is_other:
            self._put_back()

    def see_to_paper(self) -> bool:
        """A person asks for what was given up; return whether nothing waits to be printed any more."""
        if not self.is_running:
            return False
        jobs = [job for job in self._network.shop.reader.jobs.queue() if job.state is not JobState.SKIPPED_STALE]
        for job in jobs:
            if job.state is JobState.DOUBTFUL and not self._or_die(partial(self._see_to, job.id)):
                return False
        self._look_for_jobs()
        return not jobs

    def _see_to(self, job: int) -> None:
        # What is out of date meanwhile is not printed any more: the person takes it off the list.
        is_seen_to = "" in (self._commit(self._runs, change(job)) for change in (Retry, Cancel))
        demand(is_seen_to, PAPER, "job", job, "can be neither retried nor cancelled")

    # --- what befalls it --------------------------------------------------------------------------------------------

    def kill(self) -> None:
        """kill -9; it is started again soon."""
        if self.is_running:
            self._stop()
            self._plan_start(5_000)

    def kill_in_announcement(self) -> None:
        """The next turn is committed, and only some of it is said."""
        self._announced_until_kill = self._chance.randrange(6)

    def cut_power(self) -> None:
        """The power goes, for as long as it goes."""
        if self.is_running:
            self._stop()
            self._is_off = True
            off_ms = self._chance.expovariate(1 / self._mix.off_ms)
            self._schedule.after(off_ms, partial(self._switch_on, self._runs))

    def fill_disk(self) -> None:
        """The disk takes nothing more, until somebody makes room, or the box is started anew."""
        self._pragma("max_page_count", 1)  # As many as it has.
        self._schedule.after(self._chance.expovariate(1 / 900_000), self._make_room)

    def prune(self) -> None:
        """What is older than some minutes is forgotten."""
        if self.is_running:
            shop = self._network.shop
            keep_months = self._chance.choice((0, 1, 6, 30))
            with patch.object(pruning, "MONTH_MS", MONTH_MS), suppress(DiskFault):
                while shop.writer.prune(shop.clock.now_ms, keep_months):
                    pass

    def back_up(self) -> None:
        """A copy is made, the oldest ones go, and devices are told what all that are kept cover."""
        if not self.is_running or self.is_other:
            return
        shop = self._network.shop
        made = make_backup(
            shop.directory, self._network.new_path(), carried={}, made_ms=shop.clock.wall_ms(), version="0"
        )
        self._backups = [*self._backups[1 - BACKUPS_KEPT :], made.path]
        for covered in shop.reader.newly_covered([stand(path) for path in self._backups]):
            shop.coordinator.cover(covered)
        self.has_work()

    def restore(self) -> None:
        """The ledger is set back to one of its backups, however old: the tills must bring what is missing."""
        if self.is_running and self._backups and not self.is_other:
            self._stop()
            self._restore()
            self._plan_start(60_000)

    def replace_card(self) -> None:
        """The card dies, and the ledger with it. A new one gets a copy, at once or when the box has begun another."""
        if not self.is_running or not self._backups or self.is_other:
            return
        self._stop()
        shutil.rmtree(self._network.shop.directory)
        self._network.shop.directory.mkdir()
        self._is_copy_to_come = True
        self.is_other = self._chance.random() < 0.5
        if self.is_other:
            self._network.shop.new_ledger = f"ledger of start {self._runs}"
            self._plan_start(60_000)
        self._schedule.after(self._chance.expovariate(1 / 600_000), self._put_back)

    def restart_broker(self, *, is_forgetful: bool) -> None:
        """The broker beside the box is restarted; with its memory goes all that was retained."""
        if self._network.is_broker_up:
            self._network.stop_broker(is_forgetful=is_forgetful)
            self._schedule.after(self._chance.expovariate(1 / 5_000), self._broker_is_back)

    def trouble(self, state: PrinterState) -> None:
        """Something is the matter with the printer, until somebody sees to it."""
        self.printer.be(state)
        if state is PrinterState.OFFLINE:
            self.printer.lose()
        self._schedule.after(self._chance.expovariate(1 / 120_000), partial(self.printer.be, None))

    def retry(self) -> None:
        """An impatient person asks for a sheet again, of which nobody knows whether it was printed."""
        if self.is_running and (jobs := self._inspector.kept("SELECT id FROM print_job WHERE state = 'doubtful'")):
            [job] = self._chance.choice(jobs)
            assert isinstance(job, int)
            self._or_die(partial(self._commit, self._runs, Retry(job)))
            self._look_for_jobs()

    # --- its ends and beginnings ------------------------------------------------------------------------------------

    def _stop(self) -> None:
        self.is_running = False
        self._runs += 1
        self._announced_until_kill = None
        self._inspector.close()
        self._network.stop_box()
        if self.is_other:
            self.lost |= self._inspector.present

    def _plan_start(self, mean_ms: float) -> None:
        """Start the stopped box soon, unless something else becomes of it."""
        self._schedule.after(self._chance.expovariate(1 / mean_ms), partial(self._start, self._runs))

    def _switch_on(self, run: int) -> None:
        if run == self._runs and self._is_off:
            self._is_off = False
            self._boot = f"boot at {self._schedule.now_ms}"
            self._boot_ms = self._schedule.now_ms
            self._start(run)

    def _restore(self) -> None:
        self.restores += 1
        restore_backup(
            self._chance.choice(self._backups),
            self._network.shop.directory,
            shop="shop",
            carried=(),
            force=self.is_other,
            now=f"{self.restores}",
        )

    def _put_back(self) -> None:
        """The lost card's ledger comes back from one of its copies."""
        if self._is_copy_to_come:
            if self.is_running:
                self._stop()
            self._runs += 1
            self._restore()
            self._is_copy_to_come = self.is_other = False
            self._plan_start(60_000)

    def _make_room(self) -> None:
        self._pragma("max_page_count", 1 << 30)

    def _pragma(self, name: str, value: int) -> None:
        if self.is_running:
            self._network.shop.writer._connection.pragma(name, value)

    def _wall_ms(self) -> int | None:
        """The wall clock, where the box has one that is right."""
        on_ms = self._schedule.now_ms - self._boot_ms
        is_right = self._mix.has_clock or on_ms >= self._mix.synchronises_ms
        return WALL_MS + self._schedule.now_ms if is_right else None

    def _start(self, run: int) -> None:
        if run != self._runs:
            return
        self.is_running = True
        self._network.shop.clock.synchronised = self._wall_ms() is not None
        self._or_die(self._begin)

    def _begin(self) -> None:
        moment = Moment(self._boot, self._schedule.now_ms - self._boot_ms, self._wall_ms())
        self._network.start_box(moment=moment)
        self._kept_ms = self._network.shop.clock.now_ms
        self._retry_ms = 0
        self._inspector.begin()
        if not self.is_other:
            self.lost |= self.fragile - self._inspector.present
        if self._network.is_broker_up:
            self._network.link()
        self._begin_printing()
        self.is_back()

    def _broker_is_back(self) -> None:
        self._network.start_broker()
        if self.is_running:
            self._or_die(self._network.link)
        self.is_back()

    def _or_die(self, act: Callable[[], object]) -> bool:
        """Do what may be cut short by a kill. Returns whether it was not."""
        try:
            act()
        except Crash:
            self._faults["killed in an announcement"] += 1
            self.kill()
            return False
        return True

    def _heard(self, topic: str, payload: bytes) -> None:
        """The box says something; perhaps it dies of it."""
        if self._announced_until_kill is not None:
            self._announced_until_kill -= 1
            if self._announced_until_kill < 0:
                self._announced_until_kill = None
                raise Crash
        self._inspector.heard(topic, payload)

    # --- turns ------------------------------------------------------------------------------------------------------

    def _work(self, run: int) -> None:
        self._is_turn_planned = False
        if not self.is_running or run != self._runs:
            return
        coordinator = self._network.shop.coordinator
        coordinator.has_inbox.clear()
        coordinator.questions.has_any.clear()
        if not (self._or_die(self._turn) and self._or_die(coordinator.questions.answer)):
            return
        if coordinator.has_inbox.is_set():
            self.has_work()
        self._look_for_jobs()

    def _turn(self) -> None:
        if self._schedule.now_ms < self._retry_ms:
            return  # The disk has not taken the last one, which waits before it tries again.
        shop = self._network.shop
        try:
            with patch.object(coordinator, "read_operation", self._read):
                shop.coordinator.turn()
            shop.coordinator.disk_works()
        except DiskFault as fault:
            self._faults["turns that the disk did not take"] += 1
            shop.coordinator.disk_fails(str(fault))
            self._retry_ms = self._schedule.now_ms + DISK_RETRY_MS
            self._schedule.after(DISK_RETRY_MS, self.has_work)
            return
        except _OwnFault as fault:
            self._faults["crashes"] += 1
            shop.crashes.died(TURNS_PART, fault)
            raise Crash from fault
        finally:
            shop.link.log.clear()
        self._inspector.look()
        self._inspector.said_all()

    def _read(self, head: Head, **how: Any) -> Said:
        """Read an operation, and die of it when it is poison."""
        if head.tag in self.poison:
            raise _OwnFault(head.tag)
        return read_operation(head, **how)

    # --- paper ------------------------------------------------------------------------------------------------------

    def _begin_printing(self) -> None:
        coordinator = self._network.shop.coordinator
        coordinator.install_printers()
        self._turn()
        self._spool = Spool(
            PRINTER,
            jobs=self._network.shop.reader.jobs,
            driver=self.printer,
            sheet=_sheet,
            commit=partial(self._commit, self._runs),
            clock=lambda: self._schedule.now_ms / 1000,
            entropy=self._chance.randrange,
        )
        self._spool.begin()
        self._plan_step(1)

    def _commit(self, run: int, change: PaperChange) -> str:
        """Have a change of a job committed, unless the box is killed before that or right after."""
        verdicts: list[str] = []
        self._die_with(run)
        self._network.shop.coordinator.change_paper(change, verdicts.append)
        self._turn()
        self._die_with(run)
        while not verdicts:  # The disk is full, or it is one of many in a turn after a crash.
            self._schedule.run_until(self._schedule.now_ms + DISK_RETRY_MS)
            self._die_with(run)
        return verdicts[0]

    def _die_with(self, run: int) -> None:
        if run != self._runs or not self.is_running:
            raise Crash

    def _pass_while_printing(self, ms: float) -> None:
        run = self._runs
        self._schedule.run_until(self._schedule.now_ms + max(1, int(ms)))
        self._die_with(run)

    def _look_for_jobs(self) -> None:
        if self._spooling != self._runs and self._network.shop.coordinator.has_jobs[PRINTER].is_set():
            self._plan_step(1)

    def _plan_step(self, delay_ms: float) -> None:
        """Let the spool take a step; a box prints one sheet at a time."""
        self._spooling = self._runs
        self._schedule.after(delay_ms, partial(self._step, self._runs))

    def _step(self, run: int) -> None:
        if not self.is_running or run != self._runs:
            return
        self._network.shop.coordinator.has_jobs[PRINTER].clear()
        try:
            wait_s = self._spool.step()
        except Crash:
            if run == self._runs:
                self._faults["killed in an announcement"] += 1
                self.kill()
            return
        self._spooling = -1
        if wait_s == 0:
            self._plan_step(1)
        elif self._network.shop.reader.jobs.next(PRINTER) is not None:
            self._plan_step(RETRY_MS)
        else:
            self._look_for_jobs()


def _sheet(job: Job, material: Material) -> bytes:
    """What is on a sheet, as far as anybody here reads it: which operation it shows, and what it says of itself."""
    assert material.operation is not None, "nobody asks for a test page here"
    return orjson.dumps([material.operation["number"], *job.headings])
