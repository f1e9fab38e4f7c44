"""Look for what misses a rule: its fixed trace, and the first seed of the simulated shop that goes wrong without it.

    rule ──▶ its trace, with it and without ──▶ seeds without it, up to the first that goes wrong ──▶ that seed with it

`scripts/simulate --mutants` hunts for all of them.
"""

import tempfile
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import apsw

from appliance.ledger.verify import Violation
from tests.simulation.broken import Broken
from tests.simulation.mutants import RULES
from tests.simulation.play import play
from tests.simulation.traces import TRACES


@dataclass(frozen=True, slots=True)
class Hunt:
    """What was found of one rule.

    is_traced: its trace comes right with it, and goes wrong without it. seed: the first that does so, too, None when
    none of those that were `played` does. invariant: what does not hold there.
    """

    rule: str
    is_traced: bool
    seed: int | None
    played: int
    invariant: str
    seconds: float

    @property
    def is_missed(self) -> bool:
        return self.is_traced or self.seed is not None


def hunt(rule: str, seeds: Iterable[int]) -> Hunt:
    """Look for what misses a rule, up to the first seed that does."""
    began_s = time.monotonic()
    is_traced = not _trace(rule, nullcontext()) and bool(_trace(rule, RULES[rule]()))
    played = 0
    for seed in seeds:
        played += 1
        invariant = _play(seed, RULES[rule]())
        if invariant and not _play(seed, nullcontext()):
            return Hunt(rule, is_traced, seed, played, invariant, time.monotonic() - began_s)
    return Hunt(rule, is_traced, None, played, "", time.monotonic() - began_s)


def _trace(rule: str, without: AbstractContextManager[None]) -> str:
    """Return what a rule's trace ends with, "" when it comes right."""
    with without, tempfile.TemporaryDirectory() as directory:
        try:
            TRACES[rule](Path(directory))
        except (AssertionError, Violation) as error:
            return str(error)
    return ""


def _play(seed: int, without: AbstractContextManager[None]) -> str:
    """Return the invariant that a seed breaks, "" when it comes right."""
    with without:
        try:
            play(seed)
        except Broken as broken:
            return broken.invariant
        except (AssertionError, apsw.Error) as error:
            return f"the product's own {type(error).__name__}"
    return ""
