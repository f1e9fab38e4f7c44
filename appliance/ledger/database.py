"""Opening the ledger's database: the one place where its promises are set and checked.

A commit that returned is on the disk, whatever fails next. That needs WAL with synchronous=FULL, a SQLite without the
WAL-reset corruption of 3.7.0 to 3.51.2, and a database file whose directory entry is durable before the first commit.
Every connection comes from here, so a test can put a disk of its own (an apsw VFS) under the real code.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import apsw

from appliance import durable

FILE_NAME = "ledger.db"
_OLDEST_SQLITE = 3051003
"""The first version without the WAL-reset corruption that two connections can cause."""

_BUSY_MS = 10_000
"""Only a backup or a person's own sqlite3 can hold the file; the coordinator is the only writer."""

_CACHE_KIB = 8192
"""Page cache of a connection. The writer's hot pages of 100,000 SKUs fit; a Pi has memory for the two connections."""


_STATEMENTS = 10_000
"""Places for prepared statements, of which there are about a hundred. apsw fills them in a ring, one at each execution:
with its own 100 places, what a turn does once was prepared anew in every turn of 20 receipts."""


class LedgerError(Exception):
    """The ledger cannot be used as it is. The text names the file, what is wrong, and the remedy."""


class DiskFault(Exception):
    """The disk failed, or is full: nothing of the turn is committed, and trying again later may succeed."""


DISK_FAULTS = (apsw.FullError, apsw.IOError, apsw.ReadOnlyError, apsw.CantOpenError, apsw.BusyError)


def open_database(path: Path, *, writable: bool, vfs: str | None = None) -> apsw.Connection:
    """Return a connection to the ledger at `path`, with every pragma set and read back.

    writable: create the file when it is missing and bring its schema up to date; else it must exist and is only read.
    vfs: the name of an apsw VFS to put under it, for tests.
    Raises LedgerError when the file is none of ours, is newer than this program, or cannot be opened; DiskFault when
    the disk is full or broken.
    """
    if apsw.SQLITE_VERSION_NUMBER < _OLDEST_SQLITE:
        raise LedgerError(f"SQLite {apsw.sqlite_lib_version()} can corrupt a ledger: install a newer apsw")
    if not writable and not path.exists():
        raise LedgerError(f"{path}: there is no ledger yet: start the coordinator once")
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE if writable else apsw.SQLITE_OPEN_READONLY
    try:
        connection = apsw.Connection(str(path), flags=flags, vfs=vfs, statementcachesize=_STATEMENTS)
        connection.set_busy_timeout(_BUSY_MS)
        _promise(connection, writable=writable)
        if writable:
            _migrate(connection, path)
        else:
            _check_version(connection, path)
    except (apsw.NotADBError, apsw.CantOpenError, apsw.CorruptError) as error:
        raise LedgerError(f"{path}: {error}: restore a backup, or move the file away to begin anew") from error
    except DISK_FAULTS as error:
        raise DiskFault(f"{path}: {error}: make room on the disk, or replace it") from error
    if writable:
        # At every start, for the one that made the file may have died before it got here.
        durable.sync(path.parent)
    return connection


@contextmanager
def transaction(connection: apsw.Connection) -> Iterator[None]:
    """All that is written within, in one commit, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if not connection.get_autocommit():  # A full disk has rolled it back already.
            connection.execute("ROLLBACK")
        raise


def _promise(connection: apsw.Connection, *, writable: bool) -> None:
    # What a fork gathers of a busy till's tags would else need a directory for temporary files that may be written; a
    # system whose root is read-only need not have one, and without it no turn would be committed any more.
    wanted: dict[str, object] = {"cache_size": -_CACHE_KIB, "temp_store": 2}
    if writable:
        connection.pragma("auto_vacuum", 2)  # incremental: a whole VACUUM would wear a card out
        wanted |= {"journal_mode": "wal", "synchronous": 2, "auto_vacuum": 2}
    for name, value in wanted.items():
        connection.pragma(name, value)
        if (got := connection.pragma(name)) != value:
            raise LedgerError(f"SQLite has {name} at {got!r} and not at {value!r}: commits would not be durable")


def _migrations() -> list[str]:
    """The schema's steps in order; step n brings a database from version n - 1 to n."""
    found = [step for step in files("appliance.ledger").joinpath("schema").iterdir() if step.name.endswith(".sql")]
    return [step.read_text(encoding="utf-8") for step in sorted(found, key=lambda step: step.name)]


def _check_version(connection: apsw.Connection, path: Path) -> int:
    version = int(str(connection.pragma("user_version")))
    if version > (ours := len(_migrations())):
        raise LedgerError(f"{path} has schema {version}, this program knows {ours}: install the newer release again")
    return version


def _migrate(connection: apsw.Connection, path: Path) -> None:
    """All steps or none: the release that was there before can go on with a ledger that could not be brought here."""
    version = _check_version(connection, path)
    steps = _migrations()[version:]
    if not steps:
        return
    with transaction(connection):
        for step in steps:
            connection.execute(step)
        connection.pragma("user_version", version + len(steps))


def tag_to_integer(tag: str | None) -> int | None:
    """Return a tag's 16 hex digits as SQLite keeps them: 8 bytes instead of 16."""
    return None if tag is None else int.from_bytes(bytes.fromhex(tag), "big", signed=True)


def tag_to_text(tag: int | None) -> str | None:
    return None if tag is None else tag.to_bytes(8, "big", signed=True).hex()
