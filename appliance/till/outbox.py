"""The durable outbox: every operation of this device, from before it is sent until nothing can need it again.

It stands between the person and the wire: `add` returns when the operation is on disk, and `session` sends what it
finds here. One SQLite file, one process. The invariants:

- an operation's bytes never change within an epoch, so a resend is byte-identical;
- an operation leaves the file only when an ack covers it whose tag is this outbox's own at that place, and when the
  oldest backup of the coordinator covers it too (`safe`) or 20,000 newer ones have been acked;
- what belongs together (a new epoch and all that is re-queued in it) is one transaction.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol, cast

import apsw
import orjson

from appliance import durable
from appliance.contract.limits import PARENTS_MAX
from appliance.contract.messages import Ack, Refusal
from appliance.till.shoptime import Heard

KEPT_MAX = 20_000
"""Acked operations kept beyond `safe` (wire contract, "Ack"): about two weeks of a busy till, 10 MB."""

REJECTIONS_MAX = 1_000
"""Rejections kept for a person to look at, the newest; the coordinator keeps them all."""

_SCHEMA_VERSION = 2
_SCHEMA = """
CREATE TABLE epoch (
    epoch    TEXT PRIMARY KEY,
    ledger   TEXT,               -- the coordinator's ledger that acks it; NULL until the first handshake
    parents  TEXT NOT NULL,      -- JSON: the epochs that its operations come from, newest first
    last     INTEGER NOT NULL,   -- the highest seq made
    acked    INTEGER NOT NULL,   -- through which seq it is acked
    gone     INTEGER NOT NULL,   -- through which seq it is trimmed
    gone_tag TEXT,               -- the tag at `gone`: what the next message comes after, and what an old ack names
    why      TEXT                -- what operation 1 must tell of the fork: `history-gap`, or nothing
) STRICT;
CREATE TABLE operation (
    epoch    TEXT NOT NULL,
    seq      INTEGER NOT NULL,
    tag      TEXT NOT NULL,
    encoded  BLOB NOT NULL,      -- the operation's JSON, exactly as it is sent
    is_acked INTEGER NOT NULL,   -- the epoch's ledger has acked it, in this epoch or in one that was forked
    PRIMARY KEY (epoch, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE outbox (
    only     INTEGER PRIMARY KEY CHECK (only = 1),
    device   TEXT NOT NULL,      -- whose operations these are, for ever
    epoch    TEXT NOT NULL,      -- the current one; every other epoch is parked under its ledger
    run      TEXT NOT NULL,      -- the tick behind the newest stamp: see shoptime.Heard
    rev      INTEGER NOT NULL,
    shop_ms  INTEGER NOT NULL,
    now_ms   INTEGER NOT NULL
) STRICT;
CREATE TABLE rejection (
    id       INTEGER PRIMARY KEY,
    tag      TEXT NOT NULL UNIQUE,
    seq      INTEGER NOT NULL,
    code     TEXT NOT NULL,
    detail   TEXT NOT NULL,
    encoded  BLOB NOT NULL
) STRICT;
"""


_MIGRATIONS = {1: "ALTER TABLE epoch ADD COLUMN why TEXT"}
"""What makes the next version of an older one. Tills are updated with a backlog in their outbox."""


class Entropy(Protocol):
    """Where epochs and tags come from. The module `secrets` is one; a simulation brings its own."""

    def token_hex(self, nbytes: int, /) -> str: ...


class OutboxError(Exception):
    """The outbox cannot be used; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One operation of the current epoch as it is kept and sent."""

    seq: int
    tag: str
    encoded: bytes


@dataclass(frozen=True, slots=True)
class Made:
    """One operation of this device, for a person to look at. is_acked: it need not be sent any more."""

    seq: int
    tag: str
    is_acked: bool
    operation: dict[str, object]


@dataclass(frozen=True, slots=True)
class Rejected:
    """One operation that the coordinator recorded without effect, for a person to put right."""

    seq: int
    tag: str
    code: str
    detail: str
    operation: dict[str, object]


class Fork(StrEnum):
    """Why the outbox left its epoch for a new one."""

    REFUSED = "refused"  # The coordinator has closed the epoch, or holds another operation under this name.
    FOREIGN_TAG = "foreign-tag"  # It acks an operation that this outbox never made: a clone of it is about.
    HISTORY_GAP = "history-gap"  # It asks for an operation that this outbox no longer holds.


@dataclass(frozen=True, slots=True)
class _Epoch:
    epoch: str
    ledger: str | None
    parents: tuple[str, ...]
    last: int
    acked: int
    gone: int
    gone_tag: str | None
    why: str | None

    @property
    def untold(self) -> str | None:
        """What its operation 1 would have told, had it been acked: a fork must say it in its place."""
        return self.why if self.acked == 0 else None

    @property
    def lineage(self) -> tuple[str, ...]:
        """The epochs that a fork of this one comes from, newest first.

        Its own parents among them only while operation 1 is held: once that is trimmed every backup has closed them.
        """
        return (self.epoch, *(self.parents if self.gone == 0 else ()))


class Outbox:
    """The outbox of one device in one file. Not thread-safe: its owner locks.

    Raises OutboxError when the file is another device's, of a newer version, or in use.
    """

    def __init__(self, path: Path, device: str, entropy: Entropy, *, kept_max: int = KEPT_MAX) -> None:
        self._entropy = entropy
        self._kept_max = kept_max
        self._db = _open(path)
        try:
            self._prepare(path, device)
            self._current = self._read_current()
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        self._db.close()

    @property
    def epoch(self) -> str:
        return self._current.epoch

    @property
    def ledger(self) -> str | None:
        """The ledger that this outbox is bound to; None until the first handshake."""
        return self._current.ledger

    @property
    def last_seq(self) -> int:
        return self._current.last

    @property
    def acked_seq(self) -> int:
        return self._current.acked

    @property
    def pending(self) -> int:
        """Operations that are not acked in this epoch."""
        return self._current.last - self._current.acked

    def heard(self) -> Heard:
        """Return the tick behind the newest stamp."""
        return Heard(*self._db.execute("SELECT run, rev, shop_ms, now_ms FROM outbox").get)

    def add(self, fields: dict[str, object], heard: Heard) -> Kept:
        """Put one operation on disk and return it with its place and tag. fields: stamp, type and the type's own."""
        now = self._current
        seq, tag = now.last + 1, self._entropy.token_hex(8)
        said: dict[str, object] = {"seq": seq, "tag": tag, **fields}
        if seq == 1 and now.parents:
            said["parents"] = now.parents
        if seq == 1 and now.why:
            said["why"] = now.why
        kept = Kept(seq, tag, orjson.dumps(said))
        with self._transaction():
            self._insert(now.epoch, kept, is_acked=False)
            self._db.execute("UPDATE epoch SET last = ? WHERE epoch = ?", (seq, now.epoch))
            self._db.execute(
                "UPDATE outbox SET run = ?, rev = ?, shop_ms = ?, now_ms = ?",
                (heard.run, heard.rev, heard.shop_ms, heard.now_ms),
            )
        return kept

    def batch(self, behind_seq: int, *, count_max: int, bytes_max: int) -> list[Kept]:
        """Return the operations after `behind_seq` that fit one message, at least one when there is any."""
        batch: list[Kept] = []
        size = 0
        for row in self._db.execute(
            "SELECT seq, tag, encoded FROM operation WHERE epoch = ? AND seq > ? ORDER BY seq LIMIT ?",
            (self.epoch, behind_seq, count_max),
        ):
            kept = Kept(*row)
            size += len(kept.encoded) + 1
            if batch and size > bytes_max:
                break
            batch.append(kept)
        return batch

    def tag_at(self, seq: int) -> str | None:
        """Return this outbox's own tag at a place of the current epoch; None when it holds none there."""
        if seq == self._current.gone:
            return self._current.gone_tag
        row = self._db.execute("SELECT tag FROM operation WHERE epoch = ? AND seq = ?", (self.epoch, seq)).fetchone()
        return None if row is None else cast("str", row[0])

    def never_acked(self) -> list[Kept]:
        """Return the operations whose effects the ledger is not known to hold, in order."""
        return [
            Kept(*row)
            for row in self._db.execute(
                "SELECT seq, tag, encoded FROM operation WHERE epoch = ? AND NOT is_acked ORDER BY seq", (self.epoch,)
            )
        ]

    def newest(self, count_max: int) -> list[Made]:
        """Return the newest operations that are still kept, the newest first."""
        return [
            Made(seq, tag, seq <= self._current.acked, orjson.loads(encoded))
            for seq, tag, encoded in self._db.execute(
                "SELECT seq, tag, encoded FROM operation WHERE epoch = ? ORDER BY seq DESC LIMIT ?",
                (self.epoch, count_max),
            )
        ]

    def rejected(self) -> list[Rejected]:
        """Return what the coordinator has rejected, oldest first."""
        return [
            Rejected(seq, tag, code, detail, orjson.loads(encoded))
            for seq, tag, code, detail, encoded in self._db.execute(
                "SELECT seq, tag, code, detail, encoded FROM rejection ORDER BY id"
            )
        ]

    def bind(self, ledger: str) -> None:
        """Bind an outbox that no coordinator has answered yet to the ledger of the first that does."""
        assert self.ledger is None, "an outbox changes its ledger only by `accept`"
        with self._transaction():
            self._db.execute("UPDATE epoch SET ledger = ? WHERE epoch = ?", (ledger, self.epoch))

    def acknowledge(self, ack: Ack, refused: Refusal | None) -> Fork | None:
        """Take an ack of the current epoch and ledger. Returns why the outbox forked, or None when it did not."""
        now = self._current
        if ack.seq < now.gone:
            return self._fork(Fork.HISTORY_GAP)
        if ack.seq > 0 and self.tag_at(ack.seq) != ack.tag:
            return self._fork(Fork.FOREIGN_TAG)
        gone = max(now.gone, min(ack.seq, max(ack.safe, ack.seq - self._kept_max)))
        if ack.seq != now.acked or gone != now.gone or ack.rejected:
            self._take(ack, gone)
        # The refusal of a clone's operation is not ours: an ack topic is heard by every device of its name.
        if refused is not None and refused.tag is not None and self.tag_at(refused.seq) == refused.tag:
            return self._fork(Fork.REFUSED)
        return None

    def is_parked(self, ledger: str) -> bool:
        """Whether operations are parked under a ledger: it was this outbox's own before."""
        return bool(self._parked(ledger))

    def accept(self, ledger: str) -> None:
        """Follow another ledger.

        Everything kept is parked under the old one, for the case that its box returns. What was never acked is
        re-queued, behind everything that is parked under the new one if it is a box that returns.
        """
        now, returning = self._current, self._parked(ledger)
        rows = [row for parked in returning for row in self._rows(parked.epoch)]
        rows += [row for row in self._rows(now.epoch) if not row[1]]
        lineage = (*now.lineage, *(parent for parked in returning for parent in parked.lineage))
        why = next((parked.untold for parked in returning if parked.untold), None)
        with self._transaction():
            for parked in returning:
                self._forget(parked.epoch)
            self._requeue(rows, tuple(dict.fromkeys(lineage)), ledger, why)

    def _fork(self, why: Fork) -> Fork:
        """Leave an epoch whose names are not ours alone: everything still held goes into a new one, in order."""
        now = self._current
        rows = list(self._rows(now.epoch))
        with self._transaction():
            self._forget(now.epoch)
            self._requeue(rows, now.lineage, now.ledger, why if why is Fork.HISTORY_GAP else now.untold)
        return why

    def _take(self, ack: Ack, gone: int) -> None:
        now = self._current
        gone_tag = self.tag_at(gone)
        with self._transaction():
            for rejection in ack.rejected:
                self._db.execute(
                    "INSERT OR IGNORE INTO rejection (tag, seq, code, detail, encoded)"
                    " SELECT tag, seq, ?, ?, encoded FROM operation WHERE epoch = ? AND seq = ? AND tag = ?",
                    (rejection.code, rejection.detail, now.epoch, rejection.seq, rejection.tag),
                )
            self._db.execute("DELETE FROM rejection WHERE id <= (SELECT max(id) FROM rejection) - ?", (REJECTIONS_MAX,))
            # A restored coordinator acks less than before: what lies between is not in its ledger any more.
            low, high = sorted((ack.seq, now.acked))
            self._db.execute(
                "UPDATE operation SET is_acked = ? WHERE epoch = ? AND seq > ? AND seq <= ?",
                (ack.seq > now.acked, now.epoch, low, high),
            )
            self._db.execute("DELETE FROM operation WHERE epoch = ? AND seq <= ?", (now.epoch, gone))
            self._db.execute(
                "UPDATE epoch SET acked = ?, gone = ?, gone_tag = ? WHERE epoch = ?",
                (ack.seq, gone, gone_tag, now.epoch),
            )

    def _requeue(
        self, rows: Iterable[tuple[bytes, int]], parents: tuple[str, ...], ledger: str | None, why: str | None
    ) -> None:
        """Start a new epoch with operations that may have been sent before; each keeps its tag and its stamp."""
        parents = parents[:PARENTS_MAX]
        epoch = self._start_epoch(ledger, parents, why)
        tags: set[str] = set()
        for encoded, is_acked in rows:
            said = orjson.loads(encoded)
            if said["tag"] in tags:
                continue
            tags.add(said["tag"])
            said.pop("parents", None)
            said.pop("why", None)
            said["seq"] = len(tags)
            said["again"] = True
            if len(tags) == 1:
                said["parents"] = parents
                if why:
                    said["why"] = why
            self._insert(epoch, Kept(len(tags), said["tag"], orjson.dumps(said)), is_acked=bool(is_acked))
        self._db.execute("UPDATE epoch SET last = ? WHERE epoch = ?", (len(tags), epoch))
        self._db.execute("UPDATE outbox SET epoch = ?", (epoch,))

    def _start_epoch(self, ledger: str | None, parents: tuple[str, ...], why: str | None) -> str:
        epoch = self._entropy.token_hex(16)
        self._db.execute(
            "INSERT INTO epoch (epoch, ledger, parents, last, acked, gone, why) VALUES (?, ?, ?, 0, 0, 0, ?)",
            (epoch, ledger, orjson.dumps(parents).decode(), why),
        )
        return epoch

    def _insert(self, epoch: str, kept: Kept, *, is_acked: bool) -> None:
        self._db.execute(
            "INSERT INTO operation (epoch, seq, tag, encoded, is_acked) VALUES (?, ?, ?, ?, ?)",
            (epoch, kept.seq, kept.tag, kept.encoded, is_acked),
        )

    def _forget(self, epoch: str) -> None:
        self._db.execute("DELETE FROM operation WHERE epoch = ?", (epoch,))
        self._db.execute("DELETE FROM epoch WHERE epoch = ?", (epoch,))

    def _rows(self, epoch: str) -> list[tuple[bytes, int]]:
        rows = self._db.execute("SELECT encoded, is_acked FROM operation WHERE epoch = ? ORDER BY seq", (epoch,))
        return [(encoded, is_acked) for encoded, is_acked in rows]

    def _parked(self, ledger: str) -> list[_Epoch]:
        return [epoch for epoch in self._epochs("ledger = ?", ledger) if epoch.epoch != self.epoch]

    def _read_current(self) -> _Epoch:
        [current] = self._epochs("epoch = (SELECT epoch FROM outbox)")
        return current

    def _epochs(self, where: str, *values: str) -> list[_Epoch]:
        rows = self._db.execute(
            f"SELECT epoch, ledger, parents, last, acked, gone, gone_tag, why FROM epoch WHERE {where}",  # noqa: S608
            values,
        )
        return [_Epoch(epoch, ledger, tuple(orjson.loads(parents)), *rest) for epoch, ledger, parents, *rest in rows]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All or nothing, and on disk at the end; what is known in memory changes with it or not at all."""
        with self._db:
            yield
            current = self._read_current()
        self._current = current

    def _prepare(self, path: Path, device: str) -> None:
        version = self._db.pragma("user_version")
        if version == 0:
            with self._db:
                self._db.execute(_SCHEMA)
                epoch = self._start_epoch(None, (), None)
                heard = Heard()
                self._db.execute(
                    "INSERT INTO outbox (only, device, epoch, run, rev, shop_ms, now_ms) VALUES (1, ?, ?, ?, ?, ?, ?)",
                    (device, epoch, heard.run, heard.rev, heard.shop_ms, heard.now_ms),
                )
                self._db.pragma("user_version", _SCHEMA_VERSION)
            durable.sync(path.parent)
        elif version in _MIGRATIONS:
            with self._db:
                for older in range(version, _SCHEMA_VERSION):
                    self._db.execute(_MIGRATIONS[older])
                self._db.pragma("user_version", _SCHEMA_VERSION)
        elif version != _SCHEMA_VERSION:
            raise OutboxError(f"{path} has version {version}: update this program, which reads {_SCHEMA_VERSION}")
        bound = self._db.execute("SELECT device FROM outbox").get
        if bound != device:
            raise OutboxError(f"{path} is the outbox of device {bound}, not {device}: give each device its own path")


def _open(path: Path) -> apsw.Connection:
    """Open the file for this process alone, with every commit on disk when it returns."""
    db = apsw.Connection(os.fspath(path))
    try:
        # Two processes that send from one outbox would be clones of each other.
        db.pragma("locking_mode", "exclusive")
        assert db.pragma("journal_mode", "wal") == "wal", f"{path} cannot be kept in WAL mode"
        db.pragma("synchronous", "full")
        assert db.pragma("synchronous") == 2, "synchronous=FULL is what makes an operation durable"
    except apsw.BusyError:
        db.close()
        raise OutboxError(f"{path} is in use: only one till may send from it; end the other one") from None
    return db
