"""What is really there: the goods on the simulated shelf, and what the ledger can know of them.

It knows of no revision, stamp or order of arrival: goods are moved when a person moves them. The ledger knows of a
SKU what was counted of it last, and what was moved since; before the first count only what was moved.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

IN_THE_BEGINNING_MILLI = 10_000_000
"""What lies there before anybody has told the box of it: enough for a day."""


@dataclass(slots=True)
class _Moved:
    """Goods left or came once. tags: of every operation that says so."""

    tags: list[str]
    milli: int


@dataclass(slots=True)
class Counted:
    """Somebody has looked how much there is. tag: of the operation that says so, once there is one."""

    milli: int
    tag: str = ""


@dataclass(slots=True)
class _Told:
    """What the operations on one receipt say. opened: edit, device and lines of each open."""

    paid: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    opened: list[tuple[str, int, str, Mapping[str, int]]] = field(default_factory=list)


class Shelf:
    def __init__(self) -> None:
        self.there_milli: Counter[str] = Counter()
        self._history: dict[str, list[_Moved | Counted]] = {}
        self._payments: dict[tuple[str, str], list[_Moved]] = {}
        self._receipts: dict[str, _Told] = {}
        self._skus_of: dict[str, set[str]] = {}

    def lies(self, sku: str) -> int:
        """Return how much of a SKU lies there now, in thousandths."""
        return IN_THE_BEGINNING_MILLI + self.there_milli[sku]

    def moved(self, tag: str, milli: Mapping[str, int]) -> list[_Moved]:
        """A person has moved goods, and an operation says so."""
        moved = []
        for sku, change_milli in milli.items():
            self.there_milli[sku] += change_milli
            moved.append(_Moved([tag], change_milli))
            self._history.setdefault(sku, []).append(moved[-1])
        self._skus_of[tag] = set(milli)
        return moved

    def vanished(self, sku: str, milli: int) -> None:
        """Goods are gone, and nobody says so."""
        self.there_milli[sku] -= milli

    def looked(self, sku: str) -> Counted:
        """A person looks how much of a SKU there is; `counted` says what became of it."""
        looked = Counted(self.lies(sku))
        self._history.setdefault(sku, []).append(looked)
        return looked

    def counted(self, looked: Counted, sku: str, tag: str) -> None:
        looked.tag = tag
        self._skus_of[tag] = {sku}

    def opened(self, tag: str, receipt: str, edit: int, device: str, goods: Mapping[str, int]) -> None:
        self._told(receipt).opened.append((tag, edit, device, dict(goods)))
        self._skus_of[tag] = set(goods)

    def cancelled(self, tag: str, receipt: str) -> None:
        self._told(receipt).cancelled.append(tag)

    def paid(self, tag: str, receipt: str, goods: Mapping[str, int]) -> None:
        """A receipt was paid; its goods leave when it is paid for them the first time. goods: negative ones come back.

        Paid again for the same goods it is the same sale, whoever says so.
        """
        key = receipt, repr(sorted(goods.items()))
        if key in self._payments:
            for moved in self._payments[key]:
                moved.tags.append(tag)
            self._skus_of[tag] = set(goods)
        else:
            self._payments[key] = self.moved(tag, {sku: -milli for sku, milli in goods.items()})
        self._told(receipt).paid.append(tag)

    # --- what the ledger must come to -------------------------------------------------------------------------------

    def skus(self) -> list[str]:
        return sorted(self._history)

    def on_hand(self, sku: str, is_there: Callable[[str], bool]) -> int:
        """Return what a ledger must have of a SKU that holds the operations whose tags are there."""
        total_milli = 0
        for one in self._history[sku]:
            match one:
                case Counted(milli, tag) if is_there(tag):
                    total_milli = milli
                case _Moved(tags, milli) if any(map(is_there, tags)):
                    total_milli += milli
        return total_milli

    def receipts(self) -> Iterable[str]:
        return self._receipts

    def state(self, receipt: str, is_there: Callable[[str], bool]) -> tuple[str, Mapping[str, int]]:
        """Return what a receipt has come to, and what it reserves while it is open; "" when nothing of it is there."""
        told = self._receipts[receipt]
        if any(map(is_there, told.paid)):
            return "paid", {}
        if any(map(is_there, told.cancelled)):
            return "cancelled", {}
        opened = [(edit, device, n) for n, (tag, edit, device, _) in enumerate(told.opened) if is_there(tag)]
        return ("open", told.opened[max(opened)[2]][3]) if opened else ("", {})

    def skus_of(self, tags: Iterable[str]) -> set[str]:
        """Return the SKUs that operations are about."""
        return {sku for tag in tags for sku in self._skus_of.get(tag, ())}

    def _told(self, receipt: str) -> _Told:
        return self._receipts.setdefault(receipt, _Told())
