"""The benchmark works and says what it promises; how fast anything is, is no test's business."""

import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import orjson
import pytest

from scripts.benchmark import machine, pairs
from scripts.benchmark.cases import CASES
from scripts.benchmark.contenders import Kept
from scripts.benchmark.tills import RECEIVED, SKUS, Tills
from scripts.processes import Failed

# A test has its own directory, and that may be in memory, where the benchmark refuses to measure.
ON_DISK = "/var/tmp"


def test_a_tiny_run_reports_every_measure_of_both_contenders(tmp_path: Path) -> None:
    report = tmp_path / "bench.json"
    command = [sys.executable, "-m", "scripts.benchmark", "--pairs", "1", "--seconds", "0.3", "--json", str(report)]
    result = subprocess.run([*command, "--directory", ON_DISK], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    said = orjson.loads(report.read_bytes())
    assert said.keys() == {"machine", "pairs", "seconds", "tills", "results"}
    assert said["machine"].keys() == {"cpu", "cores", "kernel", "file_system", "python"}
    measures = [(row["case"], row["measure"]) for row in said["results"]]
    assert measures == [(case.name, measure.name) for case in CASES for measure in case.measures]
    for row in said["results"]:
        for contender in ("ours", "naive"):
            assert len(row[contender]["runs"]) == 1
            assert row[contender]["median"] == row[contender]["runs"][0]
        if row["better"] is None:
            assert row["ratio"] is None
        else:
            assert row["ratio"].keys() == {"median", "min", "max", "pairs"}
    assert "ours ÷ naive" in result.stdout


@pytest.mark.parametrize(
    ("kept", "complaint"),
    [
        (Kept(2, dict.fromkeys(SKUS, RECEIVED * 1000)), "3 operations were called durable, 2 are in the database"),
        (Kept(3, dict.fromkeys(SKUS, 0)), "the balances in the database are not what was received and sold"),
    ],
)
def test_a_database_that_lacks_what_was_called_durable_fails_the_run(kept: Kept, complaint: str) -> None:
    tills = cast("Tills", SimpleNamespace(durable=3, sold=Counter()))
    with pytest.raises(Failed, match=complaint):
        pairs.check(kept, tills)


def test_a_directory_in_memory_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine, "file_system", lambda directory: "tmpfs")
    with pytest.raises(Failed, match="nothing is durable"):
        machine.describe(tmp_path)
