"""Looks over the ledger's shoulder: the safety of a simulated shop, after each of its steps.

    a turn is committed ──▶ look: its new rows ──▶ heard: what the box says of them ──▶ told: what a till makes of it

It reads the database with a connection of its own and adds up for itself, so that it costs what is new and not what
there is. The invariants have the numbers of the rule book of the stock.
"""

from collections import Counter
from contextlib import suppress
from pathlib import Path

import apsw
import orjson

from appliance.contract.topics import SHOP_DEVICE, Topics
from appliance.ledger.database import FILE_NAME, tag_to_text
from tests.simulation.broken import ONCE, ORDER, SAID, SUM, demand
from tests.simulation.network import Till

_ROWS = (
    "SELECT revision, device.name, epoch.epoch, txn.seq, txn.tag, code.word, same_as FROM txn "
    "JOIN epoch ON epoch.id = txn.epoch JOIN device ON device.id = epoch.device LEFT JOIN word code ON code.id = code "
    "WHERE revision > ? ORDER BY revision"
)
_ENTRIES = (
    "SELECT code, effect_milli, entry.reserved_milli FROM entry JOIN sku ON sku.id = entry.sku WHERE entry.revision > ?"
)
_CLOSINGS = "SELECT code, closing.on_hand_milli, closing.reserved_milli FROM closing JOIN sku ON sku.id = closing.sku"
_KEPT = "SELECT code, on_hand_milli, reserved_milli FROM sku WHERE revision > ?"

Operation = tuple[str, str]
"""A device and a tag."""


class Inspector:
    def __init__(self, directory: Path, topics: Topics) -> None:
        self._path = directory / FILE_NAME
        self._topics = topics
        self.committed: Counter[Operation] = Counter()
        """How often an operation was taken into a ledger; more than once only when a restore took it out again."""
        self._views: dict[Till, tuple[str | None, int]] = {}
        self._acked: dict[Till, tuple[str, int]] = {}
        self._unsaid: set[str] = set()
        """Topics of what was committed and not announced yet."""
        self._connection: apsw.Connection | None = None
        self.begin()

    def begin(self) -> None:
        """Another ledger may stand in the first one's place: look at all of it."""
        self.close()
        self._connection = apsw.Connection(str(self._path), flags=apsw.SQLITE_OPEN_READONLY)
        self.rev = 0
        self.applied: dict[Operation, int] = {}
        self.present: set[Operation] = set()
        self.rejected: dict[Operation, str] = {}
        self._epochs: dict[tuple[str, str], list[str | None]] = {}
        self._on_hand: Counter[str] = Counter()
        self._reserved: Counter[str] = Counter()
        self._shop_ms = 0
        for sku, on_hand_milli, reserved_milli in self._connection.execute(_CLOSINGS):
            self._on_hand[sku] += on_hand_milli
            self._reserved[sku] += reserved_milli
        before = self.committed
        self.committed = Counter()
        self.look()
        self.committed |= before  # What it committed before it died, and nobody has looked at, counts as well.
        self._unsaid.clear()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # --- the ledger -------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Look at what was committed since the last look. Raises Broken."""
        assert self._connection is not None, "the box is there"
        since = self.rev
        for row in self._connection.execute(_ROWS, (since,)):
            self._row(*row)
        if self.rev == since:
            return
        for sku, effect_milli, reserved_milli in self._connection.execute(_ENTRIES, (since,)):
            self._on_hand[sku] += effect_milli
            self._reserved[sku] += reserved_milli
        for sku, on_hand_milli, reserved_milli in self._connection.execute(_KEPT, (since,)):
            self._unsaid.add(self._topics.balance(sku))
            here = self._on_hand[sku], self._reserved[sku]
            demand((on_hand_milli, reserved_milli) == here, SUM, sku, on_hand_milli, reserved_milli, "and not", *here)

    def said_all(self) -> None:
        """A turn has been announced: whatever it committed was said. Raises Broken."""
        demand(not self._unsaid, SAID, "nothing was said of", *self._unsaid)

    def _row(
        self, rev: int, device: str, epoch: str, seq: int, tag: int | None, code: str | None, same_as: int | None
    ) -> None:
        demand(rev == self.rev + 1, ORDER, "revision", rev, "after", self.rev)
        self.rev = rev
        tags = self._epochs.setdefault((device, epoch), [])
        demand(seq == len(tags) + 1, ONCE, device, epoch, "seq", seq, "after", len(tags))
        if device != SHOP_DEVICE:
            self._unsaid.add(self._topics.device(device, "ack"))
        text = tag_to_text(tag)
        tags.append(text)
        assert text is not None, "every till of the simulation says a tag"
        operation = device, text
        self.present.add(operation)
        if code is not None:
            self.rejected[operation] = code
        if same_as is None:
            demand(operation not in self.applied, ONCE, *operation, "revisions", self.applied.get(operation), rev)
            self.applied[operation] = rev
            self.committed[operation] += 1

    def kept(self, statement: str) -> list[tuple[object, ...]]:
        assert self._connection is not None, "the box is there"
        return self._connection.execute(statement).fetchall()

    # --- what is said of it -----------------------------------------------------------------------------------------

    def heard(self, topic: str, payload: bytes) -> None:
        """The box has said something, which must be on the disk by then. Raises Broken."""
        said = orjson.loads(payload) if payload else {}
        match topic.removeprefix(self._topics.root).split("/"):
            case ["device", device, "ack"]:
                self.look()
                if said:
                    self._said_ack(device, said["epoch"], said["seq"], said["tag"])
            case ["tick"]:
                demand(said["shop_ms"] >= self._shop_ms, ORDER, "shop time", said["shop_ms"], "after", self._shop_ms)
                self._shop_ms = said["shop_ms"]
            case ["balance", _] if said:
                self.look()
                milli = round(float(said["on_hand"]) * 1000)
                demand(milli == self._on_hand[said["sku"]], SUM, said, "is said, the entries add up to another")
        self._unsaid.discard(topic)

    def _said_ack(self, device: str, epoch: str, seq: int, tag: str | None) -> None:
        tags = self._epochs.get((device, epoch), [])
        is_there = seq == 0 or (seq <= len(tags) and tags[seq - 1] == tag)
        demand(is_there, ONCE, device, epoch, "is acked through", seq, tag, "of", len(tags))

    # --- what a till makes of it ------------------------------------------------------------------------------------

    def told(self, till: Till) -> None:
        """A till has heard something. Raises Broken."""
        view = till.session.view.balances
        run, rev = self._views.get(till, (None, 0))
        if view.run == run:
            demand(view.rev >= rev, ORDER, till.device, "shows revision", view.rev, "after", rev)
        self._views[till] = view.run, view.rev
        outbox = till.outbox
        epoch, acked = self._acked.get(till, ("", 0))
        if (outbox.epoch, outbox.acked_seq) == (epoch, acked):
            return
        if outbox.epoch != epoch:
            acked = 0
        self._acked[till] = outbox.epoch, outbox.acked_seq
        count = outbox.acked_seq - acked
        held = outbox.batch(acked, count_max=count, bytes_max=1 << 30) if count > 0 else []
        for kept in (kept for kept in held if kept.seq <= outbox.acked_seq):
            is_safe = self.committed[till.device, kept.tag] or (till.device, kept.tag) in self.present
            demand(is_safe, ONCE, till.device, "takes seq", kept.seq, kept.tag, "for acked, which no ledger ever had")

    def forget(self, till: Till) -> None:
        """A till is no more."""
        with suppress(KeyError):
            del self._views[till]
        with suppress(KeyError):
            del self._acked[till]
