"""A busy shop: every kind of operation, on the real coordinator and ledger.

The revisions are numbered by the order of the lines below, from 1; tests name them.
"""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.shop import RESERVE_MS, Shop, message, operation, tag

BARE: dict[str, Any] = {"sku": ..., "qty": ..., "reason": ...}
SHOE = "0104600439931256215dEvY8\x1d93cXr7"


def live(directory: Path) -> None:
    """Let it all happen, on a new ledger in `directory`."""
    busy = _Busy(Shop(directory))
    clock = busy.shop.clock
    say, receipt, count, stamped = busy.say, busy.receipt, busy.count, busy.stamped
    say("D", **{**BARE, "type": "item", "sku": "milk", "name": "Milk", "unit": "pcs", "low": "5"})
    say("D", sku="milk", qty="20", reason="receive")
    clock.now_ms = 60_000
    receipt("D", "r-1", "paid", {"sku": "milk", "qty": "3"}, {"sku": "shoe", "qty": "1", "marks": [SHOE]})
    receipt("A1", "r-2", "paid", {"sku": "milk", "qty": "2"})
    receipt("A1", "r-2", "paid", {"sku": "milk", "qty": "9"})
    receipt("D", "r-2", "paid", {"sku": "milk", "qty": "2"})
    say("A1", sku="milk", qty="half a dozen")
    clock.now_ms = 245_000
    count("H", "milk", "4", **stamped(200_000, 7, took_ms=9000))
    say("A2", sku="milk", qty="-4", **stamped(90_000))
    say("A2", sku="milk", qty="-1", **stamped(230_000))
    count("A2", "milk", "50", **stamped(100_000))
    say("A1", sku="milk", qty="-1", **stamped(240_000))
    count("H", "milk", "3", **stamped(235_000, 10))
    clock.now_ms = 250_000
    receipt("A2", "r-3", "paid", {"sku": "shoe", "qty": "1", "marks": [SHOE]})
    receipt("D", "r-4", "paid", {"sku": "shoe", "qty": "1", "marks": [SHOE]}, kind="return", of="r-1")
    receipt("D", "r-5", "paid", {"sku": "milk", "qty": "1"}, kind="return", of="r-1")
    receipt("D", "r-6", "paid", {"sku": "milk", "qty": "1"}, kind="return", of="r-1")
    kit = {"sku": "kit", "qty": "2", "components": [{"sku": "cheese", "qty": "0.150"}, {"sku": "bread", "qty": "1"}]}
    receipt("A1", "r-7", "open", kit, number="A1-7")
    receipt("A2", "r-7", "open", kit | {"qty": "3"}, edit=2, number="A1-7")
    receipt("A1", "r-8", "open", {"sku": "milk", "qty": "2"})
    receipt("A1", "r-8", "paid", {"sku": "milk", "qty": "2"})
    receipt("A1", "r-9", "open", {"sku": "milk", "qty": "2"})
    receipt("A1", "r-9", "cancelled")
    receipt("A1", "r-10", "open", {"sku": "tea", "qty": "1"})
    clock.now_ms += RESERVE_MS // 2
    receipt("A1", "r-11", "open", {"sku": "tea", "qty": "2"})
    clock.now_ms += RESERVE_MS // 2
    busy.shop.coordinator.turn()
    busy.shop.restart()
    parent = "A2".ljust(16, "0")
    say("A2", epoch="A2-forked", tag=busy.tags[parent][0], again=True, parents=[parent])
    say("A2", epoch="A2-forked", sku="tea", qty="-1", again=True)
    # Three counts that nobody can put in order: each says that it is newer than another one.
    start_ms = clock.now_ms
    clock.now_ms += 110_000
    count("D", "salt", "5", **stamped(start_ms + 100_000, uncertain=True))
    count("H", "salt", "6", **stamped(start_ms + 50_000, busy.shop.reader.last_rev, uncertain=True))
    count("A1", "salt", "7", **stamped(start_ms + 70_000, uncertain=True))
    busy.shop.stop()


