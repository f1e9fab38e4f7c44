"""What the spool asks at every step costs no more after a million sheets than after ten."""

from pathlib import Path
from typing import Any

import apsw

from appliance.ledger.database import open_database
from appliance.ledger.jobs import JobReader
from tests.shop import Shop


def test_no_question_of_the_spool_reads_all_the_sheets_that_were_ever_printed(tmp_path: Path) -> None:
    Shop(tmp_path).stop()
    connection = open_database(tmp_path / "ledger.db", writable=False)
    plans: list[str] = []

    def explained(statement: str, values: tuple[Any, ...] = ()) -> apsw.Cursor:
        plans.extend(str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values))
        return connection.execute(statement, values)

    jobs = JobReader(explained)
    jobs.next("main")
    jobs.begun("main")
    jobs.printers(now_ms=0)
    list(jobs.queue())
    list(jobs.stale(0))
    connection.close()
    assert [plan for plan in plans if plan.startswith("SCAN print_job")] == []
    assert sum("print_job_by_state" in plan for plan in plans) >= 5
