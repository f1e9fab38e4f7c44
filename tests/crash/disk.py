"""Disks to put under SQLite: one that may lose what was not synced, and one that fails when it is told to.

The first records what SQLite writes, and makes what a power cut leaves:

    SQLite ──▶ Recorder (a VFS over the real files) ──▶ log of writes, truncations, syncs, names made and removed
                                                         │
               files after a cut at any entry ◀── Platter, which drops and tears what no sync has reached

The run is recorded once and every cut is made from the log, so ten thousand cuts cost one run. The invariant: what a
sync reached is in every image, in order; of the rest any sectors may be, in any order, whole or torn.

A name is made durable by syncing its directory. SQLite's own VFS does that at a journal's first sync (and for a removal
that asks for it); for the database's file the ledger must, so `fsync` of a directory is recorded too.
"""

import os
import random
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import apsw

SECTOR_BYTES = 512
"""What a disk writes whole, or tears."""

TORN = 0.02
"""How often a sector that survives does so in part; SQLite's checksums must find it wherever it may be."""

_REAL = "unix"
"""SQLite's own VFS."""

_JOURNALS = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL
_RECORDED = apsw.SQLITE_OPEN_MAIN_DB | _JOURNALS


@dataclass(frozen=True, slots=True)
class Write:
    name: str
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Truncate:
    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Sync:
    name: str


@dataclass(frozen=True, slots=True)
class Create:
    name: str


@dataclass(frozen=True, slots=True)
class Remove:
    name: str


@dataclass(frozen=True, slots=True)
class SyncNames:
    pass


Entry = Write | Truncate | Sync | Create | Remove | SyncNames


class Recorder(apsw.VFS):
    """A VFS that records, over the real one. Real syncs are left out: a power cut is made from the log."""

    def __init__(self, name: str, *, is_default: bool = False) -> None:
        super().__init__(name, base=_REAL, makedefault=is_default)
        self.name = name
        self.log: list[Entry] = []

    def xOpen(self, name: apsw.URIFilename | str | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802  SQLite's
        """Open the real file, and record what is written to it if it is a database or its journal."""
        if name is None or not flags[0] & _RECORDED:
            return apsw.VFSFile(_REAL, name, flags)
        path = Path(name.filename() if isinstance(name, apsw.URIFilename) else name)
        if not path.exists():
            self.log.append(Create(path.name))
        return _File(self.log, path.name, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        super().xDelete(filename, False)
        self.log.append(Remove(Path(filename).name))
        if syncdir:
            self.log.append(SyncNames())


class _File(apsw.VFSFile):
    def __init__(self, log: list[Entry], name: str, path: Any, flags: list[int]) -> None:
        super().__init__(_REAL, path, flags)
        self._log = log
        self._name = name
        self._syncs_names = bool(flags[0] & _JOURNALS)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        super().xWrite(data, offset)
        self._log.append(Write(self._name, offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        super().xTruncate(newsize)
        self._log.append(Truncate(self._name, newsize))

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._log.append(Sync(self._name))
        if self._syncs_names:
            self._syncs_names = False
            self._log.append(SyncNames())


@contextmanager
def recorded(name: str, *, is_default: bool = False) -> Iterator[Recorder]:
    """Have a recorder registered under `name`, and everybody's `fsync` of a directory recorded too.

    is_default: it is put under every database that names no VFS.
    """
    recorder = Recorder(name, is_default=is_default)

    def fsync(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            recorder.log.append(SyncNames())

    with mock.patch.object(os, "fsync", fsync):
        try:
            yield recorder
        finally:
            recorder.unregister()


@dataclass(frozen=True, slots=True)
class Fault:
    """What a disk suffers: the calls (`read`, `write`, `sync`) that fail, and how."""

    error: apsw.Error
    calls: frozenset[str]


class Faulty(apsw.VFS):
    """A VFS over the real one, which suffers `fault` while that is set."""

    def __init__(self, name: str) -> None:
        super().__init__(name, base=_REAL)
        self.name = name
        self.fault: Fault | None = None

    def xOpen(self, name: apsw.URIFilename | str | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        return _FaultyFile(self, name, flags)

    def strike(self, call: str) -> None:
        if self.fault is not None and call in self.fault.calls:
            raise self.fault.error


class _FaultyFile(apsw.VFSFile):
    def __init__(self, disk: Faulty, name: apsw.URIFilename | str | None, flags: list[int]) -> None:
        super().__init__(_REAL, name, flags)
        self._disk = disk

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        self._disk.strike("read")
        return super().xRead(amount, offset)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self._disk.strike("write")
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        self._disk.strike("write")
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._disk.strike("sync")
        super().xSync(flags)


@dataclass(slots=True)
class _Stored:
    """One file: what is on the platter, and what no sync has reached."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[Write | Truncate] = field(default_factory=list)


class Platter:
    """What is on the disk after the first entries of a log."""

    def __init__(self, files: Mapping[str, bytes] | None = None) -> None:
        """files: what is durable at the beginning."""
        self._names = {name: _Stored(bytearray(content)) for name, content in (files or {}).items()}
        self._durable_names = dict(self._names)
        self._pending_names: list[tuple[str, _Stored | None]] = []

    def take(self, entry: Entry) -> None:
        """Go on by one entry of the log."""
        match entry:
            case Write(name) | Truncate(name):
                self._names[name].pending.append(entry)
            case Sync(name):
                file = self._names[name]
                for change in file.pending:
                    _apply(file.durable, change)
                file.pending.clear()
            case Create(name):
                self._names[name] = _Stored()
                self._pending_names.append((name, self._names[name]))
            case Remove(name):
                self._names.pop(name, None)
                self._pending_names.append((name, None))
            case SyncNames():
                self._rename(self._durable_names, len(self._pending_names))
                self._pending_names.clear()

    def cut(self, chance: random.Random, kept: float) -> dict[str, bytes]:
        """Return the files as a power cut now may leave them. kept: how likely an unsynced sector survives."""
        names = dict(self._durable_names)
        # A file system's own journal keeps the order in which names were made and removed.
        self._rename(names, chance.randint(0, len(self._pending_names)))
        return {name: _survivor(file, chance, kept) for name, file in names.items()}

    def _rename(self, names: dict[str, _Stored], count: int) -> None:
        for name, file in self._pending_names[:count]:
            if file is None:
                names.pop(name, None)
            else:
                names[name] = file


def _apply(content: bytearray, change: Write | Truncate) -> None:
    if isinstance(change, Truncate):
        del content[change.size :]
        content.extend(bytes(change.size - len(content)))
        return
    content.extend(bytes(max(0, change.offset - len(content))))
    content[change.offset : change.offset + len(change.data)] = change.data


def _survivor(file: _Stored, chance: random.Random, kept: float) -> bytes:
    content = bytearray(file.durable)
    for change in file.pending:
        if isinstance(change, Truncate):
            if chance.random() < kept:
                _apply(content, change)
            continue
        for start, part in _sectors(change):
            if chance.random() < kept:
                torn = part[: chance.randrange(len(part))] if chance.random() < TORN else part
                _apply(content, Write(change.name, start, torn))
    return bytes(content)


def _sectors(change: Write) -> Iterator[tuple[int, bytes]]:
    start, end = change.offset, change.offset + len(change.data)
    while start < end:
        stop = min(end, (start // SECTOR_BYTES + 1) * SECTOR_BYTES)
        yield start, change.data[start - change.offset : stop - change.offset]
        start = stop
