"""A shop in which everything goes wrong by chance: one seed is one day, and repeats to the byte.

    step: somebody does something, or a fault befalls somebody ─┐
    schedule: messages arrive, turns are taken, sheets printed ─┴─▶ Inspector: safety, after every event
    heal: no more faults; everything drains ──▶ evening: everything agrees, and with what is really on the shelf

The seed draws which faults this day has (`mix`), who is befallen, and when each message arrives. `People` move the
goods, `Box` is the box's way through kills, power cuts and restores, and here is what befalls tills and messages.
"""

import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from appliance.contract.paper import PrintOn
from appliance.printing.jobs import PrintRules, Station
from appliance.printing.status import PrinterState
from appliance.till.session import Phase
from tests.simulation import mix
from tests.simulation.box import Box
from tests.simulation.broken import DRAINED, demand
from tests.simulation.inspector import Inspector
from tests.simulation.network import DeviceClock, Network, Till
from tests.simulation.people import People
from tests.simulation.schedule import Schedule
from tests.simulation.shelf import Shelf
from tests.till.desk import copy_outbox

TILLS_MAX = 6
"""Clones included: more of them show nothing that two do not."""

BEAT_MS = 10_000
"""How often the box ticks and the tills look at their clocks."""

DRAINED_WITHIN_MS = 6 * 3_600_000
"""An hour for everything to drain, were it not for a printer that is given up and asked again."""


