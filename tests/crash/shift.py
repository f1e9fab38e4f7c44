"""Cashiers at real tills, who sell whatever happens, and what must be true when their shift is over.

A test lets the shop suffer meanwhile. Then it is made whole, and `over` demands that everything is acknowledged, in the
ledger exactly once, and on every till's screen as the ledger has it.
"""

import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from appliance.control import ask
from appliance.ledger.verify import Violation, verify
from appliance.till import Till
from tests.box import Box
from tests.shop import rows
from tests.waiting import wait_until

DEVICES = ("A1", "A2", "A3", "A4")
SKUS = ("milk", "bread", "salt")

PACE_S = 0.05
"""Between the sales of one till."""

DRAIN_S = 120.0
"""How long the tills may take when all is whole again: the longest wait of theirs is 30 s."""


class Shift:
    """host, port, password: of the broker. directory: of the tills' outboxes. seed: decides what is sold."""

    def __init__(self, directory: Path, host: str, port: int, password: str, seed: int = 1) -> None:
        self._tills = [
            Till(host=host, port=port, shop="shop", device=device, password=password, path=directory / device)
            for device in DEVICES
        ]
        self._sold = [Counter[str]() for _ in DEVICES]
        self._is_over = threading.Event()
        self._cashiers = [
            threading.Thread(target=self._sell, args=(till, sold, random.Random(f"{seed} {number}")))
            for number, (till, sold) in enumerate(zip(self._tills, self._sold, strict=True))
        ]
        self._open = ExitStack()

    def __enter__(self) -> Self:
        for till in self._tills:
            self._open.enter_context(till)
        for cashier in self._cashiers:
            cashier.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        self._open.close()

    @property
    def sold(self) -> Counter[str]:
        """How many pieces were sold, by SKU."""
        return sum(self._sold, Counter[str]())

    def wait_for_acks(self, more: int) -> None:
        """Return when so many more sales are acknowledged than now."""
        before = self._acknowledged()
        wait_until(lambda: self._acknowledged() >= before + more, DRAIN_S)

    def over(self, box: Box) -> list[str]:
        """End the shift; return what is wrong then, in words. The box is killed for that."""
        self._stop()
        wrong = [
            f"{device} has {till.pending} sales that nobody acknowledged: {till.fault}"
            for device, till in zip(DEVICES, self._tills, strict=True)
            if not till.wait_acked(DRAIN_S)
        ]
        wrong += self._wrong_balances(box)
        box.kill()
        return wrong + list(self._wrong_in_ledger(box.directory))

    # --- inside -------------------------------------------------------------------------------------------------------

    def _sell(self, till: Till, sold: Counter[str], chance: random.Random) -> None:
        while not self._is_over.wait(PACE_S):
            sku = chance.choice(SKUS)
            till.sell(sku, 1)
            sold[sku] += 1

    def _stop(self) -> None:
        self._is_over.set()
        for cashier in self._cashiers:
            cashier.join()

    def _acknowledged(self) -> int:
        return self.sold.total() - sum(till.pending for till in self._tills)

    def _wrong_balances(self, box: Box) -> Iterator[str]:
        for sku, count in self.sold.items():
            found = [row["on_hand"] for row in ask(box.directory, "balance", sku=sku)]
            if found != [f"-{count}"]:
                yield f"{count} {sku} were sold, and the ledger has {found}"
            for device, till in zip(DEVICES, self._tills, strict=True):
                try:
                    wait_until(lambda till=till, sku=sku, count=count: _shown(till, sku) == f"-{count}")  # type: ignore[misc]
                except AssertionError:
                    yield f"{count} {sku} were sold, and {device} shows {_shown(till, sku)}"

    def _wrong_in_ledger(self, directory: Path) -> Iterator[str]:
        statement = (
            "SELECT name, count(*) FROM txn JOIN epoch ON epoch.id = txn.epoch JOIN device ON device.id = device "
            "GROUP BY name"
        )
        found = dict(rows(directory, statement))
        for device, sold in zip(DEVICES, self._sold, strict=True):
            if found.get(device, 0) != sold.total():
                yield f"{device} sold {sold.total()} times, and the ledger has {found.get(device, 0)}"
        try:
            verify(directory)
        except Violation as violation:
            yield str(violation)


def _shown(till: Till, sku: str) -> str:
    balance = till.balance(sku)
    return "nothing" if balance is None else balance.on_hand