class _Busy:
    """A shop in which every kind of operation has happened; each device speaks in one epoch, in order."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.tags: dict[str, list[str]] = {}

    def say(self, device: str, *, epoch: str = "", **fields: Any) -> None:
        name = (epoch or device).ljust(16, "0")
        tags = self.tags.setdefault(name, [])
        after = tags[-1] if tags else None
        tags.append(fields.setdefault("tag", tag(1000 * len(self.tags) + len(tags))))
        self.shop.say(device, message(operation(len(tags), **fields), epoch=name, after=after))

    def receipt(self, device: str, receipt: str, status: str, *lines: dict[str, Any], **fields: Any) -> None:
        said = {"type": "receipt", "receipt": receipt, "kind": "sale", "status": status, "lines": list(lines)}
        self.say(device, **{**BARE, **said, **fields})

    def count(self, device: str, sku: str, counted: str, **fields: Any) -> None:
        self.say(device, **{**BARE, "type": "count", "sku": sku, "counted": counted, **fields})

    def stamped(self, shop_ms: int, seen: int = 0, **more: Any) -> dict[str, Any]:
        return {"run": self.shop.run, "shop_ms": shop_ms, "seen": seen, **more}


def any_day(shop: Shop, seed: int, *, steps: int = 300, then: Callable[[], object] = lambda: None) -> None:
    """Let anything happen in any order in a new shop, and stop it; the seed alone decides what.

    then: is called after each step, for what else happens in the shop.
    """
    chance = random.Random(seed)
    busy = _Busy(shop)
    skus = ("milk", "bread", "cheese")
    for _ in range(steps):
        clock, device = busy.shop.clock, chance.choice(("D", "A1", "A2", "H"))
        clock.now_ms += chance.choice((0, 1000, 60_000, RESERVE_MS // 20))
        how: dict[str, Any] = {}
        if chance.random() < 0.7:
            seen = chance.choice((0, busy.shop.reader.last_rev, chance.randrange(1000)))
            age_ms = chance.choice((0, 3000, 20_000, 400_000))
            how = busy.stamped(max(0, clock.now_ms - age_ms), seen, uncertain=chance.random() < 0.05)
        sku, qty = chance.choice(skus), f"{chance.randrange(1, 9)}"
        match chance.choice(("move", "move", "receipt", "receipt", "count", "item", "bad", "restart")):
            case "move":
                reason = chance.choice(("sale", "write_off", "receive", "adjust"))
                say_qty = qty if reason in ("receive", "adjust") else f"-{qty}"
                busy.say(device, sku=sku, qty=say_qty, reason=reason, **how)
            case "receipt":
                status, number = chance.choice(("open", "paid", "paid", "cancelled")), chance.randrange(25)
                line: dict[str, Any] = {"sku": sku, "qty": qty, "marks": [SHOE] if chance.random() < 0.2 else []}
                if chance.random() < 0.2:
                    line = {"sku": "kit", "qty": "2", "components": [{"sku": part, "qty": "0.5"} for part in skus]}
                kind, of = chance.choice((("sale", None), ("sale", None), ("return", f"r-{chance.randrange(25)}")))
                edit = chance.randrange(4)
                busy.receipt(device, f"r-{number}", status, line, kind=kind, of=of, edit=edit, **how)
            case "count":
                took_ms, looked = chance.choice((0, 30_000)), chance.random() < 0.5
                busy.count(device, sku, qty, took_ms=took_ms, includes_reserved=looked, **how)
            case "item":
                busy.say(device, **{**BARE, "type": "item", "sku": sku, "unit": "pcs", "low": qty})
            case "bad":
                busy.say(device, sku=sku, qty="many")
            case "restart" if chance.random() < 0.2:
                busy.shop.restart()
        then()
    busy.shop.stop()
