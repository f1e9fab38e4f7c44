"""A sheet as a picture, dot for dot as a thermal printer of 203 dpi prints it: for the preview and for the README.

The font is DejaVu Sans Mono (free licence, Cyrillic), which python-barcode ships and python-escpos brings: nothing is
downloaded. Bold is struck twice, large is each dot doubled, for that is how the printers do it.
"""

import io
from collections.abc import Iterable
from functools import cache, lru_cache
from importlib import resources

from PIL import Image, ImageDraw, ImageFont

from appliance.printing import qr
from appliance.printing.layout.blocks import Block, Code, Cut, Picture
from appliance.printing.layout.sheet import CELL_DOTS, LINE, Element, Paper, Row, set_in_rows

CELL_HEIGHT_DOTS = 24
"""Dots that a character of font A is high."""

ROW_DOTS = 30
"""Dots from row to row: the printers' default line spacing of 1/6 inch."""

MARGIN_DOTS = 36
"""White paper on each side of what is printed: 58 mm paper is 464 dots wide, of which 384 print."""

FONT_SIZE = 20
"""Pixels of an em: its advance is then 12, a cell."""

BASELINE_DOTS = 18
"""From the top of a cell to where its letters stand: the longest tails reach down to its last dot."""

CELLS_MAX = 512
"""Drawn cells that are kept: a code page has 256 characters, each plain or bold."""

WHITE, BLACK, EDGE = 255, 0, 208


def render(blocks: Iterable[Block], paper: Paper) -> bytes:
    """Return a PNG of a sheet."""
    strips = [_strip(element, paper) for element in set_in_rows(blocks, paper)]
    size = (paper.dots + 2 * MARGIN_DOTS, sum(strip.height for strip in strips) + 2 * MARGIN_DOTS)
    sheet = Image.new("L", size, WHITE)
    top = MARGIN_DOTS
    for strip in strips:
        sheet.paste(strip, (MARGIN_DOTS, top))
        top += strip.height
    # White paper on a white page: without its edge nobody would see how wide it is.
    ImageDraw.Draw(sheet).rectangle((0, 0, size[0] - 1, size[1] - 1), outline=EDGE)
    written = io.BytesIO()
    sheet.save(written, "PNG", optimize=True)
    return written.getvalue()


def _strip(element: Element, paper: Paper) -> Image.Image:
    """One row or picture, as wide as the printer prints."""
    match element:
        case Row():
            return _row(element, paper)
        case Code(content):
            return _picture(qr.draw(content), paper)
        case Picture():
            return _picture(element, paper)
        case Cut():
            return Image.new("1", (paper.dots, 0), WHITE)


def _row(row: Row, paper: Paper) -> Image.Image:
    cells = Image.new("1", (max(len(row.text), 1) * CELL_DOTS, CELL_HEIGHT_DOTS), WHITE)
    for column, character in enumerate(row.text):
        cells.paste(_cell(character, row.bold), (column * CELL_DOTS, 0))
    large = cells.resize((cells.width * row.size.width, cells.height * row.size.height), Image.Resampling.NEAREST)
    strip = Image.new("1", (paper.dots, max(ROW_DOTS, large.height)), WHITE)
    strip.paste(large, (0, 0))
    return strip


@lru_cache(CELLS_MAX)
def _cell(character: str, bold: bool) -> Image.Image:
    """One character in its cell, which it never leaves."""
    cell = Image.new("1", (CELL_DOTS, CELL_HEIGHT_DOTS), WHITE)
    draw = ImageDraw.Draw(cell)
    draw.fontmode = "1"  # A dot is black or white; a printer knows no grey.
    # The font's line ends a dot short of the cell; in a printer's it meets the next one.
    for strike in (0, 1) if bold or character == LINE else (0,):
        draw.text((strike, BASELINE_DOTS), character, BLACK, _font(), anchor="ls")
    return cell


def _picture(picture: Picture, paper: Paper) -> Image.Image:
    black = Image.frombytes("1", (picture.width, picture.height), picture.bits)
    strip = Image.new("1", (paper.dots, picture.height), WHITE)
    strip.paste(BLACK, ((paper.dots - picture.width) // 2, 0), black)
    return strip


@cache
def _font() -> ImageFont.FreeTypeFont:
    font = resources.files("barcode") / "fonts" / "DejaVuSansMono.ttf"
    return ImageFont.truetype(io.BytesIO(font.read_bytes()), FONT_SIZE)
