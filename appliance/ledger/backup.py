"""Backups: one file that holds the whole ledger, checked before it bears its name.

    ledger ──one snapshot──▶ .NAME.part ──verify, digest, fsync──▶ NAME and NAME.sha256 ──restore──▶ ledger

A backup is a database like the ledger's own, with two tables more: what it is, and the files of the data directory that
a new box needs to be the same one. It is made beside a running coordinator, which never waits for it, and belongs into
another process than the coordinator's: checking it is minutes of Python.
"""

import fcntl
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw

from appliance import durable
from appliance.ledger.database import DISK_FAULTS, FILE_NAME, DiskFault, LedgerError, open_database
from appliance.ledger.history import Sql
from appliance.ledger.verify import Told, Violation, quiet, verify_file

_PAGES = 256
"""Pages of 4 KiB that are copied between two looks at how far it is."""

_BLOCK_BYTES = 1 << 20

_LOCK = "backup.lock"

_TABLES = """
CREATE TABLE backup (
    made_ms INTEGER NOT NULL,             -- wall clock, for people
    version TEXT NOT NULL                 -- of the program that made it
) STRICT;
CREATE TABLE carried (
    name    TEXT PRIMARY KEY,             -- a file of the data directory
    content BLOB NOT NULL
) STRICT;
"""


class BackupError(Exception):
    """A backup cannot be made, or used. The text names the file, what is wrong, and the remedy."""


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup says of itself.

    rev: its newest revision. shop_ms: shop time then. made_ms: the wall clock then, for people. version: of the program
    that made it. size_bytes: of the file.
    """

    path: Path
    ledger: str
    shop: str
    rev: int
    shop_ms: int
    made_ms: int
    version: str
    size_bytes: int


def make_backup(
    directory: Path, target: Path, *, carried: Mapping[str, bytes], made_ms: int, version: str, told: Told = quiet
) -> Backup:
    """Copy the ledger in `directory` into the new file `target`, also while a coordinator writes it.

    carried: the files of the data directory that go with it. made_ms: the wall clock. version: the program's.
    told: hears how far it is. Returns what was made, once it is checked, on its disk, and bears its name.
    Raises BackupError, and leaves nothing behind; LedgerError when there is no ledger, or none that can be read.
    """
    open_database(directory / FILE_NAME, writable=False).close()
    part = target.with_name(f".{target.name}.part")
    try:
        with durable.open_lock(directory / _LOCK) as one_at_a_time:
            # Else a box that was killed and started anew would write beside the copy that its first life had begun.
            fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
            if target.exists():
                raise BackupError(f"{target} exists already: name a new file")
            try:
                _make(directory / FILE_NAME, part, target, carried, made_ms, version, told)
            finally:
                part.unlink(missing_ok=True)
    except (Violation, apsw.CorruptError) as error:
        raise BackupError(f"the ledger contradicts itself, and was not copied: {error}") from error
    except (OSError, *DISK_FAULTS, DiskFault) as error:
        raise BackupError(f"{target}: {error}: is its disk there, writable, and not full?") from error
    return read_backup(target)


def read_backup(path: Path) -> Backup:
    """Return what a backup says of itself. Raises BackupError when it is none, or of a newer program."""
    with reading(path) as sql:
        ledger, shop = sql("SELECT ledger, shop FROM ledger").get
        made_ms, version = sql("SELECT made_ms, version FROM backup").get
        rev = sql("SELECT coalesce(max(revision), 0) FROM txn").get
        shop_ms = sql(
            "SELECT max((SELECT coalesce(max(kept_ms), 0) FROM run), (SELECT coalesce(max(shop_ms), 0) FROM turn))"
        ).get
        return Backup(path, ledger, shop, rev, shop_ms, made_ms, version, path.stat().st_size)


@contextmanager
def reading(path: Path) -> Iterator[Sql]:
    """Read a backup. Whatever is wrong with it, or with the disk that it is on, is a BackupError."""
    try:
        with closing(open_database(path, writable=False)) as connection:
            yield connection.execute
    except (LedgerError, DiskFault) as error:
        raise BackupError(str(error)) from error
    except (apsw.Error, UnicodeDecodeError, TypeError, OSError) as error:  # A row that is not there is a TypeError.
        raise BackupError(f"{path} is no backup of a ledger, or a damaged one: {error}") from error


def check_digest(path: Path, told: Told = quiet) -> bool:
    """Check a backup byte by byte; return False when there is no digest beside it. Raises BackupError."""
    try:
        wanted = _digest_path(path).read_text(encoding="ascii").split()[0]
    except FileNotFoundError:
        return False
    if (found := _digest(path, told)) != wanted:
        raise BackupError(f"{path} is damaged: its SHA-256 is {found}, and was {wanted}: take another backup")
    return True


def remove_backup(path: Path) -> None:
    """Delete a backup and its digest. Raises OSError."""
    path.unlink(missing_ok=True)
    _digest_path(path).unlink(missing_ok=True)


def _make(
    ledger: Path,
    part: Path,
    target: Path,
    carried: Mapping[str, bytes],
    made_ms: int,
    version: str,
    told: Told,
) -> None:
    durable.create(part).close()
    _copy(ledger, part, told)
    _complete(part, carried, made_ms, version)
    verify_file(part, told)
    durable.sync(part)
    _write_digest(target, _digest(part, told))
    part.rename(target)
    durable.sync(target.parent)


def _copy(ledger: Path, part: Path, told: Told) -> None:
    with closing(open_database(ledger, writable=False)) as source, closing(_open_part(part)) as copy:
        # Within one read transaction: else each commit of the coordinator meanwhile would let the copy begin anew.
        source.execute("BEGIN")
        source.execute("SELECT ledger FROM ledger").fetchall()
        with copy.backup("main", source, "main") as backup:
            while not backup.done:
                backup.step(_PAGES)
                told("copying", backup.page_count - backup.remaining, backup.page_count)


def _complete(part: Path, carried: Mapping[str, bytes], made_ms: int, version: str) -> None:
    """Make the copy a file of its own, without a log beside it, and let it say what it is."""
    with closing(_open_part(part)) as copy:
        copy.pragma("journal_mode", "memory")
        copy.execute("BEGIN")
        copy.execute(_TABLES)
        copy.execute("INSERT INTO backup VALUES (?, ?)", (made_ms, version))
        copy.executemany("INSERT INTO carried VALUES (?, ?)", carried.items())
        copy.execute("COMMIT")


def _open_part(part: Path) -> apsw.Connection:
    connection = apsw.Connection(str(part), flags=apsw.SQLITE_OPEN_READWRITE)
    connection.pragma("locking_mode", "exclusive")  # A stick's or a network's file system need not share memory.
    connection.pragma("synchronous", "off")  # Nobody reads it before it is complete, and synced as a whole.
    return connection


def _digest(path: Path, told: Told) -> str:
    digest = hashlib.sha256()
    size = path.stat().st_size
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
            told("digest", file.tell(), size)
    return digest.hexdigest()


def _write_digest(target: Path, digest: str) -> None:
    """As `sha256sum -c` reads it."""
    path = _digest_path(target)
    with durable.create(path) as file:
        file.write(f"{digest}  {target.name}\n".encode())
    durable.sync(path)


def _digest_path(target: Path) -> Path:
    return target.with_name(f"{target.name}.sha256")
