"""Days of the simulated shop come right, and one seed is one day, to the byte. `scripts/simulate` plays many more."""

from pathlib import Path

import pytest

from tests.shop import rows
from tests.simulation.play import play
from tests.simulation.world import World

SEEDS = 80
STEPS = 150


@pytest.mark.parametrize("seed", range(SEEDS))
def test_shop_comes_right_after_every_fault(seed: int) -> None:
    play(seed)


def _day(directory: Path, seed: int) -> tuple[str, list[tuple[object, ...]]]:
    """What was said on a seed's day, as a digest, and what the ledger has of it."""
    directory.mkdir()
    world = World(directory, seed)
    for _ in range(STEPS):
        world.step()
    world.heal()
    world.close()
    statement = "SELECT epoch, seq, tag, run, shop_ms, seen, is_uncertain, code, same_as FROM txn ORDER BY revision"
    return world.network.trace.hexdigest(), rows(world.network.shop.directory, statement)


def test_one_seed_is_one_day_and_another_seed_another(tmp_path: Path) -> None:
    one, again, other = (_day(tmp_path / name, seed) for name, seed in (("one", 7), ("again", 7), ("other", 8)))
    assert one == again
    assert one[0] != other[0]
    assert one[1] != other[1]
