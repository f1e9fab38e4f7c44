"""Plays a real shop's year of receipts through the running system, and checks every balance at the end.

    receipts ─▶ tills (each behind its cable, offline now and then) ─▶ coordinator ─▶ ledger
        │                                                                   │
        └──────────── summed up by Arrow ────────────── must equal ─────────┴── its balances, and each till's view

At the end `verify` checks the ledger beside the running coordinator, and the history of every SKU, which `explain`
tells, must end in its balance.

Every basket is one paid receipt of the till that its number falls to. A till sells as fast as its outbox is on disk,
connected or not. The tills are threads of one process: what they wait for is the disk, during which Python lets the
others go on, and the coordinator has the second core to itself.
"""

import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from appliance.ledger.reader import Reader
from appliance.stock.quantity import format_qty
from scripts.box import Box, Counter, running_box
from scripts.journey import Basket, NoData, baskets, sold
from scripts.processes import COORDINATOR, Failed, environment

SPELLS = 5
"""How often each till goes offline, for a third of its receipts in all."""

ONLINE_S = 60.0
"""How long a till may take until it is connected again before the next spell; a second is usual."""

SILENCE_S = 60.0
"""How long the coordinator may leave every till without an ack; the tills themselves shake hands again after 30 s."""

SETTLE_S = 60.0
"""How long after the last ack a till's view may take to be complete."""

SHOWN_MAX = 10
"""Mismatches that are named; one is already too many."""

_POLL_S = 0.05


class Stuck(Exception):
    """Something that must come about did not, in a generous time."""


@dataclass(frozen=True, slots=True)
class Played:
    """What happened. sold_offline: receipts that were paid while their till's cable was pulled."""

    seconds: float
    spells: int
    sold_offline: int
    rejected: int


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A balance that is not what it should be. where: `coordinator`, a till or `explain`; a missing one is None."""

    where: str
    sku: str
    wanted: str
    found: str | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `verify` says of the ledger. operations, entries: how many it has found to be right; broken: what is not."""

    operations: int = 0
    entries: int = 0
    broken: str | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """What was compared at the end.

    skus: that the data have. wrong: balances that are not the data's. untold: histories that do not end in the balance.
    """

    skus: int
    wrong: list[Mismatch]
    untold: list[Mismatch]
    verdict: Verdict

    @property
    def is_wrong(self) -> bool:
        return bool(self.wrong or self.untold or self.verdict.broken)


def replay(
    store: Annotated[int, typer.Option(help="The store whose receipts are played.")] = 367,
    tills: Annotated[int, typer.Option(min=1, max=50, help="How many tills share them.")] = 4,
    limit: Annotated[int | None, typer.Option(min=1, help="Play only so many of the first receipts.")] = None,
) -> None:
    """Play a real shop's receipts through a coordinator of its own, with tills that go offline, and check the sums."""
    console = Console(highlight=False)
    try:
        receipts = baskets(store, limit)
        wanted = {sku: format_qty(-1000 * qty) for sku, qty in sold(store, limit).items()}
        with running_box("replay") as box, ExitStack() as counters_up:
            counters = [counters_up.enter_context(box.counter(f"till-{n + 1}")) for n in range(tills)]
            played = _play(box, counters, receipts, console)
            checked = _check(box, counters, wanted)
    except (Failed, NoData, Stuck) as error:
        sys.exit(f"replay: {error}")
    except KeyboardInterrupt:
        sys.exit("replay: stopped before its end, so nothing was compared")
    _report(console, store, tills, receipts, played, checked)
    sys.exit(1 if checked.is_wrong or played.rejected else 0)


def mismatches(wanted: Mapping[str, str], found: Mapping[str, Mapping[str, str]]) -> list[Mismatch]:
    """Return every balance that differs from `wanted` (SKU → on_hand), is missing, or should not be there."""
    return [
        Mismatch(where, sku, wanted.get(sku, "none"), balances.get(sku))
        for where, balances in found.items()
        for sku in sorted(wanted.keys() | balances.keys())
        if balances.get(sku) != wanted.get(sku)
    ]


def _play(box: Box, counters: list[Counter], receipts: list[Basket], console: Console) -> Played:
    """Sell all receipts, and wait until the coordinator has acked them."""
    registers = [
        _Register(counter, [basket for basket in receipts if basket.id % len(counters) == n])
        for n, counter in enumerate(counters)
    ]
    progress = Progress(
        TextColumn("{task.description:9}"), BarColumn(None), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    )
    began_s = time.monotonic()
    with progress, ThreadPoolExecutor(len(counters)) as threads:
        paid_bar = progress.add_task("paid", total=len(receipts))
        acked_bar = progress.add_task("committed", total=len(receipts))
        selling = [threads.submit(register.sell_all) for register in registers]
        try:
            acked, heard_s = -1, began_s
            while acked < len(receipts):
                time.sleep(_POLL_S)
                box.check()
                _raise_from(selling)
                before, acked = acked, sum(register.acked for register in registers)
                progress.update(paid_bar, completed=sum(register.paid for register in registers))
                progress.update(acked_bar, completed=acked)
                if acked != before:
                    heard_s = time.monotonic()
                elif time.monotonic() - heard_s > SILENCE_S:
                    faults = [counter.till.fault for counter in counters]
                    raise Stuck(f"no ack for {SILENCE_S:g} s at {acked} of {len(receipts)} receipts; faults: {faults}")
        finally:
            for register in registers:
                register.stop()
    return Played(
        seconds=time.monotonic() - began_s,
        spells=sum(register.spells for register in registers),
        sold_offline=sum(register.sold_offline for register in registers),
        rejected=sum(len(counter.till.rejected) for counter in counters),
    )


