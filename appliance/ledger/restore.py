"""Restoring a backup: the copy is whole, checked and durable before it takes the ledger's place.

    FILE ──copy──▶ restore.part ──digest, migrate, verify──▶ ledger.db          the former one ──▶ replaced-DATE/

The service must be down, and whoever calls holds the data directory's lock. The invariants: at every instant a start
finds the former ledger or the restored one, whole; and nothing is deleted.
"""

import os
import shutil
from collections.abc import Collection, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import apsw

from appliance import durable
from appliance.contract.messages import Covered
from appliance.ledger.backup import Backup, BackupError, check_digest, read_backup
from appliance.ledger.coverage import forgotten, stand
from appliance.ledger.coverage import told as told_by
from appliance.ledger.database import (
    DISK_FAULTS,
    FILE_NAME,
    DiskFault,
    LedgerError,
    open_database,
    transaction,
)
from appliance.ledger.history import Sql
from appliance.ledger.verify import Told, Violation, quiet, verify_file

_BLOCK_BYTES = 1 << 20

_SIDE_FILES = ("-wal", "-shm")

_MAY_BE_PRINTED = "the ledger was restored, and it may have been printed before: a retry prints it"


@dataclass(frozen=True, slots=True)
class Restored:
    """What was done. aside: where the former ledger lies now, None when there was none.

    has_digest: whether it could be checked byte by byte. carried: the files that came with it. warning: what a person
    must know, "" when nothing.
    """

    backup: Backup
    aside: Path | None
    has_digest: bool
    carried: tuple[str, ...]
    warning: str


def restore_backup(
    source: Path, directory: Path, *, shop: str, carried: Collection[str], force: bool, now: str, told: Told = quiet
) -> Restored:
    """Put a backup into the ledger's place.

    shop: that of the settings. carried: the files that may come with it; they come where the box has no ledger, or
    another one, for then it becomes the box of the backup. force: also over another ledger, and when devices may have
    forgotten what the backup lacks. now: names what is put aside.
    Raises BackupError when it is refused, or fails; then nothing has changed.
    """
    backup = read_backup(source)
    if backup.shop != shop:
        raise BackupError(f"{source} is of shop {backup.shop!r}, not of {shop!r}: set STOCK_SHOP, or take another file")
    ledger = directory / FILE_NAME
    former = _compare(ledger, backup, force=force)
    part = directory / "restore.part"
    try:
        has_digest = check_digest(source, told)
        with source.open("rb") as original, durable.create(part) as copy:
            shutil.copyfileobj(original, copy, _BLOCK_BYTES)
        durable.hand_over(part)
        files = _make_ledger(part, set() if former.is_same else set(carried), former.told)
        verify_file(part, told)
        aside = _put_aside(ledger, [*files], directory / f"replaced-{now}") if ledger.exists() else None
        for name, content in files.items():
            durable.replace(directory / name, content)
        part.replace(ledger)
        durable.sync(directory)
    except (apsw.CorruptError, UnicodeDecodeError) as error:
        raise BackupError(f"{source} is damaged: {error}: take another backup") from error
    except Violation as error:
        raise BackupError(f"{source} contradicts itself: {error}: take another backup") from error
    except LedgerError as error:
        raise BackupError(f"{source}: {error}") from error
    except (OSError, *DISK_FAULTS, DiskFault) as error:
        raise BackupError(f"{directory}: {error}: make room on the disk, or replace it") from error
    finally:
        for end in ("", *_SIDE_FILES):
            part.with_name(part.name + end).unlink(missing_ok=True)
    return Restored(backup, aside, has_digest, tuple(files), former.warning)


@dataclass(frozen=True, slots=True)
class _Former:
    """The ledger that there is. is_same: the backup is of it, or may be. told: what devices may have forgotten."""

    is_same: bool
    told: tuple[Covered, ...] = ()
    warning: str = ""


