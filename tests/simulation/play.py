"""Play one seed of the simulated shop from its opening to the evening, and say what was broken.

    seed ──▶ World: step … step (safety, after each) ──▶ heal (liveness) ──▶ check ──▶ Tally

What a day leaves on the disk is thrown away: it comes again from its seed.
"""

import tempfile
from collections import Counter
from pathlib import Path

from appliance.ledger.backup import BackupError
from appliance.ledger.verify import Violation
from tests.simulation.broken import Broken
from tests.simulation.evening import check
from tests.simulation.world import World

STEPS = 300
"""Steps of one shop-day: about ten hours."""

_MEMORY = Path("/dev/shm")
"""Where Linux keeps files in memory: what is played here is not the disk."""

Tally = Counter[str]
"""How often something happened: what the shop did, and each kind of fault."""

__all__ = ["STEPS", "Broken", "Tally", "play"]


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
            check(world)
        except (Violation, BackupError) as error:  # What a backup copies is verified first.
            raise Broken("verify", str(error)) from error
        finally:
            world.close()
        return world.faults + world.people.tally
