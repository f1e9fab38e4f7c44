"""What a person must know: alerts, and the bytes that nobody could read.

Part of a turn; everything is written at once.
"""

import orjson

from appliance.contract.messages import Alert
from appliance.ledger.history import Sql
from appliance.stock.alerts import Cleared, Raised

QUARANTINE_MAX = 1000
"""Heads kept of one device. A broken till repeats its rubbish for days; the alert counts what is no longer kept."""

ACTIVE, ACKNOWLEDGED, CLEARED = "active", "acknowledged", "cleared"


class Notices:
    """Alerts and quarantine, as one turn sees and changes them."""

    def __init__(self, sql: Sql, wall_ms: int) -> None:
        self._sql = sql
        self._wall_ms = wall_ms
        self._changed: dict[str, Alert] = {}

    def put(self, what: Raised | Cleared, rev: int) -> None:
        """Raise an alert, or end one."""
        found = self._find(what.alert)
        if isinstance(what, Cleared):
            if found is not None:
                self._sql("DELETE FROM alert WHERE alert = ?", (what.alert,))
                self._change(found, CLEARED, rev)
            return
        facts = orjson.dumps(what.facts)
        if found is not None and what.is_state and (found.status == ACKNOWLEDGED or found.facts == facts):
            return  # A person has said that it is known, or there is nothing new to say.
        if found is None or found.status == ACKNOWLEDGED:
            since_ms, times = self._wall_ms, 0
        else:
            since_ms, times = found.since_ms, found.times
        self._keep(Alert(what.alert, what.kind, ACTIVE, since_ms, rev, times + 1, what.summary, facts))

    def acknowledge(self, alert: str, rev: int) -> None:
        """A person has seen it. A state stays known until its cause is gone, so that it is not raised again at once."""
        found = self._find(alert)
        if found is not None and found.status == ACTIVE:
            self._change(found, ACKNOWLEDGED, rev)
            self._keep(self._changed[alert])

    def quarantine(self, device: int, reason: str, size: int, head: bytes) -> None:
        """Keep the head of a message that names no operation; beyond QUARANTINE_MAX the device's oldest goes."""
        self._sql(
            "INSERT INTO quarantine (device, reason, size, head, wall_ms) VALUES (?, ?, ?, ?, ?)",
            (device, reason, size, head, self._wall_ms),
        )
        self._sql(
            "DELETE FROM quarantine WHERE id = "
            "(SELECT id FROM quarantine WHERE device = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
            (device, QUARANTINE_MAX),
        )

    def changed(self) -> list[Alert]:
        """Return the alerts that this turn has changed, as they stand now."""
        return list(self._changed.values())

    def _find(self, alert: str) -> Alert | None:
        row = self._sql(
            "SELECT kind, status, since_ms, revision, times, summary, facts FROM alert WHERE alert = ?", (alert,)
        ).get
        if row is None:
            return None
        kind, status, since_ms, rev, times, summary, facts = row
        return Alert(alert, kind, status, since_ms, rev, times, summary, facts.encode())

    def _change(self, found: Alert, status: str, rev: int) -> None:
        self._changed[found.alert] = Alert(
            found.alert, found.kind, status, found.since_ms, rev, found.times, found.summary, found.facts
        )

    def _keep(self, alert: Alert) -> None:
        self._sql(
            "INSERT OR REPLACE INTO alert VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                alert.alert,
                alert.kind,
                alert.status,
                alert.since_ms,
                alert.rev,
                alert.times,
                alert.summary,
                alert.facts.decode(),
            ),
        )
        self._changed[alert.alert] = alert
