"""The ledger's promises: durable pragmas, one commit for a turn, shop time that never goes back, and clear refusals."""

import os
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from appliance.ledger.database import FILE_NAME, DiskFault, LedgerError, open_database, tag_to_integer, tag_to_text
from appliance.ledger.reader import Reader
from appliance.ledger.writer import ANNOUNCED_AHEAD_MS, GAP_MAX_MS, Moment, Writer
from tests.shop import Shop, message, operation, rows


def _writer(directory: Path) -> Writer:
    return Writer(directory, shop="shop", new_ledger="ledger-1")


def test_database_is_durable_by_its_pragmas(tmp_path: Path) -> None:
    with closing(open_database(tmp_path / FILE_NAME, writable=True)) as connection:
        got = [connection.pragma(name) for name in ("journal_mode", "synchronous", "auto_vacuum")]
    assert got == ["wal", 2, 2]


def test_database_that_cannot_be_durable_stops_the_start() -> None:
    """In memory there is no WAL, as on a file system that cannot share memory: the ledger must not go on regardless."""
    with pytest.raises(LedgerError, match="journal_mode"):
        open_database(Path(":memory:"), writable=True)


def test_every_start_makes_the_databases_directory_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The start that made the file may have died before it came to that."""
    synced: list[str] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    open_database(tmp_path / FILE_NAME, writable=True).close()
    open_database(tmp_path / FILE_NAME, writable=True).close()
    assert synced == [str(tmp_path)] * 2


def test_schema_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    with closing(open_database(tmp_path / FILE_NAME, writable=True)) as connection:
        connection.pragma("user_version", 999)
    for writable in (True, False):
        with pytest.raises(LedgerError, match="999"):
            open_database(tmp_path / FILE_NAME, writable=writable)


def test_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"this is no database, and long enough to be looked at" * 20)
    with pytest.raises(LedgerError, match="backup"):
        open_database(tmp_path / FILE_NAME, writable=True)


def test_reader_without_a_ledger_says_so(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="no ledger yet"):
        Reader(tmp_path)


def test_ledger_of_another_shop_is_refused(tmp_path: Path) -> None:
    _writer(tmp_path).close()
    with pytest.raises(LedgerError, match="STOCK_SHOP"):
        Writer(tmp_path, shop="other", new_ledger="ledger-2")


def test_ledger_keeps_its_name(tmp_path: Path) -> None:
    _writer(tmp_path).close()
    writer = Writer(tmp_path, shop="shop", new_ledger="ledger-2")
    assert writer.ledger == "ledger-1"
    writer.close()


@pytest.mark.parametrize("tag", ["0" * 16, "f" * 16, "8000000000000000", "7fffffffffffffff", "00000000deadbeef"])
def test_tag_survives_being_kept_as_an_integer(tag: str) -> None:
    assert tag_to_text(tag_to_integer(tag)) == tag


# --- one commit -------------------------------------------------------------------------------------------------------


def test_turn_that_fails_leaves_nothing_and_is_tried_again_whole(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk at the commit: nothing is acked, nothing settled, and the next turn takes it all."""
    shop.say("A1", message(operation(1)))
    shop.link.log.clear()

    def full(self: object) -> None:
        raise apsw.FullError("database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr("appliance.ledger.turn.Turn.write", full)
        with pytest.raises(DiskFault):
            shop.say("A1", message(operation(2), operation(3, sku="new", qty="x")))
        assert (shop.link.log, shop.settled, shop.on_hand()) == ([], 1, "-1")
    shop.coordinator.turn()
    assert (shop.settled, shop.on_hand()) == (2, "-2")
    assert shop.retained("device/A1/ack")["seq"] == 3


def test_handshake_and_resend_write_nothing(shop: Shop) -> None:
    shop.say("A1", message(operation(1)))
    wal = shop.directory / f"{FILE_NAME}-wal"
    before = wal.stat().st_size
    shop.say("A1", message(operation(1)))
    assert wal.stat().st_size == before


def test_history_of_a_sku_is_one_chain_back_to_its_beginning(shop: Shop) -> None:
    bare = {"sku": ..., "qty": ..., "reason": ...}
    lines = [{"sku": "A", "qty": "1"}, {"sku": "B", "qty": "1"}, {"sku": "A", "qty": "2"}]
    receipt = {"type": "receipt", "receipt": "r", "kind": "sale", "status": "paid", "lines": lines}
    shop.say("A1", message(operation(1), operation(2, sku="B"), operation(3, **bare, **receipt)))
    shop.say("A1", message(operation(4)))
    found = rows(
        shop.directory,
        "SELECT code, entry.revision, n, effect_milli, previous FROM entry JOIN sku ON sku.id = sku "
        "ORDER BY code, entry.revision, n",
    )
    assert found == [
        ("A", 1, 0, -1000, 0),
        ("A", 3, 0, -3000, 1),
        ("A", 4, 0, -1000, 3),
        ("B", 2, 0, -1000, 0),
        ("B", 3, 1, -1000, 2),
    ]


# --- shop time --------------------------------------------------------------------------------------------------------


def _begin(directory: Path, run: str, moment: Moment) -> int:
    writer = _writer(directory)
    start_ms = writer.begin_run(run, moment)
    writer.close()
    return start_ms


def _is_measured(directory: Path) -> list[tuple[str, int]]:
    return rows(directory, "SELECT run, is_measured FROM run ORDER BY id")


def test_shop_time_runs_on_through_a_restart_within_one_boot(tmp_path: Path) -> None:
    assert _begin(tmp_path, "a", Moment("boot-1", 5_000, None)) == 0
    assert _begin(tmp_path, "b", Moment("boot-1", 65_000, None)) == 60_000
    assert _is_measured(tmp_path) == [("a", 1), ("b", 1)]


def test_shop_time_measures_a_power_cut_by_a_wall_clock_that_is_synchronised(tmp_path: Path) -> None:
    assert _begin(tmp_path, "a", Moment("boot-1", 5_000, 1_000_000)) == 0
    writer = _writer(tmp_path)
    writer.begin_run("b", Moment("boot-1", 6_000, 1_001_000))
    writer.keep_time(10_000, 1_010_000)
    writer.close()
    assert _begin(tmp_path, "c", Moment("boot-2", 300, 1_510_000)) == 510_000
    assert _is_measured(tmp_path) == [("a", 1), ("b", 1), ("c", 1)]


@pytest.mark.parametrize(
    ("before_ms", "after_ms"),
    [(None, 1_500_000), (1_000_000, None), (1_000_000, 900_000), (None, None), (1_000_000, 1_000_001 + GAP_MAX_MS)],
)
def test_shop_time_never_goes_back_over_a_power_cut_of_unknown_length(
    tmp_path: Path, before_ms: int | None, after_ms: int | None
) -> None:
    _begin(tmp_path, "a", Moment("boot-1", 5_000, before_ms))
    writer = _writer(tmp_path)
    writer.begin_run("b", Moment("boot-1", 5_000, before_ms))
    writer.keep_time(10_000, before_ms)
    writer.close()
    assert _begin(tmp_path, "c", Moment("boot-2", 300, after_ms)) == 10_000 + ANNOUNCED_AHEAD_MS
    assert _is_measured(tmp_path) == [("a", 0), ("b", 0), ("c", 1)]


def test_stamp_of_a_run_before_an_unknown_gap_is_uncertain(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.say("A1", message(operation(1, run="00000001", shop_ms=5)))
    shop.say("A1", message(operation(2, run="77", shop_ms=5)))
    shop.stop()
    _begin(tmp_path, "c", Moment("boot-2", 300, None))
    shop.start()
    shop.say("A1", message(operation(3, run="00000001", shop_ms=5), operation(4, run=shop.run, shop_ms=9)))
    shop.say("A1", message(operation(5, run=shop.run, shop_ms=9, uncertain=True), operation(6)))
    found = rows(tmp_path, "SELECT seq, is_uncertain FROM txn ORDER BY seq")
    shop.stop()
    assert found == [(1, 0), (2, 1), (3, 1), (4, 0), (5, 1), (6, 0)]


def test_seen_is_clamped_to_what_this_ledger_has_of_its_run(tmp_path: Path) -> None:
    """The fixed trace `clamp`: after a restore the revisions above come again with other contents."""
    shop = Shop(tmp_path)
    shop.say("A1", message(operation(1), operation(2)))
    shop.restart()
    shop.say(
        "A1", message(operation(3, run="00000001", shop_ms=1, seen=140), operation(4, run=shop.run, shop_ms=1, seen=1))
    )
    shop.say("A1", message(operation(5, run="77", shop_ms=1, seen=3), operation(6, seen=3)))
    found = rows(tmp_path, "SELECT seq, seen FROM txn WHERE seq > 2 ORDER BY seq")
    shop.stop()
    assert found == [(3, 2), (4, 1), (5, 0), (6, 0)]


def test_what_a_fork_gathers_needs_no_temporary_file(tmp_path: Path) -> None:
    """Where no directory for one could be written, a fork of a till with 600,000 sales once stopped every commit."""
    with closing(open_database(tmp_path / FILE_NAME, writable=True)) as connection:
        before = _nameless_files()
        connection.execute(
            "CREATE TEMP TABLE gathered AS WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n "
            "WHERE i < 4000) SELECT zeroblob(4096) FROM n"
        )
        assert _nameless_files() == before


def _nameless_files() -> set[str]:
    """What this process has open that has no name any more, as temporary files do."""
    open_files = {str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()}
    return {name for name in open_files if name.endswith("(deleted)")}


def test_log_is_copied_into_the_database_when_its_news_is_told(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    database = shop.directory / FILE_NAME
    told = 0

    def hear(topic: str, payload: bytes) -> None:
        nonlocal told
        told += 1
        assert database.stat().st_mtime_ns == before_ns, "nobody hears of a commit only after the copy"

    shop.link.heard = hear
    before_ns = database.stat().st_mtime_ns
    shop.say("A1", message(operation(1)))
    assert database.stat().st_mtime_ns == before_ns, "not yet: the log is short"
    monkeypatch.setattr("appliance.ledger.writer.CHECKPOINT_PAGES", 1)
    shop.say("A1", message(operation(2)))
    assert told
    assert database.stat().st_mtime_ns > before_ns
    copied = apsw.Connection(f"file:{database}?immutable=1", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    with closing(copied):
        assert copied.execute("SELECT max(revision) FROM txn").get == 2, "all of it, without the log"
