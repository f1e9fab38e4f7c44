"""Small files of the data directory, written so that a power cut leaves the old one or the new one, whole."""

import os
from pathlib import Path


def replace(path: Path, content: bytes) -> None:
    """Replace a file whole, readable by its owner alone; it is on the disk when this returns. Raises OSError."""
    beside = path.with_suffix(".new")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        if os.geteuid() == 0:
            # A command that root types must not leave a file that the service cannot read.
            owner = path.parent.stat()
            os.fchown(handle, owner.st_uid, owner.st_gid)
        os.write(handle, content)
        os.fsync(handle)
    finally:
        os.close(handle)
    beside.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
