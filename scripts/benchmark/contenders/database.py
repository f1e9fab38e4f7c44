"""Reading the SQLite database of a contender that was killed."""

from collections.abc import Iterable
from pathlib import Path

import apsw

from scripts.benchmark.contenders import Kept


def read(path: Path, count: str, balances: str) -> Kept:
    """Return what two queries find: how many operations there are, and (SKU, thousandths) pairs."""
    connection = apsw.Connection(str(path))
    try:
        return Kept(int(connection.execute(count).get), dict(connection.execute(balances)))
    finally:
        connection.close()


def stored_bytes(path: Path, tables: Iterable[str]) -> int:
    """Return the bytes of all pages that tables and their indexes fill."""
    connection = apsw.Connection(str(path))
    try:
        return sum(
            connection.execute(
                "SELECT sum(pgsize) FROM dbstat JOIN sqlite_schema USING (name) WHERE tbl_name = ?", (table,)
            ).get
            for table in tables
        )
    finally:
        connection.close()
