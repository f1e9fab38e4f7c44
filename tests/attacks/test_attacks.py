"""Every attack of the table: the box refuses what it must, holds what it may, and the till that sells loses nothing.

Some are repeated less often than in the table, so that the suite stays short; `python -m tests.attacks` makes them
whole.
"""

from pathlib import Path

import pytest

from tests.attacks.attacks import ATTACKS, Attack
from tests.attacks.scene import scene
from tests.waiting import wait_until

CALM_S = 0.3
"""Of a till's sales before and after an attack. Nothing is asserted about how long they took."""

DESCRIPTORS_MAX = 700
"""Some 600 strangers or readers at the most, and what the box has open by itself."""

MEMORY_GROWTH_MAX_MIB = 256
"""What slow readers can make the box hold is 64 MiB, and the process grew by 170 for it; argon2 takes 19."""


@pytest.mark.parametrize("attack", [pytest.param(attack, id=attack.title) for attack in ATTACKS])
def test_an_attack_is_refused_and_the_till_that_sells_loses_nothing(tmp_path: Path, attack: Attack) -> None:
    with scene(tmp_path / "box") as made:
        report = made.under(attack.make, attack.share, CALM_S)
        # Every sale was acknowledged on the connection that the till had from the beginning, or `under` had raised.
        assert made.on_hand() == made.left()
        assert report.during.most.descriptors <= DESCRIPTORS_MAX
        assert report.after.most.memory_mib <= report.before.most.memory_mib + MEMORY_GROWTH_MAX_MIB
        wait_until(lambda: made.gauge().descriptors <= report.before.most.descriptors + 1)
        assert made.box.stop() == 0
        assert "ERROR" not in made.box.log.read_text()
