"""Small files are replaced whole or not at all, whatever the disk and whoever shares the directory do."""

import os
import stat
from pathlib import Path

import pytest

from appliance import durable
from tests.crash.mounts import mounted


def test_a_full_disk_leaves_the_file_as_it_was_and_says_so(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=64k", "tmpfs") as disk:
        path = disk / "devices.json"
        durable.replace(path, b"old")
        (disk / "filler").write_bytes(bytes(40_000))
        with pytest.raises(OSError, match="No space left"):
            durable.replace(path, bytes(30_000))  # For the first 20,000 there is room.
        assert path.read_bytes() == b"old"
        (disk / "filler").unlink()
        durable.replace(path, bytes(30_000))
        assert path.read_bytes() == bytes(30_000)


def test_what_lies_beside_it_is_neither_written_through_nor_taken_over(tmp_path: Path) -> None:
    foreign, beside = tmp_path / "foreign", tmp_path / "devices.new"
    foreign.write_bytes(b"another's")
    beside.symlink_to(foreign)
    durable.replace(tmp_path / "devices.json", b"ours")
    assert foreign.read_bytes() == b"another's"
    beside.write_bytes(b"half of it was written when the power went")
    beside.chmod(0o644)
    durable.replace(tmp_path / "devices.json", b"ours")
    assert (tmp_path / "devices.json").read_bytes() == b"ours"
    assert stat.S_IMODE((tmp_path / "devices.json").stat().st_mode) == 0o600
    assert not beside.exists()


def test_lock_is_not_opened_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="symbolic"):
        durable.open_lock(tmp_path / "lock")


def test_lock_is_its_directorys_owners_whoever_locks_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that root had made once kept the box from being started, and from being copied."""
    given: list[tuple[Path, int, int]] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", lambda path, uid, gid, follow_symlinks: given.append((path, uid, gid)))
    durable.open_lock(tmp_path / "lock").close()
    assert given == [(tmp_path / "lock", tmp_path.stat().st_uid, tmp_path.stat().st_gid)]
    assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600
