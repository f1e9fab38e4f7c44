"""The code on a slip, read back by zxing-cpp, a decoder that this project did not write, wherever a slip is shown."""

import io
import socket
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image

from appliance.contract.slip import HOST_MAX, Slip, format_slip, parse_slip
from appliance.printing import png, qr
from appliance.printing.encode import encode
from appliance.printing.layout.sheet import Paper
from appliance.printing.slips import slip_sheet
from scripts import processes
from tests.access.test_devices import log_in
from tests.box import Box
from tests.printing.emupos import EmuPos
from tests.waiting import wait_until

SHORT = Slip(("192.0.2.7", "stock.local"), 8883, "shop", "A1", "k7mq" * 13, bytes(range(32)))
LONGEST = Slip(
    tuple(letter * HOST_MAX for letter in "abcd"), 65535, "s" * 64, "d" * 64, "k7mq" * 16, bytes(range(32, 64))
)

_HALVES = {"\N{NO-BREAK SPACE}": (0, 0), "▀": (255, 0), "▄": (0, 255), "█": (255, 255)}
_CELL = 4


def read(picture: Image.Image) -> str:
    [code] = zxingcpp.read_barcodes(picture.convert("L"))
    assert code.format == zxingcpp.BarcodeFormat.QRCode
    return str(code.text)


@pytest.mark.parametrize("columns", [32, 48])
@pytest.mark.parametrize("slip", [SHORT, LONGEST])
def test_the_code_in_the_picture_is_the_slip(slip: Slip, columns: int) -> None:
    drawn = png.render(slip_sheet(slip, "Кафе «Берёзка»", "ru"), Paper(columns))
    assert parse_slip(read(Image.open(io.BytesIO(drawn)))) == slip


@pytest.mark.parametrize("slip", [SHORT, LONGEST])
def test_the_code_in_a_terminal_is_the_slip(slip: Slip) -> None:
    rows = qr.in_terminal(format_slip(slip), has_colours=False).split("\n")
    seen = Image.new("L", (len(rows[0]), 2 * len(rows)))
    for y, row in enumerate(rows):
        for x, character in enumerate(row):
            for half, light in enumerate(_HALVES[character]):
                seen.putpixel((x, 2 * y + half), light)
    seen = seen.resize((seen.width * _CELL, seen.height * _CELL), Image.Resampling.NEAREST)
    assert parse_slip(read(seen)) == slip


@pytest.mark.parametrize(("slip", "columns"), [(SHORT, 48), (LONGEST, 32)])
def test_the_code_on_the_emulated_printers_paper_is_the_slip(tmp_path: Path, slip: Slip, columns: int) -> None:
    with EmuPos(tmp_path) as emupos:
        sheet = encode(slip_sheet(slip, "Кафе", "ru"), Paper(columns))
        with socket.create_connection(("127.0.0.1", emupos.port)) as printer:
            printer.sendall(sheet)
        wait_until(lambda: len(emupos.texts()) == 1)
        assert parse_slip(read(Image.open(io.BytesIO(emupos.picture())))) == slip


def test_a_till_comes_in_by_the_code_that_the_box_has_printed(tmp_path: Path) -> None:
    with (
        EmuPos(tmp_path) as emupos,
        Box(
            tmp_path / "data",
            STOCK_BROKER__TLS_PORT=str(processes.free_port()),
            STOCK_PRINTER__URL=f"tcp://127.0.0.1:{emupos.port}",
            STOCK_PRINTER__ANSWERS="fence",
        ) as box,
    ):
        done = box.command("device", "add", "A1", "--print")
        assert done.stdout == "A1's slip is printed on main\n", done.stderr
        wait_until(lambda: len(emupos.texts()) == 1)
        slip = parse_slip(read(Image.open(io.BytesIO(emupos.picture()))))
        assert log_in(box, slip.device, slip.token) == 0
