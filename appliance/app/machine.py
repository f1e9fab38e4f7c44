"""How the machine is that the box runs on: its heat, its power, its disk, and the image that it was flashed with.

What is not there is None: a laptop has no power alarm, and a container no heat. Nothing is decided by it.
"""

import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from appliance.app.system import is_image

SYS = Path("/sys")


@dataclass(frozen=True, slots=True)
class Disk:
    """The file system of a directory."""

    free_bytes: int
    size_bytes: int
    is_read_only: bool


@dataclass(frozen=True, slots=True)
class Machine:
    """temperature_c: of the hottest part. is_power_low: the supply does not hold its voltage. image: its day."""

    temperature_c: float | None
    is_power_low: bool | None
    disk: Disk | None
    image: date | None


@dataclass(frozen=True, slots=True)
class Card:
    """What the medium under a directory says of its health.

    errors: those that its ext4 has recorded since it was made. worn_percent: how much of its life an eMMC has used, in
    tens; an SD card does not tell.
    """

    errors: int | None
    worn_percent: int | None


def look(data_dir: Path, sys: Path = SYS) -> Machine:
    """Look once. data_dir: it need not be there yet."""
    return Machine(_temperature_c(sys), _is_power_low(sys), disk_of(data_dir), _image())


def disk_of(directory: Path) -> Disk | None:
    """Return the file system that a directory is on, or will be when it is made; None when it does not say."""
    there = _there(directory)
    try:
        usage = shutil.disk_usage(there)
        return Disk(usage.free, usage.total, bool(os.statvfs(there).f_flag & os.ST_RDONLY))
    except OSError:
        return None


def card_of(directory: Path, sys: Path = SYS) -> Card:
    """Return what the medium says that a directory is on, or will be when it is made."""
    number = _there(directory).stat().st_dev
    block = (sys / "dev" / "block" / f"{os.major(number)}:{os.minor(number)}").resolve()
    errors = next(_numbers(sys, f"fs/ext4/{block.name}/errors_count"), None)
    for whole in (block, block.parent):
        # Two numbers, for its two kinds of cells, each in tenths of its life: 0x01 is up to 10 % (eMMC 5.0).
        tenths = [int(word, 16) for word in (_text(whole / "device" / "life_time") or "").split()]
        if tenths:
            return Card(errors, 10 * max(tenths))
    return Card(errors, None)


def _there(directory: Path) -> Path:
    """Return a directory, or the nearest above it that is there."""
    return next((path for path in (directory, *directory.absolute().parents) if path.exists()), Path("/"))


def _temperature_c(sys: Path) -> float | None:
    found = [milli / 1000 for milli in _numbers(sys, "class/thermal/thermal_zone*/temp")]
    return max(found, default=None)


def _is_power_low(sys: Path) -> bool | None:
    """What the Pi's firmware says (raspberrypi-hwmon); a supply that is too weak is how most of them lose a card."""
    for name in sys.glob("class/hwmon/hwmon*/name"):
        if _text(name) == "rpi_volt":
            return any(_numbers(name.parent, "in0_lcrit_alarm"))
    return None


def _image() -> date | None:
    try:
        # BUILD_ID of os-release(5) is the day on which the image was made.
        return date.fromisoformat(platform.freedesktop_os_release()["BUILD_ID"]) if is_image() else None
    except (OSError, KeyError, ValueError):
        return None


def _numbers(directory: Path, pattern: str) -> Iterator[int]:
    for path in directory.glob(pattern):
        try:
            yield int(_text(path) or "")
        except ValueError:
            continue  # A sensor that is off.


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
