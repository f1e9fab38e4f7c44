"""The bytes of Russian rows, compared with those of receiptline, an encoder that this project did not write.

It places columns by dots and repeats its settings before each run of text, so what is compared is what a printer makes
of both: the bytes of every row, how bold and how large they are, and the code page that they are printed by.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from appliance.printing import encode
from appliance.printing.commands import Splitter
from appliance.printing.layout.blocks import Size
from appliance.printing.layout.sheet import Row, set_in_rows
from tests.printing.golden import COLUMNS, TEXT_CASES, sheet

RECEIPTLINE = Path(__file__).parent / "receiptline"
NOTATION = {Size.NORMAL: "", Size.TALL: "^^", Size.DOUBLE: "^^^"}


class Printed(NamedTuple):
    """A row on paper: its bytes in the printer's code page, without the spaces around them."""

    text: bytes
    is_bold: bool
    size: int
    table: int


@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize("case", TEXT_CASES)
def test_russian_rows_print_as_receiptline_prints_them(case: str, columns: int) -> None:
    one = sheet(case, "ru", columns, qr=False)
    rows = [row for row in set_in_rows(one.blocks, one.paper) if isinstance(row, Row) and row.text]
    theirs = receiptline(columns, "\n".join(notation(row) for row in rows))
    assert list(printed(encode.encode(one.blocks, one.paper))) == list(printed(theirs))


def notation(row: Row) -> str:
    text = re.sub(r"[\\|{}~_\"`^]", r"\\\g<0>", row.text.strip())
    emphasis = '"' if row.bold else ""
    return f"|{emphasis}{NOTATION[row.size]}{text}"


def receiptline(columns: int, document: str) -> bytes:
    """Return what receiptline makes of a document. Says what is missing where it cannot run."""
    node = shutil.which("node")
    assert node, "node is missing: sudo apt-get install nodejs npm, then scripts/setup"
    installed = RECEIPTLINE / "node_modules" / "receiptline"
    assert installed.is_dir(), "the npm package receiptline is missing: scripts/setup installs it (it needs npm)"
    asked = json.dumps({"columns": columns, "document": document})
    answer = subprocess.run(
        [node, "encode.js"], cwd=RECEIPTLINE, input=asked, capture_output=True, text=True, check=True
    )
    return bytes.fromhex(answer.stdout)


def printed(job: bytes) -> Iterator[Printed]:
    """Yield the rows that a printer would print, but for empty ones."""
    text, is_bold, size, table = b"", False, 0, 0
    style = (is_bold, size, table)
    for part in Splitter().feed(job):
        match part[:2]:
            case b"\x1bE":
                is_bold = part[2] == 1
            case b"\x1d!":
                size = part[2]
            case b"\x1bt":
                table = part[2]
            case b"\n":
                if text.strip():
                    yield Printed(text.strip(), *style)
                text = b""
            case _ if part[0] >= 0x20:
                text += part
                if part.strip():
                    style = (is_bold, size, table)
