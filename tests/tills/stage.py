"""Plays scenes: gives each a box, a till and a directory, some at a time, and collects what they tell.

    SCENES ──▶ threads, each with a till and a tap of its own ──▶ findings ──▶ report
                      └─ one box for all that do it no harm

A scene is the same alone as among others: its device and its goods are nobody else's.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from tests.box import Box
from tests.tills import habits
from tests.tills.driver import Unplayable
from tests.tills.scene import Finding, Over, Pace, Scene, Shop
from tests.tills.scenes import SceneOf


@dataclass(frozen=True, slots=True)
class Played:
    """unplayable: why it could not be played to its end, if so."""

    scene: str
    findings: tuple[Finding, ...]
    unplayable: str | None = None


def play(scene_of: SceneOf, box: Box, command: Sequence[str], home: Path, pace: Pace) -> Played:
    """Play one scene before a box that runs. home: a directory, in which it makes its own."""
    place = home / f"{scene_of.name}-{token_hex(3)}"
    place.mkdir()
    scene = Scene(scene_of.name, Shop(box), command, place, pace)
    failure = None
    try:
        scene_of.play(scene)
    except Over:
        pass  # The finding says why.
    except Unplayable as error:
        failure = str(error)
    finally:
        scene.close()
    told = [Finding(rule, kept, seen, scene.name) for rule, kept, seen in habits.judge(scene.log, scene.device)]
    return Played(scene.name, (*scene.findings, *told), failure)


def play_all(
    scenes: Sequence[SceneOf],
    command: Sequence[str],
    home: Path,
    pace: Pace,
    jobs: int,
    played: Callable[[Played], None] = lambda _: None,
) -> list[Played]:
    """Play scenes, `jobs` at a time. played: told of each when it is over. Returns them in their order."""

    def one(scene_of: SceneOf) -> Played:
        if not scene_of.needs_own_box:
            return play(scene_of, shared, command, home, pace)
        with _box(home) as box:
            return play(scene_of, box, command, home, pace)

    with _box(home) as shared, ThreadPoolExecutor(jobs) as pool:
        # Those that stop a box take longest, and so begin first.
        in_turn = sorted(scenes, key=lambda scene_of: not scene_of.needs_own_box)
        under_way = {pool.submit(one, scene_of): scene_of for scene_of in in_turn}
        found = {}
        for future in as_completed(under_way):
            found[under_way[future]] = future.result()
            played(found[under_way[future]])
    return [found[scene_of] for scene_of in scenes]


@contextmanager
def _box(home: Path) -> Iterator[Box]:
    place = home / f"box-{token_hex(3)}"
    place.mkdir()
    with Box(place / "data") as box:
        yield box
