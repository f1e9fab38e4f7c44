"""The day in the shop: one script that every way of running a shop must play alike.

D is the desktop, A1 and A2 are handhelds, H is the stock-room. A Stage is whatever plays it: real tills and a real box
over a broker, or sessions in one thread with every message doubled, shuffled or dropped. The script says what the
shelf must show after each scene; a stage that delivers late may look at the end alone.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from appliance.stock.order import CLOSE_MS

MILK, CHEESE, SHOES, BREAD, KIT = "milk", "cheese", "shoes", "bread", "kit"
SHOE = "0104600439931256215Tp3mWq9Za1bC"
"""One pair's mark, as a scanner that drops the separators gives it."""

OTHER_SHOE = "0104600439931256215Tp3mWq9Za1bD"

FINAL = {MILK: "0", CHEESE: "4.35", SHOES: "0", BREAD: "-3"}

ALERTS = {("mark-twice", "010460043993125621" + "5Tp3mWq9Za1bC"), ("return-exceeds-sale", "d-1"), ("fork", "A2")}
"""What a person is still told in the evening, by kind and subject."""

APART_MS = CLOSE_MS + 1_000
"""Shop time that `Stage.apart` lets pass: more than what leaves the order of two stamps in doubt."""


class Stage(Protocol):
    """Plays the day. Devices are named; `A2/2` is a second handheld that bears the name A2."""

    def do(self, device: str, fields: dict[str, object]) -> None:
        """Something happens at a device; it is in its outbox."""
        ...

    def together(self) -> None:
        """Everyone who is online has heard everything."""
        ...

    def apart(self) -> None:
        """Shop time passes, until the stamps of what was before and of what comes next can be told apart."""
        ...

    def go_offline(self, *devices: str) -> None: ...

    def come_back(self, *devices: str) -> None:
        """Their backlogs arrive, in whatever order."""
        ...

    def expect(self, balances: Mapping[str, str]) -> None:
        """What the shelf must show now."""
        ...

    def expect_alert(self, kind: str, subject: str, *receipts: str) -> None:
        """An alert that must be active now, naming these receipts."""
        ...

    def wipe(self, device: str) -> None:
        """A device that has said all loses its storage, and is enrolled anew under its name."""
        ...

    def clone(self, device: str, clone: str) -> None:
        """A device's storage is copied onto another one, which logs in under the same name."""
        ...

    def back_up(self) -> None:
        """Copy the box's data as they are."""
        ...

    def restore(self) -> None:
        """Set the box back to the copy."""
        ...


def move(sku: str, qty: str, reason: str) -> dict[str, object]:
    return {"type": "move", "sku": sku, "qty": qty, "reason": reason}


def item(sku: str, **details: object) -> dict[str, object]:
    return {"type": "item", "sku": sku, **details}


def count(sku: str, counted: str) -> dict[str, object]:
    return {"type": "count", "sku": sku, "counted": counted, "includes_reserved": True}


def line(sku: str, qty: str, **more: object) -> dict[str, object]:
    return {"sku": sku, "qty": qty, **more}


def receipt(name: str, *lines: dict[str, object], status: str = "paid", **header: Any) -> dict[str, object]:
    return {"type": "receipt", "receipt": name, "kind": "sale", "status": status, "lines": list(lines)} | header


def play(stage: Stage) -> None:
    """Play the day from morning to evening."""
    _morning(stage)
    _stocktake_while_selling(stage)
    _two_offline_tills_sell_the_same(stage)
    _goods_come_back(stage)
    _kits_and_an_open_receipt(stage)
    _a_handheld_is_wiped_and_another_one_cloned(stage)
    _the_box_is_set_back(stage)


