"""A shop in which everything goes wrong by chance: the seeded driver of a `Network`.

The seed alone decides what happens: who sells, which message arrives next, when a connection breaks, when a till loses
power or is cloned, when the box is restarted or restored from a backup. So a run that fails repeats exactly, from its
seed. `heal` ends the faults and lets everything drain; then `check` demands that the ledger, the retained balances and
every till's screen are what was really sold.
"""

from collections import Counter
from pathlib import Path

from appliance.stock.quantity import format_qty
from appliance.till import drafts
from tests.simulation.network import Network, Till

SKUS = ("milk", "bread", "cheese", "salt/1")
TILLS_MAX = 6
"""Clones included: more of them show nothing that two do not."""


class World:
    """tills: how many there are before any is cloned."""

    def __init__(self, directory: Path, seed: int, *, tills: int = 3) -> None:
        self.network = Network(directory, seed)
        self.faults: Counter[str] = Counter()
        self.sold_milli: Counter[str] = Counter()
        self._chance = self.network.chance
        self._backups: list[Path] = []
        for number in range(1, tills + 1):
            self.network.add_till(f"A{number}")

    def step(self) -> None:
        """One event, drawn by chance."""
        self.network.pass_time(self._chance.randrange(0, 400))
        till = self._chance.choice(self.network.tills)
        [event] = self._chance.choices(
            (
                self._sell,
                self._carry_in,
                self._turn,
                self._carry_out,
                self._flip,
                self._power_cut,
                self._clone,
                self._restart,
                self._back_up,
                self._restore,
            ),
            weights=(12, 20, 12, 40, 4, 0.5, 0.3, 0.4, 0.4, 0.3),
        )
        event(till)

    def heal(self) -> None:
        """No more faults: connect everyone, and go on until nothing is on its way and nothing waits to be acked."""
        for till in self.network.tills:
            self.network.connect(till)
        self.network.settle()

    def check(self) -> None:
        """Everything agrees with what was sold, everywhere."""
        shop = self.network.shop
        for sku in SKUS:
            expected = format_qty(-self.sold_milli[sku])
            assert (shop.on_hand(sku) or "0") == expected, sku
            retained = shop.retained(shop.topics.balance(sku).removeprefix(shop.topics.root))
            assert retained is None or retained["on_hand"] == expected, sku
            for till in self.network.tills:
                seen = till.session.view.balance(sku)
                assert (seen.on_hand if seen else "0") == expected, (till.device, sku)

    # --- the events ---------------------------------------------------------------------------------------------------

    def _sell(self, till: Till) -> None:
        sku, qty = self._chance.choice(SKUS), self._chance.randrange(1, 5)
        self.network.do(till, drafts.move(sku, f"-{qty}", "sale"))
        self.sold_milli[sku] += 1000 * qty

    def _carry_in(self, till: Till) -> None:
        self.network.carry_in(till, times=2 if self._chance.random() < 0.1 else 1)

    def _turn(self, till: Till) -> None:
        self.network.turn()

    def _carry_out(self, till: Till) -> None:
        self.network.carry_out(till)

    def _flip(self, till: Till) -> None:
        """A connection comes back, or breaks: what is on it is lost, but for what the box has already got."""
        if not till.is_connected:
            self.network.connect(till)
            return
        self.faults["drop"] += 1
        for _ in range(self._chance.randint(0, len(till.to_box))):
            self.network.carry_in(till)
        self.network.disconnect(till)

    def _power_cut(self, till: Till) -> None:
        self.faults["power-cut"] += 1
        self.network.restart_till(till)

    def _clone(self, till: Till) -> None:
        """A till's storage is copied onto another device, which logs in under the same name."""
        if len(self.network.tills) < TILLS_MAX:
            self.faults["clone"] += 1
            self.network.add_till(till.device, storage_of=till)

    def _restart(self, till: Till) -> None:
        self.faults["restart"] += 1
        self.network.restart_box()

    def _back_up(self, till: Till) -> None:
        self._backups.append(self.network.back_up())

    def _restore(self, till: Till) -> None:
        """The box is set back to a backup, however old: the tills must bring what is missing."""
        if self._backups:
            self.faults["restore"] += 1
            self.network.restart_box(backup=self._chance.choice(self._backups))
