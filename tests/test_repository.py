"""What the checkout may hold, and that its locks say what pyproject.toml says.

The files judged are those that git tracks or would track, so that a run's leftovers never count and a new file does
before it is committed.
"""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent
LOCKS = CHECKOUT / "scripts" / "requirements"

TOP_LEVEL = {"pyproject.toml", "appliance", "deploy", "tests", "scripts", "README.md", "LICENSE", "CHANGELOG.md"}

# A path that only one person's or one machine's disk has. The group keeps this line from finding itself.
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:home/\w|root/|Users/|work/|mnt/)")

REQUIREMENT = re.compile(r"^([a-z0-9][a-z0-9._-]*)==(\S+)", re.MULTILINE)


def test_the_top_level_holds_only_what_it_may() -> None:
    entries = {path.relative_to(CHECKOUT).parts[0] for path in files()}
    assert {entry for entry in entries if not entry.startswith(".")} <= TOP_LEVEL


def test_no_file_names_a_path_of_one_machine() -> None:
    named = {}
    for path in files():
        try:
            found = MACHINE_PATH.findall(path.read_text(encoding="utf-8"))
        except UnicodeDecodeError:
            continue  # a picture or another binary
        if found:
            named[str(path)] = found
    assert named == {}


def test_every_script_can_be_run() -> None:
    scripts = [path for path in files() if path.read_bytes()[:2] == b"#!"]
    assert CHECKOUT / "scripts" / "test" in scripts
    assert [path for path in scripts if not os.access(path, os.X_OK)] == []


@pytest.mark.parametrize("lock", ["box.txt", "dev.txt"])
def test_a_lock_pins_hashes_and_names_no_index(lock: str) -> None:
    text = (LOCKS / lock).read_text()
    requirements = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert requirements
    assert [entry for entry in requirements if "==" not in entry or "--hash=sha256:" not in entry] == []
    assert "//" not in text
    assert not re.search(r"^\s*(-i|-f|--[\w-]*index|--find-links|--trusted-host)", text, re.MULTILINE)


def test_the_locks_hold_every_direct_dependency() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    box = [*project["project"]["dependencies"], *project["project"]["optional-dependencies"]["fast"]]
    dev = project["dependency-groups"]["dev"]
    assert names(box) <= versions("box.txt").keys()
    assert names(dev) <= versions("dev.txt").keys()


def test_the_suite_runs_on_the_versions_that_the_box_gets() -> None:
    assert versions("box.txt").items() <= versions("dev.txt").items()


def files() -> list[Path]:
    """Return the files that git tracks or would add."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    return [path for name in listed.split("\0") if name and (path := CHECKOUT / name).is_file()]


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[^A-Za-z0-9._-]", requirement)[0] for requirement in requirements}


def versions(lock: str) -> dict[str, str]:
    return dict(REQUIREMENT.findall((LOCKS / lock).read_text()))
