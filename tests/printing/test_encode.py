"""Bytes for a printer: what every job begins with, what each model needs, and what is refused."""

import codecs
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.printing.commands import COMMAND_BYTES_MAX, Splitter
from appliance.printing.encode import encode
from appliance.printing.layout.blocks import Block, Code, Cut, Picture, Size, Text
from appliance.printing.layout.sheet import Paper
from appliance.printing.models import CannotPrint, find_model, model_names

CHECKOUT = Path(__file__).parent.parent.parent
PAPER = Paper(32)

# Measured on printers and in their manuals, not read from the library (the design notes on printing).
TABLES_OF_CP866 = {
    "default": 17,
    "TM-T20II": 17,
    "POS-5890": 59,
    "NT-5890K": 59,
    "P822D": 59,
    "KR-306": 37,
    "RP326": 7,
    "TH230": 7,
    "SP2000": 10,
    "TSP600": 10,
}


@pytest.mark.parametrize(("model", "table"), TABLES_OF_CP866.items())
def test_every_job_leaves_chinese_resets_and_selects_the_models_own_cp866(model: str, table: int) -> None:
    assert encode([Text("Чай")], PAPER, model=model) == b"\x1c.\x1b@\x1bt" + bytes([table]) + b"\x97\xa0\xa9\n"


def test_the_table_that_a_person_found_readable_wins() -> None:
    assert encode([], PAPER, model="RP326", table=46) == b"\x1c.\x1b@\x1bt\x2e"


def test_text_is_written_in_the_one_code_page_of_the_paper() -> None:
    assert encode([Text("Чай — 5 ₽")], Paper(32, "cp1251"), table=46).endswith("Чай — 5 р.\n".encode("cp1251"))


def test_only_a_change_of_style_is_sent() -> None:
    rows = [Text("a", bold=True), Text("b", bold=True, size=Size.DOUBLE), Text("c", size=Size.DOUBLE), Text("d")]
    assert encode(rows, PAPER)[7:] == b"\x1bE\x01a\n\x1d!\x11b\n\x1bE\x00c\n\x1d!\x00d\n"


def test_no_command_of_a_sheet_is_longer_than_what_ends_one_that_was_cut_off() -> None:
    blocks: list[Block] = [
        Picture(576, 100, bytes(range(72)) * 100),
        Code("0b9f6a52-7c1d-4e83-a5f4-3d2e1c0b9a87" * 4),
        Cut(),
    ]
    written = encode(blocks, PAPER)
    commands = list(Splitter().feed(written))
    assert b"".join(commands) == written
    assert max(len(command) for command in commands if command[0] < 0x20) <= COMMAND_BYTES_MAX
    bands = [command[8:] for command in commands if command[:2] == b"\x1dv"]
    assert b"".join(bands).startswith(bytes(range(72)) * 100)


def test_a_picture_is_a_raster_in_the_middle() -> None:
    assert encode([Picture(9, 2, b"\xff\x80\x00\x00")], PAPER)[7:] == (
        b"\x1ba\x01\x1dv0\x00\x02\x00\x02\x00\xff\x80\x00\x00\x1ba\x00"
    )


def test_no_dots_of_a_picture_are_taken_for_a_command_that_is_obeyed_at_once() -> None:
    bits = b"\x10\x04\x01\x10\x05\x02\x10\x14\x08\x10\x10\x04\x10\x03\x10\x00"
    written = encode([Picture(128, 1, bits)], PAPER)
    assert b"\x18\x04\x01\x18\x05\x02\x18\x14\x08\x10\x18\x04\x10\x03\x10\x00" in written


def test_a_printer_without_a_knife_only_feeds() -> None:
    assert encode([Cut()], PAPER, model="TM-T20II")[7:] == b"\x1bd\x06\x1dV\x01"
    assert encode([Cut()], PAPER, model="POS-5890")[7:] == b"\x1bd\x06"


@pytest.mark.parametrize("page", ["iso_8859-15", "iso_8859-2", "cp866"])
def test_a_code_page_that_an_error_message_offers_is_found_under_pythons_name_for_it(page: str) -> None:
    assert find_model("TM-T20II").table(codecs.lookup(page).name) > 0


def test_what_a_model_cannot_print_is_refused_with_a_remedy() -> None:
    with pytest.raises(CannotPrint, match=r"'TM-U220' has no code page 'cp866': write one of cp437"):
        encode([], PAPER, model="TM-U220")
    with pytest.raises(CannotPrint, match="'POS-5890' prints 384 dots, but 48 columns are 576: choose fewer columns"):
        encode([], Paper(48), model="POS-5890")
    with pytest.raises(CannotPrint, match="'Epsom' is no printer profile: write one of AF-240"):
        encode([], PAPER, model="Epsom")


def test_every_model_says_which_code_pages_it_has() -> None:
    for name in model_names():
        for page, table in find_model(name).tables.items():
            assert 0 <= table <= 255
            "A".encode(page)


def test_the_library_is_imported_with_the_first_job_and_leaves_neither_logging_nor_output_behind() -> None:
    """It takes 0.1 to 0.9 s to import, calls logging.basicConfig, and prints warnings on standard output."""
    script = (
        "import logging, sys\n"
        "from appliance.printing import encode\n"
        "from appliance.printing.layout.blocks import Code, Cut\n"
        "from appliance.printing.layout.sheet import Paper\n"
        "assert not [name for name in sys.modules if name.partition('.')[0] in ('escpos', 'qrcode')]\n"
        "encode.encode([Code('id'), Cut()], Paper(32))\n"
        "assert 'escpos.capabilities' in sys.modules\n"
        "assert logging.getLogger().handlers == []\n"
    )
    result = subprocess.run([sys.executable, "-c", script], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_a_code_is_the_same_dots_on_every_printer() -> None:
    jobs = {encode([Code("0b9f6a52")], PAPER, model=model)[7:] for model in ("TM-T20II", "POS-5890", "RP326")}
    assert len(jobs) == 1
