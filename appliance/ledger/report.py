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
from appliance.stock.quantity import format_qty
from appliance.stock.stamps import rfc3339

RECEIPTS_MAX = 10
"""Receipts of one number: a till that begins anew each shift gives it again, and the newest is meant."""


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


def catalogue(reader: Reader) -> Iterator[dict[str, Any]]:
    """Walk all SKUs: `{"sku": …, "on_hand": "12", "counted": true, "item": the item's details, or null}`."""
    for balance, details in reader.catalogue():
        yield {
            "sku": balance.sku,
            "on_hand": format_qty(balance.on_hand_milli),
            "counted": balance.counted,
            "item": None if details is None else orjson.loads(details),
        }


def movements(reader: Reader) -> Iterator[dict[str, Any]]:
    """Walk the entries of all SKUs as on the wire (`messages.entry`), each with its `sku`: SKU by SKU, oldest first."""
    return (
        {"sku": balance.sku, **entry} for balance in reader.all_balances() for entry in history(reader, balance.sku)
    )


def newest(reader: Reader, since: int, limit: int) -> Iterator[dict[str, Any]]:
    """Walk the newest operations after a revision, the oldest of them first.

    `{"rev": …, "at": RFC 3339, "device": …, "type": "receipt", "receipt": …, "number": …, "status": "paid",
    "total_minor": …, "code": null, "lines": [{"sku": …, "name": …, "effect": "-2", "cause": "sale"}]}`; `code` is why
    an operation was rejected.
    """
    for done in reader.newest(since, limit):
        yield {
            "rev": done.rev,
            "at": rfc3339(done.at_ms),
            "device": done.device,
            "type": done.kind,
            "receipt": done.receipt,
            "number": done.number,
            "status": done.status,
            "total_minor": done.total_minor,
            "code": done.code,
            "lines": [
                {"sku": line.sku, "name": line.name, "effect": format_qty(line.effect_milli), "cause": line.cause}
                for line in done.lines
            ],
        }


def receipts(reader: Reader, name: str) -> Iterator[dict[str, Any]]:
    """Walk the receipts of an id, or of a number: as on the wire (`messages.receipt`), and what became of each.

    `{…, "sheet": the operation with its lines, or null, "payments": [{"rev": …, "device": …, "at": …}],
    "returned": [{"sku": …, "qty": …}], "prints": [{"job": 41, "printer": …, "state": …, …}]}`
    """
    for receipt in reader.receipts_called(name, RECEIPTS_MAX):
        [row] = reader.receipt(receipt).rows
        story = reader.receipt_story(receipt)
        yield {
            **orjson.loads(row.encoded),
            "sheet": None if story.sheet is None else story.sheet.operation,
            "payments": [
                {"rev": fact.rev, "device": fact.device, "at": rfc3339(fact.wall_ms)} for fact in story.payments
            ],
            "returned": [{"sku": sku, "qty": format_qty(milli)} for sku, milli in story.returned.items()],
            "prints": [job_row(job) for job in story.jobs],
        }


def search(reader: Reader, text: str, limit: int) -> Iterator[dict[str, Any]]:
    """Walk the SKUs that a text names: balances as on the wire, with the `name` beside them."""
    for balance, name in reader.search(text, limit):
        yield {**orjson.loads(messages.balance(balance)), "name": name}


def history(reader: Reader, sku: str) -> Iterator[dict[str, Any]]:
    """Walk all entries of a SKU as on the wire (`messages.entry`), in the order of the ledger; none when unknown."""
    return (orjson.loads(messages.entry(entry)) for entry in reader.explain(sku))


def alerts(reader: Reader, standing: Iterable[Alert] = ()) -> Iterator[dict[str, Any]]:
    """Walk the active alerts as on the wire (`messages.alert`). standing: those that are in no ledger."""
    return (orjson.loads(messages.alert(alert)) for alert in chain(standing, reader.alerts()))
