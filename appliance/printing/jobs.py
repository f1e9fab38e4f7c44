"""Which sheets a committed operation wants: pure, and asked by the coordinator in the operation's own transaction.

    operation ──▶ reconcile, apply ──▶ wanted ──▶ one job for each printer that has lines of it ──▶ same commit

`PRINT_ON` decides for the shop and the receipt's own `print` for itself. What has no effect (an older edit that came
late, a payment repeated) wants no sheet, and the coordinator does not ask.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from appliance.contract.paper import COPY, EDITED, STALE_ALWAYS_MS, PrintOn, Said, Wanted
from appliance.stock.operation import PrintCopy, Status

Group = Callable[[str], str | None]
"""Tells a SKU's item group, None when the catalogue has none."""


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

    def wanted(self, said: Said, group: Group) -> list[Wanted]:
        """Return the jobs that an operation wants, one at most for each printer."""
        if not self._is_wanted(said):
            return []
        return [job for station in self.stations if (job := self._job(station, said, group)) is not None]

    def stale_at_ms(self, happened_ms: int, now_ms: int, *, is_known: bool) -> int:
        """Return the shop time from which an operation's sheets are not printed unasked.

        happened_ms: by its stamp, which may be ahead of `now_ms`. is_known: the stamp's run is one of this ledger's; of
        another one nobody can tell how old it is.
        """
        return min(happened_ms, now_ms) + self.stale_ms if is_known else STALE_ALWAYS_MS

    def _is_wanted(self, said: Said) -> bool:
        if isinstance(said.body, PrintCopy):
            return True
        if said.body.status is Status.CANCELLED:
            return False
        if said.body.is_printed is not None:
            return said.body.is_printed
        return self.print_on is PrintOn.ALL or self.print_on.value == said.body.status.value

    def _job(self, station: Station, said: Said, group: Group) -> Wanted | None:
        before = said.before if _is_edit(said) else None
        skus = None
        if station.groups:
            lines = [*_lines(said.sheet.operation), *(_lines(before.operation) if before else ())]
            # What was taken off the receipt is told too: somebody is cooking it.
            skus = tuple(dict.fromkeys(sku for line in lines if group(sku := line["sku"]) in station.groups))
            if not skus:
                return None
        if before is not None and _shown(before.operation, skus) == _shown(said.sheet.operation, skus):
            return None
        headings: tuple[str, ...] = ()
        if isinstance(said.body, PrintCopy):
            headings = (COPY,)
        elif before is not None:
            headings = (EDITED,)
        return Wanted(station.printer, said.sheet.rev, before.rev if before else None, skus, headings)


def _is_edit(said: Said) -> bool:
    return not isinstance(said.body, PrintCopy) and said.body.status is Status.OPEN and said.before is not None


def _lines(operation: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    return iter(operation.get("lines") or ())


def _shown(operation: Mapping[str, Any], skus: tuple[str, ...] | None) -> object:
    """What a printer's sheet shows of an operation, to tell whether another one shows anything else."""
    facts = [operation.get(key) or None for key in ("number", "kind", "cashier", "table", "currency")]
    if skus is None:
        facts += [operation.get("discount_minor") or 0, operation.get("total_minor")]
    return facts, [dict(line) for line in _lines(operation) if skus is None or line["sku"] in skus]
