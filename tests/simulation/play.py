"""Play one seed of the simulated shop from its opening to the evening, and say what was broken.

seed ──▶ World: step … step (safety, after each) ──▶ heal (liveness) ──▶ Tally
"""

import tempfile
from collections import Counter
from pathlib import Path

from tests.simulation.world import World

STEPS = 1_000
"""Steps of one shop-day."""

_MEMORY = Path("/dev/shm")
"""Where Linux keeps files in memory: what is played here is not the disk."""

Tally = Counter[str]
"""How often something happened: what the shop did, and each kind of fault."""


class Broken(AssertionError):
    """An invariant does not hold. invariant: its name. what: where, and what was expected."""

    def __init__(self, invariant: str, what: str) -> None:
        super().__init__(f"{invariant}: {what}")
        self.invariant = invariant


def play(seed: int, steps: int = STEPS) -> Tally:
    """Live through `steps` of a seed, end its faults, and let everything drain; return what happened.

    Raises Broken at the first invariant that does not hold.
    """
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as directory:
        world = World(Path(directory), seed)
        try:
            for _ in range(steps):
                world.step()
            world.heal()
            world.check()
            return Counter(world.faults)
        except AssertionError as error:
            raise Broken("comes right", str(error)) from error
        finally:
            world.network.close()
