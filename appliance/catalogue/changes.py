"""What a sheet changes in the box: the operations, and what is left as it is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from appliance.catalogue.lines import Line, normalised
from appliance.catalogue.sheets import WrongSheet
from appliance.contract.limits import TOOK_MS_MAX
from appliance.stock.quantity import format_qty


@dataclass(frozen=True, slots=True)
class Known:
    """What the box knows of a SKU. item: its details as the ledger keeps them, None without any."""

    item: Mapping[str, Any] | None
    on_hand: str
    is_counted: bool


@dataclass(frozen=True, slots=True)
class Moment:
    """When a stocktake's sheet was made: the run, the shop time in it, and the newest revision then."""

    run: str
    shop_ms: int
    rev: int

    def heading(self) -> str:
        """The heading of the column to be filled, which brings the moment back."""
        return f"counted ({self.run}/{self.shop_ms}/{self.rev})"


@dataclass(slots=True)
class Changes:
    """operations: as on the wire, for the box to commit in this order.

    left: lines whose `on_hand` is not taken, because the box has a balance of its own; below: because it is below zero.
    """

    operations: list[dict[str, Any]] = field(default_factory=list)
    new: list[Line] = field(default_factory=list)
    changed: list[Line] = field(default_factory=list)
    opened: list[Line] = field(default_factory=list)
    counted: list[Line] = field(default_factory=list)
    left: list[Line] = field(default_factory=list)
    below: list[Line] = field(default_factory=list)


def read_moment(heading: str) -> Moment | None:
    """Return the moment in a column's heading, None where a person wrote it by himself."""
    inside = heading.partition("(")[2].rstrip(")").split("/")
    if len(inside) != 3 or not (inside[1].isdecimal() and inside[2].isdecimal()):
        return None
    return Moment(inside[0], int(inside[1]), int(inside[2]))


def find(lines: Iterable[Line], known: Mapping[str, Known], counting: Moment | None, now_ms: int) -> Changes:
    """Return what lines change. counting: when the sheet was made that was counted by; now_ms: shop time.

    A count is stamped with the beginning of counting and says how long that lasted, so that what was sold meanwhile is
    neither lost nor taken twice. Raises WrongSheet for a sheet of more than a week ago, or of another box's future.
    """
    changes = Changes()
    stamp: dict[str, Any] = {}
    if counting is not None:
        took_ms = now_ms - counting.shop_ms
        if not 0 <= took_ms <= TOOK_MS_MAX:
            raise WrongSheet("this sheet is older than a week, or of another box: export a new one, and count by that")
        stamp = {"run": counting.run, "shop_ms": counting.shop_ms, "seen": counting.rev, "took_ms": took_ms}
    for line in lines:
        before = known.get(line.sku, _UNKNOWN)
        details = normalised(line.sku, {**(before.item or {}), **line.item}).details
        if line.item and details != before.item:
            changes.operations.append({"type": "item", "sku": line.sku, **details})
            (changes.new if before.item is None else changes.changed).append(line)
        count = {"type": "count", "sku": line.sku, "includes_reserved": True}
        if line.counted_milli is not None:
            changes.operations.append({**count, **stamp, "counted": format_qty(line.counted_milli)})
            changes.counted.append(line)
        elif line.on_hand_milli is None or (before.is_counted and before.on_hand == format_qty(line.on_hand_milli)):
            pass  # Nobody says anything of its balance, or both say the same.
        elif before.is_counted:
            changes.left.append(line)
        elif line.on_hand_milli < 0:
            changes.below.append(line)
        else:
            changes.operations.append({**count, "counted": format_qty(line.on_hand_milli)})
            changes.opened.append(line)
    return changes


_UNKNOWN = Known(None, "0", is_counted=False)
