"""A SKU's history, walked back along the chain of its entries.

Every entry names the SKU's revision before it, so a history needs no index, which would cost each sale a random page.
The rules walk it from the writer's turn, and `explain` from a reader.
"""

from collections.abc import Callable, Iterator
from typing import Any

from appliance.stock.counts import Past
from appliance.stock.operation import Reason
from appliance.stock.order import Fact
from appliance.stock.reconcile import COUNT, PAID_AGAIN

Sql = Callable[..., Any]
"""A connection's `execute`. What a row holds is the schema's word, which no type checker reads."""

_MOVEMENTS = frozenset(Reason)
_FACT = (
    "SELECT device.name, epoch.epoch, txn.seq, txn.revision, txn.shop_ms, txn.seen, txn.is_uncertain, "
    "coalesce(count.took_ms, 0), receipt.receipt FROM txn JOIN epoch ON epoch.id = txn.epoch "
    "JOIN device ON device.id = epoch.device LEFT JOIN count ON count.revision = txn.revision "
    "LEFT JOIN receipt ON receipt.id = txn.receipt WHERE txn.revision = ?"
)
_ENTRIES = "SELECT effect_milli, word, previous FROM entry JOIN word ON word.id = cause WHERE revision = ? AND sku = ?"
_TURN = "SELECT shop_ms, wall_ms FROM turn WHERE last_rev >= ? ORDER BY last_rev LIMIT 1"


class History:
    """Histories as one connection sees them. now: shop time and wall clock of what is not in a committed turn yet."""

    def __init__(self, sql: Sql, now: tuple[int, int] = (0, 0)) -> None:
        self._sql = sql
        self._now = now

    def fact(self, revision: int) -> Fact:
        """Return where a committed operation stands."""
        device, epoch, seq, rev, shop_ms, seen, is_uncertain, took_ms, receipt = self._sql(_FACT, (revision,)).get
        return Fact(
            device,
            epoch,
            seq,
            rev,
            shop_ms,
            seen,
            bool(is_uncertain),
            took_ms,
            self.wall_ms(revision, shop_ms),
            receipt,
        )

    def payments(self, receipt: str) -> tuple[Fact, ...]:
        """Return the operations that moved a receipt's goods, the first one first."""
        rows = self._sql(
            "SELECT payment.revision FROM payment JOIN receipt ON receipt.id = payment.receipt "
            "WHERE receipt.receipt = ? ORDER BY payment.revision",
            (receipt,),
        ).fetchall()
        return tuple(self.fact(rev) for (rev,) in rows)

    def past(self, sku: int, newest_rev: int, after_rev: int) -> Iterator[Past]:
        """Walk back from `newest_rev`, the SKU's newest revision, to `after_rev`, that one left out."""
        rev = newest_rev
        while rev > after_rev:
            entries = self._sql(_ENTRIES, (rev, sku)).fetchall()
            causes = {cause for _, cause, _ in entries}
            fact = self.fact(rev)
            yield Past(
                fact,
                sum(effect for effect, cause, _ in entries if cause in _MOVEMENTS),
                is_count=COUNT in causes,
                again=self.payments(fact.receipt) if fact.receipt and PAID_AGAIN in causes else (),
            )
            rev = entries[0][2]

    def wall_ms(self, revision: int, shop_ms: int) -> int:
        """Return when something happened on the box's own wall clock, for people: devices' clocks differ by minutes."""
        turn_ms, turn_wall_ms = self._sql(_TURN, (revision,)).get or self._now
        return int(turn_wall_ms - (turn_ms - shop_ms))

    def committed_wall_ms(self, revision: int) -> int:
        """Return when something was committed, on the box's own wall clock, for people."""
        _, turn_wall_ms = self._sql(_TURN, (revision,)).get or self._now
        return int(turn_wall_ms)
