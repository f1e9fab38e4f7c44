"""A shop to look at: three tills sell from a real catalogue, go offline and come back, and the balances settle.

    cashiers (a thread for each till) ─▶ coordinator of their own ─▶ balances ─▶ the table, beside what each till shows

On a terminal it is a live screen until Ctrl-C; elsewhere a line every second. What each till shows is its own view: the
coordinator's balance and, on top, what the coordinator has not acked yet. The table is what a person needs to believe
the invariant: when all are back and all is acked, every column shows the same number.
"""

import math
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from appliance.control import ControlError, NotRunning
from appliance.till import LocalBalance
from scripts.box import Box, Counter, running_box
from scripts.journey import NoData, Product, best_sellers
from scripts.processes import Failed

STORE = 367
GOODS = 12
"""With the tills the screen has 22 lines of 80 columns, and so fits the smallest terminal."""

WIDTH_MAX = 100
"""Wider, a row is hard to follow with the eye."""

DEVICES = ("A1", "A2", "A3")

DELIVERY = 24
LOW = 6
"""A till that shows less on hand calls for a delivery, which it takes in itself."""

CUSTOMER_S = (0.2, 0.9)
"""From one customer to the next."""

ONLINE_CUSTOMERS = 30
OFFLINE_CUSTOMERS = 10
"""How many customers a till serves before its cable is pulled, and until it is plugged in again: 16 s and 5 s."""

FRAME_S = 0.25
LINE_S = 1.0

SETTLE_S = 30.0
"""How long the last operations may take to arrive everywhere, once the tills have stopped and are all online."""


@dataclass(frozen=True, slots=True)
class Row:
    """One SKU in every view. on_hand: the coordinator's; shown: each till's; None for who does not know it yet."""

    product: Product
    on_hand: str | None
    shown: dict[str, LocalBalance | None]

    @property
    def is_settled(self) -> bool:
        """Whether everybody shows the coordinator's balance, and nobody has anything to add to it."""
        return self.on_hand is not None and not self._pending() and not self._unaware()

    @property
    def verdict(self) -> str:
        if self.is_settled:
            return "settled"
        return f"waits for {', '.join(self._pending() or self._unaware())}"

    def _pending(self) -> list[str]:
        return [device for device, balance in self.shown.items() if balance is not None and balance.pending_milli]

    def _unaware(self) -> list[str]:
        return [device for device, balance in self.shown.items() if balance is None or balance.on_hand != self.on_hand]


