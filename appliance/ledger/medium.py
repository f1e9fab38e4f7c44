"""The second medium: where scheduled copies of the ledger are kept, and whether it is really there.

A stick that was pulled out, or failed to mount, leaves its empty mount point behind. Copies that are written there fill
the card that they are to protect from, so nothing is written before the medium proves to be another disk.

A copy is named by its number and not by the time: the number goes on whatever the clock says.
"""

import shutil
from collections.abc import Collection
from pathlib import Path

from appliance.ledger.backup import remove_backup
from appliance.ledger.database import FILE_NAME

_SUFFIX = ".backup"
_DIGITS = 6


class Medium:
    """The copies of one shop's ledger in a directory of another disk."""

    def __init__(self, directory: Path, shop: str, data_dir: Path) -> None:
        self._directory = directory
        self._shop = shop
        self._data_dir = data_dir

    def fault(self) -> str:
        """Return why nothing may be written there, "" when it may."""
        try:
            device = self._directory.stat().st_dev
        except OSError as error:
            return f"{self._directory}: {error.strerror}: put the medium in, and mount it there"
        if not self._directory.is_dir():
            return f"{self._directory} is no directory: name one in STOCK_BACKUP__DIR"
        if device in (self._data_dir.stat().st_dev, Path("/").stat().st_dev):
            return f"{self._directory} is on the box's own disk: is the medium put in, and mounted there?"
        return ""

    def room_fault(self) -> str:
        """Return why one more copy does not fit, "" when it does."""
        needed = (self._data_dir / FILE_NAME).stat().st_size
        free = shutil.disk_usage(self._directory).free
        if free > needed:
            return ""
        has = f"{self._directory} has {free >> 20} MiB left, and a copy needs {needed >> 20}"
        return f"{has}: make room there, or set STOCK_BACKUP__KEEP lower"

    def copies(self) -> list[Path]:
        """Return the kept copies, the oldest first. Raises OSError."""
        return [path for path in self._named() if path.is_file() and not path.is_symlink()]

    def next(self) -> Path:
        """Return the name of the copy to make."""
        made = [int(path.name.removesuffix(_SUFFIX)[-_DIGITS:]) for path in self._named()]
        return self._directory / f"{self._shop}-{max(made, default=0) + 1:0{_DIGITS}}{_SUFFIX}"

    def rotate(self, keep: int, left_alone: Collection[Path]) -> None:
        """Delete the oldest copies but for the newest `keep`, and for those that are left alone. Raises OSError."""
        for path in [path for path in self.copies() if path not in left_alone][:-keep]:
            remove_backup(path)

    def _named(self) -> list[Path]:
        """All that has a copy's name, in the order of the numbers; somebody else may have put it there."""
        return sorted(self._directory.glob(f"{self._shop}-{'[0-9]' * _DIGITS}{_SUFFIX}"))