class World:
    """One seed's day. steps_done: how much has happened so far."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.chance = random.Random(seed)
        self.mix = mix.draw(self.chance)
        rules = PrintRules((Station("main"),), PrintOn(self.mix.print_on))
        self.network = Network(
            directory, seed, is_external=self.mix.is_external, printing=rules, reserve_ms=self.mix.reserve_ms
        )
        self.schedule = Schedule(self.network.now_ms, self.network.set_time)
        self.inspector = Inspector(self.network.shop.directory, self.network.shop.topics)
        self.shelf = Shelf()
        self.faults: Counter[str] = Counter()
        self.box = Box(self.chance, self.mix, self.network, self.schedule, self.inspector, self.faults)
        self.box.is_back = self._box_is_back
        self.people = People(self.chance, self.network, self.schedule, self.shelf)
        self.may_be_lost: set[tuple[str, str]] = set()
        """Operations that only a till knew whose storage is gone, and no ledger."""
        self.steps_done = 0
        self._steps_wanted = 0
        self._is_healed = False
        self._away: set[Till] = set()
        self._copies: dict[Till, Path] = {}
        self._due_ms: dict[tuple[Till, bool], int] = {}
        self._faults: dict[str, Callable[[Till], None]] = self._all_faults()
        self.network.sent = self._sent
        for number in range(1, self.mix.tills + 1):
            self._arrive(self.network.add_till(f"A{number}", clock=self._new_clock()))
        self._beat()

    def close(self) -> None:
        self.inspector.close()
        self.network.close()

    # --- the day ----------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """Let one more thing be done or befall somebody, and all that happens until then. Raises Broken."""
        if self.steps_done == self._steps_wanted:
            self._plan_step()
        self._steps_wanted += 1
        while self.steps_done < self._steps_wanted:
            self.schedule.run_next()

    def heal(self) -> None:
        """End all faults, and let time pass until nothing is on its way and nobody waits. Raises Broken."""
        self._is_healed = True
        self.box.heal()
        for till in list(self.network.tills):
            self._come_back(till)
        ends_ms = self.schedule.now_ms + DRAINED_WITHIN_MS
        is_at_rest = False
        while not is_at_rest:
            demand(self.schedule.now_ms < ends_ms, DRAINED, "box,", *map(_unrest, self.network.tills))
            self.box.beat()  # After a quiet time the next one may be hours away.
            # Long enough for a tick to tell what nobody has heard, and not a whole number of them.
            self.schedule.run_until(self.schedule.now_ms + 5 * BEAT_MS // 2)
            for till in self.network.tills:
                self._agree(till)  # There is one ledger again, and no other one to come.
            is_at_rest = self.box.see_to_paper() and not any(_unrest(till) for till in self.network.tills)

    # --- time -------------------------------------------------------------------------------------------------------

    def _plan_step(self) -> None:
        mean_ms = self.chance.choices((2_000, 90_000, 1_800_000), (60, 35, 5))[0]
        self.schedule.after(self.chance.expovariate(1 / mean_ms), self._one_step)

    def _one_step(self) -> None:
        self.steps_done += 1
        [event] = self.chance.choices(tuple(self.mix.weights), tuple(self.mix.weights.values()))
        till = self.chance.choice(self.network.tills)
        if event in self._faults:
            self.faults[event] += 1
            self._faults[event](till)
        else:
            self.people.do(event, till)
        if self.steps_done < self._steps_wanted:
            self._plan_step()

    def _beat(self) -> None:
        """What happens by itself. A quiet shop's hours are skipped until shortly before something happens in it."""
        next_ms = self.schedule.next_ms
        quiet_ms = 0 if next_ms is None or self._is_busy() else next_ms - self.schedule.now_ms - BEAT_MS
        self.box.beat()
        self.network.elapsed()
        self.schedule.after(max(BEAT_MS, quiet_ms), self._beat)

    def _is_busy(self) -> bool:
        return any(till.is_connected and _unrest(till) for till in self.network.tills)

    # --- messages ---------------------------------------------------------------------------------------------------

    def _sent(self, till: Till, is_to_box: bool) -> None:
        """Plan the arrival of a message. What is on one connection stays in order."""
        key = till, is_to_box
        due_ms = self.schedule.now_ms + self.chance.expovariate(1 / self.mix.latency_ms)
        due_ms = max(self._due_ms.get(key, 0), int(due_ms))
        self._due_ms[key] = due_ms
        arrives = self._arrives_in if is_to_box else self._arrives_out
        self.schedule.after(due_ms - self.schedule.now_ms, partial(arrives, till, till.connections))

    def _arrives_in(self, till: Till, connection: int) -> None:
        if not till.is_connected or till.connections != connection or not till.to_box:
            return
        if not self.box.is_reachable or self._happens(self.mix.lost):
            self.faults["lost message"] += self.box.is_reachable
            till.to_box.popleft()
            return
        if self._happens(self.mix.late):
            self.faults["late message"] += 1
            channel, payload = till.to_box.popleft()
            late = partial(self.box.hand, till.device, payload, channel)
            self.schedule.after(self.chance.expovariate(1 / self.chance.choice((5_000, 600_000, 7_200_000))), late)
            return
        is_twice = self._happens(self.mix.twice)
        self.faults["message twice"] += is_twice
        self.network.carry_in(till, times=2 if is_twice else 1)
        self.box.has_work()

    def _arrives_out(self, till: Till, connection: int) -> None:
        if not till.is_connected or till.connections != connection:
            return
        is_lost = self._happens(self.mix.lost)
        self.faults["lost message"] += is_lost
        self.network.carry_out(till, is_lost=is_lost)
        self.inspector.told(till)

    def _happens(self, likely: float) -> bool:
        return not self._is_healed and likely > 0 and self.chance.random() < likely

    # --- tills that come and go -------------------------------------------------------------------------------------

    def _arrive(self, till: Till, within_ms: float = 3_000) -> None:
        """A till connects soon, if it can."""
        self.schedule.after(self.chance.expovariate(1 / within_ms), partial(self._connect, till))

    def _connect(self, till: Till) -> None:
        if till in self.network.tills and till not in self._away and not till.is_connected and self.box.lets_tills_in:
            self.network.connect(till)
            self.inspector.told(till)

    def _come_back(self, till: Till) -> None:
        self._away.discard(till)
        self._arrive(till)

    def _box_is_back(self) -> None:
        for till in self.network.tills:
            self._arrive(till)

    def _new_clock(self) -> DeviceClock:
        """Of a device that is switched on now."""
        drift_ppm = self.chance.randint(-self.mix.drift_ppm, self.mix.drift_ppm)
        return DeviceClock(self.schedule.now_ms, drift_ppm)

    def _replace(self, till: Till, off_ms: float, *, path: Path | None = None, is_cut: bool = True) -> None:
        """A till starts anew, and is offline for a while."""
        self._away.discard(till)
        self.inspector.forget(till)
        clock = self._new_clock() if is_cut else None
        again = self.network.restart_till(till, path=path, clock=clock)
        if (copy := self._copies.pop(till, None)) is not None:
            self._copies[again] = copy
        self._stay_away(again, off_ms)

    def _stay_away(self, till: Till, mean_ms: float) -> None:
        self._away.add(till)
        self.schedule.after(self.chance.expovariate(1 / mean_ms), partial(self._come_back, till))

    def _lose_storage(self, till: Till, path: Path) -> None:
        """A till's storage is gone; at `path` is what it has instead. What nobody else holds only a ledger can have."""
        held = self._held(till)
        self._replace(till, self.mix.off_ms, path=path)
        for other in self.network.tills:
            held -= self._held(other)
        self.box.fragile |= held
        self.may_be_lost |= held - self.inspector.present

    def _held(self, till: Till) -> set[tuple[str, str]]:
        return {(till.device, tag) for (tag,) in till.outbox._db.execute("SELECT tag FROM operation")}

    # --- the faults -------------------------------------------------------------------------------------------------

    def _all_faults(self) -> dict[str, Callable[[Till], None]]:
        box = self.box
        return {
            "drop": self._drop,
            "drop after a sale": self._drop_after_a_sale,
            "offline spell": self._go_offline,
            "stalled connection": self._stall,
            "till restart": lambda till: self._replace(till, 5_000, is_cut=False),
            "till power cut": lambda till: self._replace(till, self.mix.off_ms),
            "till copy": self._copy_storage,
            "till restore": self._restore_storage,
            "till wiped": lambda till: self._lose_storage(till, self.network.new_path()),
            "clone": self._clone,
            "box kill": lambda till: box.kill(),
            "box kill in the announcement": lambda till: box.kill_in_announcement(),
            "box power cut": lambda till: box.cut_power(),
            "poison": self._poison,
            "disk full": lambda till: box.fill_disk(),
            "pruning": lambda till: box.prune(),
            "backup": lambda till: box.back_up(),
            "box restore": lambda till: box.restore(),
            "new card": lambda till: self._replace_card(),
            "broker restart": lambda till: box.restart_broker(is_forgetful=False),
            "broker restart without its memory": lambda till: box.restart_broker(is_forgetful=True),
            "paper out": lambda till: box.trouble(PrinterState.PAPER_OUT),
            "cover open": lambda till: box.trouble(PrinterState.COVER_OPEN),
            "printer stall": lambda till: box.trouble(PrinterState.STALLED),
            "printer power cut": lambda till: box.trouble(PrinterState.OFFLINE),
            "printer unplugged": lambda till: box.printer.lose(),
            "impatient retry": lambda till: box.retry(),
        }

    def _drop(self, till: Till) -> None:
        """A connection breaks: what is on it is lost, but for what the box has already got."""
        self.network.disconnect(till)
        self._arrive(till)

    def _drop_after_a_sale(self, till: Till) -> None:
        """A connection breaks when the box has just got what a till has to say."""
        self.people.do("sell", till)
        if self.box.is_reachable:
            for _ in range(len(till.to_box)):
                self.network.carry_in(till)
            self.box.has_work()
        self._drop(till)

    def _go_offline(self, till: Till) -> None:
        self.network.disconnect(till)
        self._stay_away(till, self.mix.away_ms)

    def _stall(self, till: Till) -> None:
        """Nothing gets through for a while, and then all of it at once."""
        for is_to_box in self.chance.choice(((True,), (False,), (True, False))):
            self._due_ms[till, is_to_box] = self.schedule.now_ms + int(self.chance.expovariate(1 / 15_000))

    def _poison(self, till: Till) -> None:
        """A sale of which the coordinator dies."""
        made = len(self.people.made)
        self.people.do("sell", till)
        if len(self.people.made) > made:
            self.box.poison.add(next(reversed(self.people.made)))

    def _replace_card(self) -> None:
        """The box has lost its ledger. Where it begins another, some people agree that their till goes on with that."""
        self.box.replace_card()
        for till in self.network.tills:
            if self.box.is_other and self.chance.random() < 0.5:
                self.schedule.after(self.chance.expovariate(1 / 120_000), partial(self._agree, till))

    def _agree(self, till: Till) -> None:
        if till in self.network.tills and till.session.other_ledger is not None:
            self.faults["ledgers agreed to"] += 1
            till.session.accept(till.session.other_ledger, till.clock.at(self.network.now_ms))
            self.network.carry(till)

    def _copy_storage(self, till: Till) -> None:
        self._copies[till] = copy_outbox(till.path, self.network.new_path())

    def _restore_storage(self, till: Till) -> None:
        """A till is set back to a copy of its storage, however old."""
        with suppress(KeyError):
            path = self.network.new_path()
            copy_outbox(self._copies[till], path)
            self._lose_storage(till, path)

    def _clone(self, till: Till) -> None:
        """A till's storage is copied onto another device, which logs in under the same name."""
        if len(self.network.tills) < TILLS_MAX:
            self._arrive(self.network.add_till(till.device, storage_of=till, clock=self._new_clock()))


def _unrest(till: Till) -> str:
    """What a till waits for; "" when it waits for nothing."""
    view = till.session.view
    waits = {
        "connection": not till.is_connected,
        "box": till.to_box,
        "news": till.to_till,
        "ack": till.outbox.pending or till.session.phase is not Phase.READY,
        "answer": view.balances.is_asking or view.items.is_asking,
    }
    return " ".join([till.device, *what]) if (what := [name for name, is_so in waits.items() if is_so]) else ""
