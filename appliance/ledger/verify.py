"""Checking a ledger: all that can be derived from its history is derived anew, and compared with what is kept.

    the file ──▶ turns, epochs: who said it, in which order ──▶ operations: every SKU's chain of entries ──▶ receipts

It shares nothing with the writer but the rules (`appliance.stock`) and the reading of a receipt's own text, so that a
fault of the writer cannot be repeated here and so be hidden. Each step walks its rows in order, in one snapshot beside
a running coordinator; what stays in memory grows with the SKUs and with what came back, not with the history.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import apsw
import orjson

from appliance.contract.operations import Unreadable, identify, read_operation
from appliance.ledger.database import FILE_NAME, open_database
from appliance.stock.alerts import name
from appliance.stock.counts import Horizon
from appliance.stock.errors import Rejected
from appliance.stock.operation import Expire, Reason, Receipt, ReceiptKind, Status
from appliance.stock.order import Fact, order
from appliance.stock.quantity import format_qty
from appliance.stock.receipts import ReceiptState, Settled, expire, settle

Told = Callable[[str, int, int], None]
"""Is told how far a step has come: its name, what is done of it, and all that there is to do."""

_TELL_EVERY = 5000

_MOVEMENTS = frozenset(Reason)
_RESERVATIONS = frozenset({"reserved", "released"})
_CAUSES = {
    "move": _MOVEMENTS | {"counted-already"},
    "receipt": _RESERVATIONS | {"sale", "return", "counted-already", "paid-again"},
    "expire": _RESERVATIONS,
    "count": frozenset({"count"}),
    "item": frozenset({"item"}),
    "alert": frozenset[str](),
}
"""What an operation of each type may do to a SKU."""

_STOCKED_BY = frozenset({"receive", "transfer_in", "count"})

_OPERATIONS = (
    "SELECT txn.revision, device.name, epoch.epoch, txn.seq, word.word, shop_ms, seen, is_uncertain, code, same_as, "
    "counted_milli, coalesce(took_ms, 0), is_anchor FROM txn LEFT JOIN epoch ON epoch.id = txn.epoch "
    "LEFT JOIN device ON device.id = epoch.device LEFT JOIN word ON word.id = kind "
    "LEFT JOIN count ON count.revision = txn.revision"
)
_ENTRIES = (
    "SELECT revision, n, sku, effect_milli, reserved_milli, word, previous FROM entry LEFT JOIN word ON word.id = cause"
)
_SAID_OF_RECEIPTS = (
    # Who asks for a copy names a receipt and says nothing of it.
    "SELECT receipt, revision FROM txn JOIN word ON word.id = kind WHERE receipt IS NOT NULL AND word <> 'print' "
    "ORDER BY receipt, revision"
)
_EPOCHS = (
    "SELECT epoch.id, device.name || ' ' || epoch.epoch, epoch.seq, epoch.tag, epoch.rejected, "
    "txn.revision, txn.seq, txn.tag, txn.code FROM epoch LEFT JOIN device ON device.id = epoch.device "
    "LEFT JOIN txn ON txn.epoch = epoch.id ORDER BY epoch.id, txn.seq"
)


class Violation(Exception):
    """The ledger contradicts itself.

    what: the rule that does not hold. where: the place to look at. expected, found: what was derived, and what is kept.
    """

    def __init__(self, what: str, where: str, expected: object, found: object) -> None:
        super().__init__(f"broken: {what}; {where}: expected {expected}, found {found}")
        self.what = what
        self.where = where
        self.expected = str(expected)
        self.found = str(found)


@dataclass(frozen=True, slots=True)
class Verified:
    """How much was checked, and found to be right."""

    operations: int
    entries: int
    skus: int
    counts: int
    receipts: int
    epochs: int


def quiet(step: str, done: int, total: int) -> None:
    """Nobody is told."""


def verify(directory: Path, told: Told = quiet) -> Verified:
    """Check the ledger in `directory`, also while a coordinator writes it.

    Raises Violation, the first one met; LedgerError when there is no ledger, or it cannot be opened.
    """
    return verify_file(directory / FILE_NAME, told)


def verify_file(path: Path, told: Told = quiet) -> Verified:
    """Check the ledger, or the backup, in a file. Raises as `verify` does."""
    with closing(open_database(path, writable=False)) as connection:
        try:
            connection.execute("BEGIN")
            return _Verification(connection.execute, str(path), told).run()
        except (apsw.CorruptError, UnicodeDecodeError) as error:
            raise Violation("the file is a sound database", str(path), "ok", error) from error


class _Operation(NamedTuple):
    """A row of _OPERATIONS."""

    rev: int
    device: str
    epoch: str
    seq: int
    kind: str
    shop_ms: int
    seen: int
    is_uncertain: int
    code: int | None
    same_as: int | None
    counted_milli: int | None
    took_ms: int
    is_anchor: int | None

    @property
    def fact(self) -> Fact:
        return Fact(
            self.device,
            self.epoch,
            self.seq,
            self.rev,
            self.shop_ms,
            self.seen,
            bool(self.is_uncertain),
            self.took_ms,
        )


class _Entry(NamedTuple):
    """A row of _ENTRIES."""

    rev: int
    n: int
    sku: int
    effect_milli: int
    reserved_milli: int
    cause: str
    previous: int


@dataclass(slots=True)
class _Sku:
    """A SKU as its history has it so far. newest: its anchor. pruned_rev: the last revision in its closing."""

    on_hand_milli: int = 0
    reserved_milli: int = 0
    is_stocked: bool = False
    newest: Fact | None = None
    rev: int = 0
    pruned_rev: int = 0


class _Verification:
    """One check of one snapshot; each step raises the first Violation that it meets."""

    def __init__(self, sql: Callable[..., Any], path: str, told: Told) -> None:
        self._sql = sql
        self._path = path
        self._told = told
        # This first look is what makes the snapshot.
        self._newest_rev = int(sql("SELECT coalesce(max(revision), 0) FROM txn").get)
        self._pruned = Horizon(*sql("SELECT pruned_rev, pruned_ms FROM ledger").get)
        self._skus: dict[int, _Sku] = {}
        self._codes: dict[int, str] = {}
        self._entries = 0

    def run(self) -> Verified:
        self._file()
        self._turns()
        epochs = self._epochs()
        operations = self._operations()
        self._balances()
        counts = self._anchors()
        receipts = self._receipts()
        return Verified(operations, self._entries, len(self._skus), counts, receipts, epochs)

    def _file(self) -> None:
        self._told("the file", 0, 1)
        _same("the file is a sound database", self._path, "ok", self._sql("PRAGMA quick_check(1)").get)
        for table, row, parent, _ in self._sql("PRAGMA foreign_key_check"):
            raise Violation(
                "every row refers to one that there is", f"table {table}", f"a {parent}", f"none, row {row}"
            )

    # --- order and identity -------------------------------------------------------------------------------------------

    def _turns(self) -> None:
        """Every revision belongs to a commit, and shop time never runs back."""
        last = (0, 0, 0)
        for rev, run, shop_ms, first_rev in self._sql(
            "SELECT last_rev, turn.run, turn.shop_ms, first_rev FROM turn JOIN run ON run.id = turn.run "
            "ORDER BY last_rev"
        ):
            where = f"the commit through revision {rev}"
            if shop_ms < last[2]:
                raise Violation("shop time never runs back", where, f"at least {last[2]} ms", shop_ms)
            if rev < first_rev or run < last[1]:
                raise Violation("a run commits from its first revision on", where, f"at least {first_rev}", rev)
            last = (rev, run, shop_ms)
        # Of what is pruned not even the commits are kept.
        _same("every revision belongs to a commit", "the newest commit", self._newest_rev, last[0] or self._pruned.rev)

    def _epochs(self) -> int:
        """Each epoch holds its operations from 1 to its seq, in the order of the ledger, with the last one's tag."""
        count = 0
        for (_, epoch, *kept, rejected), rows in groupby(self._sql(_EPOCHS), key=itemgetter(slice(0, 5))):
            count += 1
            where = f"epoch {epoch}"
            last_seq = refused = newest = 0
            last_tag = None
            for rev, seq, tag, code in (row[5:] for row in rows):
                if rev is None:
                    continue  # A fork closed it before this ledger had met it.
                _same("an epoch is committed without gaps", f"{where}, revision {rev}", last_seq + 1, seq)
                if rev <= newest:
                    raise Violation("an epoch is committed in order", f"{where}, seq {seq}", f"after {newest}", rev)
                newest, last_seq, last_tag = rev, seq, tag
                refused += code is not None
            _same("an epoch stands at its last operation, [seq, tag]", where, [last_seq, last_tag], kept)
            _same("an epoch knows how many of its operations were rejected", where, refused, rejected)
        for device, seq in self._sql(
            "SELECT name, seq FROM device JOIN epoch ON epoch.id = device.epoch "
            "WHERE epoch.device <> device.id OR seq = 0"
        ):
            raise Violation("a device's retained ack is of its own epoch", f"device {device}", "seq 1 or more", seq)
        for epoch, seq, safe in self._sql("SELECT epoch, seq, safe FROM epoch WHERE safe NOT BETWEEN 0 AND seq"):
            raise Violation("no device is told to forget what is not there", f"epoch {epoch}", f"0 to {seq}", safe)
        return count

    # --- operations and their entries ---------------------------------------------------------------------------------

    def _operations(self) -> int:
        """Walk the ledger from its first revision to its newest, and follow every SKU."""
        self._codes = dict(self._sql("SELECT id, code FROM sku"))
        self._closings()
        last = 0
        for operation, entries in self._with_entries():
            _same("revisions have no holes", f"after revision {last}", last + 1, operation.rev)
            last = operation.rev
            where = f"revision {operation.rev} ({operation.kind} by {operation.device})"
            if operation.seen >= operation.rev:
                raise Violation("what was seen was there before", where, f"less than {operation.rev}", operation.seen)
            _same("a revision's entries are numbered from 0", where, list(range(len(entries))), [e.n for e in entries])
            if operation.rev <= self._pruned.rev:
                _same("what is pruned has no entries left", where, 0, len(entries))
            elif operation.code is not None or operation.same_as is not None:
                self._without_effect(operation, where, entries)
            else:
                self._applied(operation, where, entries)
            self._entries += len(entries)
            if operation.rev % _TELL_EVERY == 0:
                self._told("operations", operation.rev, self._newest_rev)
        return last

    def _closings(self) -> None:
        """Begin each SKU's history where what is pruned has left it."""
        for number, rev, on_hand_milli, reserved_milli, is_stocked, newest_count in self._sql(
            "SELECT sku, revision, on_hand_milli, reserved_milli, is_stocked, newest_count FROM closing"
        ).fetchall():
            where = f"SKU {self._codes[number]!r}, its closing at revision {rev}"
            if not newest_count <= rev <= self._pruned.rev:
                raise Violation("a closing sums up what is pruned", where, f"up to {self._pruned.rev}", rev)
            newest = self._fact(newest_count) if newest_count else None
            self._skus[number] = _Sku(on_hand_milli, reserved_milli, bool(is_stocked), newest, rev, rev)

    def _with_entries(self) -> Iterator[tuple[_Operation, list[_Entry]]]:
        entries = map(_Entry._make, self._sql(f"{_ENTRIES} ORDER BY revision, n"))
        waiting = next(entries, None)
        for operation in map(_Operation._make, self._sql(f"{_OPERATIONS} ORDER BY txn.revision")):
            own: list[_Entry] = []
            while waiting is not None and waiting.rev == operation.rev:
                own.append(waiting)
                waiting = next(entries, None)
            yield operation, own

    def _without_effect(self, operation: _Operation, where: str, entries: list[_Entry]) -> None:
        """What was rejected keeps its bytes and the reason; what was known before names what it repeats."""
        _same("what was rejected or known before has no effect", where, 0, len(entries))
        if operation.code is not None:
            detail = self._sql("SELECT detail FROM body WHERE revision = ?", (operation.rev,)).get
            if detail is None:
                raise Violation("what was rejected is kept, with the reason", where, "its bytes and a sentence", "none")
            return
        rows = self._sql(
            "SELECT txn.tag, same.tag, same.revision < txn.revision AND same.same_as IS NULL, device.name FROM txn "
            "JOIN txn same ON same.revision = txn.same_as JOIN epoch ON epoch.id = same.epoch "
            "JOIN device ON device.id = epoch.device WHERE txn.revision = ?",
            (operation.rev,),
        ).get
        tag, same_tag, is_first, device = rows or (None, None, None, None)
        is_it = tag is not None and tag == same_tag and is_first and device == operation.device
        _same("a repeated operation is the same device's earlier one, by its tag", where, True, bool(is_it))

    def _applied(self, operation: _Operation, where: str, entries: list[_Entry]) -> None:
        allowed = _CAUSES.get(operation.kind, frozenset())
        touched: dict[int, list[_Entry]] = {}
        for entry in entries:
            if entry.cause not in allowed:
                raise Violation("an entry's cause is its operation's", where, sorted(allowed), entry.cause)
            idle_milli = entry.effect_milli if entry.cause in _RESERVATIONS else entry.reserved_milli
            _same_qty("an entry moves or reserves, never both", f"{where}, entry {entry.n}", 0, idle_milli)
            touched.setdefault(entry.sku, []).append(entry)
        if operation.kind in ("move", "count"):
            _same("a movement or a count is of one SKU", where, 1, len(touched))
        is_counted = operation.counted_milli is not None
        _same("a count says what was counted, and nothing else does", where, operation.kind == "count", is_counted)
        for number, own in touched.items():
            self._touched(operation, f"{where}, SKU {self._codes[number]!r}", number, own)

    def _touched(self, operation: _Operation, where: str, number: int, entries: list[_Entry]) -> None:
        """One revision of one SKU: it continues the chain, and does what the rules say of counts."""
        sku = self._skus.setdefault(number, _Sku())
        for entry in entries:
            _same("an entry names the SKU's revision before it", where, sku.rev, entry.previous)
        by_cause = Counter[str]()
        for entry in entries:
            by_cause[entry.cause] += entry.effect_milli
        moved_milli = sum(milli for cause, milli in by_cause.items() if cause in _MOVEMENTS)
        if operation.counted_milli is not None:
            self._counted(operation, where, number, sku, by_cause["count"])
        elif moved_milli:
            is_in_count = sku.newest is not None and not order(operation.fact, sku.newest).is_after
            already_milli = -moved_milli if is_in_count else 0
            _same_qty("what the newest count has seen is taken back", where, already_milli, by_cause["counted-already"])
        else:
            _same_qty("nothing is taken back but what was moved", where, 0, by_cause["counted-already"])
        sku.on_hand_milli += sum(by_cause.values())
        sku.reserved_milli += sum(entry.reserved_milli for entry in entries)
        sku.is_stocked = sku.is_stocked or not _STOCKED_BY.isdisjoint(by_cause)
        sku.rev = operation.rev

    def _counted(self, operation: _Operation, where: str, number: int, sku: _Sku, effect_milli: int) -> None:
        """A count is the anchor if it is the newest, and corrects to what was counted and moved after it."""
        fact = operation.fact
        is_after = sku.newest is None or order(fact, sku.newest).is_after
        if Horizon(sku.pruned_rev, self._pruned.shop_ms).hides_from(fact):
            # What it was judged by may be pruned since, or was then: only its own word is left.
            if operation.is_anchor:
                sku.newest = fact
            return
        _same("a count is the anchor when it is the newest", where, is_after, bool(operation.is_anchor))
        correction_milli = 0
        if is_after and operation.counted_milli is not None:
            after_milli = self._moved_after(number, sku, fact)
            correction_milli = operation.counted_milli + after_milli - sku.on_hand_milli
            sku.newest = fact
        _same_qty("a count corrects to what was counted and moved after it", where, correction_milli, effect_milli)

    def _moved_after(self, number: int, sku: _Sku, count: Fact) -> int:
        """Return what the ledger had of a SKU that happened after a count, at the time when the count arrived."""
        after_milli = 0
        rev = sku.rev
        while rev > max(count.seen, sku.pruned_rev):
            rows = self._sql(f"{_ENTRIES} WHERE revision = ? AND sku = ?", (rev, number)).fetchall()
            entries = [_Entry(*row) for row in rows]
            moved_milli = sum(entry.effect_milli for entry in entries if entry.cause in _MOVEMENTS)
            if moved_milli and order(self._fact(rev), count).is_after:
                after_milli += moved_milli
            rev = entries[0].previous
        return after_milli

    def _fact(self, rev: int) -> Fact:
        [row] = self._sql(f"{_OPERATIONS} WHERE txn.revision = ?", (rev,))
        return _Operation(*row).fact

    # --- balances and counts ------------------------------------------------------------------------------------------

    def _balances(self) -> None:
        """What is kept of each SKU is what its history comes to."""
        held = dict(self._sql("SELECT sku, sum(qty_milli) FROM reserved GROUP BY sku"))
        for number, on_hand_milli, reserved_milli, is_stocked, newest_count, rev in self._sql(
            "SELECT id, on_hand_milli, reserved_milli, is_stocked, newest_count, revision FROM sku ORDER BY id"
        ):
            where = f"SKU {self._codes[number]!r}"
            sku = self._skus.get(number, _Sku())
            _same("a SKU's revision is its newest entry's", where, sku.rev, rev)
            _same_qty("on_hand is the sum of the effects", where, sku.on_hand_milli, on_hand_milli)
            _same_qty("reserved is the sum of the entries", where, sku.reserved_milli, reserved_milli)
            _same_qty("reserved is what open receipts hold", where, held.get(number, 0), reserved_milli)
            _same("a SKU is counted from its first receiving or count on", where, sku.is_stocked, bool(is_stocked))
            _same("the anchor is the newest count", where, sku.newest.rev if sku.newest else 0, newest_count)
        for rev, kind in self._sql(
            "SELECT item.revision, word FROM item LEFT JOIN txn USING (revision) LEFT JOIN word ON word.id = kind "
            "WHERE word IS NOT 'item' OR code IS NOT NULL OR same_as IS NOT NULL"
        ):
            raise Violation("the catalogue has what an item operation said", f"revision {rev}", "item", kind)

    def _anchors(self) -> int:
        """No count is newer than the anchor, in whatever order they arrived, unless a person was asked to recount."""
        doubted = {alert for (alert,) in self._sql("SELECT alert FROM alert WHERE kind = 'recount'")}
        count = 0
        for number, rev in self._sql(
            "SELECT sku, revision FROM count JOIN entry USING (revision) UNION ALL "
            "SELECT sku, newest_count FROM closing WHERE newest_count > 0 ORDER BY 2"
        ):
            count += 1
            newest, code = self._skus[number].newest, self._codes[number]
            if newest is None:
                continue  # It came when what it would have corrected was pruned, and corrected nothing.
            if name("recount", code) not in doubted and order(self._fact(rev), newest).is_after:
                raise Violation(
                    "the anchor is the newest of all counts", f"SKU {code!r}", f"revision {rev}", newest.rev
                )
        _same("every count is an operation", "table count", count, self._sql("SELECT count(*) FROM count").get)
        return count

    # --- receipts -----------------------------------------------------------------------------------------------------

    def _receipts(self) -> int:
        """Settle every receipt anew from its own operations, one receipt after the other."""
        total = self._sql("SELECT count(*) FROM receipt").get
        marks = count = pruned = 0
        returned: Counter[tuple[str, str]] = Counter()
        for number, rows in groupby(
            self._sql(_SAID_OF_RECEIPTS),
            key=itemgetter(0),
        ):
            revs = [rev for _, rev in rows]
            count += 1
            if revs[0] <= self._pruned.rev:
                pruned += 1  # What it was settled from is not kept.
                continue
            marks += self._receipt(number, revs, returned)
            if count % _TELL_EVERY == 0:
                self._told("receipts", count, total)
        _same("every receipt has an operation", "table receipt", count, total)
        if not pruned:
            _same(
                "every use of a mark is a receipt's",
                "table mark_use",
                marks,
                self._sql("SELECT count(*) FROM mark_use").get,
            )
        kept = {(sale, code): milli for sale, code, milli in self._sql("SELECT * FROM returned")}
        for sale, code in sorted(returned.keys() | (set() if pruned else kept.keys())):
            found_milli = kept.get((sale, code))
            if pruned and found_milli is not None and found_milli > returned[sale, code]:
                continue  # The rest came back with receipts that are pruned.
            where = f"receipt {sale}, SKU {code!r}"
            _same("what came back of a sale is the sum of its returns", where, returned.get((sale, code)), found_milli)
        return count

    def _receipt(self, number: int, revs: list[int], returned: Counter[tuple[str, str]]) -> int:
        """Settle one receipt; return how many marks it has used."""
        receipt, *kept = self._sql(
            "SELECT receipt, kind, state, number, edit, device, opened_ms, revision FROM receipt WHERE id = ?",
            (number,),
        ).get
        where = f"receipt {receipt}"
        state: ReceiptState | None = None
        state_rev = 0
        payments: list[tuple[int, str]] = []
        marks: Counter[str] = Counter()
        for rev in revs:
            said, settled = self._settled(receipt, rev, state)
            self._receipt_entries(f"{where}, revision {rev}", rev, said, settled)
            if settled.state is not None:
                payments += [(rev, goods) for goods in settled.state.paid - (state.paid if state else frozenset())]
                state, state_rev = settled.state, rev
            if said is not None and settled.moved:
                sign = -1 if said.kind is ReceiptKind.RETURN else 1
                for mark in (mark for line in said.lines for mark in line.marks):
                    marks[mark] += sign
                if said.kind is ReceiptKind.RETURN and said.of:
                    for code, milli in settled.moved.items():
                        returned[said.of, code] += milli
        paid = self._sql(
            "SELECT revision, goods FROM payment WHERE receipt = ? ORDER BY revision", (number,)
        ).fetchall()
        _same("a receipt is paid once for the same goods, (revision, goods)", where, payments, paid)
        expected = state or ReceiptState(receipt, "", "")
        opened_ms = expected.opened_ms if expected.state == Status.OPEN else None
        said_of_it = [
            expected.kind,
            expected.state,
            expected.number,
            expected.edit,
            expected.device,
            opened_ms,
            state_rev,
        ]
        _same("a receipt is in the state that its operations come to", where, said_of_it, kept)
        held = self._sql("SELECT code, qty_milli FROM reserved JOIN sku ON sku.id = sku WHERE receipt = ?", (number,))
        _same("an open receipt holds what its lines say", where, dict(expected.reserved), dict(held))
        for mark, uses in marks.items():
            found = self._sql("SELECT uses FROM mark_use WHERE mark = ? AND receipt = ?", (mark, receipt)).get
            _same("a mark's uses are what its receipts say", f"{where}, mark {mark!r}", uses, found)
        return len(marks)

    def _settled(self, receipt: str, rev: int, state: ReceiptState | None) -> tuple[Receipt | None, Settled]:
        """Return what an operation says of a receipt, and what the rules make of it."""
        [row] = self._sql(f"{_OPERATIONS} WHERE txn.revision = ?", (rev,))
        operation = _Operation(*row)
        if operation.kind == "expire":
            return None, expire(Expire(receipt, state.edit if state else 0), state)
        text = self._sql("SELECT operation FROM body WHERE revision = ?", (rev,)).get
        try:
            said = read_operation(identify(orjson.loads(text or b"")), is_linked=True).body
        except (Rejected, Unreadable, ValueError) as error:
            raise Violation(_TEXT_KEPT, f"revision {rev}", f"receipt {receipt}", error) from error
        if not isinstance(said, Receipt) or said.receipt != receipt:
            raise Violation(_TEXT_KEPT, f"revision {rev}", f"receipt {receipt}", said)
        return said, settle(said, operation.device, operation.shop_ms, state)

    def _receipt_entries(self, where: str, rev: int, said: Receipt | None, settled: Settled) -> None:
        """The entries of a receipt's operation are what it moves, reserves, releases and repeats."""
        cause = "return" if said is not None and said.kind is ReceiptKind.RETURN else "sale"
        wanted = [(code, cause, milli, 0) for code, milli in settled.moved.items()]
        wanted += [
            (code, "reserved" if milli > 0 else "released", 0, milli) for code, milli in settled.reserved.items()
        ]
        wanted += [(code, "paid-again", 0, 0) for code in settled.again]
        found = self._sql(
            "SELECT code, word, effect_milli, entry.reserved_milli FROM entry JOIN sku ON sku.id = sku "
            "JOIN word ON word.id = cause WHERE entry.revision = ? AND word <> 'counted-already'",
            (rev,),
        )
        _same("a receipt's operation does what its lines say", where, sorted(wanted), sorted(found))


_TEXT_KEPT = "a receipt's text is kept as it was said"


def _same(what: str, where: str, expected: object, found: object) -> None:
    if expected != found:
        raise Violation(what, where, expected, found)


def _same_qty(what: str, where: str, expected_milli: int, found_milli: int) -> None:
    if expected_milli != found_milli:
        raise Violation(what, where, format_qty(expected_milli), format_qty(found_milli))