class _Register:
    """One till's share of the receipts, sold in a thread of its own."""

    def __init__(self, counter: Counter, receipts: list[Basket]) -> None:
        self._counter = counter
        self._receipts = receipts
        self._stopping = threading.Event()
        self.paid = 0
        self.spells = 0
        self.sold_offline = 0

    @property
    def acked(self) -> int:
        """At least how many receipts are acked: what is paid while this is read does not pass for acked."""
        paid = self.paid
        return paid - self._counter.till.pending

    def sell_all(self) -> None:
        """Sell everything. When the cable is pulled and plugged in again follows from the receipts' number alone."""
        pulls, plugs = _spells(len(self._receipts))
        for number, basket in enumerate(self._receipts):
            if self._stopping.is_set():
                return
            if number in pulls:
                if not self._counter.wait_online(ONLINE_S):
                    raise Stuck(f"{self._counter.device} is not connected after {ONLINE_S:g} s")
                self._counter.cable.pull()
                self.spells += 1
            elif number in plugs:
                self._counter.cable.plug()
            self._counter.till.receipt(basket.lines, receipt=str(basket.id), total_minor=basket.total_minor)
            self.paid += 1
            self.sold_offline += not self._counter.cable.is_plugged
        self._counter.cable.plug()

    def stop(self) -> None:
        self._stopping.set()


def _spells(count: int) -> tuple[frozenset[int], frozenset[int]]:
    """Return before which of `count` receipts a cable is pulled, and before which it is plugged in again."""
    thirds = [count * third // (3 * SPELLS) for third in range(3 * SPELLS)]
    return frozenset(thirds[1::3]), frozenset(thirds[2::3])


def _raise_from(selling: list[Future[None]]) -> None:
    for future in selling:
        if future.done():
            future.result()


def _views(box: Box, counters: list[Counter], wanted: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return what each till shows, as soon as it is right, or when it has had its time to become so."""
    ends_s = time.monotonic() + SETTLE_S
    while True:
        box.check()
        views = {counter.device: _view(counter) for counter in counters}
        if not mismatches(wanted, views) or time.monotonic() >= ends_s:
            return views
        time.sleep(_POLL_S)


def _view(counter: Counter) -> dict[str, str]:
    balances = [counter.till.balance(sku) for sku in counter.till.skus()]
    return {balance.sku: balance.on_hand for balance in balances if balance is not None}


def _check(box: Box, counters: list[Counter], wanted: Mapping[str, str]) -> Checked:
    balances = box.balances()
    return Checked(
        skus=len(wanted),
        wrong=mismatches(wanted, {"coordinator": balances} | _views(box, counters, wanted)),
        untold=mismatches(balances, {"explain": _histories(box)}),
        verdict=_verify(box),
    )


def _histories(box: Box) -> dict[str, str]:
    """Return what each SKU's history ends in, as `explain` reads it."""
    with closing(Reader(box.directory)) as reader:
        ends = ((balance.sku, reader.explain(balance.sku)) for balance in reader.all_balances())
        return {sku: format_qty(entries[-1].on_hand_milli) for sku, entries in ends}


def _verify(box: Box) -> Verdict:
    """Run `stock-coordinator verify` beside the coordinator."""
    done = subprocess.run(  # noqa: S603  our own command line
        [*COORDINATOR, "verify", "--json"],
        cwd=box.directory,
        env=environment(STOCK_DATA_DIR=str(box.directory)),
        capture_output=True,
        text=True,
        check=False,
    )
    if not done.stdout:
        raise Failed(f"verify has not verified anything: {done.stderr}")
    said = orjson.loads(done.stdout)
    if not said["verified"]:
        return Verdict(broken=done.stderr.strip())
    return Verdict(said["operations"], said["entries"])


def _report(console: Console, store: int, tills: int, receipts: list[Basket], played: Played, checked: Checked) -> None:
    table = Table(box=None, show_header=False, padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(justify="right", style="bold")
    table.add_column()
    lines = sum(len(basket.lines) for basket in receipts)
    wrong, verdict = checked.wrong, checked.verdict
    rows = [
        ("store", f"{store}", f"through {tills} tills"),
        ("receipts", f"{len(receipts):,}", f"{played.sold_offline:,} of them paid offline"),
        ("lines", f"{lines:,}", ""),
        ("SKUs", f"{checked.skus:,}", ""),
        ("offline spells", f"{played.spells}", ""),
        ("seconds", f"{played.seconds:.1f}", "from the first sale to the last ack"),
        ("receipts/s", f"{len(receipts) / played.seconds:,.0f}", f"{lines / played.seconds:,.0f} lines/s"),
        ("rejected", f"{played.rejected}", ""),
        ("compared", f"{checked.skus * (1 + tills):,}", "balances: the coordinator's and each till's"),
        ("mismatches", f"{len(wrong)}", "" if wrong else "all equal the sums made straight from the data"),
        ("explained", f"{checked.skus - len(checked.untold):,}", "histories end in the balance of their SKU"),
        ("verified", f"{verdict.operations:,}", f"operations and their {verdict.entries:,} entries"),
    ]
    for row in rows:
        table.add_row(*row)
    console.print(table)
    for one in (wrong + checked.untold)[:SHOWN_MAX]:
        console.print(f"  {one.where}: {one.sku} is {one.found}, and should be {one.wanted}", style="red")
    if verdict.broken:
        console.print(f"  {verdict.broken}", style="red")


if __name__ == "__main__":
    typer.run(replay)