class Cashier:
    """Sells at one till, in a thread of its own, and pulls its cable now and then."""

    def __init__(self, counter: Counter, goods: list[Product], stagger: int) -> None:
        self.counter = counter
        self.customers = 0
        self.acked_s: float | None = None
        self._goods = goods
        # The tills take turns in being offline.
        self._until_pulled = stagger
        self._random = random.Random(counter.device)  # noqa: S311  the same shop on every run, not a secret
        self._stopping = threading.Event()
        self._waiting = 0
        self._thread = threading.Thread(target=self._serve_customers, name=f"cashier-{counter.device}")
        counter.till.on_change = self._changed

    @property
    def state(self) -> str:
        if not self.counter.cable.is_plugged:
            return "offline"
        return "online" if self.counter.till.is_connected else "connecting"

    def stock_up(self) -> None:
        """Put all goods into the catalogue and on the shelf."""
        for product in self._goods:
            self.counter.till.item(product.sku, name=product.name, unit="pcs", group=product.department)
            self.counter.till.receive(product.sku, DELIVERY)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Close the till to customers and plug its cable in."""
        self._stopping.set()
        self._thread.join()
        self.counter.cable.plug()

    def _serve_customers(self) -> None:
        while not self._stopping.wait(self._random.uniform(*CUSTOMER_S)):
            self._serve()
            phase = (self.customers - self._until_pulled) % (ONLINE_CUSTOMERS + OFFLINE_CUSTOMERS)
            if phase == 0:
                self.counter.cable.pull()
            elif phase == OFFLINE_CUSTOMERS:
                self.counter.cable.plug()

    def _serve(self) -> None:
        till = self.counter.till
        bought = self._random.sample(self._goods, self._random.randint(1, 3))
        for product in bought:
            balance = till.balance(product.sku)
            if balance is not None and balance.on_hand_milli < LOW * 1000:
                till.receive(product.sku, DELIVERY)
        qty = self._random.choice((1, 1, 1, 2, 3))
        till.receipt([{"sku": product.sku, "name": product.name, "qty": qty} for product in bought])
        self.customers += 1

    def _changed(self) -> None:
        before, self._waiting = self._waiting, self.counter.till.pending
        if self._waiting < before:
            self.acked_s = time.monotonic()


def demo(
    seconds: Annotated[
        float | None, typer.Option(min=0, help="Close the shop by itself after so long; else Ctrl-C closes it.")
    ] = None,
) -> None:
    """Show a shop with three tills that sell, go offline and come back, until Ctrl-C."""
    console = Console(highlight=False)
    closing = threading.Event()

    def close_shop(*_: object) -> None:
        closing.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)  # Who asks twice does not want to wait.

    try:
        goods = best_sellers(STORE, GOODS)
        with running_box("demo") as box, ExitStack() as counters:
            cashiers = [
                Cashier(counters.enter_context(box.counter(device)), goods, stagger=5 + 13 * number)
                for number, device in enumerate(DEVICES)
            ]
            signal.signal(signal.SIGINT, close_shop)
            show = _live if console.is_terminal else _lines
            is_settled = show(console, Shop(box, goods, cashiers, closing, seconds))
    except (Failed, NoData, NotRunning, ControlError) as error:
        sys.exit(f"demo: {error}")
    except KeyboardInterrupt:
        sys.exit("demo: ended before everything was settled")
    if not is_settled:
        sys.exit(f"demo: not everything settled within {SETTLE_S:g} s")
    console.print("Settled: every till shows the coordinator's balance.", style="green")


class Shop:
    """The demo's course: open until somebody closes it, then quiet until all balances agree."""

    def __init__(
        self, box: Box, goods: list[Product], cashiers: list[Cashier], closing: threading.Event, seconds: float | None
    ) -> None:
        self.box = box
        self.cashiers = cashiers
        self.is_open = True
        self._goods = goods
        self._closing = closing
        self._seconds = math.inf if seconds is None else seconds

    def rows(self) -> list[Row]:
        """Return every SKU as the coordinator and the tills have it at this moment."""
        on_hand = self.box.balances()
        rows = []
        for product in self._goods:
            shown = {c.counter.device: c.counter.till.balance(product.sku) for c in self.cashiers}
            rows.append(Row(product, on_hand.get(product.sku), shown))
        return rows

    def run(self, draw: Callable[[list[Row]], None], every_s: float) -> bool:
        """Run the whole course and draw its frames. Returns whether everything was settled in the end."""
        ends_s = time.monotonic() + self._seconds
        self.cashiers[0].stock_up()
        for cashier in self.cashiers:
            cashier.start()
        try:
            while not self._closing.wait(min(every_s, max(0.0, ends_s - time.monotonic()))):
                self.box.check()
                draw(self.rows())
                if time.monotonic() >= ends_s:
                    break
        finally:
            for cashier in self.cashiers:
                cashier.stop()
        self.is_open = False
        given_up_s = time.monotonic() + SETTLE_S
        while True:
            rows = self.rows()
            draw(rows)
            if all(row.is_settled for row in rows) or time.monotonic() >= given_up_s:
                return all(row.is_settled for row in rows)
            time.sleep(FRAME_S)


