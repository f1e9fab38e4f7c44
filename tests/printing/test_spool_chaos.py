"""A shop's evening in which everything goes wrong by chance: no sheet is lost, and none is doubled without saying so.

The real spool, ledger and driver, and the emulated printer, all in simulated time: the seed alone decides when the box
is killed and when the printer loses its paper, cover, power or plug. `python -m tests.printing.test_spool_chaos 50`
lives through more seeds than the suite does.
"""

import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from appliance.contract.paper import JobState
from appliance.printing.driver import Capabilities, Driver
from tests.printing.emulator import Bench, Printer
from tests.printing.press import Crash, Press, line, rules

SEEDS = 10
RECEIPTS = 25
PROVEN = Capabilities(has_marker=True, has_fence=True, has_status=True)
WRITTEN_MEANS_PRINTED = Capabilities(has_status=True)
DAY_MS = 24 * 3_600_000
END = "Кассовый чек будет выдан при оплате"


class Toll(NamedTuple):
    """Receipts that are on no whole sheet, those on two without ПОВТОР, marked copies, and the box's kills."""

    lost: int
    doubled: int
    copies: int
    kills: int


class Evening:
    def __init__(self, directory: Path, seed: int, capabilities: Capabilities) -> None:
        self.chance = random.Random(seed)
        self.printer = Printer(bytes_per_s=1500, buffer_bytes=self.chance.choice([200, 1000, 4096]))
        self.bench = Bench(self.printer)
        self.kills = 0
        self.is_over = False

        def driver(name: str) -> Driver:
            # The process before had its connection until it was killed.
            self.bench.hang_up()
            return Driver(
                "terminal:",  # the bench's wire is opened instead
                capabilities=capabilities,
                clock=self.bench.clock,
                opener=self.bench.open,
                entropy=self.chance.randrange,
            )

        self.press = Press(directory, rules(stale_ms=DAY_MS), driver)
        self.after(self.chance.uniform(0, 3), self.trouble)

    def after(self, seconds: float, event: Callable[[], None]) -> None:
        self.bench.at(self.bench.now_s + seconds, event)

    def trouble(self) -> None:
        if self.is_over:
            return
        chance, printer = self.chance, self.printer
        self.after(chance.expovariate(1 / 8), self.trouble)
        match chance.choice(["paper", "cover", "stall", "power", "plug", "kill", "kill"]):
            case "paper":
                printer.take_paper()
                self.after(chance.uniform(1, 300), printer.give_paper)
            case "cover":
                printer.open_cover()
                self.after(chance.uniform(1, 60), printer.close_cover)
            case "stall":
                printer.stall()
                self.after(chance.uniform(0.1, 90), lambda: printer.stall(False))
            case "power":
                printer.cut_power()
            case "plug":
                self.bench.unplug()
                self.after(chance.uniform(0.1, 30), self.bench.plug)
            case "kill":
                self.kills += 1
                raise Crash

    def pass_time(self, seconds: float) -> None:
        """Let time pass while nothing is printed; a kill meanwhile restarts the box."""
        try:
            self.bench.advance(seconds)
        except Crash:
            self.restart()
        self.press.shop.clock.now_ms = int(self.bench.now_s * 1000)

    def restart(self) -> None:
        self.press.shop.clock.now_ms = int(self.bench.now_s * 1000)
        self.press.restart()

    def step(self) -> None:
        try:
            wait_s = self.press.step()
        except Crash:
            self.restart()
        else:
            self.pass_time(wait_s)

    def live_through(self) -> Toll:
        sizes = {f"r-{number:02d}": self.chance.choice([2, 8, 20, 50]) for number in range(RECEIPTS)}
        for receipt, lines in sizes.items():
            self.press.receipt(receipt, *(line(f"{receipt}/{number:03d}") for number in range(lines)))
            for _ in range(self.chance.randrange(4)):
                self.step()
        while self.has_work():
            self.step()
        self.is_over = True
        self.bench.advance(600)
        sheets = [sheet.text for sheet in self.printer.paper()]
        self.press.stop()
        whole = {receipt: [sheet for sheet in sheets if is_whole(sheet, receipt, n)] for receipt, n in sizes.items()}
        unmarked = {receipt: sum("ПОВТОР" not in sheet for sheet in found) for receipt, found in whole.items()}
        copies = sum(1 for found in whole.values() for sheet in found if "ПОВТОР" in sheet)
        return Toll(
            sum(not found for found in whole.values()), sum(n > 1 for n in unmarked.values()), copies, self.kills
        )

    def has_work(self) -> bool:
        """Whether something is still to be printed. A person retries what was given up."""
        jobs = self.press.jobs()
        for job in jobs:
            if job.state is JobState.DOUBTFUL:
                assert self.press.retry(job.id) == ""
        return bool(jobs)


def is_whole(sheet: str, receipt: str, lines: int) -> bool:
    """Whether every line of a receipt is on a sheet, and its end."""
    return END in sheet and all(f"Товар {receipt}/{number:03d}" in sheet for number in range(lines))


def evening(directory: Path, seed: int, capabilities: Capabilities = PROVEN) -> Toll:
    directory.mkdir()
    return Evening(directory, seed, capabilities).live_through()


@pytest.mark.parametrize("seed", range(SEEDS))
def test_no_sheet_is_lost_and_none_is_doubled_without_saying_so(tmp_path: Path, seed: int) -> None:
    toll = evening(tmp_path / "shop", seed)
    assert (toll.lost, toll.doubled) == (0, 0), f"python -m tests.printing.test_spool_chaos 1 {seed}"


def test_the_same_evenings_lose_sheets_where_written_means_printed(tmp_path: Path) -> None:
    assert sum(evening(tmp_path / f"{seed}", seed, WRITTEN_MEANS_PRINTED).lost for seed in range(SEEDS)) > 0


def test_an_evening_repeats_exactly_from_its_seed(tmp_path: Path) -> None:
    assert evening(tmp_path / "one", 1) == evening(tmp_path / "two", 1)


def main() -> None:
    """Live through seeds, proven and with written = printed, and print the toll. Arguments: how many, the first."""
    seeds, first = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    for capabilities in (PROVEN, WRITTEN_MEANS_PRINTED):
        total = [0, 0, 0, 0]
        for seed in range(first, first + seeds):
            with tempfile.TemporaryDirectory() as directory:
                toll = evening(Path(directory) / "shop", seed, capabilities)
            total = [one + other for one, other in zip(total, toll, strict=True)]
            print(seed, toll, flush=True)
        print("all", Toll(*total))


if __name__ == "__main__":
    main()
