"""What goes on a job's sheet: from its operation to the bytes for one printer.

The operation comes from the ledger as the till said it; the job says which of its lines this printer's stations want,
and what the sheet says of itself. A station's sheet is an order for a cook: its lines are a part, and it has no sums.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from typing import Any

from appliance.contract.paper import COPY, Job, Material
from appliance.contract.slip import Slip
from appliance.printing.encode import encode
from appliance.printing.layout.blocks import Block, Cut
from appliance.printing.layout.precheck import precheck
from appliance.printing.layout.receipt import Heading, PreCheck, PreCheckLine, Purpose, Shop, read_receipt
from appliance.printing.layout.sheet import Paper
from appliance.printing.layout.template import Template
from appliance.printing.models import DEFAULT_MODEL
from appliance.printing.sample import sample_precheck
from appliance.printing.slips import slip_sheet
from appliance.stock.operation import Status


@dataclass(frozen=True, slots=True)
class Sheets:
    """Makes the sheets of one printer. model, table: as `encode` has them.

    zone: whose time a sheet says; None is the till's own, and for what has none of the till's the box's.
    wall_ms: what the box's clock showed at a moment of shop time, None while it may be wrong.
    """

    shop: Shop
    paper: Paper
    template: Template
    model: str = DEFAULT_MODEL
    table: int | None = None
    zone: tzinfo | None = None
    wall_ms: Callable[[int], int | None] = lambda shop_ms: None

    def sheet(self, job: Job, material: Material) -> bytes:
        """Return the bytes of a job, without its marker."""
        shown = self._precheck(job, material)
        blocks = precheck(shown, self.template)
        # What came out of the sheet in doubt may hang in the printer, and the repeat must not stick to it.
        return self._encoded((Cut(), *blocks) if Heading.REPEAT in shown.headings else blocks)

    def slip(self, slip: Slip, *, is_shops: bool) -> bytes:
        """Return the bytes of a slip, without its marker. is_shops: its token is the shop's password."""
        return self._encoded(slip_sheet(slip, self.shop.name, self.template.language, is_shops=is_shops))

    def _encoded(self, blocks: tuple[Block, ...]) -> bytes:
        return encode(blocks, self.paper, model=self.model, table=self.table)

    def _precheck(self, job: Job, material: Material) -> PreCheck:
        headings = [Heading(heading) for heading in job.headings]
        if material.operation is None:
            return sample_precheck(self.template.language, self.shop, (Heading.TEST, *headings))
        before = material.before if _is_edit(job, material.operation) else None
        if before is not None:
            # It stands in for a sheet in doubt that is not repeated itself.
            headings += [Heading.REPEAT] if before.is_doubtful and Heading.REPEAT not in headings else []
            headings.append(Heading.EDITED)
        whole = read_receipt(
            material.operation,
            shop=self.shop,
            device=material.device,
            headings=tuple(headings),
            before=before.operation if before else None,
        )
        whole = replace(
            whole,
            at=self._at(whole.at, material.happened_ms),
            before=_of(whole.before, before.skus if before else None),
        )
        return whole if job.skus is None else order(whole, job.skus)

    def _at(self, said: str, happened_ms: int) -> str:
        """Return when it happened: as the till said, else by the box's clock; "" where nobody knows it."""
        if said and self.zone is None:
            return said
        if said:
            moment = datetime.fromisoformat(said)
        elif (wall_ms := self.wall_ms(happened_ms)) is not None:
            moment = datetime.fromtimestamp(wall_ms // 1000, UTC)
        else:
            return ""
        try:
            return moment.astimezone(self.zone).isoformat()
        except OverflowError:
            return said  # In another zone it would be before the first year, or after the last.


def order(whole: PreCheck, skus: tuple[str, ...]) -> PreCheck:
    """Return a station's part, without the prices: the sum is not its own, and a discount is no news for a cook."""
    lines, before = (
        tuple(replace(line, price_minor=None, discount_minor=0, amount_minor=None) for line in part)
        for part in (_of(whole.lines, skus), whole.before)
    )
    return replace(whole, purpose=Purpose.ORDER, lines=lines, before=before)


def _is_edit(job: Job, operation: Mapping[str, Any]) -> bool:
    """Whether a sheet replaces the one before. A copy does not, nor what a guest has paid; a cook goes on cooking."""
    return COPY not in job.headings and (job.skus is not None or operation["status"] == Status.OPEN)


def _of(lines: tuple[PreCheckLine, ...], skus: tuple[str, ...] | None) -> tuple[PreCheckLine, ...]:
    return lines if skus is None else tuple(line for line in lines if line.sku in skus)