def _live(console: Console, shop: Shop) -> bool:
    width = min(console.width, WIDTH_MAX)
    with Live(console=console, auto_refresh=False) as live:
        return shop.run(lambda rows: live.update(_screen(shop, rows, width), refresh=True), FRAME_S)


def _lines(console: Console, shop: Shop) -> bool:
    """One line a second for a log, and every SKU in the end."""
    last: list[Row] = []

    def draw(rows: list[Row]) -> None:
        last[:] = rows
        tills = "; ".join(
            f"{cashier.counter.device} {cashier.state}, {cashier.counter.till.pending} pending"
            for cashier in shop.cashiers
        )
        settled = sum(row.is_settled for row in rows)
        console.print(f"{settled:>2} of {len(rows)} settled; {tills}; {_customers(shop)} customers", soft_wrap=True)

    console.print(f"The demo's ledger is in {shop.box.directory}, until it ends.", soft_wrap=True)
    is_settled = shop.run(draw, LINE_S)
    for row in last:
        console.print(f"{row.on_hand or '':>6}  {row.product.name}: {row.verdict}", soft_wrap=True)
    return is_settled


def _screen(shop: Shop, rows: list[Row], width: int) -> Group:
    return Group(
        _title(shop), _goods_table(shop, rows, width), Text(), _tills_table(shop, width), Text(), _captions(shop)
    )


def _title(shop: Shop) -> Text:
    state = ("open", "bold green") if shop.is_open else ("closing: the last operations are on their way", "bold yellow")
    return Text.assemble(
        ("Three tills, one stock", "bold"), "   ", state, "   ", f"{_customers(shop)} customers served"
    )


def _goods_table(shop: Shop, rows: list[Row], width: int) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0), width=width)
    table.add_column("product", ratio=1, no_wrap=True)
    table.add_column("coordinator", justify="right", style="bold", width=11)
    for cashier in shop.cashiers:
        style = "red" if cashier.state == "offline" else "dim"
        table.add_column(cashier.counter.device, justify="right", width=9, header_style=style)
    table.add_column("", width=17, no_wrap=True)
    for row in rows:
        cells = [_cell(row, cashier.counter.device) for cashier in shop.cashiers]
        verdict = Text(f" {row.verdict}", style="green" if row.is_settled else "yellow")
        table.add_row(row.product.name, row.on_hand or "·", *cells, verdict)
    return table


def _cell(row: Row, device: str) -> Text:
    balance = row.shown[device]
    if balance is None:
        return Text("·", style="dim")
    if balance.pending_milli:
        return Text(f"{balance.on_hand} ({balance.pending_milli / 1000:+g})", style="yellow")
    return Text(balance.on_hand, style="" if balance.on_hand == row.on_hand else "yellow")


def _tills_table(shop: Shop, width: int) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0), width=width)
    table.add_column("till", style="bold", ratio=1)
    table.add_column("connection", width=17)
    for name in ("pending", "customers", "last ack"):
        table.add_column(name, justify="right", width=11)
    for cashier in shop.cashiers:
        colour = {"online": "green", "offline": "red"}.get(cashier.state, "yellow")
        pending = cashier.counter.till.pending
        age = "·" if cashier.acked_s is None else f"{time.monotonic() - cashier.acked_s:.1f} s ago"
        table.add_row(
            cashier.counter.device,
            Text(f"● {cashier.state}", style=colour),
            Text(str(pending), style="yellow" if pending else ""),
            str(cashier.customers),
            age,
        )
    return table


def _captions(shop: Shop) -> Text:
    box = shop.box
    return Text(
        f"mosquitto_sub -p {box.port} -u screen -P {box.password} -v -t 'stock/v1/{box.shop}/balance/+'\n"
        f"Ledger: {box.directory}, until Ctrl-C closes the shop.",
        style="dim",
    )


def _customers(shop: Shop) -> int:
    return sum(cashier.customers for cashier in shop.cashiers)


if __name__ == "__main__":
    typer.run(demo)
