"""A sheet's columns are guessed, its lines are checked one by one, and what they change is found."""

from pathlib import Path
from typing import Any

import pytest

from appliance.catalogue import changes, columns, lines, sheets
from appliance.catalogue.changes import Known, Moment
from appliance.catalogue.columns import Field
from appliance.catalogue.lines import Fault, Line
from appliance.catalogue.sheets import WrongSheet

RUN = "9c2f4e1ab37d5068"


def read(tmp_path: Path, text: str, told: dict[str, Field] | None = None) -> tuple[list[Line], list[Fault]]:
    path = tmp_path / "goods.csv"
    path.write_text(text)
    sheet = sheets.read(path)
    return lines.read(sheet, columns.find(sheet, told or {}))


@pytest.mark.parametrize(
    ("headings", "fields"),
    [
        (
            "Артикул;Наименование товара;Ед. изм.;Штрих-код;Цена, розничная;Остаток",
            "sku name unit barcodes price on_hand",
        ),
        ("Code;Product;UoM;EAN13;Retail price;Qty;Category", "sku name unit barcodes price on_hand group"),
        ("sku;name;unit;barcodes;price;low;group;on_hand", "sku name unit barcodes price low group on_hand"),
        ("Код;Неснижаемый остаток;Факт", "sku low counted"),
    ],
)
def test_headings_are_guessed_in_both_languages(tmp_path: Path, headings: str, fields: str) -> None:
    path = tmp_path / "goods.csv"
    path.write_text(f"Остатки на складе;;\n{headings}\n")
    found = columns.find(sheets.read(path), {})
    assert {field: found.title(field) for field in found.at} == dict(
        zip(fields.split(), headings.split(";"), strict=True)
    )


def test_a_person_s_word_goes_before_a_guess(tmp_path: Path) -> None:
    [line], _ = read(tmp_path, "sku;Остаток;Зал\nA;5;7\n", {"зал": Field.ON_HAND})
    assert line.on_hand_milli == 7000


def test_a_sheet_without_any_name_for_goods_says_what_it_has(tmp_path: Path) -> None:
    with pytest.raises(WrongSheet, match=r"the first row has 'Что', 'Почём'.*--map sku="):
        read(tmp_path, "Что;Почём\nМолоко;90\n")


@pytest.mark.parametrize(
    ("cell", "milli"),
    [("12", 12_000), ("3,250", 3250), ("1 234,5", 1_234_500), ("1\u00a0234.50", 1_234_500), ("-2", -2000), ("", None)],
)
def test_a_quantity_is_read_as_shops_write_it(tmp_path: Path, cell: str, milli: int | None) -> None:
    [line], faults = read(tmp_path, f"sku;on_hand\nA;{cell}\n")
    assert (line.on_hand_milli, faults) == (milli, [])


def test_a_comma_between_cells_is_no_decimal_comma(tmp_path: Path) -> None:
    [line], _ = read(tmp_path, 'sku,on_hand,name\nA,"1,234",x\n')
    assert line.on_hand_milli == 1_234_000


def test_every_fault_is_told_with_its_line_and_column(tmp_path: Path) -> None:
    text = (
        "Артикул;Штрихкод;Цена;Остаток;Факт\n"
        "A;4607001234567;89,90 руб.;1;\n"
        ";1;1;1;\n"
        "A;2;1;1;\n"
        "B;4,60700E+12;1;1;\n"
        "C;3;дорого;1;\n"
        "D;4;1,999;1;\n"
        "E;5;1;много;\n"
        "F;6;1;0,0001;\n"
        "G;7;1;1;-1\n"
        f"{'Щ' * 65};8;1;1;\n"
    )
    good, faults = read(tmp_path, text)
    assert [line.sku for line in good] == ["A"]
    assert good[0].item == {"barcodes": ["4607001234567"], "price_minor": 8990}
    assert [(fault.line, fault.column) for fault in faults] == [
        (3, "Артикул"),
        (4, "Артикул"),
        (5, "Штрихкод"),
        (6, "Цена"),
        (7, "Цена"),
        (8, "Остаток"),
        (9, "Остаток"),
        (10, "Факт"),
        (11, "Артикул"),
    ]
    assert "line 2 already" in faults[1].text
    assert "rounded by the spreadsheet" in faults[2].text


def test_what_the_sheet_says_nothing_of_stays(tmp_path: Path) -> None:
    good, _ = read(tmp_path, "sku;name\nKIT;Набор\n")
    had: dict[str, Any] = {
        "name": "Set",
        "unit": "pcs",
        "barcodes": ["1"],
        "price_minor": 100,
        "low": "2",
        "group": "g",
    }
    had |= {"of": None, "components": [{"sku": "A", "qty": "2"}]}
    [operation] = changes.find(good, {"KIT": Known(had, "0", is_counted=True)}, None, 0).operations
    assert operation == {"type": "item", "sku": "KIT", **had, "name": "Набор"}
    again = changes.find(good, {"KIT": Known({**had, "name": "Набор"}, "0", is_counted=True)}, None, 0)
    assert again.operations == []


def test_a_balance_is_opened_once_and_never_takes_back_a_sale(tmp_path: Path) -> None:
    good, _ = read(tmp_path, "sku;on_hand\nnew;12\nsold-before;12\ncounted;12\nsame;12\nbelow;-1\n")
    known = {
        "sold-before": Known(None, "-2", is_counted=False),
        "counted": Known(None, "10", is_counted=True),
        "same": Known(None, "12", is_counted=True),
    }
    wanted = changes.find(good, known, None, 0)
    assert [(one["sku"], one["counted"]) for one in wanted.operations] == [("new", "12"), ("sold-before", "12")]
    assert [line.sku for line in wanted.left] == ["counted"]
    assert [line.sku for line in wanted.below] == ["below"]


def test_a_count_carries_the_moment_of_its_sheet(tmp_path: Path) -> None:
    made = Moment(RUN, 60_000, 41)
    assert changes.read_moment(made.heading()) == made
    good, _ = read(tmp_path, f"sku;{made.heading()}\nA;7\nB;\n")
    [operation] = changes.find(good, {"A": Known(None, "9", is_counted=True)}, made, 90_000).operations
    assert operation == {
        "type": "count",
        "sku": "A",
        "counted": "7",
        "includes_reserved": True,
        "run": RUN,
        "shop_ms": 60_000,
        "seen": 41,
        "took_ms": 30_000,
    }


@pytest.mark.parametrize("now_ms", [59_999, 60_000 + 8 * 24 * 3_600_000])
def test_a_sheet_of_long_ago_or_of_another_box_is_refused(tmp_path: Path, now_ms: int) -> None:
    good, _ = read(tmp_path, "sku;counted\nA;7\n")
    with pytest.raises(WrongSheet, match="export a new one"):
        changes.find(good, {}, Moment(RUN, 60_000, 41), now_ms)


@pytest.mark.parametrize("heading", ["counted", "Факт", "counted (yesterday)", "counted (a/b/c)"])
def test_a_heading_of_a_person_s_own_has_no_moment(heading: str) -> None:
    assert changes.read_moment(heading) is None
