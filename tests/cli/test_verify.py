"""`verify` says that a ledger is right, or the first thing that is wrong with it."""

from contextlib import closing
from pathlib import Path

import apsw
import orjson

from appliance.ledger.database import FILE_NAME
from tests.box import Box
from tests.cli.stories import milk


def test_sound_ledger_is_said_to_be_one(tmp_path: Path) -> None:
    milk(tmp_path)
    done = Box(tmp_path).command("verify")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "verified: 7 operations, 8 entries, 1 skus, 1 counts, 0 receipts, 4 epochs; no rule is broken\n"
    )


def test_first_violation_is_named_with_its_place_and_both_numbers(tmp_path: Path) -> None:
    milk(tmp_path)
    with closing(apsw.Connection(str(tmp_path / FILE_NAME))) as connection:
        connection.execute("UPDATE sku SET on_hand_milli = -3000")
    done = Box(tmp_path).command("verify")
    assert (done.returncode, done.stdout) == (4, "")
    assert "on_hand is the sum of the effects; SKU 'milk': expected 1, found -3" in done.stderr
    done = Box(tmp_path).command("verify", "--json")
    assert done.returncode == 4
    assert orjson.loads(done.stdout) == {
        "verified": False,
        "what": "on_hand is the sum of the effects",
        "where": "SKU 'milk'",
        "expected": "1",
        "found": "-3",
    }


def test_missing_ledger_is_a_sentence(tmp_path: Path) -> None:
    done = Box(tmp_path).command("verify")
    assert done.returncode == 1
    assert "no ledger yet" in done.stderr
    assert "Traceback" not in done.stderr
