"""One turn of the writer: what the rules look up, what the coordinator records, and what there is to announce after.

Reading sees what the turn itself has recorded. Epochs and SKUs that it touches stay in memory and are written once, by
`write`, which the writer calls at the turn's end.
"""

from dataclasses import dataclass, field
from datetime import datetime

import apsw
import orjson

from appliance.contract.messages import Alert, Balance
from appliance.contract.operations import Head
from appliance.ledger.database import tag_to_integer, tag_to_text
from appliance.ledger.words import Words
from appliance.stock.alerts import Raised
from appliance.stock.errors import Rejected
from appliance.stock.operation import Item, Operation, Receipt
from appliance.stock.reconcile import Effect, Outcome, ReceiptState
from appliance.stock.sequence import EpochState
from appliance.stock.stamps import Run, When

QUARANTINE_MAX = 1000
"""Heads kept of one device. A broken till repeats its rubbish for days; the alert counts what is no longer kept."""


@dataclass(slots=True)
class _Epoch:
    id: int
    device: int
    state: EpochState
    rejected: int
    is_changed: bool = False


@dataclass(slots=True)
class _Sku:
    id: int
    on_hand_milli: int
    reserved_milli: int
    is_counted: bool
    revision: int
    previous: int = 0


@dataclass(slots=True)
class Committed:
    """What a turn has changed, to be announced when it is on the disk.

    since, through: the last revisions before and after it. balances, items and alerts: as they stand after it; an alert
    whose status is `acknowledged` has gone.
    """

    since: int
    through: int
    balances: list[Balance] = field(default_factory=list)
    items: list[tuple[str, int, dict[str, object]]] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)


