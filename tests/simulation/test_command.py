"""What `scripts/simulate` says: what happened, and of a failure how to repeat it."""

import pickle
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import orjson
import pytest
import typer
from typer.testing import CliRunner, Result

from tests.simulation import __main__ as command
from tests.simulation.mutants import RULES
from tests.simulation.play import Broken, play


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Play here, where a rule can be taken away."""
    monkeypatch.setattr(command, "ProcessPoolExecutor", lambda jobs, initializer: ThreadPoolExecutor(jobs))


def _simulate(*words: str) -> Result:
    app = typer.Typer()
    app.command()(command.simulate)
    return CliRunner().invoke(app, words, env={"COLUMNS": "200"})


def test_days_that_come_right_are_summed_up() -> None:
    result = _simulate("--seeds", "2", "--steps", "30")
    assert result.exit_code == 0
    assert re.search(r"shop-days +2 ", result.output)
    assert re.search(r"operations +\d\d ", result.output)


def test_a_failure_is_told_with_the_shortest_prefix_that_shows_it_and_the_command_that_repeats_it() -> None:
    with RULES["deduplication"]():
        result = _simulate("--seed", "1")
        told = re.search(r"scripts/simulate --seed 1 --steps (\d+)", result.output)
        assert told is not None
        steps = int(told[1])
        with pytest.raises(Broken):
            play(1, steps)
        play(1, steps - 1)
    assert result.exit_code == 1
    assert "2: an acked operation is in the ledger exactly once" in result.output


def test_rules_are_told_with_what_misses_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for rule in RULES.keys() - {"deduplication"}:
        monkeypatch.delitem(RULES, rule)
    result = _simulate("--mutants", "--seeds", "3", "--json", str(tmp_path / "mutants.json"))
    assert result.exit_code == 0
    assert re.search(r"deduplication .* yes .* 2: an acked operation", result.output)
    said = orjson.loads((tmp_path / "mutants.json").read_bytes())
    assert (said["count"], said["lost"]) == (1, 0)
    [found] = said["rules"]
    assert (found["rule"], found["is_traced"]) == ("deduplication", True)


def test_a_rule_that_nothing_misses_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    for rule in RULES.keys() - {"after"}:
        monkeypatch.delitem(RULES, rule)
    monkeypatch.setitem(RULES, "after", nullcontext)
    result = _simulate("--mutants", "--seeds", "1")
    assert result.exit_code == 1
    assert "none of 1" in result.output


def test_a_failure_comes_back_whole_from_the_process_that_played_it() -> None:
    """It did not, and ended the pool: nobody heard which seed it was."""
    found = pickle.loads(pickle.dumps(Broken("7: the shelf", "milk is 1")))
    assert (str(found), found.invariant) == ("7: the shelf: milk is 1", "7: the shelf")
