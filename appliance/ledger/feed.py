"""What was committed last, operation by operation, and finding a SKU by what a person knows of it.

For people alone: `watch` shows both. What an operation did is read from its entries, and what it said from its text,
as long as that is kept.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from appliance.ledger.history import History, Sql

_NEWEST = (
    "SELECT txn.revision, txn.shop_ms, device.name, kind.word, receipt.receipt, receipt.number, code.word, operation "
    "FROM txn JOIN epoch ON epoch.id = txn.epoch JOIN device ON device.id = epoch.device "
    "JOIN word kind ON kind.id = txn.kind LEFT JOIN word code ON code.id = txn.code "
    "LEFT JOIN receipt ON receipt.id = txn.receipt LEFT JOIN body ON body.revision = txn.revision "
    "WHERE txn.revision > ? AND same_as IS NULL ORDER BY txn.revision DESC LIMIT ?"
)
_LINES = (
    "SELECT sku.code, details, effect_milli, word FROM entry JOIN sku ON sku.id = entry.sku "
    "JOIN word ON word.id = cause LEFT JOIN item ON item.sku = sku.id WHERE entry.revision = ? ORDER BY n"
)


@dataclass(frozen=True, slots=True)
class Line:
    """What an operation did to one SKU. name: the catalogue's, "" when it has none."""

    sku: str
    name: str
    effect_milli: int
    cause: str


@dataclass(frozen=True, slots=True)
class Done:
    """One operation. code: why it was rejected, None when it was applied. status and total_minor: of a receipt."""

    rev: int
    at_ms: int
    device: str
    kind: str
    receipt: str | None
    number: str
    status: str | None
    total_minor: int | None
    code: str | None
    lines: tuple[Line, ...]


def newest(sql: Sql, history: History, since: int, limit: int) -> list[Done]:
    """Return the newest operations after a revision, the oldest of them first."""
    rows = sql(_NEWEST, (since, limit)).fetchall()
    return [_done(sql, history, *row) for row in reversed(rows)]


def _done(
    sql: Sql,
    history: History,
    rev: int,
    shop_ms: int,
    device: str,
    kind: str,
    receipt: str | None,
    number: str | None,
    code: str | None,
    operation: bytes | None,
) -> Done:
    said: dict[str, Any] = {}
    if receipt is not None and code is None and operation is not None:
        said = orjson.loads(operation)
    lines = tuple(Line(sku, name_of(details), effect, cause) for sku, details, effect, cause in sql(_LINES, (rev,)))
    return Done(
        rev,
        history.wall_ms(rev, shop_ms),
        device,
        kind,
        receipt,
        number or "",
        said.get("status"),
        said.get("total_minor"),
        code,
        lines,
    )


def name_of(details: str | None) -> str:
    """Return the name in an item's details."""
    return "" if details is None else str(orjson.loads(details).get("name") or "")


def matching(rows: Iterator[tuple[Any, ...]], text: str) -> Iterator[tuple[Any, ...]]:
    """Walk the SKUs that have every word of a text in their code, their barcodes or their name.

    rows: of SKUs, the code first and the item's details, or None, last.
    """
    words = text.casefold().split()
    for row in rows:
        known: dict[str, Any] = {} if row[-1] is None else orjson.loads(row[-1])
        told = " ".join((row[0], str(known.get("name") or ""), *known.get("barcodes", ()))).casefold()
        if all(word in told for word in words):
            yield row
