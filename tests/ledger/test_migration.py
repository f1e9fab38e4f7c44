"""A ledger of every release opens in this one, and one that cannot be brought here is left to the release it is of."""

from contextlib import AbstractContextManager, closing
from pathlib import Path
from unittest.mock import patch

import apsw
import pytest

from appliance import __version__
from appliance.ledger import database
from appliance.ledger.backup import make_backup
from appliance.ledger.database import FILE_NAME, LedgerError, open_database
from appliance.ledger.restore import restore_backup
from appliance.ledger.verify import verify
from tests.ledger import release
from tests.ledger.test_backup import sell
from tests.shop import Shop, rows

RELEASES = sorted(release.RELEASED.glob("*.sql"))
STEPS = (
    "CREATE TABLE extra (number INTEGER) STRICT; INSERT INTO extra VALUES (1)",
    "UPDATE extra SET number = number + 1; ALTER TABLE sku ADD COLUMN note TEXT",
)


def schema(path: Path) -> list[str]:
    with closing(open_database(path, writable=False)) as connection:
        return [row[0] for row in connection.execute("SELECT sql FROM sqlite_schema WHERE sql <> '' ORDER BY name")]


def later(*steps: str) -> AbstractContextManager[object]:
    """A later release, whose schema has these steps more."""
    return patch.object(database, "_migrations", lambda: [*MIGRATIONS, *steps])


MIGRATIONS = database._migrations()


@pytest.mark.parametrize("sql", RELEASES, ids=lambda sql: sql.stem)
def test_ledger_of_every_release_opens_verifies_and_sells_on(sql: Path, tmp_path: Path) -> None:
    release.database(sql, tmp_path)
    shop = Shop(tmp_path, run="the run of a newer release")
    assert verify(tmp_path).operations == shop.writer.last_rev > 30
    assert sell(shop, 1, 1)["seq"] == 1
    shop.stop()
    assert verify(tmp_path).operations > 31
    open_database(tmp_path / "fresh.db", writable=True).close()
    assert schema(tmp_path / FILE_NAME) == schema(tmp_path / "fresh.db")


def test_this_release_has_its_ledger_kept(tmp_path: Path) -> None:
    """While it is not released, its schema may change: then `python -m tests.ledger.release` makes the text anew."""
    assert f"{__version__}.sql" in [sql.name for sql in RELEASES]
    release.database(release.RELEASED / f"{__version__}.sql", tmp_path)
    open_database(tmp_path / "fresh.db", writable=True).close()
    assert schema(tmp_path / FILE_NAME) == schema(tmp_path / "fresh.db"), "python -m tests.ledger.release"


def test_schema_is_brought_up_to_date_step_by_step(tmp_path: Path) -> None:
    release.database(RELEASES[0], tmp_path)
    with later(*STEPS), closing(open_database(tmp_path / FILE_NAME, writable=True)) as connection:
        assert connection.pragma("user_version") == len(MIGRATIONS) + 2
        assert connection.execute("SELECT number FROM extra").get == 2
        assert connection.execute("SELECT count(*) FROM sku WHERE note IS NULL").get > 0
    with pytest.raises(LedgerError, match="install the newer release again"):
        open_database(tmp_path / FILE_NAME, writable=True)


def test_step_that_fails_leaves_the_ledger_to_the_release_it_is_of(tmp_path: Path) -> None:
    release.database(RELEASES[0], tmp_path)
    with later(STEPS[0], "UPDATE missing SET number = 1"), pytest.raises(apsw.SQLError, match="missing"):
        open_database(tmp_path / FILE_NAME, writable=True)
    assert rows(tmp_path, "PRAGMA user_version") == [(len(MIGRATIONS),)]
    assert rows(tmp_path, "SELECT 1 FROM sqlite_schema WHERE name = 'extra'") == []
    verify(tmp_path)


def test_reader_of_a_newer_release_leaves_the_ledger_as_it_is(tmp_path: Path) -> None:
    release.database(RELEASES[0], tmp_path)
    with later(*STEPS):
        open_database(tmp_path / FILE_NAME, writable=False).close()
    assert rows(tmp_path, "PRAGMA user_version") == [(len(MIGRATIONS),)]


def test_backup_of_an_older_release_is_restored_into_this_one(tmp_path: Path) -> None:
    release.database(RELEASES[0], tmp_path)
    make_backup(tmp_path, tmp_path / "copy", carried={}, made_ms=0, version="0.1.0")
    with later(*STEPS):
        restore_backup(tmp_path / "copy", tmp_path, shop="shop", carried=[], force=False, now="now")
    assert rows(tmp_path, "PRAGMA user_version") == [(len(MIGRATIONS) + 2,)]
    assert rows(tmp_path / "replaced-now", "PRAGMA user_version") == [(len(MIGRATIONS),)]
