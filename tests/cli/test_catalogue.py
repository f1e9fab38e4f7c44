"""`import` and `export`: what a shop keeps in a spreadsheet comes into the box, and out again."""

import csv
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from tests.box import PASSWORD, Box
from tests.shop import message, operation
from tests.test_path import Shop as Screen

GOODS = """Каталог на 24.11.2026;;;
Штрихкод;Наименование;Цена;Остаток на складе;Ед. изм.
4607001234567;Молоко 3,2 %;89,90 руб.;12;шт
4607001234568;Сыр;1 250,5;3,250;кг
"""


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    directory = tmp_path / "data"
    directory.mkdir()
    with Box(directory) as box:
        yield box


@pytest.fixture
def goods(tmp_path: Path) -> Path:
    path = tmp_path / "goods.csv"
    path.write_bytes(GOODS.encode("cp1251"))
    return path


def balances(box: Box) -> dict[str, str]:
    listed = map(orjson.loads, box.command("balance", "--json").stdout.splitlines())
    return {row["sku"]: row["on_hand"] for row in listed}


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def test_an_import_shows_first_and_writes_when_told(box: Box, goods: Path) -> None:
    asked = box.command("import", str(goods))
    assert asked.returncode == 1
    assert "nothing was written" in asked.stderr
    assert balances(box) == {}

    done = box.command("import", str(goods), "--yes")
    assert done.returncode == 0, done.stderr
    assert "the first barcode is the SKU" in done.stdout
    assert "4 operations are in the ledger" in done.stdout
    assert balances(box) == {"4607001234567": "12", "4607001234568": "3.25"}

    again = box.command("import", str(goods), "--yes")
    assert again.returncode == 0, again.stderr
    assert "operations" not in again.stdout, "the second time there is nothing to be done"
    verified = orjson.loads(box.command("verify", "--json").stdout)
    assert (verified["verified"], verified["operations"]) == (True, 4)


def test_nothing_is_written_while_a_line_is_wrong(box: Box, goods: Path) -> None:
    goods.write_bytes(f"{GOODS};Хлеб;30;1;шт\n4607001234569;Кефир;дорого;1;шт\n".encode("cp1251"))
    done = box.command("import", str(goods), "--yes")
    assert done.returncode == 1
    assert "2 of 4 lines are wrong: nothing was written" in done.stderr
    assert "'дорого' is no number" in done.stdout
    assert balances(box) == {}


def test_what_a_column_is_by_a_person_s_word_is_kept(box: Box, goods: Path) -> None:
    goods.write_text("sku;Зал\nA;5\n")
    assert box.command("import", str(goods), "--yes", "--map", "on_hand=Зал").returncode == 0
    goods.write_text("sku;Зал\nB;6\n")
    assert box.command("import", str(goods), "--yes").returncode == 0
    assert balances(box) == {"A": "5", "B": "6"}
    wrong = box.command("import", str(goods), "--map", "colour=Зал")
    assert (wrong.returncode, "FIELD is one of sku, name" in wrong.stderr) == (1, True)


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_an_export_gives_another_box_what_the_import_took(box: Box, goods: Path, tmp_path: Path, suffix: str) -> None:
    box.command("import", str(goods), "--yes")
    exported = tmp_path / f"export{suffix}"
    assert box.command("export", str(exported)).returncode == 0
    assert box.command("export", str(exported)).returncode == 1, "a file that is there is not written over"
    (tmp_path / "another").mkdir()
    with Box(tmp_path / "another") as another:
        done = another.command("import", str(exported), "--yes")
        assert done.returncode == 0, done.stderr
        assert balances(another) == balances(box)
        twice = tmp_path / "twice.csv"
        once = tmp_path / "once.csv"
        another.command("export", str(twice))
        box.command("export", str(once))
    assert table(twice) == table(once)
    assert [row["name"] for row in table(once)] == ["Молоко 3,2 %", "Сыр"]


def test_a_stocktake_is_right_though_goods_are_sold_while_people_count(box: Box, goods: Path, tmp_path: Path) -> None:
    box.command("import", str(goods), "--yes")
    sheet = tmp_path / "count.csv"
    box.command("export", str(sheet), "--what", "stocktake")
    # Ten were on the shelf when counting began, and two are sold before the sheet comes back.
    sold = orjson.dumps(message(operation(1, sku="4607001234567", qty="-2")))
    assert Screen(box, box.port, PASSWORD).publish("A1", sold) == 0
    rows = table(sheet)
    counted = next(key for key in rows[0] if key.startswith("counted"))
    rows[0][counted] = "10"
    with sheet.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    done = box.command("import", str(sheet), "--yes")
    assert done.returncode == 0, done.stderr
    assert balances(box) == {"4607001234567": "8", "4607001234568": "3.25"}
    assert "recount" in box.command("alert", "list").stdout, "nobody knows whether the two were counted before or after"


def test_movements_are_exported_with_what_caused_them(box: Box, goods: Path, tmp_path: Path) -> None:
    box.command("import", str(goods), "--yes")
    assert box.command("export", str(tmp_path / "m.csv"), "--what", "movements").returncode == 0
    last = table(tmp_path / "m.csv")[-1]
    assert {key: last[key] for key in ("sku", "device", "cause", "effect", "on_hand")} == {
        "sku": "4607001234568",
        "device": "_shop",
        "cause": "count",
        "effect": "3.25",
        "on_hand": "3.25",
    }
