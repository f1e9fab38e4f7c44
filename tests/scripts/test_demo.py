"""The demo's balances settle, on a terminal and in a log, and nothing of it is left behind."""

import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.scripts.typed import DEADLINE_S, started

GOODS = 12


def test_interrupted_demo_settles_first_and_leaves_nothing_behind() -> None:
    with started("-m", "scripts.demo") as process:
        assert process.stdout is not None
        directory = ledger_of(process.stdout.readline())
        [coordinator] = children(process.pid)
        # Every line tells all tills' states, so each `any` reads on from where the one before has stopped.
        assert any("A1 offline" in line for line in process.stdout)
        assert any("A1 online" in line for line in process.stdout)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 0, output + errors
    assert len(re.findall(r"^ +\d+  .+: settled$", output, re.MULTILINE)) == GOODS
    assert output.splitlines()[-1] == "Settled: every till shows the coordinator's balance."
    assert not directory.parent.exists()
    assert not is_running(coordinator)


def test_terminated_demo_leaves_nothing_behind() -> None:
    with started("-m", "scripts.demo") as process:
        assert process.stdout is not None
        directory = ledger_of(process.stdout.readline())
        [coordinator] = children(process.pid)
        process.terminate()
        _, errors = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 1, errors
    assert "ended before everything was settled" in errors
    assert not directory.parent.exists()
    assert not is_running(coordinator)


@pytest.mark.parametrize("columns", [80, 120])
def test_terminal_shows_a_live_table(columns: int) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "scripts.demo", "--seconds", "2"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": "24"},
    )
    os.close(theirs)
    try:
        screen = read_all(ours)
        assert process.wait(DEADLINE_S) == 0, screen
    finally:
        os.close(ours)
        if process.poll() is None:
            process.terminate()
            process.wait(DEADLINE_S)
    last = screen[screen.rindex("Three tills, one stock") :]
    assert re.search(r"product +coordinator +A1 +A2 +A3", last)
    assert last.count("settled") == GOODS
    assert max(len(line) for line in last.split("\r\n")) <= columns


def ledger_of(line: str) -> Path:
    [directory] = re.findall(r"ledger is in (\S+),", line)
    return Path(directory)


def read_all(terminal: int) -> str:
    """Return what is written to a terminal until its other end is closed, without colours and cursor movements."""
    written = b""
    while True:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # How Linux says that nobody holds the other end any more.
            break
        written += chunk
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.decode())


def children(pid: int) -> list[int]:
    return [
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]


def is_running(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
