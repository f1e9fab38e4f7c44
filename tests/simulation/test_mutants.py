"""Every protective rule is missed: its fixed trace comes right with it, and is noticed to go wrong without it.

Some are also missed by the first seeds that come; `scripts/simulate --mutants` looks for the others'.
"""

from contextlib import nullcontext
from pathlib import Path

import pytest

from appliance.ledger.verify import Violation
from tests.simulation.hunt import hunt
from tests.simulation.mutants import RULES
from tests.simulation.traces import TRACES


def test_every_rule_has_a_trace() -> None:
    assert RULES.keys() == TRACES.keys()


@pytest.mark.parametrize("rule", RULES)
def test_trace_comes_right_with_every_rule(tmp_path: Path, rule: str) -> None:
    TRACES[rule](tmp_path)


@pytest.mark.parametrize("rule", RULES)
def test_trace_goes_wrong_without_its_rule(tmp_path: Path, rule: str) -> None:
    with RULES[rule](), pytest.raises((AssertionError, Violation)):
        TRACES[rule](tmp_path)


@pytest.mark.parametrize(
    "rule",
    [
        "refusal without ack",
        "tag look-up",
        "gap check",
        "deduplication",
        "count's happened-before",
        "movements after a late count",
        "commit before ack",
    ],
)
def test_the_first_seeds_that_come_go_wrong_without_a_rule_and_are_right_with_it(rule: str) -> None:
    assert hunt(rule, range(10)).seed is not None


def test_a_rule_that_nothing_misses_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RULES, "after", nullcontext)
    found = hunt("after", range(1))
    assert (found.is_traced, found.seed, found.is_missed) == (False, None, False)
