"""The picture shows what the text says, dot for dot on the printer's grid; and the code in it can be read back."""

import io
import textwrap

import pytest
import qrcode  # type: ignore[import-untyped]
from PIL import Image

from appliance.printing import png, qr
from appliance.printing.layout.blocks import Code, Picture, Size, Text
from appliance.printing.layout.sheet import CELL_DOTS, Paper, Row, set_in_rows
from tests.printing.golden import COLUMNS, LANGUAGES, TEXT_CASES, sheet

RECEIPT = "0b9f6a52-7c1d-4e83-a5f4-3d2e1c0b9a87"


@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("case", TEXT_CASES)
def test_there_is_ink_where_there_is_a_character_and_nowhere_else(case: str, language: str, columns: int) -> None:
    one = sheet(case, "ru" if language == "ru" else "en", columns, qr=False)
    image = opened(png.render(one.blocks, one.paper))
    assert image.width == one.paper.dots + 2 * png.MARGIN_DOTS
    top = png.MARGIN_DOTS
    for row in set_in_rows(one.blocks, one.paper):
        if not isinstance(row, Row):
            continue
        shown = "".join(
            "#" if is_inked(image, cell, top, row.size) else " " for cell in range(columns // row.size.width)
        )
        assert shown.rstrip() == "".join(" " if one == " " else "#" for one in row.text)
        top += max(png.ROW_DOTS, png.CELL_HEIGHT_DOTS * row.size.height)
    assert image.height == top + png.MARGIN_DOTS


def test_bold_has_more_ink_and_large_has_each_dot_four_times() -> None:
    plain, bold, large = (
        ink(Text("Чай", bold=is_bold, size=size))
        for is_bold, size in ((False, Size.NORMAL), (True, Size.NORMAL), (False, Size.DOUBLE))
    )
    assert plain < bold < 2 * plain
    assert large == 4 * plain


def test_a_picture_stands_in_the_middle_with_its_black_dots_black() -> None:
    image = opened(png.render([Picture(3, 1, b"\xa0")], Paper(32)))
    middle = png.MARGIN_DOTS + (384 - 3) // 2
    dots = [image.getpixel((middle + at, png.MARGIN_DOTS)) for at in range(-1, 4)]
    assert dots == [png.WHITE, png.BLACK, png.WHITE, png.BLACK, png.WHITE]


@pytest.mark.parametrize("content", ["r", RECEIPT, "A" * 64])
def test_a_code_has_the_modules_of_its_text_and_fits_the_narrowest_paper(content: str) -> None:
    drawn = qr.draw(content)
    assert drawn.width == drawn.height <= Paper(32).dots
    code = qrcode.QRCode(error_correction=qrcode.constants.ERROR_CORRECT_M, border=qr.BORDER_MODULES)
    code.add_data(content)
    assert modules(drawn) == code.get_matrix()
    assert opened(png.render([Code(content)], Paper(32))).height == drawn.height + 2 * png.MARGIN_DOTS


def modules(drawn: Picture) -> list[list[bool]]:
    """Read the modules back from the dots, and see that each is a full square."""
    width_bytes = (drawn.width + 7) // 8
    lines = [
        f"{int(drawn.bits[at : at + width_bytes].hex(), 16):0{width_bytes * 8}b}"
        for at in range(0, len(drawn.bits), width_bytes)
    ]
    found = []
    for top in range(0, drawn.height, qr.MODULE_DOTS):
        assert len(set(lines[top : top + qr.MODULE_DOTS])) == 1
        squares = textwrap.wrap(lines[top][: drawn.width], qr.MODULE_DOTS)
        assert {len(set(square)) for square in squares} == {1}
        found.append([square[0] == "1" for square in squares])
    return found


def is_inked(image: Image.Image, cell: int, top: int, size: Size) -> bool:
    left = png.MARGIN_DOTS + cell * CELL_DOTS * size.width
    box = image.crop((left, top, left + CELL_DOTS * size.width, top + png.CELL_HEIGHT_DOTS * size.height))
    return box.getextrema()[0] == png.BLACK


def ink(block: Text) -> int:
    """Return how many dots of a block are black."""
    return opened(png.render([block], Paper(32))).histogram()[png.BLACK]


def opened(picture: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(picture))
    assert image.format == "PNG"
    return image.convert("L")
