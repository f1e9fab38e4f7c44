"""A ledger of a busy shop verifies; with one number of it changed, the rule that it breaks is named."""

import shutil
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from appliance.ledger.database import FILE_NAME, LedgerError
from appliance.ledger.verify import Verified, Violation, verify
from tests.ledger.busy import any_day, live
from tests.shop import Shop, message, operation


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("lived")
    live(directory)
    return directory


RECEIPT_4 = "(SELECT id FROM receipt WHERE receipt = 'r-4')"
SAID = "an epoch stands at its last operation"
STATE = "a receipt is in the state"
TEXT = "a receipt's text is kept"
CORRECTS = "a count corrects to what was counted"
ANCHOR = "a count is the anchor when it is the newest"
DOES = "a receipt's operation does what its lines say"
CHAIN = "an entry names the SKU's revision before it"
CATALOGUE = "the catalogue has what an item operation said"

CORRUPTIONS = [
    # order and identity
    ("UPDATE turn SET shop_ms = 0 WHERE last_rev = (SELECT max(last_rev) FROM turn)", "shop time never runs back"),
    ("DELETE FROM turn WHERE last_rev = 32", "every revision belongs to a commit"),
    ("UPDATE run SET first_rev = 31 WHERE id = 2", "a run commits from its first revision on"),
    ("UPDATE txn SET seq = 99 WHERE revision = 7", "an epoch is committed without gaps"),
    (
        "UPDATE txn SET seq = 99 WHERE revision = 3; UPDATE txn SET seq = 3 WHERE revision = 6;"
        "UPDATE txn SET seq = 4 WHERE revision = 3",
        "an epoch is committed in order",
    ),
    ("UPDATE epoch SET seq = seq + 1 WHERE id = 1", SAID),
    ("UPDATE epoch SET tag = tag + 1 WHERE id = 1", SAID),
    ("UPDATE epoch SET rejected = 0", "how many of its operations were rejected"),
    ("UPDATE device SET epoch = 1 WHERE id = 2", "a device's retained ack is of its own epoch"),
    # one operation and its entries
    (
        "DELETE FROM txn WHERE revision = 7; DELETE FROM body WHERE revision = 7;"
        "UPDATE txn SET seq = seq - 1 WHERE seq > 3 AND epoch = 2;"
        "UPDATE epoch SET seq = 11, rejected = 0 WHERE id = 2",
        "revisions have no holes",
    ),
    ("UPDATE txn SET seen = 20 WHERE revision = 20", "what was seen was there before"),
    ("UPDATE entry SET n = 5 WHERE revision = 9 AND n = 1", "entries are numbered from 0"),
    ("INSERT INTO entry VALUES (7, 0, 1, 0, 0, 1, 6)", "has no effect"),
    ("UPDATE body SET detail = NULL", "what was rejected is kept, with the reason"),
    ("UPDATE txn SET same_as = 10 WHERE revision = 28", "the same device's earlier one, by its tag"),
    ("UPDATE txn SET same_as = NULL WHERE revision = 28", "a movement or a count is of one SKU"),
    (
        "UPDATE entry SET cause = (SELECT id FROM word WHERE word = 'count') WHERE revision = 2",
        "cause is its operation's",
    ),
    ("UPDATE entry SET reserved_milli = 1 WHERE revision = 2", "an entry moves or reserves"),
    ("DELETE FROM count WHERE revision = 13", "a count says what was counted"),
    ("INSERT INTO count VALUES (2, 1, 0, 0, 1)", "a count says what was counted"),
    # a SKU's chain
    ("UPDATE entry SET previous = 1 WHERE revision = 12", CHAIN),
    ("DELETE FROM entry WHERE revision = 15", "a SKU's revision is its newest entry's"),
    ("DELETE FROM entry WHERE revision = 14", CHAIN),
    ("DELETE FROM entry WHERE revision = 29", "a movement or a count is of one SKU"),
    ("UPDATE entry SET effect_milli = 30000 WHERE revision = 2", CORRECTS),
    ("UPDATE entry SET effect_milli = -2000 WHERE revision = 29", "on_hand is the sum of the effects"),
    ("UPDATE sku SET on_hand_milli = on_hand_milli + 1 WHERE code = 'milk'", "on_hand is the sum of the effects"),
    ("UPDATE sku SET reserved_milli = 0 WHERE code = 'tea'", "reserved is the sum of the entries"),
    ("UPDATE sku SET revision = 28 WHERE code = 'tea'", "a SKU's revision is its newest entry's"),
    ("UPDATE sku SET is_stocked = 1 WHERE code = 'tea'", "counted from its first receiving"),
    ("UPDATE sku SET is_stocked = 0 WHERE code = 'salt'", "counted from its first receiving"),
    ("INSERT INTO sku SELECT 99, 'ghost', 0, 1, 0, 0, 0, 0", "reserved is the sum of the entries"),
    # counts
    ("UPDATE count SET counted_milli = 5000 WHERE revision = 8", CORRECTS),
    ("UPDATE entry SET effect_milli = -3000 WHERE revision = 8", CORRECTS),
    ("UPDATE entry SET effect_milli = 1000 WHERE revision = 11", CORRECTS),
    ("UPDATE txn SET shop_ms = 220000 WHERE revision = 11", ANCHOR),
    ("UPDATE count SET is_anchor = 0 WHERE revision = 8", ANCHOR),
    (
        "DELETE FROM entry WHERE revision = 9 AND n = 1; UPDATE sku SET on_hand_milli = on_hand_milli - 4000 "
        "WHERE code = 'milk'",
        "what the newest count has seen is taken back",
    ),
    (
        "UPDATE entry SET effect_milli = 3000 WHERE revision = 9 AND n = 1",
        "what the newest count has seen is taken back",
    ),
    ("UPDATE txn SET shop_ms = 90000 WHERE revision = 10", "what the newest count has seen is taken back"),
    ("UPDATE txn SET shop_ms = 230000 WHERE revision = 9", "what the newest count has seen is taken back"),
    ("UPDATE entry SET effect_milli = 0 WHERE revision = 9 AND n = 0", "nothing is taken back but what was moved"),
    ("UPDATE sku SET newest_count = 11 WHERE code = 'milk'", "the anchor is the newest count"),
    ("INSERT INTO count VALUES (7, 1000, 0, 0, 1)", "every count is an operation"),
    ("DELETE FROM alert WHERE kind = 'recount'", "the anchor is the newest of all counts"),
    # the catalogue
    ("UPDATE item SET revision = 2", CATALOGUE),
    # receipts
    (f"DELETE FROM payment WHERE receipt = {RECEIPT_4}", "a receipt is paid once for the same goods"),
    (
        "INSERT INTO payment SELECT receipt, 6, goods FROM payment WHERE revision = 4",
        "a receipt is paid once for the same",
    ),
    ("UPDATE payment SET goods = 'others' WHERE revision = 4", "a receipt is paid once for the same goods"),
    ("UPDATE receipt SET state = 'open' WHERE receipt = 'r-9'", STATE),
    ("UPDATE receipt SET edit = 1 WHERE receipt = 'r-7'", STATE),
    ("UPDATE receipt SET device = 'A1' WHERE receipt = 'r-7'", STATE),
    ("UPDATE receipt SET opened_ms = 0 WHERE receipt = 'r-11'", STATE),
    ("UPDATE receipt SET revision = 5 WHERE receipt = 'r-1'", STATE),
    (
        "INSERT INTO receipt VALUES (99, 'ghost', 'sale', 'paid', '', 1, 'A1', NULL, 5, NULL)",
        "every receipt has an operation",
    ),
    ("DELETE FROM reserved", "reserved is what open receipts hold"),
    (f"UPDATE reserved SET receipt = {RECEIPT_4}", "an open receipt holds what its lines say"),
    ("DELETE FROM body WHERE revision = 20", TEXT),
    ("UPDATE body SET operation = x'7b7d' WHERE revision = 20", TEXT),
    ("UPDATE body SET operation = CAST(replace(operation, 'r-8', 'r-9') AS BLOB) WHERE revision = 20", TEXT),
    ("UPDATE body SET operation = CAST(replace(operation, '\"2\"', '\"1\"') AS BLOB) WHERE revision = 20", DOES),
    (
        "UPDATE entry SET effect_milli = -2000 WHERE revision = 14; UPDATE sku SET on_hand_milli = -2000 "
        "WHERE code = 'shoe'",
        DOES,
    ),
    (
        "UPDATE entry SET effect_milli = -19000 WHERE revision = 5;"
        "UPDATE entry SET effect_milli = 8000 WHERE revision = 8",
        DOES,
    ),
    ("UPDATE entry SET cause = (SELECT id FROM word WHERE word = 'return') WHERE revision = 14", DOES),
    ("UPDATE mark_use SET uses = 2 WHERE receipt = 'r-3'", "a mark's uses are what its receipts say"),
    ("DELETE FROM mark_use WHERE receipt = 'r-3'", "a mark's uses are what its receipts say"),
    ("INSERT INTO mark_use VALUES ('another', 'r-3', 1)", "every use of a mark is a receipt's"),
    ("UPDATE returned SET qty_milli = 1000 WHERE sku = 'milk'", "what came back of a sale"),
    ("INSERT INTO returned VALUES ('r-2', 'milk', 1000)", "what came back of a sale"),
    # the file
    ("UPDATE entry SET sku = 999 WHERE revision = 29", "every row refers to one that there is"),
    ("DELETE FROM device WHERE name = 'H'", "every row refers to one that there is"),
]


