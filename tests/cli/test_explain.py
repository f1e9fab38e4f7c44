"""`explain` answers "why is it 1 and not -3?" to somebody who has never seen the code."""

import re
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from appliance.contract import messages
from appliance.ledger import report
from appliance.ledger.reader import Reader
from tests.box import Box
from tests.cli.stories import milk
from tests.ledger.busy import live
from tests.shop import Shop, message, operation


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Box:
    """The ledger of a busy shop; its box does not run."""
    directory = tmp_path_factory.mktemp("busy")
    live(directory)
    return Box(directory)


def told(box: Box, *words: str) -> list[str]:
    """The lines that a command prints, their columns a space apart."""
    done = box.command(*words)
    assert done.returncode == 0, done.stderr
    return [" ".join(line.split()) for line in done.stdout.splitlines()]


def times(line: str) -> str:
    """A line without its own moment: it is the reader's local time."""
    return " ".join(line.split()[2:])


def test_why_there_is_1_and_not_minus_3(tmp_path: Path) -> None:
    milk(tmp_path)
    _, *entries, caption, balance = told(Box(tmp_path), "explain", "milk")
    assert [times(line) for line in entries[:6]] == [
        "D received +20 20",
        "D sold -3 17",
        "A1 sold -2 15",
        "A1 sold -9 6",
        "H counted -4 2 counted 2 where 6 were expected: corrected by -4",
        "A1 sold -1 1",
    ]
    late, absorbed = entries[6:]
    counted_at = " ".join(entries[4].split()[:2])
    assert times(late) == "A2 sold -4 -3 reached the box after a count that had seen it"
    assert times(absorbed) == (
        f"A2 counted already +4 1 left before H counted 2 at {counted_at}: "
        "it is in that count already, and not taken off twice"
    )
    assert entries[2].split()[:2] < late.split()[:2] < entries[3].split()[:2], "it says when the goods left"
    assert "what came late happened before" in caption
    assert balance == "milk: 1 on hand"


def test_the_first_page_shows_what_explain_prints(tmp_path: Path) -> None:
    milk(tmp_path)
    on_a_terminal = {"TZ": "UTC", "COLUMNS": "116", "FORCE_COLOR": "1", "NO_COLOR": "1", "TERM": "xterm"}
    printed = Box(tmp_path, **on_a_terminal).command("explain", "milk").stdout
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in printed.splitlines()]
    page = (Path(__file__).parent.parent.parent / "README.md").read_text(encoding="utf-8")
    [shown] = re.findall(r"\$ stock-coordinator explain milk\n(.*?)\n\n", page, re.DOTALL)
    assert shown.splitlines() == [f"    {line}" for line in lines]


def test_last_running_balance_is_the_balance_of_every_sku(busy: Box) -> None:
    with closing(Reader(busy.directory)) as reader:
        balances = {balance.sku: orjson.loads(messages.balance(balance)) for balance in reader.all_balances()}
        assert len(balances) == 6
        for sku, balance in balances.items():
            *_, last = report.history(reader, sku)
            assert {key: last[key] for key in ("on_hand", "reserved", "rev")} == {
                key: balance[key] for key in ("on_hand", "reserved", "rev")
            }
    printed = [orjson.loads(line) for line in busy.command("explain", "milk", "--json").stdout.splitlines()]
    assert printed[0]["cause"] == "item"
    assert printed[-1]["on_hand"] == balances["milk"]["on_hand"]


@pytest.mark.parametrize(
    ("sku", "lines"),
    [
        (
            "milk",
            [
                "D entered in the catalogue 0 0 0",
                "D r-2 paid again 0 6 0 the same payment had come before: its goods moved once",
                "A2 counted 0 3 0 counted 50; what is known since then, a newer count or later movements, stands",
                "H counted 0 2 0 counted 3; what is known since then, a newer count or later movements, stands",
                "A1 r-8 reserved 0 4 2 an open receipt holds 2 more",
                "A1 r-8 released 0 2 0 paid: the 2 that it held are sold",
                "A1 r-9 released 0 2 0 the receipt was cancelled or edited: 2 are for sale again",
            ],
        ),
        (
            "cheese",
            [
                "A2 A1-7 reserved 0 0 0.45 an open receipt holds 0.15 more",
                "_shop A1-7 released 0 0 0 the receipt was open for too long: the 0.45 that it held are for sale again",
            ],
        ),
        ("salt", ["D counted +5 5 counted 5 where 0 were expected: corrected by +5"]),
    ],
)
def test_every_entry_says_what_its_numbers_do_not(busy: Box, sku: str, lines: list[str]) -> None:
    printed = [times(line) for line in told(busy, "explain", sku)]
    for line in lines:
        assert any(line in one for one in printed), (line, printed)


def test_what_is_reserved_stands_beside_the_balance(busy: Box) -> None:
    assert told(busy, "explain", "tea")[-1] == "tea: -1 on hand, 2 of it reserved by open receipts, -3 available"


def test_count_says_what_it_expected_and_what_was_moved_after_it(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.say("D", message(operation(1, qty="10", reason="receive")))
    shop.clock.now_ms = 100_000
    shop.say("A1", message(operation(1)))
    count = {"type": "count", "counted": "7", "qty": ..., "reason": ..., "run": shop.run, "shop_ms": 50_000, "seen": 1}
    shop.say("H", message(operation(1, **count)))
    shop.stop()
    line = told(Box(tmp_path), "explain", "A")[3]
    assert times(line) == "H counted -3 6 counted 7 where 10 were expected: corrected by -3; -1 moved after it stays"


def test_late_sale_is_in_the_newest_count_and_not_in_the_last_that_arrived(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.say("D", message(operation(1, qty="10", reason="receive")))
    shop.clock.now_ms = 100_000
    count = {"type": "count", "qty": ..., "reason": ..., "run": shop.run}
    shop.say("H", message(operation(1, **count, counted="2", shop_ms=60_000)))
    shop.say("A1", message(operation(1, **count, counted="9", shop_ms=30_000)))
    shop.say("A2", message(operation(1, run=shop.run, shop_ms=40_000)))
    shop.stop()
    assert "left before H counted 2" in told(Box(tmp_path), "explain", "A")[5]


def test_unknown_sku_is_not_found(busy: Box) -> None:
    done = busy.command("explain", "cofee")
    assert (done.returncode, done.stdout) == (3, "")
    assert "'cofee'" in done.stderr


def test_text_of_a_sku_is_not_taken_for_markup(tmp_path: Path) -> None:
    sku = "[/b]:cat:[red]x"
    shop = Shop(tmp_path)
    shop.say("A1", message(operation(1, sku=sku)))
    shop.stop()
    box = Box(tmp_path)
    assert told(box, "explain", sku)[-1] == f"{sku}: -1 on hand"
    assert sku in told(box, "balance")[1]


def test_running_box_and_its_ledger_tell_the_same(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    milk(tmp_path / "data")
    box = Box(tmp_path / "data")
    asked = [("explain", "milk"), ("explain", "milk", "--json"), ("alert", "list"), ("verify",)]
    with box:
        running = [box.command(*words).stdout for words in asked]
        assert all(running)
        assert box.command("explain", "cofee").returncode == 3
        assert box.stop() == 0
        assert [box.command(*words).stdout for words in asked] == running
        box.start()
