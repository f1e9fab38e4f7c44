"""A spreadsheet is read as a person sees it, whoever has written it, and is written so that it is read again."""

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook

from appliance.catalogue import sheets
from appliance.catalogue.sheets import WrongSheet

PRINTABLE = st.text(st.characters(exclude_categories=("C", "Z"), exclude_characters="\ufeff"), min_size=1, max_size=12)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1251"])
@pytest.mark.parametrize("delimiter", [";", ",", "\t", "|"])
def test_a_csv_of_any_usual_kind_is_read(tmp_path: Path, encoding: str, delimiter: str) -> None:
    path = tmp_path / "goods.csv"
    lines = (("Артикул", "Название"), ("A-1", '"Молоко 3;2, ""отборное"""'), ("", ""), ("A-2", "Сыр"))
    path.write_bytes("\r\n".join(delimiter.join(line) for line in lines).encode(encoding))
    sheet = sheets.read(path)
    assert [row.cells for row in sheet.rows] == [
        ("Артикул", "Название"),
        ("A-1", 'Молоко 3;2, "отборное"'),
        ("A-2", "Сыр"),
    ]
    assert [row.number for row in sheet.rows] == [1, 2, 4]
    assert sheet.has_decimal_comma is (delimiter != ",")


def test_numbers_of_an_xlsx_are_read_as_a_person_would_type_them(tmp_path: Path) -> None:
    path = tmp_path / "goods.xlsx"
    book = Workbook()
    book.active.append(["sku", "price", "on_hand", None])  # type: ignore[union-attr]
    book.active.append([4607001234567.0, 89.9, 0.1, None])  # type: ignore[union-attr]
    book.save(path)
    assert [row.cells for row in sheets.read(path).rows] == [
        ("sku", "price", "on_hand", ""),
        ("4607001234567", "89.9", "0.1", ""),
    ]


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [("a.xlsx", b"no zip", "is no XLSX"), ("a.xls", b"", "save it as .xlsx or .csv"), ("a.csv", b'a;"b\0', "line")],
)
def test_what_is_no_table_is_named(tmp_path: Path, name: str, content: bytes, complaint: str) -> None:
    (tmp_path / name).write_bytes(content)
    if name == "a.csv":
        # Nothing in a text is no CSV, so it is read somehow, and found wanting by whoever looks for headings.
        assert sheets.read(tmp_path / name).rows
        return
    with pytest.raises(WrongSheet, match=complaint):
        sheets.read(tmp_path / name)


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
@given(rows=st.lists(st.tuples(PRINTABLE, PRINTABLE), max_size=5))
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, rows: list[tuple[str, str]]
) -> None:
    path = tmp_path_factory.mktemp("sheet") / f"goods{suffix}"
    assert sheets.write(path, ("one", "two"), rows) == len(rows)
    assert [row.cells for row in sheets.read(path).rows] == [("one", "two"), *rows]


def test_a_text_stays_text_in_an_xlsx_and_a_number_is_one(tmp_path: Path) -> None:
    path = tmp_path / "goods.xlsx"
    sheets.write(path, ("sku", "price"), [("0046", Decimal("89.90")), ("=1+1", Decimal(2))])
    cells = list(load_workbook(path).worksheets[0].iter_rows(min_row=2))
    assert [[(cell.value, cell.data_type) for cell in row] for row in cells] == [
        [("0046", "s"), (89.9, "n")],
        [("=1+1", "s"), (2, "n")],
    ]