def _morning(stage: Stage) -> None:
    stage.do("D", item(MILK, name="Молоко 3,2 % 1 л", unit="pcs"))
    stage.do("D", item(CHEESE, name="Сыр", unit="kg"))
    stage.do("D", item(SHOES, name="Ботинки", unit="pcs"))
    stage.do("D", item(KIT, name="Завтрак", unit="pcs", components=[{"sku": CHEESE, "qty": "0.150"}]))
    stage.do("D", move(MILK, "20", "receive"))
    stage.do("D", move(CHEESE, "5.000", "receive"))
    stage.do("D", move(SHOES, "2", "receive"))
    stage.together()
    stage.do("D", receipt("d-1", line(MILK, "3")))
    stage.together()
    stage.do("A1", receipt("a1-1", line(MILK, "2"), line(CHEESE, "0.350")))
    stage.together()
    stage.expect({MILK: "15", CHEESE: "4.65", SHOES: "2"})


def _stocktake_while_selling(stage: Stage) -> None:
    """The worked example of the rule book: A2's sale is in the count, although it arrives after it."""
    stage.go_offline("A2")
    stage.do("A2", receipt("a2-1", line(MILK, "4")))
    stage.together()
    stage.do("A1", receipt("a1-2", line(MILK, "9")))
    stage.together()
    stage.expect({MILK: "6"})
    stage.apart()
    stage.do("H", count(MILK, "2"))
    stage.together()
    stage.expect({MILK: "2"})
    stage.apart()
    stage.do("A1", receipt("a1-3", line(MILK, "1")))
    stage.together()
    stage.expect({MILK: "1"})
    stage.come_back("A2")
    stage.together()
    stage.expect({MILK: "1"})


def _two_offline_tills_sell_the_same(stage: Stage) -> None:
    stage.go_offline("A1", "A2")
    stage.do("A1", receipt("a1-4", line(MILK, "1"), line(SHOES, "1", marks=[SHOE])))
    stage.do("A2", receipt("a2-2", line(MILK, "1"), line(SHOES, "1", marks=[SHOE])))
    stage.together()
    stage.come_back("A1", "A2")
    stage.together()
    stage.expect({MILK: "-1", SHOES: "0"})
    stage.expect_alert("oversell", MILK, "a1-4", "a2-2")
    stage.expect_alert("mark-twice", "010460043993125621" + "5Tp3mWq9Za1bC", "a1-4", "a2-2")


def _goods_come_back(stage: Stage) -> None:
    returned = receipt("d-2", line(MILK, "1"), kind="return", of="d-1")
    stage.do("D", returned)
    stage.together()
    stage.expect({MILK: "0"})
    stage.do("D", returned)
    stage.together()
    stage.expect({MILK: "0"})
    stage.do("D", receipt("d-3", line(MILK, "3"), kind="return", of="d-1"))
    stage.together()
    stage.expect({MILK: "3"})
    stage.expect_alert("return-exceeds-sale", "d-1", "d-1")


def _kits_and_an_open_receipt(stage: Stage) -> None:
    stage.do("D", receipt("d-4", line(KIT, "2", components=[{"sku": CHEESE, "qty": "0.150"}])))
    stage.together()
    stage.expect({CHEESE: "4.35"})
    stage.do("A1", receipt("table-7", line(MILK, "2"), status="open", edit=1))
    stage.together()
    stage.do("A1", receipt("table-7", line(MILK, "3"), status="open", edit=2))
    stage.together()
    stage.expect({MILK: "3"})
    stage.do("D", receipt("table-7", line(MILK, "3")))
    stage.together()
    stage.expect({MILK: "0"})


def _a_handheld_is_wiped_and_another_one_cloned(stage: Stage) -> None:
    stage.wipe("A2")
    stage.back_up()
    # Not on a receipt: only its tag shows that what the clone says again is the same sale.
    stage.do("A2", move(BREAD, "-1", "sale"))
    stage.together()
    stage.expect({BREAD: "-1"})
    stage.clone("A2", "A2/2")
    stage.do("A2", receipt("a2-3", line(BREAD, "1")))
    stage.do("A2/2", receipt("a2-4", line(BREAD, "1")))
    stage.together()
    stage.expect({BREAD: "-3"})


def _the_box_is_set_back(stage: Stage) -> None:
    """To the copy of an hour ago: the tills bring what is missing."""
    stage.restore()
    stage.together()
    stage.expect(FINAL)
