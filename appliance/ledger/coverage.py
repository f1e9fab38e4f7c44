"""What the kept backups cover: the `safe` of every ack, and whether a backup is too old to be healed by the tills.

A device may forget what every kept backup has, for whichever of them is restored brings it back. So `safe` is asked of
the backups themselves, epoch by epoch: a revision would mean other things after a restore.
"""

from collections.abc import Iterable
from pathlib import Path

from appliance.contract.messages import Covered
from appliance.ledger.backup import reading
from appliance.ledger.history import Sql

Stand = dict[tuple[str, str], tuple[int, int | None]]
"""How far a ledger has each (device, epoch): its last `seq`, with the tag there as the database keeps it."""

_STAND = "SELECT name, epoch.epoch, seq, tag FROM epoch JOIN device ON device.id = device"


def stand(path: Path) -> Stand:
    """Return how far the backup in a file has each epoch. Raises BackupError."""
    with reading(path) as sql:
        return {(device, epoch): (seq, tag) for device, epoch, seq, tag in sql(_STAND)}


def newly_covered(sql: Sql, kept: Iterable[Stand]) -> list[Covered]:
    """Return the epochs of which every kept backup has more than devices have been told.

    sql: the present ledger's. An epoch is left as it is when its tag there is another one: after two restores a
    clone's operation may stand in an old backup where this ledger has its twin's.
    """
    backups = list(kept)
    if not backups:
        return []
    found: list[Covered] = []
    for number, device, epoch, seq, safe in sql(
        "SELECT epoch.id, name, epoch.epoch, seq, safe FROM epoch JOIN device ON device.id = device WHERE seq > safe"
    ).fetchall():
        stands = [backup.get((device, epoch), (0, None)) for backup in backups]
        through = min(stood for stood, _ in stands)
        if safe < through <= seq:
            here = sql("SELECT tag FROM txn WHERE epoch = ? AND seq = ?", (number, through)).get
            if all(tag == here for stood, tag in stands if stood == through):
                found.append(Covered(device, epoch, through))
    return found


def told(sql: Sql) -> list[Covered]:
    """Return what devices were told to be covered, by a ledger."""
    rows = sql("SELECT name, epoch.epoch, safe FROM epoch JOIN device ON device.id = device WHERE safe > 0")
    return [Covered(*row) for row in rows]


def forgotten(told: Iterable[Covered], backup: Stand) -> Covered | None:
    """Return an epoch of which devices may have forgotten more than a backup has; None when tills can heal it."""
    return next((one for one in told if backup.get((one.device, one.epoch), (0, None))[0] < one.seq), None)
