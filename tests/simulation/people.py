"""What the people of a simulated shop do: they move goods, and tell a till of it.

    a deed ──▶ the goods on the shelf (true at once)
       └─────▶ a till's own functions ──▶ its outbox (true when it arrives)

A till may refuse (what it does not know it cannot edit); then nothing has happened.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from appliance.stock.quantity import format_qty
from appliance.till import drafts
from appliance.till.session import Begun
from tests.simulation.network import Network, Till
from tests.simulation.schedule import Schedule
from tests.simulation.shelf import Counted, Shelf

PIECES = ("milk", "bread", "salt/1", "shoes")
BY_WEIGHT = "cheese"
KIT = {"milk": 1, "bread": 2}
"""What one breakfast takes from the shelf."""

TABS_MAX = 30
MARKS = 40
"""So few marked shoes that one is sold twice now and then."""

Line = dict[str, object]


@dataclass(slots=True)
class _Tab:
    """A receipt as the people remember it. versions: its lines, the newest last."""

    receipt: str
    versions: list[list[Line]] = field(default_factory=list)
    is_paid: bool = False


class People:
    def __init__(self, chance: random.Random, network: Network, schedule: Schedule, shelf: Shelf) -> None:
        self._chance = chance
        self._network = network
        self._schedule = schedule
        self._shelf = shelf
        self._tabs: list[_Tab] = []
        self._numbers = 0
        self.made: dict[str, str] = {}
        """Every operation's tag, with its device."""
        self.tally: Counter[str] = Counter()
        self.deeds: dict[str, Callable[[Till], None]] = {
            "sell": self._sell,
            "stock": self._stock,
            "open": self._open,
            "edit": self._edit,
            "pay": self._pay,
            "pay again": self._pay_again,
            "cancel": self._cancel,
            "give back": self._give_back,
            "copy": self._copy,
            "count": self._count,
            "list": self._list,
            "acknowledge": self._acknowledge,
            "ask": self._ask,
            "steal": self._steal,
        }

    def do(self, deed: str, till: Till) -> None:
        try:
            self.deeds[deed](till)
        except ValueError:
            self.tally["refused by a till"] += 1

    # --- goods that come and go -------------------------------------------------------------------------------------

    def _sell(self, till: Till) -> None:
        if self._chance.random() < 0.4:
            sku, milli = self._goods()
            self._move(till, sku, -milli, "sale")
        else:
            tab = self._new_tab()
            self._say(till, tab, "sale", "paid", tab.versions[-1])

    def _stock(self, till: Till) -> None:
        sku, milli = self._goods()
        reason, sign = self._chance.choice(
            (("receive", 5), ("transfer_in", 1), ("return", 1), ("write_off", -1), ("transfer_out", -1), ("adjust", -1))
        )
        self._move(till, sku, sign * milli, reason)

    def _steal(self, till: Till) -> None:
        sku, milli = self._goods()
        self._shelf.vanished(sku, milli)

    def _move(self, till: Till, sku: str, milli: int, reason: str) -> None:
        tag = self._do(till, drafts.move(sku, format_qty(milli), reason))
        self._shelf.moved(tag, {sku: milli})

    # --- receipts ---------------------------------------------------------------------------------------------------

    def _open(self, till: Till) -> None:
        self._say(till, self._new_tab(), "sale", "open")

    def _edit(self, till: Till) -> None:
        if tab := self._tab():
            try:
                edit = till.session.next_edit(tab.receipt)
            except ValueError:
                till.session.find_receipt(tab.receipt)
                self._network.carry(till)
                raise
            tab.versions.append(self._lines())
            self._say(till, tab, "sale", "open", edit=edit)

    def _pay(self, till: Till) -> None:
        if tab := self._tab():
            # Whoever has not heard of the last edit takes the money for what was on the receipt before.
            lines = tab.versions[-1] if self._chance.random() < 0.8 else self._chance.choice(tab.versions)
            self._say(till, tab, "sale", "paid", lines)

    def _pay_again(self, till: Till) -> None:
        if (tab := self._tab(is_paid=True)) and self._chance.random() < 0.8:
            self._say(till, tab, "sale", "paid", tab.versions[-1])
        elif tab:
            self._say(till, tab, "sale", "paid", self._lines())

    def _cancel(self, till: Till) -> None:
        if tab := self._tab():
            self._shelf.cancelled(self._do(till, drafts.cancelled(tab.receipt)), tab.receipt)

    def _give_back(self, till: Till) -> None:
        if tab := self._tab(is_paid=True):
            back = _Tab(self._new_id(), [[self._chance.choice(tab.versions[-1])]])
            self._say(till, back, "return", "paid", back.versions[-1], of=tab.receipt)

    def _copy(self, till: Till) -> None:
        if tab := self._tab():
            self._do(till, {"type": "print", "receipt": tab.receipt})

    def _say(
        self, till: Till, tab: _Tab, kind: str, status: str, lines: list[Line] | None = None, **header: object
    ) -> None:
        """Have a receipt opened or paid with lines, its newest ones unless others are given."""
        lines = tab.versions[-1] if lines is None else lines
        self._numbers += 1
        header |= {"number": f"N-{self._numbers:06d}"}
        if self._chance.random() < 0.1:
            header["print"] = self._chance.random() < 0.7
        edit = header.setdefault("edit", len(tab.versions))
        tag = self._do(till, drafts.receipt(tab.receipt, kind, status, lines, header))
        goods = _goods_of(lines)
        if status == "open":
            assert isinstance(edit, int)
            self._shelf.opened(tag, tab.receipt, edit, till.device, goods)
        else:
            tab.is_paid = tab.is_paid or kind == "sale"
            sign = 1 if kind == "sale" else -1
            self._shelf.paid(tag, tab.receipt, {sku: sign * milli for sku, milli in goods.items()})

    # --- counts -----------------------------------------------------------------------------------------------------

    def _count(self, till: Till) -> None:
        """A stocktake of some SKUs, one after the other; each is looked at once between its begin and its end."""
        begun = till.session.begin(till.clock.at(self._network.now_ms))
        took_ms = 0.0
        for sku in self._chance.sample((*PIECES, BY_WEIGHT), self._chance.randint(1, 3)):
            looked_ms = took_ms + self._chance.expovariate(1) * self._chance.choice((0, 3_000, 60_000))
            took_ms = looked_ms + self._chance.expovariate(1) * self._chance.choice((0, 3_000, 60_000))
            self._schedule.after(looked_ms, partial(self._look, till, begun, sku, took_ms - looked_ms))

    def _look(self, till: Till, begun: Begun, sku: str, write_in_ms: float) -> None:
        self._schedule.after(write_in_ms, partial(self._write_down, till, begun, sku, self._shelf.looked(sku)))

    def _write_down(self, till: Till, begun: Begun, sku: str, looked: Counted) -> None:
        if till not in self._network.tills:
            return  # It was restarted, and has forgotten when the count began.
        now_ms = till.clock.at(self._network.now_ms)
        has_looked_for_reserved = self._chance.random() < 0.6
        try:
            kept = till.session.counted(
                begun, sku, format_qty(looked.milli), now_ms, includes_reserved=has_looked_for_reserved
            )
        except ValueError:
            self.tally["counts begun anew"] += 1
            return
        self._network.done(till, kept)
        self._note(till, kept.tag)
        self.tally["counts"] += 1
        self._shelf.counted(looked, sku, kept.tag)

    # --- what moves nothing -----------------------------------------------------------------------------------------

    def _list(self, till: Till) -> None:
        if self._chance.random() < 0.3:
            self._do(till, drafts.item(BY_WEIGHT, {"name": "Сыр", "unit": "kg", "low": "0.5"}))
        else:
            sku = self._chance.choice(PIECES)
            self._do(till, drafts.item(sku, {"name": f"Товар {sku}", "unit": "pcs", "price_minor": 100}))

    def _acknowledge(self, till: Till) -> None:
        if alerts := [alert for alert in till.session.alerts() if alert.status == "active"]:
            self._do(till, drafts.acknowledged(self._chance.choice(alerts).alert))

    def _ask(self, till: Till) -> None:
        if (tab := self._tab()) and self._chance.random() < 0.5:
            till.session.find_receipt(tab.receipt)
        else:
            till.session.history(self._chance.choice(PIECES))
        self._network.carry(till)

    # --- inside -----------------------------------------------------------------------------------------------------

    def _do(self, till: Till, fields: dict[str, object]) -> str:
        """Have a till do it. Returns the operation's tag."""
        # A wall clock may show anything: nothing may depend on it.
        at = f"20{self._chance.randrange(10, 99)}-03-04T05:06:07+03:00" if self._chance.random() < 0.3 else None
        tag = self._network.do(till, fields, at).tag
        self._note(till, tag)
        return tag

    def _note(self, till: Till, tag: str) -> None:
        self.made[tag] = till.device
        self.tally["operations"] += 1

    def _new_id(self) -> str:
        return f"{self._chance.getrandbits(64):016x}"

    def _new_tab(self) -> _Tab:
        tab = _Tab(self._new_id(), [self._lines()])
        self._tabs = [*self._tabs[-TABS_MAX:], tab]
        return tab

    def _tab(self, *, is_paid: bool = False) -> _Tab | None:
        """A receipt that somebody comes back to, preferably a recent one; of those that are paid or that are not."""
        found = [tab for tab in self._tabs if tab.is_paid is is_paid]
        if self._chance.random() < 0.05:
            found = self._tabs  # It was paid already, or cancelled, and who comes does not know.
        return found[-1 - min(int(self._chance.expovariate(0.5)), len(found) - 1)] if found else None

    def _goods(self) -> tuple[str, int]:
        sku = self._chance.choice((*PIECES, BY_WEIGHT))
        return sku, 125 * self._chance.randint(1, 12) if sku == BY_WEIGHT else 1000 * self._chance.randint(1, 4)

    def _lines(self) -> list[Line]:
        return [self._line() for _ in range(self._chance.choice((1, 1, 1, 2, 3)))]

    def _line(self) -> Line:
        if self._chance.random() < 0.1:
            parts = [{"sku": sku, "qty": str(pieces)} for sku, pieces in KIT.items()]
            return {"sku": "breakfast", "name": "Завтрак", "qty": "1", "price_minor": 100, "components": parts}
        sku, milli = self._goods()
        line: Line = {"sku": sku, "name": f"Товар {sku}", "qty": format_qty(milli), "price_minor": 100}
        if sku == "shoes":
            line["marks"] = [f"010460702815871021serial{self._chance.randrange(MARKS):05d}\x1d93abcd"]
        return line


def _goods_of(lines: list[Line]) -> dict[str, int]:
    """What lines take from the shelf, in thousandths."""
    goods: Counter[str] = Counter()
    for line in lines:
        milli = round(float(str(line["qty"])) * 1000)
        if "components" in line:
            for sku, pieces in KIT.items():
                goods[sku] += pieces * milli
        else:
            goods[str(line["sku"])] += milli
    return dict(goods)
