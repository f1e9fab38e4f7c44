"""Releases for the tests: of this checkout, and of copies of it that are changed a little."""

import platform
import shutil
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def make_release(checkout: Path) -> Path:
    """Make the release of a checkout for this machine's Python, and return its folder."""
    command = [str(checkout / "deploy" / "release"), platform.machine(), PYTHON]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return checkout / made.stdout.strip()


def copy_of_checkout(target: Path) -> Path:
    """Copy what git tracks or would track, beside the same environment and the same fetched wheels."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (CHECKOUT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, target / name, follow_symlinks=False)
    (target / ".venv").symlink_to(CHECKOUT / ".venv")
    (target / "dist").mkdir()
    (target / "dist" / "wheels").symlink_to(CHECKOUT / "dist" / "wheels")
    return target
