"""File systems of a test's own: made in its directory, mounted for it alone, and gone with it.

They need root, or a sudo that asks for nothing; a test that has neither says so.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SBIN = "/usr/sbin:/sbin"  # Debian keeps these tools there, which an ordinary user's PATH leaves out.


def as_root(*command: str | Path, succeeds: tuple[int, ...] = (0,)) -> str:
    """Run a command as root, and return what it printed. succeeds: the exit codes that mean that it did."""
    may = os.geteuid() == 0 or subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0
    assert may, "mounting needs root: run the tests as root, or allow this user `sudo -n`"
    sudo = () if os.geteuid() == 0 else ("sudo", "-n")
    environment = os.environ | {"PATH": f"{os.environ.get('PATH', '')}:{_SBIN}"}
    done = subprocess.run([*sudo, *map(str, command)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode in succeeds, f"{command}: {done.stderr}"
    return done.stdout.strip()


@contextmanager
def mounted(where: Path, *how: str | Path) -> Iterator[Path]:
    """Mount something on a new directory `where`. how: the words of `mount` before it."""
    where.mkdir()
    as_root("mount", *how, where)
    try:
        as_root("chown", str(os.getuid()), where)
        yield where
    finally:
        # Lazily: a namespace that another test has made meanwhile holds a copy of this mount for as long as it lives.
        as_root("umount", "--lazy", where)


@contextmanager
def mounted_ext4(image: Path, size_mib: int, where: Path) -> Iterator[Path]:
    """Make an ext4 in a new file, and mount it."""
    with image.open("wb") as file:
        file.truncate(size_mib << 20)
    as_root("mkfs.ext4", "-q", "-F", image)
    with mounted(where, "-o", "loop", image):
        yield where