def _compare(ledger: Path, backup: Backup, *, force: bool) -> _Former:
    """Return what there is to know of the present ledger. Raises BackupError when the backup may not replace it."""
    if not ledger.exists():
        return _Former(is_same=False)
    has = stand(backup.path)
    try:
        present, is_begun, told = _read_former(ledger)
    except (LedgerError, DiskFault, apsw.Error, UnicodeDecodeError) as error:
        # That is what a backup is for; only nobody can tell any more what the devices have forgotten.
        unknown = f"the former ledger cannot be read ({error}): look for alerts history-gap when the tills are back"
        return _Former(is_same=True, warning=unknown)
    if present != backup.ledger:
        if not is_begun:
            return _Former(is_same=False)  # A new card was started before it was made the old box.
        why = (
            f"the box holds ledger {present}, and {backup.path} is of {backup.ledger}: tills would ask before they send"
        )
    elif (lost := forgotten(told, has)) is not None:
        why = (
            f"{backup.path} is too old to be healed by the tills: {lost.device} may have forgotten operations through "
            f"{lost.seq}, which newer backups have"
        )
    else:
        return _Former(is_same=True, told=told)
    if not force:
        raise BackupError(f"{why}; take a newer backup, or restore it with --force")
    is_same = present == backup.ledger
    return _Former(is_same, told if is_same else (), why)


def _read_former(ledger: Path) -> tuple[str, bool, tuple[Covered, ...]]:
    """Return a ledger's name, whether anything is in it, and what devices were told by it."""
    with closing(open_database(ledger, writable=False)) as connection:
        sql: Sql = connection.execute
        is_begun = sql("SELECT EXISTS (SELECT 1 FROM txn)").get
        return str(sql("SELECT ledger FROM ledger").get), bool(is_begun), tuple(told_by(sql))


def _make_ledger(part: Path, carried: Collection[str], told: Iterable[Covered]) -> dict[str, bytes]:
    """Make a ledger of a backup, of this program's schema; return the files that came with it."""
    with closing(open_database(part, writable=True)) as connection:
        sql: Sql = connection.execute
        found = sql("SELECT name, content FROM carried").fetchall()
        with transaction(connection):
            # What waited then was printed since, or nobody waits for it: a restore must not print a hundred sheets.
            connection.execute(
                "UPDATE print_job SET state = 'skipped-stale', reason = ? WHERE state = 'queued'", (_MAY_BE_PRINTED,)
            )
            # And what tills bring again may have been printed in a run that goes on behind the backup.
            connection.execute("UPDATE run SET is_whole = 0")
            # What devices may have forgotten they have forgotten, whichever backup is restored next.
            connection.executemany(
                "UPDATE epoch SET safe = max(safe, min(seq, ?)) WHERE epoch = ? "
                "AND device = (SELECT id FROM device WHERE name = ?)",
                [(one.seq, one.epoch, one.device) for one in told],
            )
            connection.execute("DROP TABLE backup")
            connection.execute("DROP TABLE carried")
        connection.pragma("wal_checkpoint(truncate)")
    durable.sync(part)
    return {name: content for name, content in found if name in carried}


def _put_aside(ledger: Path, names: list[str], aside: Path) -> Path:
    """Give the former ledger, and the files that are replaced, a second name, and take its log out of the way."""
    # Not through `open_database`, which would bring it to a schema that its own release does not know. A damaged one's
    # log is put aside as it is.
    connection = apsw.Connection(str(ledger), flags=apsw.SQLITE_OPEN_READWRITE)
    with suppress(apsw.NotADBError, apsw.CorruptError), closing(connection):
        connection.pragma("wal_checkpoint(truncate)")
    aside.mkdir(mode=0o700)
    durable.hand_over(aside)
    directory = ledger.parent
    for name in (FILE_NAME, *(FILE_NAME + end for end in _SIDE_FILES), *names):
        if (directory / name).exists():
            os.link(directory / name, aside / name)
    durable.sync(aside)
    durable.sync(directory)
    for end in _SIDE_FILES:  # Another ledger's log must never be read into the restored one.
        (directory / (FILE_NAME + end)).unlink(missing_ok=True)
    return aside
