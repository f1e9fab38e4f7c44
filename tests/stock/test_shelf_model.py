"""The pure rules against a physical shelf: hypothesis plays the shop, and looks for a day that comes out wrong.

Longer days than the enumeration's, with receipts that several devices hold and two SKUs that one receipt sells. The
model beside the rules is two numbers a SKU: what lies on the shelf, and what of it the ledger can know.
"""

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from appliance.stock.operation import Body, Count, Line, Move, Reason, Receipt, ReceiptKind, Status
from appliance.stock.order import Fact
from tests.stock.memory import Memory

DEVICES = ("A1", "A2", "H")
SKUS = ("A", "B")
RECEIPTS = ("r-1", "r-2")
QUANTITY = st.integers(1, 5).map(lambda pieces: pieces * 1_000)


@dataclass
class Till:
    """One device: what it has heard, and what it could not send yet, oldest first. error_ms: of its stamps."""

    error_ms: int = 0
    heard: int = 0
    written: int = 0
    outbox: list[tuple[Body, Fact]] = field(default_factory=list)


class Shop(RuleBasedStateMachine):
    """Goods move, tills write it down, and their words arrive whenever they arrive."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = Memory()
        self.tills = {device: Till() for device in DEVICES}
        self.now_ms = 100_000
        # Goods that vanish are on nobody's list until the next count.
        self.shelf: Counter[str] = Counter()
        self.owed: Counter[str] = Counter()
        self.gone: set[str] = set()
        self.opened: dict[str, tuple[int, str, int]] = {}

    @initialize(errors=st.tuples(*[st.sampled_from([-2_499, 0, 2_499])] * len(DEVICES)))
    def tills_take_their_tick(self, errors: tuple[int, ...]) -> None:
        for till, error_ms in zip(self.tills.values(), errors, strict=True):
            till.error_ms = error_ms

    def _write(self, device: str, body: Body) -> None:
        till = self.tills[device]
        till.written += 1
        stamp_ms = self.now_ms + till.error_ms
        till.outbox.append((body, Fact(device, "epoch", till.written, 0, stamp_ms, till.heard, is_uncertain=False)))

    def _move(self, sku: str, change_milli: int) -> None:
        self.shelf[sku] += change_milli
        self.owed[sku] += change_milli

    # --- what happens in the shop ------------------------------------------------------------------------------------

    @rule(ms=st.sampled_from([500, 3_000, 20_000]))
    def time_goes_by(self, ms: int) -> None:
        self.now_ms += ms

    @rule(device=st.sampled_from(DEVICES), sku=st.sampled_from(SKUS), qty_milli=QUANTITY, is_in=st.booleans())
    def goods_move(self, device: str, sku: str, qty_milli: int, is_in: bool) -> None:
        change = qty_milli if is_in else -qty_milli
        self._move(sku, change)
        self._write(device, Move(sku, change, Reason.RECEIVE if is_in else Reason.SALE))

    @rule(sku=st.sampled_from(SKUS), qty_milli=QUANTITY)
    def goods_vanish(self, sku: str, qty_milli: int) -> None:
        self.shelf[sku] -= qty_milli

    @rule(device=st.sampled_from(DEVICES), receipt=st.sampled_from(RECEIPTS), qty_milli=QUANTITY)
    def receipt_is_opened(self, device: str, receipt: str, qty_milli: int) -> None:
        edit = self.opened.get(receipt, (0, "", 0))[0] + 1
        self.opened[receipt] = (edit, device, qty_milli)
        self._write(device, Receipt(receipt, ReceiptKind.SALE, Status.OPEN, (Line("A", qty_milli),), edit))

    @rule(device=st.sampled_from(DEVICES), receipt=st.sampled_from(RECEIPTS))
    def receipt_is_paid(self, device: str, receipt: str) -> None:
        # Whoever takes the money writes it down; the goods leave once, the first time.
        lines = (Line("A", 2_000), Line("B", 1_000))
        if receipt not in self.gone:
            self.gone.add(receipt)
            self._move("A", -2_000)
            self._move("B", -1_000)
        self._write(device, Receipt(receipt, ReceiptKind.SALE, Status.PAID, lines))

    @rule(device=st.sampled_from(DEVICES), sku=st.sampled_from(SKUS), includes_reserved=st.booleans())
    def goods_are_counted(self, device: str, sku: str, includes_reserved: bool) -> None:
        if self.shelf[sku] >= 0:
            self.owed[sku] = self.shelf[sku]
            self._write(device, Count(sku, self.shelf[sku], includes_reserved=includes_reserved))

    # --- what becomes of its words -----------------------------------------------------------------------------------

    @rule(device=st.sampled_from(DEVICES), count=st.integers(1, 3))
    def words_arrive(self, device: str, count: int) -> None:
        outbox = self.tills[device].outbox
        for body, fact in outbox[:count]:
            self.memory.take(body, fact)
        del outbox[:count]

    @rule(device=st.sampled_from(DEVICES))
    def till_hears_the_ledger(self, device: str) -> None:
        self.tills[device].heard = self.memory.rev

    # --- what is always true -----------------------------------------------------------------------------------------

    @invariant()
    def balances_are_the_sums_of_their_entries(self) -> None:
        for sku, kept in self.memory.skus.items():
            assert kept.stock.on_hand_milli == sum(effect.effect_milli for effect in kept.entries)
            assert kept.stock.reserved_milli == sum(effect.reserved_milli for effect in kept.entries)
            held = sum(receipt.reserved.get(sku, 0) for receipt in self.memory.receipts.values())
            assert kept.stock.reserved_milli == held

    @invariant()
    def alerts_are_there_as_long_as_their_causes(self) -> None:
        for sku, kept in self.memory.skus.items():
            is_oversold = kept.stock.is_stocked and kept.stock.on_hand_milli < 0
            assert (("oversell", sku) in self.memory.alerts) is is_oversold

    def teardown(self) -> None:
        """Everybody comes back to the net; then the ledger says what lies on the shelf, or asks for a recount."""
        for till in self.tills.values():
            for body, fact in till.outbox:
                self.memory.take(body, fact)
            till.outbox.clear()
        self.balances_are_the_sums_of_their_entries()
        self.alerts_are_there_as_long_as_their_causes()
        for sku in SKUS:
            if ("recount", sku) not in self.memory.alerts:
                assert self.memory.on_hand(sku) == self.owed[sku], sku
        for receipt, (_, _, qty_milli) in self.opened.items():
            state = self.memory.receipts[receipt]
            if receipt in self.gone:
                assert (state.state, dict(state.reserved)) == ("paid", {})
            else:
                assert (state.state, dict(state.reserved)) == ("open", {"A": qty_milli})


TestShelf = Shop.TestCase
TestShelf.settings = settings(max_examples=300, stateful_step_count=40)
