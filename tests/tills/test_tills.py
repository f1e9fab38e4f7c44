"""The tills of this checkout keep the contract's rules, and each till that breaks one is told so.

It is the quick share of `scripts/conformance`, without the scenes that stop a box and those that wait.
"""

import re
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.box import Box
from tests.tills.broken import VARIANTS
from tests.tills.habits import HABITS
from tests.tills.rules import CONTRACT, RULES
from tests.tills.scene import Pace
from tests.tills.scenes import SCENES
from tests.tills.stage import play, play_all

CHECKOUT = Path(__file__).parents[2]
SDK = (sys.executable, "-m", "tests.tills.sdk")
JAVASCRIPT = (shutil.which("node") or "node", str(Path(__file__).parent / "js" / "driver.js"))
OF_NAME = {scene_of.name: scene_of for scene_of in SCENES}
PACE = Pace(hold_s=0.5)
BROKEN_PACE = Pace(patience_s=12.0, hold_s=1.0)
"""A rule that is broken by something missing costs the patience; what is forbidden ends the wait when it happens."""

JOBS, WAITING_JOBS = 3, 7
"""Scenes at a time; most of the time of a rule that is broken passes in waiting."""


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    with Box(tmp_path_factory.mktemp("tills") / "data") as box:
        yield box


@pytest.mark.parametrize("command", [SDK, JAVASCRIPT], ids=["python", "javascript"])
def test_a_till_of_this_checkout_breaks_no_rule(tmp_path: Path, command: tuple[str, ...]) -> None:
    scenes = [scene_of for scene_of in SCENES if not scene_of.is_slow and not scene_of.needs_own_box]
    played = play_all(scenes, command, tmp_path, PACE, JOBS)
    assert [one.unplayable for one in played if one.unplayable] == []
    findings = [finding for one in played for finding in one.findings]
    assert [finding for finding in findings if not finding.is_kept] == []
    wanted = {rule for scene_of in scenes for rule in scene_of.shows} | HABITS.keys()
    assert {finding.rule for finding in findings} >= wanted


def test_each_till_that_breaks_a_rule_is_told_which(box: Box, tmp_path: Path) -> None:
    def missed(name: str) -> str | None:
        variant = VARIANTS[name]
        command = (sys.executable, "-m", "tests.tills.broken", name)
        played = play(OF_NAME[variant.scene], box, command, tmp_path, BROKEN_PACE)
        broken = {finding.rule for finding in played.findings if not finding.is_kept}
        return None if variant.rule in broken else f"{name} is told {broken or played.unplayable}, not {variant.rule}"

    cheap = [name for name, variant in VARIANTS.items() if not OF_NAME[variant.scene].needs_own_box]
    with ThreadPoolExecutor(WAITING_JOBS) as pool:
        assert [told for told in pool.map(missed, cheap) if told] == []


def test_a_driver_that_answers_nothing_is_no_till(box: Box, tmp_path: Path) -> None:
    command = (sys.executable, "-c", "print('not JSON'); input()")
    played = play(OF_NAME["another-device"], box, command, tmp_path, PACE)
    assert played.unplayable is not None
    assert "'not JSON\\n'" in played.unplayable


def test_every_rule_has_a_paragraph_of_the_contract_and_something_that_shows_it() -> None:
    text = (CHECKOUT / CONTRACT).read_text()
    headings = {_anchor(heading) for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}
    assert {rule.name: rule.paragraph for rule in RULES if rule.paragraph not in headings} == {}
    shown = {rule for scene_of in SCENES for rule in scene_of.shows} | HABITS.keys()
    assert {rule.name for rule in RULES} == shown
    assert len({rule.name for rule in RULES}) == len(RULES)


def test_every_variant_breaks_a_rule_in_a_scene_that_there_is() -> None:
    names = {rule.name for rule in RULES}
    assert [name for name, one in VARIANTS.items() if one.rule not in names or one.scene not in OF_NAME] == []


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
