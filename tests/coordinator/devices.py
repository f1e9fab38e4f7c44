"""Devices of a shop as its rules see them: what one does is stamped then, and said when it is on the net."""

from dataclasses import dataclass, field
from typing import Any

from tests.shop import Shop, message, operation

BARE = {"sku": ..., "qty": ..., "reason": ...}
"""Takes away what `operation` puts into a sale."""


@dataclass(slots=True)
class Device:
    """error_ms: by how much its stamps are wrong. heard: the highest revision that it knows."""

    shop: Shop
    name: str
    error_ms: int = 0
    is_online: bool = True
    heard: int = 0
    seq: int = 0
    outbox: list[dict[str, Any]] = field(default_factory=list)

    def does(self, **fields: Any) -> None:
        """Write an operation down, and say it at once when it is online."""
        self.seq += 1
        if self.is_online:
            self.heard = self.shop.writer.last_rev
        stamp = {"run": self.shop.run, "shop_ms": self.shop.clock.now_ms + self.error_ms, "seen": self.heard}
        self.outbox.append(operation(self.seq, **stamp | fields))
        if self.is_online:
            self.say()

    def moves(self, qty: str, reason: str, sku: str = "milk", **more: Any) -> None:
        self.does(sku=sku, qty=qty, reason=reason, **more)

    def sells(self, qty: int, sku: str = "milk", **more: Any) -> None:
        self.moves(f"-{qty}", "sale", sku, **more)

    def counts(self, counted: str, sku: str = "milk", **more: Any) -> None:
        self.does(**BARE | {"type": "count", "sku": sku, "counted": counted} | more)

    def receipt(self, receipt: str, status: str, *lines: dict[str, Any], **more: Any) -> None:
        base = {"type": "receipt", "receipt": receipt, "kind": "sale", "status": status, "lines": list(lines)}
        self.does(**BARE | base | more)

    def say(self, count: int | None = None) -> dict[str, Any]:
        """Send what waits, or the first `count` of it; return the ack."""
        waiting, self.outbox = self.outbox[:count], self.outbox[len(self.outbox[:count]) :]
        return self.shop.say(self.name, message(*waiting, epoch=f"epoch-of-device-{self.name}")) if waiting else {}

    def returns(self) -> None:
        """Come back to the net."""
        self.is_online = True
        self.say()


def line(sku: str = "milk", qty: str = "1", **more: Any) -> dict[str, Any]:
    return {"sku": sku, "qty": qty} | more
