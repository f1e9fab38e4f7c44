"""Every protective rule is missed: its fixed trace comes right with it, and is noticed to go wrong without it."""

from pathlib import Path

import pytest

from appliance.ledger.verify import Violation
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