def test_ledger_of_a_busy_shop_verifies(lived: Path) -> None:
    assert verify(lived) == Verified(operations=32, entries=36, skus=6, counts=6, receipts=11, epochs=6)


def test_ledger_in_which_a_copy_of_a_receipt_was_asked_for_verifies(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    bare = {"sku": ..., "qty": ..., "reason": ..., "receipt": "r-1"}
    paid = operation(1, **bare, type="receipt", kind="sale", status="paid", lines=[{"sku": "A", "qty": "1"}])
    shop.say("A1", message(paid, operation(2, **bare, type="print")))
    shop.stop()
    assert (verify(tmp_path).operations, verify(tmp_path).receipts) == (2, 1)


def test_new_ledger_verifies(tmp_path: Path) -> None:
    Shop(tmp_path).stop()
    assert verify(tmp_path) == Verified(0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize(("change", "broken"), CORRUPTIONS)
def test_changed_ledger_is_found_out_by_the_rule_that_it_breaks(
    lived: Path, tmp_path: Path, change: str, broken: str
) -> None:
    copy = shutil.copytree(lived, tmp_path / "copy")
    with closing(apsw.Connection(str(copy / FILE_NAME))) as connection:
        connection.execute(change)
    with pytest.raises(Violation) as found:
        verify(copy)
    assert broken in found.value.what
    for part in (found.value.what, found.value.where, found.value.expected, found.value.found):
        assert part
        assert part in str(found.value)


# The check's first look falls on txn; nothing but a check of the whole file looks at this index.
@pytest.mark.parametrize("table", ["txn", "entry", "quarantine_by_device"])
def test_damaged_file_is_named(lived: Path, tmp_path: Path, table: str) -> None:
    copy = shutil.copytree(lived, tmp_path / "copy")
    with closing(apsw.Connection(str(copy / FILE_NAME))) as connection:
        page = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).get
        size = connection.pragma("page_size")
    with (copy / FILE_NAME).open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    with pytest.raises(Violation, match="sound database"):
        verify(copy)


def test_missing_ledger_is_no_violation(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="no ledger yet"):
        verify(tmp_path)


def test_check_sees_one_moment_of_a_ledger_that_is_being_written(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.say("A1", message(operation(1)))
    steps: list[str] = []

    def sell_meanwhile(step: str, done: int, total: int) -> None:
        steps.append(step)
        shop.say("A1", message(operation(2)))

    assert verify(tmp_path, sell_meanwhile).operations == 1
    assert steps
    assert verify(tmp_path).operations == 2
    shop.stop()


@pytest.mark.parametrize("seed", range(8))
def test_ledger_verifies_whatever_happened(tmp_path: Path, seed: int) -> None:
    """Four devices with stamps of any age, that know of anything or of nothing: every rule still holds."""
    any_day(Shop(tmp_path), seed)
    assert verify(tmp_path).operations > 250
