"""The seeds of a small shop: every one of them comes right, and one seed is one history, to the byte."""

from pathlib import Path

import pytest

from tests.shop import rows
from tests.simulation.world import World

STEPS = 1_000


def _run(directory: Path, seed: int) -> World:
    directory.mkdir()
    world = World(directory, seed)
    for _ in range(STEPS):
        world.step()
    world.heal()
    return world


@pytest.mark.parametrize("seed", range(40))
def test_shop_comes_right_after_every_fault(tmp_path: Path, seed: int) -> None:
    world = _run(tmp_path / "shop", seed)
    try:
        world.check()
        assert min(world.faults["drop"], world.network.lost) > 0, "nothing went wrong: the seed has shown nothing"
    finally:
        world.network.close()


def test_one_seed_is_one_history_and_another_seed_another(tmp_path: Path) -> None:
    runs = {name: _run(tmp_path / name, seed) for name, seed in (("a", 7), ("b", 7), ("c", 8))}
    traces = {name: world.network.trace.hexdigest() for name, world in runs.items()}
    ledgers = {}
    for name, world in runs.items():
        world.network.close()
        statement = "SELECT epoch, seq, tag, run, shop_ms, seen, is_uncertain, code, same_as FROM txn ORDER BY revision"
        ledgers[name] = rows(tmp_path / name / "box", statement)
    assert traces["a"] == traces["b"] != traces["c"]
    assert ledgers["a"] == ledgers["b"] != ledgers["c"]
