"""A spreadsheet as rows of text, read from and written to CSV and XLSX.

A cell that a spreadsheet has made a number comes out as a person would have typed it: 4607001234567, not 4.607E+12.

openpyxl is imported only where an XLSX is at hand: it took 120 of the 680 ms in which the command line was loaded, for
which every other command and the service itself would wait.
"""

import csv
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

ROWS_MAX = 1_000_000
"""Rows of a file, which is what a spreadsheet can have; a shop has a tenth of that."""

_CSV_BYTES_MAX = 512 * 1024 * 1024
_DELIMITERS = (";", "\t", ",", "|")


class WrongSheet(Exception):
    """A file that is no table, or cannot become one. The text says what to do."""


@dataclass(frozen=True, slots=True)
class Row:
    """number: as the spreadsheet counts its lines, from 1."""

    number: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """The rows of a file that are not empty. has_decimal_comma: whether 1,234 is a little more than one."""

    rows: tuple[Row, ...]
    has_decimal_comma: bool


def read(path: Path) -> Sheet:
    """Read a CSV (UTF-8, UTF-16 or Windows-1251; any usual delimiter) or the first sheet of an XLSX.

    Raises WrongSheet, OSError.
    """
    if path.suffix.lower() == ".xlsx":
        return Sheet(_kept(_xlsx_rows(path)), has_decimal_comma=True)
    if path.suffix.lower() in (".xls", ".ods", ".numbers"):
        raise WrongSheet(f"{path}: save it as .xlsx or .csv; {path.suffix} is not read")
    if path.stat().st_size > _CSV_BYTES_MAX:
        raise WrongSheet(f"{path} is larger than {_CSV_BYTES_MAX // 1024**2} MiB: a catalogue is not")
    text = _decoded(path.read_bytes())
    # The delimiter stands in every line, also in those where a name has a comma of its own.
    lines = [line for line in text.splitlines()[:50] if line.strip()]
    delimiter = max(_DELIMITERS, key=lambda sign: sum(sign in line for line in lines))
    reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter)
    try:
        rows = _kept((reader.line_num, cells) for cells in reader)
    except csv.Error as error:
        raise WrongSheet(f"{path}, line {reader.line_num}: {error}") from None
    # Whoever parts cells with a comma does not part kopecks with one.
    return Sheet(rows, has_decimal_comma=delimiter != ",")


def write(path: Path, heading: Sequence[str], rows: Iterable[Sequence[str | Decimal]]) -> int:
    """Write a new CSV or XLSX, by the file's ending, and return how many rows that were. Raises WrongSheet, OSError.

    A Decimal becomes a number in XLSX; a text stays one, also when it looks like a number or a formula.
    """
    if path.suffix.lower() == ".xlsx":
        return _write_xlsx(path, heading, rows)
    if path.suffix.lower() != ".csv":
        raise WrongSheet(f"{path} ends in {path.suffix!r}: write .csv or .xlsx")
    with path.open("w", newline="", encoding="utf-8-sig") as file:  # By its first bytes a spreadsheet knows UTF-8.
        writer = csv.writer(file)
        writer.writerow(heading)
        count = 0
        for row in rows:
            writer.writerow([cell if isinstance(cell, str) else f"{cell:f}" for cell in row])
            count += 1
    return count


def _write_xlsx(path: Path, heading: Sequence[str], rows: Iterable[Sequence[str | Decimal]]) -> int:
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.utils.exceptions import IllegalCharacterError

    book = Workbook(write_only=True)
    sheet = book.create_sheet("stock")
    sheet.freeze_panes = "A2"

    def cell(value: str | Decimal) -> Any:
        if isinstance(value, Decimal):
            return WriteOnlyCell(sheet, float(value))  # XLSX has no other numbers; fifteen digits of them are exact.
        text = WriteOnlyCell(sheet, value)
        text.data_type = "s"
        return text

    count = 0
    try:
        sheet.append([cell(title) for title in heading])
        for row in rows:
            sheet.append([cell(value) for value in row])
            count += 1
    except IllegalCharacterError:
        raise WrongSheet(f"line {count + 1} has a sign that no XLSX can hold: write .csv") from None
    book.save(path)
    return count


def _decoded(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1251", errors="replace")


def _xlsx_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        book = load_workbook(path, read_only=True, data_only=True)
        try:
            for number, cells in enumerate(book.worksheets[0].iter_rows(values_only=True), start=1):
                yield number, [_typed(cell) for cell in cells]
        finally:
            book.close()
    except (InvalidFileException, zipfile.BadZipFile, KeyError, IndexError) as error:
        raise WrongSheet(f"{path} is no XLSX: {error}") from None


def _typed(value: object) -> str:
    match value:
        case None:
            return ""
        case float():
            return f"{Decimal(repr(value)):f}".removesuffix(".0")
        case datetime():
            return value.isoformat(sep=" ")
        case _:
            return str(value)


def _kept(rows: Iterable[tuple[int, Sequence[str]]]) -> tuple[Row, ...]:
    kept: list[Row] = []
    for number, cells in rows:
        if any(cell.strip() for cell in cells):
            if len(kept) == ROWS_MAX:
                raise WrongSheet(f"there are more than {ROWS_MAX:,} rows")
            kept.append(Row(number, tuple(cell.strip() for cell in cells)))
    return tuple(kept)
