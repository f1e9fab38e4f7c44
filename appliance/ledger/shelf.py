"""What stands on the shelf: SKUs, their entries, their items and their counts.

Part of a turn. A SKU that the turn touches stays in memory and is written once, at the turn's end; its entries are
appended at once, so that the rules can walk them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import orjson

from appliance.contract.messages import Balance
from appliance.ledger.history import History, Sql
from appliance.ledger.words import Words
from appliance.stock.counts import Horizon, Past
from appliance.stock.operation import Count, Item
from appliance.stock.order import Fact
from appliance.stock.reconcile import Effect, Stock


@dataclass(slots=True)
class _Sku:
    id: int
    on_hand_milli: int
    reserved_milli: int
    is_stocked: bool
    newest_count: int
    revision: int
    unit: str | None
    low_milli: int | None
    pruned_rev: int
    pruned_ms: int
    previous: int = 0
    newest: Fact | None = None
    is_changed: bool = False


class Shelf:
    """SKUs as one turn sees and changes them."""

    def __init__(self, sql: Sql, words: Words, history: History, wall_ms: int) -> None:
        self._sql = sql
        self._words = words
        self._history = history
        self._wall_ms = wall_ms
        self._skus: dict[str, _Sku] = {}
        self._items: dict[str, tuple[int, Item]] = {}

    def stock(self, code: str) -> Stock | None:
        """Return what is known of a SKU, None when no operation has named it."""
        sku = self._find(code)
        if sku is None:
            return None
        if sku.newest is None and sku.newest_count:
            sku.newest = self._history.fact(sku.newest_count)
        return Stock(
            sku.on_hand_milli,
            sku.reserved_milli,
            sku.is_stocked,
            sku.unit,
            sku.low_milli,
            sku.newest,
            Horizon(sku.pruned_rev, sku.pruned_ms),
        )

    def past(self, code: str, after_rev: int) -> Iterator[Past]:
        """Walk a SKU's history back from its newest revision to `after_rev`, that one left out, while there is any."""
        sku = self._find(code)
        return iter(()) if sku is None else self._history.past(sku.id, sku.revision, max(after_rev, sku.pruned_rev))

    def group(self, code: str) -> str | None:
        """Return a SKU's item group, None when the catalogue has none."""
        if code in self._items:
            group = self._items[code][1].details["group"]
            return None if group is None else str(group)
        row = self._sql(
            "SELECT json_extract(details, '$.group') FROM item JOIN sku ON sku.id = item.sku WHERE code = ?", (code,)
        ).get
        return None if row is None else str(row)

    def enter(self, rev: int, n: int, effect: Effect) -> None:
        """Append one entry and add it to its SKU; the first entry of a SKU creates it."""
        sku = self._find(effect.sku) or self._make(effect.sku)
        if sku.revision != rev:
            sku.previous, sku.revision = sku.revision, rev
        self._sql(
            "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                rev,
                n,
                sku.id,
                effect.effect_milli,
                effect.reserved_milli,
                self._words.id(effect.cause),
                sku.previous,
            ),
        )
        sku.on_hand_milli += effect.effect_milli
        sku.reserved_milli += effect.reserved_milli
        sku.is_stocked = sku.is_stocked or effect.is_stocked
        if effect.is_anchor:
            sku.newest_count, sku.newest = rev, None
        sku.is_changed = True

    def keep_item(self, rev: int, item: Item) -> None:
        sku = self._find(item.sku)
        assert sku is not None, "an item's first operation is an entry too"
        sku.unit, sku.low_milli = item.unit, item.low_milli
        self._items[item.sku] = (rev, item)

    def keep_count(self, rev: int, count: Count, *, is_anchor: bool) -> None:
        self._sql(
            "INSERT INTO count VALUES (?, ?, ?, ?, ?)",
            (rev, count.counted_milli, count.took_ms, count.includes_reserved, is_anchor),
        )

    def write(self) -> None:
        for sku in self._skus.values():
            if sku.is_changed:
                self._sql(
                    "UPDATE sku SET on_hand_milli = ?, reserved_milli = ?, is_stocked = ?, newest_count = ?, "
                    "revision = ?, wall_ms = ? WHERE id = ?",
                    (
                        sku.on_hand_milli,
                        sku.reserved_milli,
                        sku.is_stocked,
                        sku.newest_count,
                        sku.revision,
                        self._wall_ms,
                        sku.id,
                    ),
                )
        for code, (rev, item) in self._items.items():
            self._sql(
                "INSERT OR REPLACE INTO item VALUES (?, ?, ?, ?, ?)",
                (self._skus[code].id, rev, item.unit, item.low_milli, orjson.dumps(item.details).decode()),
            )

    def balances(self) -> list[Balance]:
        """Return the balances that this turn has changed, in order of their revision."""
        changed = (
            Balance(code, sku.on_hand_milli, sku.reserved_milli, sku.is_stocked, sku.revision, self._wall_ms)
            for code, sku in self._skus.items()
            if sku.is_changed
        )
        return sorted(changed, key=lambda balance: (balance.rev, balance.sku))

    def items(self) -> list[tuple[str, int, dict[str, object]]]:
        return [(code, rev, item.details) for code, (rev, item) in self._items.items()]

    def _find(self, code: str) -> _Sku | None:
        found = self._skus.get(code)
        if found is None:
            row = self._sql(
                "SELECT id, sku.on_hand_milli, sku.reserved_milli, sku.is_stocked, sku.newest_count, sku.revision, "
                "unit, low_milli, coalesce(closing.revision, 0), (SELECT pruned_ms FROM ledger) FROM sku "
                "LEFT JOIN item ON item.sku = id LEFT JOIN closing ON closing.sku = id WHERE code = ?",
                (code,),
            ).get
            if row is None:
                return None
            number, on_hand_milli, reserved_milli, is_stocked, *rest = row
            found = self._skus[code] = _Sku(number, on_hand_milli, reserved_milli, bool(is_stocked), *rest)
        return found

    def _make(self, code: str) -> _Sku:
        self._sql(
            "INSERT INTO sku (code, on_hand_milli, reserved_milli, is_stocked, newest_count, revision, wall_ms) "
            "VALUES (?, 0, 0, 0, 0, 0, 0)",
            (code,),
        )
        found = self._find(code)
        assert found is not None, "the row just inserted is there"
        return found
