"""What a power cut must leave whole: small files of the data directory, and the names of new ones."""

import os
from pathlib import Path


def replace(path: Path, content: bytes) -> None:
    """Replace a file whole, readable by its owner alone; it is on the disk when this returns. Raises OSError."""
    beside = path.with_suffix(".new")
    # Made anew: a command that root types must not write through a link that somebody else has put there.
    beside.unlink(missing_ok=True)
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    # A file object, for a full disk takes a part of what `os.write` is given, and calls that no error.
    with os.fdopen(handle, "wb") as file:
        if os.geteuid() == 0:
            # A command that root types must not leave a file that the service cannot read.
            owner = path.parent.stat()
            os.fchown(handle, owner.st_uid, owner.st_gid)
        file.write(content)
        file.flush()
        os.fsync(handle)
    beside.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Make a file's content durable, or a directory's names: without it a cut brought back an old journal."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
