"""The worked example of the rule book, played on the real coordinator and ledger."""

from pathlib import Path
from typing import Any

from tests.shop import Shop, message, operation

MINUTE_MS = 60_000


def milk(directory: Path) -> None:
    """20 milk come in and are sold; A2 sells 4 of them offline, H counts 2, and A2 comes back: there is 1."""
    shop = Shop(directory)

    def at(minute: int, seen: int = 0) -> dict[str, Any]:
        return {"run": shop.run, "shop_ms": minute * MINUTE_MS, "seen": seen}

    def say(device: str, seq: int, minute: int, **fields: Any) -> None:
        shop.clock.now_ms = max(shop.clock.now_ms, minute * MINUTE_MS)
        shop.say(device, message(operation(seq, sku="milk", **fields)))

    say("D", 1, 0, qty="20", reason="receive")
    say("D", 2, 1, qty="-3")
    say("A1", 1, 2, qty="-2")
    say("A1", 2, 4, qty="-9")
    count = {"type": "count", "counted": "2", "includes_reserved": True, "qty": ..., "reason": ...}
    say("H", 1, 5, **count, **at(5, 4))
    say("A1", 3, 6, qty="-1")
    say("A2", 1, 9, qty="-4", **at(3))
    shop.stop()
