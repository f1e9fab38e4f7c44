"""A release: made of the checkout, unpacked without a network, and able to run."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from appliance import __version__

CHECKOUT = Path(__file__).parent.parent.parent
UNPACK = CHECKOUT / "deploy" / "rootfs" / "usr" / "local" / "lib" / "stock-coordinator" / "unpack-release"
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def test_a_release_runs_where_there_is_only_python(tmp_path: Path) -> None:
    target = tmp_path / "release"
    _unpack(make_release(CHECKOUT), target, tmp_path)
    said = subprocess.run(
        [str(target / "bin" / "stock-coordinator"), "version"], capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == __version__
    assert f"version={__version__}\n" in (target / "RELEASE").read_text()


def test_the_same_sources_make_the_same_release_and_others_another(tmp_path: Path) -> None:
    made = make_release(CHECKOUT)
    copy = copy_of_checkout(tmp_path / "copy")
    assert make_release(copy).name == made.name
    with (copy / "appliance" / "__init__.py").open("a") as source:
        source.write("\n")
    assert make_release(copy).name != made.name


def test_a_file_with_another_hash_is_not_unpacked(tmp_path: Path) -> None:
    folder = tmp_path / "tampered"
    shutil.copytree(make_release(CHECKOUT), folder)
    wheel = next(folder.glob("wheels/stock_coordinator-*.whl"))
    wheel.write_bytes(wheel.read_bytes() + b"\0")
    refused = _unpack(folder, tmp_path / "release", tmp_path, succeeds=False)
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in refused
    assert not (tmp_path / "release" / "RELEASE").exists()


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


def _unpack(folder: Path, target: Path, scratch: Path, *, succeeds: bool = True) -> str:
    """Unpack a release with this Python as the box's `python3`; return what was said."""
    path = scratch / "bin"
    path.mkdir()
    (path / "python3").symlink_to(Path(sys.base_prefix) / "bin" / "python3")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["PATH"] = f"{path}:{environment['PATH']}"
    unpacked = subprocess.run(
        [str(UNPACK), str(folder), str(target)],
        cwd=scratch,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (unpacked.returncode == 0) is succeeds, unpacked.stderr
    return unpacked.stderr
