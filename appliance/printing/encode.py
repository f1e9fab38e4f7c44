"""A sheet as the bytes that a receipt printer obeys: ESC/POS.

A job is whole but for its marker: it resets the printer, chooses the one code page that the paper was set in, prints
the rows and cuts. The driver adds the marker by which the end of a job is known.

What a printer's model can do comes from python-escpos's data. Its commands are not used: its text switches code pages
in mid-line, its raster prints a warning on standard output for every model of unknown width, its devices hang on a
stalled printer. The seven commands that a pre-check needs are written out below instead.
"""

import re
from collections.abc import Iterable

from appliance.printing import qr
from appliance.printing.commands import COMMAND_BYTES_MAX, HEADER_BYTES_MAX
from appliance.printing.layout.blocks import Block, Code, Cut, Picture, Size
from appliance.printing.layout.sheet import Paper, Row, set_in_rows
from appliance.printing.models import DEFAULT_MODEL, Model, find_model

LEAVE_CHINESE = b"\x1c."
"""FS .: printers made for China start in two-byte mode, the usual cause of hieroglyphs in place of Cyrillic."""

INITIALISE = b"\x1b@"
"""ESC @: whatever an interrupted job left behind ends here."""

FEED_TO_KNIFE = b"\x1bd\x06"
"""ESC d: six rows, the way from the print head to the knife, or to the edge to tear the paper off at."""

PARTIAL_CUT = b"\x1dV\x01"
"""GS V: the sheet hangs on by a corner until somebody takes it, and does not fall."""


_REAL_TIME = re.compile(rb"\x10(?=[\x04\x05\x14])")
"""What begins DLE EOT, DLE ENQ and DLE DC4. Many printers obey them inside a picture, too: one is answered in between,
others empty the buffer or open the drawer. So a logo with such dots gets one more of them."""


def encode(blocks: Iterable[Block], paper: Paper, *, model: str = DEFAULT_MODEL, table: int | None = None) -> bytes:
    """Return the bytes of a sheet, without a marker.

    model: the printer's, by its profile name in python-escpos. table: the number by which this printer selects the
    paper's code page (ESC t), None for the model's own. Raises CannotPrint for a model that cannot print this paper.
    """
    known = find_model(model)
    known.check_width(paper)
    written = [LEAVE_CHINESE, INITIALISE, select_table(known.table(paper.code_page) if table is None else table)]
    bold, size = False, Size.NORMAL
    for element in set_in_rows(blocks, paper):
        match element:
            case Row():
                # Only what changes is sent: on a slow line every byte is time.
                if element.bold is not bold:
                    written.append(_emphasis(bold := element.bold))
                if element.size is not size:
                    written.append(_size(size := element.size))
                written.append(element.text.encode(paper.code_page) + b"\n")
            case Code(content):
                written.append(_raster(qr.draw(content)))
            case Picture():
                written.append(_raster(element))
            case Cut():
                written.append(cut(known))
    return b"".join(written)


def select_table(table: int) -> bytes:
    """Return the command that selects a code page by its number (ESC t)."""
    return b"\x1bt" + bytes([table])


def _emphasis(bold: bool) -> bytes:
    return b"\x1bE" + bytes([bold])


def _size(size: Size) -> bytes:
    return b"\x1d!" + bytes([(size.width - 1) << 4 | (size.height - 1)])


def _raster(picture: Picture) -> bytes:
    """GS v 0, which every thermal printer knows, between ESC a: in the middle, and left again.

    In bands of few rows: a printer whose picture was cut off takes what comes next for the rest of it.
    """
    width_bytes = (picture.width + 7) // 8
    bits = _REAL_TIME.sub(b"\x18", picture.bits)
    band_bytes = (COMMAND_BYTES_MAX - HEADER_BYTES_MAX) // width_bytes * width_bytes
    bands = [bits[at : at + band_bytes] for at in range(0, len(bits), band_bytes)]
    return b"\x1ba\x01" + b"".join(_band(band, width_bytes) for band in bands) + b"\x1ba\x00"


def _band(bits: bytes, width_bytes: int) -> bytes:
    rows = len(bits) // width_bytes
    return b"\x1dv0\x00" + width_bytes.to_bytes(2, "little") + rows.to_bytes(2, "little") + bits


def cut(model: Model) -> bytes:
    return FEED_TO_KNIFE + (PARTIAL_CUT if model.cuts else b"")
