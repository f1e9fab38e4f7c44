"""A ledger in memory: what the rules look up, and what one operation's outcome changes, as plainly as it can be said.

It is the `reconcile.View` of every test in this folder, fast enough for a million operations, and knows nothing of how
the real ledger keeps the same things.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from appliance.stock.alerts import Raised
from appliance.stock.counts import Past
from appliance.stock.operation import Body, Count, Reason, Receipt
from appliance.stock.order import Fact
from appliance.stock.receipts import ReceiptState
from appliance.stock.reconcile import COUNT, PAID_AGAIN, Effect, Outcome, Stock, reconcile


class Kept(NamedTuple):
    """One SKU: its balance, its history with the newest first, and all its entries."""

    stock: Stock = Stock()
    past: tuple[Past, ...] = ()
    entries: tuple[Effect, ...] = ()


@dataclass(slots=True)
class Memory:
    """alerts: those whose cause lasts, and the events, by kind and subject."""

    rev: int = 0
    skus: dict[str, Kept] = field(default_factory=dict)
    receipts: dict[str, ReceiptState] = field(default_factory=dict)
    paid: dict[str, tuple[Fact, ...]] = field(default_factory=dict)
    sales: dict[str, Counter[str]] = field(default_factory=dict)
    back: dict[tuple[str, str], int] = field(default_factory=dict)
    uses: dict[str, Counter[str]] = field(default_factory=dict)
    alerts: dict[tuple[str, str], Raised] = field(default_factory=dict)

    def copy(self) -> "Memory":
        """Return a ledger that goes its own way from here; all that a dictionary here holds is never changed."""
        return Memory(
            self.rev,
            self.skus.copy(),
            self.receipts.copy(),
            self.paid.copy(),
            self.sales.copy(),
            self.back.copy(),
            self.uses.copy(),
            self.alerts.copy(),
        )

    # --- the View ----------------------------------------------------------------------------------------------------

    def stock(self, sku: str) -> Stock | None:
        return self.skus[sku].stock if sku in self.skus else None

    def past(self, sku: str, after_rev: int) -> Iterator[Past]:
        for one in self.skus.get(sku, Kept()).past:
            if one.fact.rev <= after_rev:
                return
            yield one

    def receipt(self, receipt: str) -> ReceiptState | None:
        return self.receipts.get(receipt)

    def payments(self, receipt: str) -> tuple[Fact, ...]:
        return self.paid.get(receipt, ())

    def sold(self, receipt: str) -> Mapping[str, int]:
        return self.sales.get(receipt, Counter())

    def returned(self, receipt: str) -> Mapping[str, int]:
        return {sku: milli for (sale, sku), milli in self.back.items() if sale == receipt}

    def sold_on(self, mark: str) -> Mapping[str, int]:
        return self.uses.get(mark, Counter())

    # --- what is kept ------------------------------------------------------------------------------------------------

    def on_hand(self, sku: str = "A") -> int:
        stock = self.stock(sku)
        return 0 if stock is None else stock.on_hand_milli

    def reserved(self, sku: str = "A") -> int:
        stock = self.stock(sku)
        return 0 if stock is None else stock.reserved_milli

    def kinds(self) -> set[str]:
        return {kind for kind, _ in self.alerts}

    def take(self, body: Body, fact: Fact) -> Outcome:
        """Commit one operation under the next revision. Raises Rejected, and then nothing has changed."""
        fact = replace(
            fact,
            rev=self.rev + 1,
            took_ms=body.took_ms if isinstance(body, Count) else 0,
            receipt=body.receipt if isinstance(body, Receipt) else None,
        )
        outcome = reconcile(body, fact, self)
        self.rev = fact.rev
        for sku in {effect.sku: None for effect in outcome.effects}:
            self._enter(sku, fact, tuple(effect for effect in outcome.effects if effect.sku == sku))
        if (item := outcome.item) is not None:
            kept = self.skus[item.sku]
            stock = replace(kept.stock, unit=item.unit, low_milli=item.low_milli)
            self.skus[item.sku] = kept._replace(stock=stock)
        if (state := outcome.receipt) is not None:
            before = self.receipts.get(state.receipt)
            self.receipts[state.receipt] = state
            if state.paid != (before.paid if before else frozenset()):
                self.paid[state.receipt] = (*self.paid.get(state.receipt, ()), fact)
        if isinstance(body, Receipt):
            self._keep_receipt(body, outcome)
        for said in outcome.alerts:
            if isinstance(said, Raised):
                self.alerts[said.kind, said.subject] = said
            else:
                self.alerts.pop((said.kind, said.subject), None)
        return outcome

    def _enter(self, sku: str, fact: Fact, effects: tuple[Effect, ...]) -> None:
        kept = self.skus.get(sku, Kept())
        causes = {effect.cause for effect in effects}
        again = self.payments(fact.receipt) if fact.receipt is not None and PAID_AGAIN in causes else ()
        moved_milli = sum(effect.effect_milli for effect in effects if effect.cause in set(Reason))
        stock = replace(
            kept.stock,
            on_hand_milli=kept.stock.on_hand_milli + sum(effect.effect_milli for effect in effects),
            reserved_milli=kept.stock.reserved_milli + sum(effect.reserved_milli for effect in effects),
            is_stocked=kept.stock.is_stocked or any(effect.is_stocked for effect in effects),
            newest=fact if any(effect.is_anchor for effect in effects) else kept.stock.newest,
        )
        past = Past(fact, moved_milli, is_count=COUNT in causes, again=again)
        self.skus[sku] = Kept(stock, (past, *kept.past), (*kept.entries, *effects))

    def _keep_receipt(self, receipt: Receipt, outcome: Outcome) -> None:
        sold = {effect.sku: -effect.effect_milli for effect in outcome.effects if effect.cause == Reason.SALE}
        self.sales[receipt.receipt] = self.sales.get(receipt.receipt, Counter()) + Counter(sold)
        for key, milli in outcome.returned.items():
            self.back[key] = self.back.get(key, 0) + milli
        for mark, times in outcome.marks.items():
            uses = Counter(self.uses.get(mark, Counter()))
            uses[receipt.receipt] += times
            self.uses[mark] = uses
