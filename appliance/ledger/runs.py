"""What the ledger knows of the coordinator's runs, by which a device's stamps and its copy of the balances are judged.

The writer asks for every stamped operation, so what does not change within its own run is looked up once; a reader asks
for every question.
"""

from appliance.ledger.history import Sql
from appliance.stock.stamps import Run


class Runs:
    """Runs as one connection sees them; to be used only while no new one can begin, as within the writer's own."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql
        self._known: dict[str, tuple[int | None, bool, bool]] = {}

    def find(self, run: str, newest_rev: int) -> Run | None:
        """Return what is known of a run, None when it is none of this ledger's own.

        newest_rev: the highest revision in the ledger; the run that is under way reaches up to it.
        """
        known = self._known.get(run)
        if known is None:
            known = self._look_up(run)
            if known is None:
                return None  # And not remembered: a device may make up any number of them.
            self._known[run] = known
        last_rev, is_measured, is_whole = known
        return Run(newest_rev if last_rev is None else last_rev, is_measured, is_whole)

    def _look_up(self, run: str) -> tuple[int | None, bool, bool] | None:
        """A run's last revision, None while it is under way, and whether it is measured and whole."""
        row = self._sql("SELECT id, is_measured, is_whole FROM run WHERE run = ?", (run,)).get
        if row is None:
            return None
        number, is_measured, is_whole = row
        next_rev = self._sql("SELECT min(first_rev) FROM run WHERE id > ?", (number,)).get
        return None if next_rev is None else next_rev - 1, bool(is_measured), bool(is_whole)
