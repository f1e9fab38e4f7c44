"""What the commands print is what was said, in a pipe and on a terminal, whatever it is made of."""

import subprocess
from pathlib import Path

import pytest

from scripts import processes
from tests.shop import Shop, message, operation

SKUS = ("[/]", "[red]milk[/red]", ":milk:", "a\x1b[2J\nb", "я" * 64)
SHOWN = ("[/]", "[red]milk[/red]", ":milk:", "a\\x1b[2J\\nb", "я" * 64)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ledger of a shop with odd names: of each there was 1, and 2 were sold on a receipt."""
    directory = tmp_path_factory.mktemp("odd")
    shop = Shop(directory)
    received = [operation(seq, sku=sku, qty="1", reason="receive") for seq, sku in enumerate(SKUS, 1)]
    lines = [{"sku": sku, "qty": "2"} for sku in SKUS]
    paid = {"type": "receipt", "receipt": "R1", "number": "[/7]", "kind": "sale", "status": "paid", "lines": lines}
    moved = dict.fromkeys(("sku", "qty", "reason"), ...)
    shop.say("A1", message(*received, operation(len(SKUS) + 1, **moved | paid)))
    shop.stop()
    return directory


def told(directory: Path, *words: str, **environment: str) -> str:
    done = subprocess.run(
        [*processes.COORDINATOR, *words],
        env=processes.environment(STOCK_DATA_DIR=str(directory), **environment),
        capture_output=True,
        text=True,
        timeout=processes.START_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_sku_of_any_text_is_shown_as_it_is_and_commands_no_terminal(directory: Path) -> None:
    balances = told(directory, "balance").splitlines()
    assert sorted(line.split()[0] for line in balances[1:]) == sorted(SHOWN)
    listed = told(directory, "alert", "list")
    assert all(name in listed for name in SHOWN)
    for sku, name in zip(SKUS, SHOWN, strict=True):
        story = told(directory, "explain", "--", sku)
        assert "[/7]" in story
        assert story.splitlines()[-1] == f"{name}: -1 on hand"
    assert "\x1b" not in listed + "".join(balances)


def test_settings_of_any_text_are_shown_as_they_are(directory: Path) -> None:
    assert "Молоко [/b]" in told(directory, "check-config", STOCK_SHOP_NAME="Молоко [/b]")


def test_what_is_piped_has_a_line_for_each_thing_however_long(directory: Path, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 200) / ("e" * 200)
    assert str(deep) in told(deep, "check-config")
    assert len(told(directory, "alert", "list").splitlines()) == 1 + len(SKUS)
    assert len(told(directory, "explain", SKUS[-1]).splitlines()) == 1 + 2 + 1


def test_a_balance_is_one_line_of_a_terminal(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.say("A1", message(operation(1, sku="4607001234567"), operation(2, sku="milk", qty="1000", reason="receive")))
    shop.stop()
    on_a_terminal = {"FORCE_COLOR": "1", "NO_COLOR": "1", "COLUMNS": "80", "TERM": "dumb"}
    _, first, second, note = told(tmp_path, "balance", **on_a_terminal).splitlines()
    assert first.split()[:4] == ["4607001234567", "-1", "0", "-1"]
    assert first.rstrip().endswith(" *")
    assert second.split()[:4] == ["milk", "1000", "0", "1000"]
    assert not second.rstrip().endswith("*")
    assert note.startswith("* never received or counted")
