"""What a power cut must leave whole: small files of the data directory, and the names of new ones.

They are their directory's owner's: a command that root types must not leave a file that the service cannot use.
"""

import os
from pathlib import Path
from typing import BinaryIO


def replace(path: Path, content: bytes) -> None:
    """Replace a file whole, readable by its owner alone; it is on the disk when this returns. Raises OSError."""
    beside = path.with_suffix(".new")
    with create(beside) as file:
        file.write(content)  # All of it: `os.write` takes a part of it when the disk is full, and calls that no error.
    hand_over(beside)
    sync(beside)
    beside.replace(path)
    sync(path.parent)


def create(path: Path) -> BinaryIO:
    """Open a new file in the place of what bore its name; only its owner may read it. Raises OSError."""
    # A command that root types must not write through a link that somebody else has put there.
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def open_lock(path: Path) -> BinaryIO:
    """Open a file that is there only to be locked, and make it when it is missing. Raises OSError."""
    lock = os.fdopen(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600), "rb")
    hand_over(path)
    return lock


def hand_over(path: Path) -> None:
    """Give what root has made to the owner of the directory that it is in. Raises OSError."""
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def sync(path: Path) -> None:
    """Make a file's content durable, or a directory's names: without it a cut brought back an old journal."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
