"""A share of the kills: what was acknowledged is in the ledger exactly once, and what was opened is on paper.

`python -m tests.crash.kill` makes more.
"""

import random
from pathlib import Path

import pytest

from tests.crash.kill import kill_again_and_again

KILLS = 40
SEED = 20261124


@pytest.mark.timeout(900)
def test_kills_lose_and_double_nothing_in_the_ledger_and_on_paper(tmp_path: Path) -> None:
    toll = kill_again_and_again(tmp_path, KILLS, random.Random(SEED))
    assert toll.lost == []
    assert toll.untold > 0, "no kill landed between a commit and its announcement: too little was shown"
    assert toll.copies > 0, "no kill landed in a sheet: too little was shown"
