"""What goes on a job's sheet: from its operation to the bytes for one printer.

The operation comes from the ledger as the till said it; the job says which of its lines this printer's stations want,
and what the sheet says of itself. A station's sheet has no sum: it is for the cook, and its lines are a part.
"""

from dataclasses import dataclass, replace

from appliance.contract.paper import Job, Material
from appliance.printing.encode import encode
from appliance.printing.layout.precheck import precheck
from appliance.printing.layout.receipt import Heading, PreCheck, Shop, read_receipt
from appliance.printing.layout.sheet import Paper
from appliance.printing.layout.template import Template
from appliance.printing.models import DEFAULT_MODEL
from appliance.printing.sample import sample_precheck


@dataclass(frozen=True, slots=True)
class Sheets:
    """Makes the sheets of one printer. model, table: as `encode` has them."""

    shop: Shop
    paper: Paper
    template: Template
    model: str = DEFAULT_MODEL
    table: int | None = None

    def sheet(self, job: Job, material: Material) -> bytes:
        """Return the bytes of a job, without its marker."""
        return encode(
            precheck(self._precheck(job, material), self.template), self.paper, model=self.model, table=self.table
        )

    def _precheck(self, job: Job, material: Material) -> PreCheck:
        if material.operation is None:
            return sample_precheck(self.template.language)
        whole = read_receipt(
            material.operation,
            shop=self.shop,
            device=material.device,
            headings=tuple(Heading(heading) for heading in job.headings),
            before=material.before,
        )
        return whole if job.skus is None else _part(whole, frozenset(job.skus))


def _part(whole: PreCheck, skus: frozenset[str]) -> PreCheck:
    lines, before = (tuple(line for line in lines if line.sku in skus) for lines in (whole.lines, whole.before))
    return replace(whole, lines=lines, before=before, discount_minor=0, total_minor=None)
