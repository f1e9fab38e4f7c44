"""The benchmark works and says what it promises; how fast anything is, is no test's business."""

import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import orjson
import pytest

from scripts.benchmark import cases, disk, machine
from scripts.benchmark.cases import Goal, Measure
from scripts.benchmark.cases.all import CASES
from scripts.benchmark.cases.throughput import PER_MESSAGE, Throughput
from scripts.benchmark.contenders import Kept
from scripts.benchmark.load.tills import RECEIVED, SKUS, Tills
from scripts.benchmark.rounds import Result
from scripts.processes import Failed

# A test has its own directory, and that may be in memory, where the benchmark refuses to measure.
ON_DISK = "/var/tmp"
KINDS = [(0, 1), (5, PER_MESSAGE)]


# Of the six kinds of throughput two: the rest differ by their numbers alone.
SHORT = [case for case in CASES if not isinstance(case, Throughput) or (case.delay_ms, case.per_message) in KINDS]


@pytest.mark.parametrize("case", SHORT, ids=lambda case: case.name)
def test_a_tiny_run_reports_every_measure_of_every_contender(case: cases.Case, tmp_path: Path) -> None:
    report, plot = tmp_path / "bench.json", tmp_path / "bench.svg"
    command = [sys.executable, "-m", "scripts.benchmark", "--rounds", "1", "--seconds", "0.2", "--scale", "0.002"]
    command += ["--only", case.name, "--json", str(report), "--directory", ON_DISK]
    has_peers = len(case.contenders) > 1
    if has_peers:
        command += ["--plot", str(plot)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    said = orjson.loads(report.read_bytes())
    assert said.keys() == {"machine", "rounds", "seconds", "scale", "results"}
    assert said["machine"].keys() == {"cpu", "cores", "kernel", "file_system", "python"}
    assert [row["measure"] for row in said["results"]] == [measure.name for measure in case.measures]
    heard = set()
    for row in said["results"]:
        heard |= row["contenders"].keys()
        for figures in row["contenders"].values():
            assert figures["runs"] == [figures["median"]]
        assert case.contenders[0] in row["contenders"]
        assert row["ratios"].keys() == ({*row["contenders"]} - {case.contenders[0]} if row["better"] else set())
    assert heard == set(case.contenders)
    assert sum(len(row["goals"]) for row in said["results"]) == len(case.goals)
    assert case.title[:20] in result.stdout
    assert not has_peers or plot.read_text().startswith("<?xml")
    page = tmp_path / "page.md"
    again = [sys.executable, "-m", "scripts.benchmark", "--only", case.name, "--from", str(report)]
    shown = subprocess.run([*again, "--markdown", str(page)], capture_output=True, text=True, check=False)
    assert shown.stdout == result.stdout
    lines = page.read_text().splitlines()
    assert lines[2].startswith(f"| {case.title} | {case.measures[0].unit} | ")
    assert "1 rounds, 0.2 s measured in each run, scale 0.002." in lines[-1]


@pytest.mark.parametrize(
    ("kept", "complaint"),
    [
        (Kept(2, dict.fromkeys(SKUS, RECEIVED * 1000)), "3 operations were called durable, 2 are in the database"),
        (Kept(3, dict.fromkeys(SKUS, 0)), "the balances in the database are not what was received and sold"),
    ],
)
def test_a_database_that_lacks_what_was_called_durable_fails_the_run(kept: Kept, complaint: str) -> None:
    tills = cast("Tills", SimpleNamespace(durable=3, sold=Counter(), skus=SKUS))
    with pytest.raises(Failed, match=complaint):
        cases.check(kept, tills)


@pytest.mark.parametrize(("better", "is_met"), [("more", True), ("less", False)])
def test_a_goal_is_held_against_the_median_of_the_rounds_own_ratios(better: str, is_met: bool) -> None:
    runs = {"ours": (10.0, 100.0, 30.0), "naive": (10.0, 10.0, 10.0)}
    result = Result("case", Measure("speed", "m/s", better), "ours", runs)
    assert result.ratios("naive") == [1.0, 10.0, 3.0]
    assert result.is_met(Goal("speed", 2.5, "naive")) is is_met
    assert result.is_met(Goal("speed", 29)) is is_met


def test_a_slower_disk_is_slower_to_whoever_syncs_under_it(tmp_path: Path) -> None:
    program = "import os, sys, time; f = open(sys.argv[1], 'wb'); t = time.monotonic()\n"
    program += "[f(os.open(sys.argv[1], os.O_RDWR)) for f in (os.fsync, os.fdatasync)]; print(time.monotonic() - t)"
    environment = disk.slower_by(400, tmp_path)
    command = [sys.executable, "-c", program, str(tmp_path / "file")]
    took = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    # Both calls wait, so that much is certain however busy the machine is.
    assert float(took) >= 0.8


def test_a_directory_in_memory_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine, "file_system", lambda directory: "tmpfs")
    with pytest.raises(Failed, match="nothing is durable"):
        machine.describe(tmp_path)
