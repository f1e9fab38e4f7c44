"""Which sheets a committed operation wants: pure, and asked by the coordinator in the operation's own transaction.

    operation ──▶ reconcile, apply ──▶ wanted ──▶ one job for each printer that has lines of it ──▶ same commit

`PRINT_ON` decides for the shop and the receipt's own `print` for itself. What has no effect (an older edit that came
late, a payment repeated) wants no sheet, and the coordinator does not ask. Nor does what a printer's newest sheet of
the receipt shows already; unless somebody asked for paper, and then it is a copy. A cook never gets an order twice.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from appliance.contract.paper import COPY, STALE_ALWAYS_MS, PrintOn, Said, Sheet, Wanted
from appliance.stock import alerts
from appliance.stock.alerts import Cleared, Raised
from appliance.stock.operation import PrintCopy, Receipt, Status

Group = Callable[[str], str | None]
"""Tells a SKU's item group, None when the catalogue has none."""

Shown = Callable[[str], Sheet | None]
"""Tells what a printer's newest sheet of the receipt shows, None when it has none: what is out, or still waits."""


@dataclass(frozen=True, slots=True)
class Station:
    """Where a printer stands. groups: the item groups that it prints; without any it prints whole receipts."""

    printer: str
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class PrintRules:
    """The shop's own rules. stale_ms: shop time after which nobody waits for a sheet any more."""

    stations: tuple[Station, ...] = ()
    print_on: PrintOn = PrintOn.OPEN
    stale_ms: int = 600_000

    @property
    def printers(self) -> tuple[str, ...]:
        return tuple(station.printer for station in self.stations)

    def wanted(self, said: Said, group: Group, shown: Shown) -> list[Wanted]:
        """Return the jobs that an operation wants, one at most for each printer."""
        if not self._is_wanted(said.body):
            return []
        jobs = (self._job(station, said, group, shown(station.printer)) for station in self.stations)
        return [job for job in jobs if job is not None]

    def groups_told(self, said: Said, group: Group) -> Iterator[Raised | Cleared]:
        """Return what a person is told of a sheet's item groups: that no printer prints one, or that one does now.

        In a shop whose printer prints all nothing is looked up.
        """
        groups = [station.groups for station in self.stations]
        if not any(groups) or not self._is_wanted(said.body):
            return
        for name, sku in {group(line["sku"]): line["sku"] for line in _lines(said.sheet.operation)}.items():
            unprinted = alerts.group_unprinted(name, sku, said.body.receipt)
            is_printed = any(not one or name in one for one in groups)
            yield Cleared(unprinted.kind, unprinted.subject) if is_printed else unprinted

    def stale_at_ms(self, happened_ms: int, now_ms: int, *, is_known: bool) -> int:
        """Return the shop time from which an operation's sheets are not printed unasked.

        happened_ms: by its stamp, which may be ahead of `now_ms`. is_known: the stamp's run is one of this ledger's; of
        another one nobody can tell how old it is.
        """
        return min(happened_ms, now_ms) + self.stale_ms if is_known else STALE_ALWAYS_MS

    def _is_wanted(self, body: Receipt | PrintCopy) -> bool:
        if isinstance(body, PrintCopy) or _is_asked_for(body):
            return True
        if body.status is Status.CANCELLED or body.is_printed is not None:
            return False
        return self.print_on is PrintOn.ALL or self.print_on.value == body.status.value

    def _job(self, station: Station, said: Said, group: Group, shown: Sheet | None) -> Wanted | None:
        now, is_asked_for = said.sheet.operation, _is_asked_for(said.body)
        lines = [*_lines(now), *(_lines(shown.operation) if shown else ())]
        skus = None
        if station.groups:
            # What was taken off the receipt is told too: somebody is cooking it.
            lines = [line for line in lines if group(line["sku"]) in station.groups]
            skus = tuple(dict.fromkeys(line["sku"] for line in lines))
        if not lines and (station.groups or not is_asked_for):
            return None  # A table that is opened before anybody has ordered is no sheet yet.
        is_shown = shown is not None and _facts(shown.operation, skus) == _facts(now, skus)
        if not (is_shown or isinstance(said.body, PrintCopy)):
            return Wanted(station.printer, said.sheet.rev, skus, ())
        if is_asked_for and self._makes_copies(station):
            return Wanted(station.printer, said.sheet.rev, skus, (COPY,))
        return None

    def _makes_copies(self, station: Station) -> bool:
        """A copy is the guest's: a kitchen that got one would cook everything again."""
        return not station.groups or all(one.groups for one in self.stations)


def _is_asked_for(body: Receipt | PrintCopy) -> bool:
    """Whether somebody waits for this very sheet."""
    return isinstance(body, PrintCopy) or (body.is_printed is True and body.status is not Status.CANCELLED)


def _lines(operation: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    return iter(operation.get("lines") or ())


def _facts(operation: Mapping[str, Any], skus: tuple[str, ...] | None) -> object:
    """What a printer's sheet shows of an operation, to tell whether another one shows anything else."""
    facts = [operation.get(key) or None for key in ("number", "kind", "cashier", "table")]
    goods = ("sku", "name", "qty", "unit")
    if skus is not None:
        return facts, [[line.get(key) for key in goods] for line in _lines(operation) if line["sku"] in skus]
    facts += [operation.get("status"), operation.get("currency") or None]
    facts += [operation.get("discount_minor") or 0, operation.get("total_minor")]
    priced = (*goods, "price_minor", "discount_minor", "amount_minor")
    return facts, [[line.get(key) for key in priced] for line in _lines(operation)]