class Turn:
    """One transaction under way; it satisfies the rules' `reconcile.View`."""

    def __init__(
        self, connection: apsw.Connection, words: Words, run: int, last_rev: int, now_ms: int, wall_ms: int
    ) -> None:
        self.now_ms = now_ms
        self._sql = connection.execute
        self._words = words
        self._run = run
        self._wall_ms = wall_ms
        self._since = self._rev = last_rev
        self._devices: dict[str, int] = {}
        self._epochs: dict[tuple[str, str], _Epoch] = {}
        self._skus: dict[str, _Sku] = {}
        self._changed_skus: set[str] = set()
        self._items: dict[str, tuple[int, Item]] = {}
        self._alerts: dict[str, Alert] = {}

    # --- what can be looked up ---------------------------------------------------------------------------------------

    def epoch(self, device: str, epoch: str) -> EpochState:
        """Return how far an epoch is committed; EpochState() for one that this ledger has never met."""
        found = self._find_epoch(device, epoch)
        return found.state if found else EpochState()

    def tag_at(self, device: str, epoch: str, seq: int) -> str | None:
        """Return the tag committed at a place; None when the operation there came without one, or there is none."""
        row = self._committed_at(device, epoch, seq)
        return tag_to_text(row[1]) if row else None

    def is_committed_at(self, device: str, epoch: str, head: Head) -> bool:
        """Whether the operation committed at `head.seq` is this one: by its tag, or without one by its bytes."""
        row = self._committed_at(device, epoch, head.seq)
        if row is None:
            return False
        revision, tag = row
        if head.tag is not None or tag is not None:
            return bool(tag == tag_to_integer(head.tag))
        return bool(self._sql("SELECT operation FROM body WHERE revision = ?", (revision,)).get == head.encoded())

    def committed_before(self, device: str, tag: str | None) -> int | None:
        """Return the revision under which a device's operation was committed in any epoch, None when it was not.

        Only a fork asks, so there is no index over all tags: it would cost every sale a random page. The first question
        of a device gathers its tags into a temporary table, which lives as long as the process and then keeps up.
        """
        number = self._device(device)
        self._sql("CREATE TEMP TABLE IF NOT EXISTS gathered (device INTEGER PRIMARY KEY, through INTEGER NOT NULL)")
        self._sql(
            "CREATE TEMP TABLE IF NOT EXISTS again (device INTEGER, tag INTEGER, revision INTEGER, "
            "PRIMARY KEY (device, tag)) WITHOUT ROWID"
        )
        through = self._sql("SELECT through FROM gathered WHERE device = ?", (number,)).get or 0
        if through < self._rev:
            self._sql(
                "INSERT OR IGNORE INTO again SELECT epoch.device, txn.tag, coalesce(txn.same_as, txn.revision) "
                "FROM txn JOIN epoch ON epoch.id = txn.epoch "
                "WHERE txn.revision > ? AND epoch.device = ? AND txn.tag IS NOT NULL",
                (through, number),
            )
            self._sql("INSERT OR REPLACE INTO gathered VALUES (?, ?)", (number, self._rev))
        found = self._sql("SELECT revision FROM again WHERE device = ? AND tag = ?", (number, tag_to_integer(tag))).get
        return None if found is None else int(found)

    def run(self, run: str) -> Run | None:
        """Return what the ledger knows of a run, None when it is not one of its own."""
        row = self._sql("SELECT id, is_measured FROM run WHERE run = ?", (run,)).get
        if row is None:
            return None
        number, is_measured = row
        next_rev = self._sql("SELECT min(first_rev) FROM run WHERE id > ?", (number,)).get
        return Run(self._rev if next_rev is None else next_rev - 1, bool(is_measured))

    def is_known(self, sku: str) -> bool:
        return self._find_sku(sku) is not None

    def receipt(self, receipt: str) -> ReceiptState | None:
        row = self._sql(
            "SELECT receipt.id, kind.word, state.word, number FROM receipt JOIN word kind ON kind.id = kind "
            "JOIN word state ON state.id = state WHERE receipt = ?",
            (receipt,),
        ).get
        if row is None:
            return None
        number_id, kind, state, number = row
        goods = frozenset(
            digest for (digest,) in self._sql("SELECT goods FROM receipt_goods WHERE receipt = ?", (number_id,))
        )
        return ReceiptState(receipt, kind, state, number, goods)

    # --- what can be recorded ----------------------------------------------------------------------------------------

    def apply(self, device: str, epoch: str, head: Head, operation: Operation, when: When, outcome: Outcome) -> int:
        """Record an operation with all that it changes; return its revision."""
        rev = self._commit(device, epoch, head, operation=operation, when=when)
        if head.tag is None or isinstance(operation.body, Receipt):
            self._sql("INSERT INTO body VALUES (?, ?, NULL)", (rev, head.encoded()))
        for n, effect in enumerate(outcome.effects):
            self._enter(rev, n, effect)
        if outcome.item is not None:
            self._items[outcome.item.sku] = (rev, outcome.item)
        if outcome.receipt is not None:
            self._keep_receipt(rev, outcome.receipt)
        if outcome.acknowledged is not None:
            self._acknowledge(outcome.acknowledged, rev)
        for raised in outcome.alerts:
            self.raise_alert(raised)
        return rev

    def reject(self, device: str, epoch: str, head: Head, error: Rejected) -> int:
        """Record an operation as rejected, with its bytes and the reason; return its revision."""
        rev = self._commit(device, epoch, head, code=error.code)
        self._epochs[device, epoch].rejected += 1
        self._sql("INSERT INTO body VALUES (?, ?, ?)", (rev, head.encoded(), error.detail))
        return rev

    def repeat(self, device: str, epoch: str, head: Head, same_as: int) -> int:
        """Record that an operation was committed in an earlier epoch; its new name changes nothing else."""
        return self._commit(device, epoch, head, same_as=same_as)

    def fork(self, device: str, epoch: str, parents: tuple[str, ...]) -> None:
        """Close the epochs that a new one comes from, also those that this ledger has never met."""
        for parent in parents:
            if parent != epoch:
                found = self._make_epoch(device, parent)
                found.state = EpochState(found.state.seq, found.state.tag, closed=True)
                found.is_changed = True

    def quarantine(self, device: str, reason: str, size: int, head: bytes) -> None:
        """Keep the head of a message that names no operation; beyond QUARANTINE_MAX the device's oldest goes."""
        number = self._device(device)
        self._sql(
            "INSERT INTO quarantine (device, reason, size, head, wall_ms) VALUES (?, ?, ?, ?, ?)",
            (number, reason, size, head, self._wall_ms),
        )
        self._sql(
            "DELETE FROM quarantine WHERE id = "
            "(SELECT id FROM quarantine WHERE device = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
            (number, QUARANTINE_MAX),
        )

    def raise_alert(self, raised: Raised) -> None:
        """Raise an alert, or once more one that is there."""
        found = self._sql(
            "SELECT since_ms, times FROM alert JOIN word ON word.id = status WHERE alert = ? AND word = 'active'",
            (raised.alert,),
        ).get
        since_ms, times = found or (self._wall_ms, 0)
        alert = Alert(
            alert=raised.alert,
            kind=raised.kind,
            status="active",
            since_ms=since_ms,
            rev=self._rev,
            times=times + 1,
            summary=raised.summary,
            facts=orjson.dumps(raised.facts),
        )
        self._put_alert(alert)

    # --- the end ------------------------------------------------------------------------------------------------------

    def write(self) -> None:
        """Write what stayed in memory; the writer calls this last."""
        for epoch in self._epochs.values():
            if not epoch.is_changed:
                continue
            self._sql(
                "UPDATE epoch SET seq = ?, tag = ?, is_closed = ?, rejected = ? WHERE id = ?",
                (epoch.state.seq, tag_to_integer(epoch.state.tag), epoch.state.closed, epoch.rejected, epoch.id),
            )
        for code in self._changed_skus:
            sku = self._skus[code]
            self._sql(
                "UPDATE sku SET on_hand_milli = ?, reserved_milli = ?, is_counted = ?, revision = ?, wall_ms = ? "
                "WHERE id = ?",
                (sku.on_hand_milli, sku.reserved_milli, sku.is_counted, sku.revision, self._wall_ms, sku.id),
            )
        for code, (rev, item) in self._items.items():
            self._sql(
                "INSERT OR REPLACE INTO item VALUES (?, ?, ?)",
                (self._skus[code].id, rev, orjson.dumps(item.details).decode()),
            )
        if self._rev > self._since:
            self._sql("INSERT INTO turn VALUES (?, ?, ?, ?)", (self._rev, self._run, self.now_ms, self._wall_ms))

    def committed(self) -> Committed:
        """Return what this turn has changed."""
        balances = [
            Balance(code, sku.on_hand_milli, sku.reserved_milli, sku.is_counted, sku.revision, self._wall_ms)
            for code in self._changed_skus
            for sku in (self._skus[code],)
        ]
        return Committed(
            since=self._since,
            through=self._rev,
            balances=sorted(balances, key=lambda balance: (balance.rev, balance.sku)),
            items=[(code, rev, item.details) for code, (rev, item) in self._items.items()],
            alerts=list(self._alerts.values()),
        )

    # --- inside -------------------------------------------------------------------------------------------------------

    def _device(self, device: str) -> int:
        if device not in self._devices:
            self._sql("INSERT OR IGNORE INTO device (name) VALUES (?)", (device,))
            self._devices[device] = self._sql("SELECT id FROM device WHERE name = ?", (device,)).get
        return self._devices[device]

    def _find_epoch(self, device: str, epoch: str) -> _Epoch | None:
        found = self._epochs.get((device, epoch))
        if found is None:
            row = self._sql(
                "SELECT epoch.id, device.id, seq, tag, is_closed, rejected FROM epoch "
                "JOIN device ON device.id = device WHERE name = ? AND epoch.epoch = ?",
                (device, epoch),
            ).get
            if row is None:
                return None
            number, device_number, seq, tag, is_closed, rejected = row
            found = _Epoch(number, device_number, EpochState(seq, tag_to_text(tag), bool(is_closed)), rejected)
            self._epochs[device, epoch] = found
        return found

    def _make_epoch(self, device: str, epoch: str) -> _Epoch:
        found = self._find_epoch(device, epoch)
        if found is None:
            self._sql(
                "INSERT INTO epoch (device, epoch, seq, is_closed, rejected) VALUES (?, ?, 0, 0, 0)",
                (self._device(device), epoch),
            )
            found = self._find_epoch(device, epoch)
            assert found is not None, "the row just inserted is there"
        return found

    def _committed_at(self, device: str, epoch: str, seq: int) -> tuple[int, int | None] | None:
        found = self._find_epoch(device, epoch)
        if found is None:
            return None
        row = self._sql("SELECT revision, tag FROM txn WHERE epoch = ? AND seq = ?", (found.id, seq)).get
        return (row[0], row[1]) if row else None

    def _commit(
        self,
        device: str,
        epoch: str,
        head: Head,
        *,
        operation: Operation | None = None,
        when: When | None = None,
        code: str | None = None,
        same_as: int | None = None,
    ) -> int:
        """Record an operation's identity under the next revision, and move its epoch on."""
        into = self._make_epoch(device, epoch)
        assert head.seq == into.state.seq + 1, "an epoch is committed in order and without gaps"
        self._rev += 1
        stamp = operation.stamp if operation else None
        at_ms, at_offset_s = _wall(operation.at if operation else None)
        self._sql(
            "INSERT INTO txn VALUES (?, ?, ?, ?, ?, (SELECT id FROM run WHERE run = ?), ?, ?, ?, ?, ?, ?, ?)",
            (
                self._rev,
                into.id,
                head.seq,
                tag_to_integer(head.tag),
                self._words.id(head.kind),
                stamp.run if stamp else None,
                when.shop_ms if when else self.now_ms,
                when.seen if when else 0,
                when.is_uncertain if when else False,
                at_ms,
                at_offset_s,
                None if code is None else self._words.id(code),
                same_as,
            ),
        )
        into.state = EpochState(head.seq, head.tag, into.state.closed)
        into.is_changed = True
        self._sql("UPDATE device SET epoch = ? WHERE id = ? AND epoch IS NOT ?", (into.id, into.device, into.id))
        return self._rev

    def _find_sku(self, code: str) -> _Sku | None:
        found = self._skus.get(code)
        if found is None:
            row = self._sql(
                "SELECT id, on_hand_milli, reserved_milli, is_counted, revision FROM sku WHERE code = ?", (code,)
            ).get
            if row is None:
                return None
            number, on_hand_milli, reserved_milli, is_counted, revision = row
            found = self._skus[code] = _Sku(number, on_hand_milli, reserved_milli, bool(is_counted), revision)
        return found

    def _enter(self, rev: int, n: int, effect: Effect) -> None:
        """Append one entry and add it to its SKU; the first entry of a SKU creates it."""
        sku = self._find_sku(effect.sku)
        if sku is None:
            self._sql(
                "INSERT INTO sku (code, on_hand_milli, reserved_milli, is_counted, revision, wall_ms) "
                "VALUES (?, 0, 0, 0, 0, 0)",
                (effect.sku,),
            )
            sku = self._find_sku(effect.sku)
            assert sku is not None, "the row just inserted is there"
        if sku.revision != rev:
            sku.previous, sku.revision = sku.revision, rev
        self._sql(
            "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?)",
            (rev, n, sku.id, effect.effect_milli, self._words.id(effect.cause), sku.previous),
        )
        sku.on_hand_milli += effect.effect_milli
        sku.is_counted = sku.is_counted or effect.is_stocked
        self._changed_skus.add(effect.sku)

    def _keep_receipt(self, rev: int, receipt: ReceiptState) -> None:
        self._sql(
            "INSERT INTO receipt (receipt, kind, state, number, revision) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (receipt) DO UPDATE SET kind = excluded.kind, state = excluded.state, "
            "number = excluded.number, revision = excluded.revision",
            (receipt.receipt, self._words.id(receipt.kind), self._words.id(receipt.state), receipt.number, rev),
        )
        number = self._sql("SELECT id FROM receipt WHERE receipt = ?", (receipt.receipt,)).get
        for goods in receipt.goods:
            self._sql("INSERT OR IGNORE INTO receipt_goods VALUES (?, ?)", (number, goods))

    def _acknowledge(self, alert: str, rev: int) -> None:
        row = self._sql(
            "SELECT kind.word, since_ms, times, summary, facts FROM alert JOIN word kind ON kind.id = kind "
            "JOIN word status ON status.id = status WHERE alert = ? AND status.word = 'active'",
            (alert,),
        ).get
        if row is not None:
            kind, since_ms, times, summary, facts = row
            self._put_alert(Alert(alert, kind, "acknowledged", since_ms, rev, times, summary, facts.encode()))

    def _put_alert(self, alert: Alert) -> None:
        self._sql(
            "INSERT OR REPLACE INTO alert VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                alert.alert,
                self._words.id(alert.kind),
                self._words.id(alert.status),
                alert.since_ms,
                alert.rev,
                alert.times,
                alert.summary,
                alert.facts.decode(),
            ),
        )
        self._alerts[alert.alert] = alert


def _wall(at: str | None) -> tuple[int | None, int | None]:
    """A device's own time as milliseconds since 1970 and its offset in seconds."""
    if at is None:
        return None, None
    said = datetime.fromisoformat(at)
    offset = said.utcoffset()
    assert offset is not None, "the contract takes no time without an offset"
    return round(said.timestamp() * 1000), round(offset.total_seconds())
