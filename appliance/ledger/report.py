"""The ledger as the commands show it: rows of plain JSON values.

A running coordinator answers with these over the control socket, and with the service down a command makes the same
ones from the ledger itself.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import chain
from typing import Any

import orjson

from appliance.contract import messages
from appliance.contract.messages import Alert
from appliance.contract.paper import job_row
from appliance.ledger.reader import Reader


def totals(reader: Reader) -> dict[str, Any]:
    """Return `{"ledger": uuid, "rev": …, "skus": …, "receipts": …, "rejected": …, …}` (`reader.Totals`)."""
    return {"ledger": reader.ledger, **asdict(reader.totals())}


def jobs(reader: Reader) -> Iterator[dict[str, Any]]:
    """Walk the print jobs that a person may have to do with: what waits, what was skipped, what nobody knows of."""
    for job in reader.jobs.queue():
        yield {**job_row(job), "headings": list(job.headings), "attempts": job.attempts}


def balances(reader: Reader, sku: str | None) -> Iterator[dict[str, Any]]:
    """Walk balances as on the wire (`messages.balance`): of one SKU (none when it is unknown), or of all."""
    found = reader.all_balances() if sku is None else filter(None, [reader.balance(sku)])
    return (orjson.loads(messages.balance(balance)) for balance in found)


def history(reader: Reader, sku: str) -> Iterator[dict[str, Any]]:
    """Walk all entries of a SKU as on the wire (`messages.entry`), in the order of the ledger; none when unknown."""
    return (orjson.loads(messages.entry(entry)) for entry in reader.explain(sku))


def alerts(reader: Reader, standing: Iterable[Alert] = ()) -> Iterator[dict[str, Any]]:
    """Walk the active alerts as on the wire (`messages.alert`). standing: those that are in no ledger."""
    return (orjson.loads(messages.alert(alert)) for alert in chain(standing, reader.alerts()))
