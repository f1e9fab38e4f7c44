"""Receipts as the ledger keeps them for ever: their state, what moved their goods, what they hold, what came back, and
the marked items that they sold.

Part of a turn; everything is written at once.
"""

from collections.abc import Mapping

import orjson

from appliance.contract.paper import Sheet
from appliance.ledger.history import History, Sql
from appliance.stock.operation import Reason, Status
from appliance.stock.receipts import ReceiptState

EXPIRING_MAX = 100
"""Receipts that one turn lets expire; the next turn takes the next ones."""


class Receipts:
    """Receipts as one turn sees and changes them."""

    def __init__(self, sql: Sql, history: History) -> None:
        self._sql = sql
        self._history = history

    def state(self, receipt: str) -> ReceiptState | None:
        row = self._sql(
            "SELECT id, kind, state, number, edit, device, opened_ms FROM receipt WHERE receipt = ?", (receipt,)
        ).get
        if row is None or not row[2]:
            return None
        number_id, kind, state, number, edit, device, opened_ms = row
        paid = self._sql("SELECT goods FROM payment WHERE receipt = ?", (number_id,))
        reserved = self._sql(
            "SELECT code, qty_milli FROM reserved JOIN sku ON sku.id = sku WHERE receipt = ?", (number_id,)
        )
        return ReceiptState(
            receipt,
            kind,
            state,
            number,
            edit,
            device,
            opened_ms or 0,
            frozenset(str(goods) for (goods,) in paid),
            dict(reserved.fetchall()),
        )

    def sheet(self, receipt: str) -> Sheet | None:
        """Return the operation that a sheet of a receipt shows: the open that won, or the last payment."""
        row = self._sql(
            "SELECT sheet, operation FROM receipt JOIN body ON body.revision = sheet WHERE receipt = ?", (receipt,)
        ).get
        return None if row is None else Sheet(row[0], orjson.loads(row[1]))

    def sold(self, receipt: str) -> Mapping[str, int]:
        """Return what a receipt's payments took from the shelf, in thousandths by SKU; nothing when that is pruned."""
        taken: dict[str, int] = {}
        for payment in self._history.payments(receipt):
            if payment.rev <= self._sql("SELECT pruned_rev FROM ledger").get:
                return {}
            for code, milli in self._sql(
                "SELECT code, -effect_milli FROM entry JOIN sku ON sku.id = sku JOIN word ON word.id = cause "
                "WHERE entry.revision = ? AND word = ?",
                (payment.rev, Reason.SALE),
            ):
                taken[code] = taken.get(code, 0) + milli
        return taken

    def returned(self, receipt: str) -> Mapping[str, int]:
        """Return what has come back of a receipt, in thousandths by SKU."""
        return dict(self._sql("SELECT sku, qty_milli FROM returned WHERE sale = ?", (receipt,)).fetchall())

    def sold_on(self, mark: str) -> Mapping[str, int]:
        """Return how often each receipt has sold a marked item, less how often it took it back."""
        return dict(self._sql("SELECT receipt, uses FROM mark_use WHERE mark = ?", (mark,)).fetchall())

    def expiring(self, opened_before_ms: int) -> list[tuple[str, int]]:
        """Return open receipts, with their edit, that were opened before a moment of shop time."""
        rows = self._sql(
            "SELECT receipt, edit FROM receipt WHERE opened_ms <= ? ORDER BY opened_ms LIMIT ?",
            (opened_before_ms, EXPIRING_MAX),
        )
        return [(receipt, edit) for receipt, edit in rows.fetchall()]

    def number(self, receipt: str, kind: str) -> int:
        """Return a receipt's number in the ledger, giving it one when an operation names it first."""
        self._sql(
            "INSERT OR IGNORE INTO receipt (receipt, kind, state, number, edit, device, revision) "
            "VALUES (?, ?, '', '', 0, '', 0)",
            (receipt, kind),
        )
        return int(self._sql("SELECT id FROM receipt WHERE receipt = ?", (receipt,)).get)

    def keep(self, rev: int, state: ReceiptState) -> None:
        """Put a receipt into a state."""
        number = self.number(state.receipt, state.kind)
        known = {goods for (goods,) in self._sql("SELECT goods FROM payment WHERE receipt = ?", (number,))}
        self._sql(
            "UPDATE receipt SET kind = ?, state = ?, number = ?, edit = ?, device = ?, opened_ms = ?, revision = ? "
            "WHERE id = ?",
            (
                state.kind,
                state.state,
                state.number,
                state.edit,
                state.device,
                state.opened_ms if state.state == Status.OPEN else None,
                rev,
                number,
            ),
        )
        if state.state in (Status.OPEN, Status.PAID):
            self._sql("UPDATE receipt SET sheet = ? WHERE id = ?", (rev, number))
        for goods in state.paid - known:
            self._sql("INSERT INTO payment VALUES (?, ?, ?)", (number, rev, goods))
        self._sql("DELETE FROM reserved WHERE receipt = ?", (number,))
        for code, milli in state.reserved.items():
            self._sql(
                "INSERT INTO reserved SELECT ?, id, ? FROM sku WHERE code = ?",
                (number, milli, code),
            )

    def keep_returned(self, returned: Mapping[tuple[str, str], int]) -> None:
        for (sale, code), milli in returned.items():
            self._sql(
                "INSERT INTO returned VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET qty_milli = qty_milli + ?",
                (sale, code, milli, milli),
            )

    def keep_marks(self, receipt: str, marks: Mapping[str, int]) -> None:
        for mark, uses in marks.items():
            self._sql(
                "INSERT INTO mark_use VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET uses = uses + ?",
                (mark, receipt, uses, uses),
            )
