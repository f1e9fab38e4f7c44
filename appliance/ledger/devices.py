"""What the ledger knows of the shop's devices: when each committed last, and how far its own clock was off then.

For people alone. A device is known by its last commit, so one that was thrown away is known for ever; whoever shows it
decides for how long.
"""

from dataclasses import dataclass

from appliance.contract.topics import SHOP_DEVICE
from appliance.ledger.history import History, Sql


@dataclass(frozen=True, slots=True)
class LastCommit:
    """A device's newest operation. wall_ms: the box's wall clock when it was committed.

    clock_off_ms: how far the device's wall clock was ahead of the box's when it happened; None when it carried no time
    of its own, or nobody can tell when it happened.
    """

    device: str
    rev: int
    wall_ms: int
    clock_off_ms: int | None


def last_commits(sql: Sql, history: History) -> list[LastCommit]:
    """Return the devices that ever committed something, by name, as one snapshot of the ledger has them."""
    rows = sql(
        "SELECT device.name, revision, shop_ms, run IS NOT NULL AND NOT is_uncertain, at_ms FROM device "
        "JOIN epoch ON epoch.id = device.epoch JOIN txn ON txn.epoch = epoch.id AND txn.seq = epoch.seq "
        "WHERE device.name <> ? ORDER BY device.name",
        (SHOP_DEVICE,),
    ).fetchall()
    return [
        LastCommit(
            device,
            rev,
            history.committed_wall_ms(rev),
            at_ms - history.wall_ms(rev, shop_ms) if is_certain and at_ms is not None else None,
        )
        for device, rev, shop_ms, is_certain, at_ms in rows
    ]
