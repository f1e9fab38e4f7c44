"""The ack of one epoch, read from what is committed.

The writer reads it after its commit and the projection at any time, so what a device is told never comes from the
handler that heard it.
"""

import apsw

from appliance.contract.limits import REJECTED_WINDOW
from appliance.contract.messages import Ack, Rejection
from appliance.ledger.database import tag_to_text


def read_ack(connection: apsw.Connection, ledger: str, device: str, epoch: str) -> Ack:
    """Return the ack of a device's epoch; seq 0 and no tag when the ledger has never met it."""
    row = connection.execute(
        "SELECT epoch.id, seq, tag, safe, rejected FROM epoch JOIN device ON device.id = device "
        "WHERE name = ? AND epoch.epoch = ?",
        (device, epoch),
    ).get
    if row is None:
        return Ack(ledger, epoch, 0, None, 0, (), 0)
    number, seq, tag, safe, rejected = row
    return Ack(
        ledger=ledger,
        epoch=epoch,
        seq=seq,
        tag=tag_to_text(tag),
        safe=safe,
        rejected=_rejections(connection, number, seq) if rejected else (),
        rejected_total=rejected,
    )


def _rejections(connection: apsw.Connection, epoch: int, through: int) -> tuple[Rejection, ...]:
    rows = connection.execute(
        "SELECT seq, tag, word, coalesce(detail, '') FROM txn JOIN word ON word.id = code "
        "LEFT JOIN body USING (revision) WHERE epoch = ? AND seq > ? ORDER BY seq",
        (epoch, through - REJECTED_WINDOW),
    )
    return tuple(Rejection(seq, tag_to_text(tag), code, detail) for seq, tag, code, detail in rows)
