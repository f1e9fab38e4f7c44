"""The identities of operations: devices, their epochs, and how far each epoch is committed.

Part of a turn. An epoch that the turn touches stays in memory and is written once, at the turn's end.
"""

from dataclasses import dataclass

from appliance.contract.messages import Covered
from appliance.contract.operations import Head
from appliance.ledger.database import tag_to_integer, tag_to_text
from appliance.ledger.history import Sql
from appliance.ledger.pruning import digest
from appliance.stock.sequence import EpochState


@dataclass(slots=True)
class Epoch:
    """A row of `epoch`. safe: through where backups cover it. rejected: how many of its operations were."""

    id: int
    device: int
    state: EpochState
    rejected: int
    safe: int
    is_changed: bool = False


class Sequences:
    """Devices and epochs, as one turn sees and changes them."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql
        self._devices: dict[str, int] = {}
        self._epochs: dict[tuple[str, str], Epoch] = {}
        self._last: dict[int, int] = {}
        """The epoch in which a device committed something last, by their numbers."""

    def state(self, device: str, epoch: str) -> EpochState:
        """Return how far an epoch is committed; EpochState() for one that this ledger has never met."""
        found = self.find(device, epoch)
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
        text = self._sql("SELECT operation FROM body WHERE revision = ?", (revision,)).get
        if text is not None:
            return bool(text == head.encoded())
        kept = self._sql("SELECT digest FROM digest WHERE revision = ?", (revision,)).get
        return bool(kept == digest(head.encoded()))

    def committed_before(self, device: str, tag: str | None, through_rev: int) -> int | None:
        """Return the revision under which a device's operation was committed in any epoch, None when it was not.

        Only a fork asks, so there is no index over all tags: it would cost every sale a random page. The first question
        of a device gathers its tags into a temporary table, which lives as long as the process and then keeps up.
        """
        number = self.device(device)
        self._sql("CREATE TEMP TABLE IF NOT EXISTS gathered (device INTEGER PRIMARY KEY, through INTEGER NOT NULL)")
        self._sql(
            "CREATE TEMP TABLE IF NOT EXISTS again (device INTEGER, tag INTEGER, revision INTEGER, "
            "PRIMARY KEY (device, tag)) WITHOUT ROWID"
        )
        gathered = self._sql("SELECT through FROM gathered WHERE device = ?", (number,)).get or 0
        if gathered < through_rev:
            self._sql(
                "INSERT OR IGNORE INTO again SELECT epoch.device, txn.tag, coalesce(txn.same_as, txn.revision) "
                "FROM txn JOIN epoch ON epoch.id = txn.epoch "
                "WHERE txn.revision > ? AND epoch.device = ? AND txn.tag IS NOT NULL",
                (gathered, number),
            )
            self._sql("INSERT OR REPLACE INTO gathered VALUES (?, ?)", (number, through_rev))
        found = self._sql("SELECT revision FROM again WHERE device = ? AND tag = ?", (number, tag_to_integer(tag))).get
        return None if found is None else int(found)

    def close(self, device: str, epoch: str) -> None:
        """Add nothing more to an epoch, also to one that this ledger has never met."""
        found = self.make(device, epoch)
        found.state = EpochState(found.state.seq, found.state.tag, closed=True)
        found.is_changed = True

    def advance(self, device: str, epoch: str, head: Head, *, is_rejected: bool) -> Epoch:
        """Move an epoch on by its next operation."""
        into = self.make(device, epoch)
        assert head.seq == into.state.seq + 1, "an epoch is committed in order and without gaps"
        into.state = EpochState(head.seq, head.tag, into.state.closed)
        into.rejected += is_rejected
        into.is_changed = True
        self._last[into.device] = into.id
        return into

    def cover(self, covered: Covered) -> None:
        """Let devices be told that the kept backups cover an epoch this far.

        It never goes back: what a device was told once it may have forgotten.
        """
        found = self.find(covered.device, covered.epoch)
        if found is not None and found.safe < covered.seq:
            assert covered.seq <= found.state.seq, "a backup covers nothing that its ledger does not have"
            found.safe = covered.seq
            found.is_changed = True

    def device(self, device: str) -> int:
        """Return a device's number, giving it one at its first operation."""
        if device not in self._devices:
            self._sql("INSERT OR IGNORE INTO device (name) VALUES (?)", (device,))
            self._devices[device] = self._sql("SELECT id FROM device WHERE name = ?", (device,)).get
        return self._devices[device]

    def write(self) -> None:
        for device, last in self._last.items():
            self._sql("UPDATE device SET epoch = ? WHERE id = ? AND epoch IS NOT ?", (last, device, last))
        for epoch in self._epochs.values():
            if epoch.is_changed:
                self._sql(
                    "UPDATE epoch SET seq = ?, tag = ?, is_closed = ?, rejected = ?, safe = ? WHERE id = ?",
                    (
                        epoch.state.seq,
                        tag_to_integer(epoch.state.tag),
                        epoch.state.closed,
                        epoch.rejected,
                        epoch.safe,
                        epoch.id,
                    ),
                )

    def find(self, device: str, epoch: str) -> Epoch | None:
        found = self._epochs.get((device, epoch))
        if found is None:
            row = self._sql(
                "SELECT epoch.id, device.id, seq, tag, is_closed, rejected, safe FROM epoch "
                "JOIN device ON device.id = device WHERE name = ? AND epoch.epoch = ?",
                (device, epoch),
            ).get
            if row is None:
                return None
            number, device_number, seq, tag, is_closed, rejected, safe = row
            found = Epoch(number, device_number, EpochState(seq, tag_to_text(tag), bool(is_closed)), rejected, safe)
            self._epochs[device, epoch] = found
        return found

    def make(self, device: str, epoch: str) -> Epoch:
        found = self.find(device, epoch)
        if found is None:
            self._sql(
                "INSERT INTO epoch (device, epoch, seq, is_closed, rejected, safe) VALUES (?, ?, 0, 0, 0, 0)",
                (self.device(device), epoch),
            )
            found = self.find(device, epoch)
            assert found is not None, "the row just inserted is there"
        return found

    def _committed_at(self, device: str, epoch: str, seq: int) -> tuple[int, int | None] | None:
        found = self.find(device, epoch)
        if found is None:
            return None
        row = self._sql("SELECT revision, tag FROM txn WHERE epoch = ? AND seq = ?", (found.id, seq)).get
        return (row[0], row[1]) if row else None
