"""A release, as it is made of the checkout; that it runs where there is only Python is shown by test_deploy.py."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.deploy.releases import CHECKOUT, copy_of_checkout, make_release

UNPACK = CHECKOUT / "deploy" / "rootfs" / "usr" / "local" / "lib" / "stock-coordinator" / "unpack-release"


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
    refused = _unpack(folder, tmp_path / "release", tmp_path)
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in refused
    assert not (tmp_path / "release" / "RELEASE").exists()


def _unpack(folder: Path, target: Path, scratch: Path) -> str:
    """Try to unpack a release with this Python as the box's `python3`; return what was said."""
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
    assert unpacked.returncode != 0
    return unpacked.stderr
