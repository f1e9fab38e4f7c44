"""Pruning: what happened long ago is summed up, one closing for each SKU, and forgotten revision by revision.

The oldest commits go a few at a time between two turns. Their entries are added to the closings in that transaction, so
that closing + entries is the balance at every instant. What must be known for ever stays: each operation's identity
(`txn`, `epoch`), the receipts with their digests, what came back, the marks, and the counts that are anchors.
"""

import hashlib

from appliance.ledger.history import Sql

MONTH_MS = 2_629_800_000
"""A twelfth of 365.25 days. It is shop time: a wall clock that goes wrong must not delete a year."""

BATCH = 100
"""Revisions of one step, or a few more, for a commit is pruned as a whole: some milliseconds, which no sale notices."""

_JOBS = 500
"""Print jobs that one step looks at."""

_VACUUM_PAGES = 64
"""Pages that one step gives back to the file system: a quarter of a MiB to write."""

_FREE_FRACTION = 4
"""A file is made smaller only when more than one page in so many is free. New sales need what last month's leave."""


def prune_step(sql: Sql, now_ms: int, keep_months: int) -> bool:
    """Forget some of the oldest commits, within the transaction under way. Returns whether there is more to do.

    now_ms: shop time. keep_months: whole months that are kept besides the one under way.
    """
    before_ms = (now_ms // MONTH_MS - keep_months) * MONTH_MS
    pruned_rev = sql("SELECT pruned_rev FROM ledger").get
    row = sql(
        "SELECT last_rev, shop_ms FROM (SELECT * FROM turn ORDER BY last_rev LIMIT ?) "
        "WHERE shop_ms < ? AND last_rev <= max(?, (SELECT min(last_rev) FROM turn)) ORDER BY last_rev DESC LIMIT 1",
        (BATCH, before_ms, pruned_rev + BATCH),
    ).get
    if row is not None:
        _forget(sql, pruned_rev, *row)
    return _shrink(sql) or row is not None


def _forget(sql: Sql, after: int, through: int, shop_ms: int) -> None:
    """Sum up and delete what the revisions after `after` and up to `through` did and said."""
    sql(
        "INSERT INTO closing SELECT sku, max(revision), sum(effect_milli), sum(reserved_milli), "
        "max(word IN ('receive', 'transfer_in', 'count')), 0 "
        "FROM entry JOIN word ON word.id = cause WHERE revision <= ? GROUP BY sku "
        "ON CONFLICT DO UPDATE SET revision = excluded.revision, on_hand_milli = on_hand_milli + "
        "excluded.on_hand_milli, reserved_milli = reserved_milli + excluded.reserved_milli, "
        "is_stocked = max(is_stocked, excluded.is_stocked)",
        (through,),
    )
    _forget_counts(sql, after, through)
    for revision, operation in sql(
        "SELECT revision, operation FROM body JOIN txn USING (revision) WHERE revision <= ? AND tag IS NULL", (through,)
    ).fetchall():
        sql("INSERT OR IGNORE INTO digest VALUES (?, ?)", (revision, digest(operation)))
    _forget_jobs(sql, shop_ms)
    # What may still be printed, such as a copy of an old receipt, needs its text, which goes with a later batch.
    sql(
        "DELETE FROM body WHERE revision <= ? AND revision NOT IN (SELECT revision FROM print_job WHERE revision "
        "IS NOT NULL AND state IN ('queued', 'printing', 'skipped-stale', 'failed', 'doubtful'))",
        (through,),
    )
    for table, revision in (("entry", "revision"), ("turn", "last_rev")):
        sql(f"DELETE FROM {table} WHERE {revision} <= ?", (through,))  # noqa: S608
    sql("UPDATE ledger SET pruned_rev = ?, pruned_ms = ?", (through, shop_ms))


def digest(operation: bytes) -> bytes:
    """Return what is kept of an operation without a tag: by it a resend is known, for its text is pruned."""
    return hashlib.blake2b(operation, digest_size=16).digest()


def _forget_counts(sql: Sql, after: int, through: int) -> None:
    """Keep of each SKU the count that was its anchor, by which what is late yet is judged."""
    for sku, revision, is_anchor in sql(
        "SELECT sku, revision, is_anchor FROM count JOIN entry USING (revision) "
        "WHERE revision > ? AND revision <= ? ORDER BY revision",
        (after, through),
    ).fetchall():
        forgotten = revision
        if is_anchor:
            forgotten = sql("SELECT newest_count FROM closing WHERE sku = ?", (sku,)).get
            sql("UPDATE closing SET newest_count = ? WHERE sku = ?", (revision, sku))
        sql("DELETE FROM count WHERE revision = ?", (forgotten,))


def _forget_jobs(sql: Sql, shop_ms: int) -> None:
    old = (
        f"SELECT id FROM (SELECT * FROM print_job ORDER BY id LIMIT {_JOBS}) "  # noqa: S608
        "WHERE queued_ms <= ? AND state <> 'printing'"
    )
    sql(f"UPDATE print_job SET copy_of = NULL WHERE copy_of IN ({old})", (shop_ms,))  # noqa: S608
    sql(f"DELETE FROM print_job WHERE id IN ({old})", (shop_ms,))  # noqa: S608


def _shrink(sql: Sql) -> bool:
    """Give some free pages back, where there are many. Returns whether there are many yet."""
    free, pages = sql("PRAGMA freelist_count").get, sql("PRAGMA page_count").get
    if free * _FREE_FRACTION <= pages:
        return False
    sql(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})").fetchall()
    return True
