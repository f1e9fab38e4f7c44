"""A QR code as dots, the same for every printer and for the preview.

A printer's own QR command would be shorter on the line, but half of the cheap ones have none and print its bytes as
rubbish; a raster works on all (about a kilobyte, one second at 9600 baud).
"""

import io
from typing import Any

from appliance.printing.layout.blocks import Picture

MODULE_DOTS = 4
"""Dots of one module at 203 dpi: 0.5 mm, which a telephone reads from a hand's distance."""

BORDER_MODULES = 2
"""Half of what the standard asks for: there is nothing but white paper on either side."""


def draw(content: str) -> Picture:
    """Return the QR code of a text."""
    matrix: list[list[bool]] = _code(content).get_matrix()
    side = len(matrix) * MODULE_DOTS
    width_bytes = (side + 7) // 8
    rows = b"".join(
        int("".join(str(int(module)) * MODULE_DOTS for module in row).ljust(width_bytes * 8, "0"), 2).to_bytes(
            width_bytes, "big"
        )
        * MODULE_DOTS
        for row in matrix
    )
    return Picture(side, side, rows)


def in_terminal(content: str, *, has_colours: bool) -> str:
    """Return the QR code of a text as rows of half blocks, each two dots.

    has_colours: whether black and white can be asked for; else it is right on a dark screen only, as most are.
    """
    drawn = io.StringIO()
    _code(content).print_ascii(drawn, invert=True)
    rows = drawn.getvalue().rstrip("\n").split("\n")
    return "\n".join(f"\x1b[48;5;16;38;5;231m{row}\x1b[0m" if has_colours else row for row in rows)


def _code(content: str) -> Any:
    """The code at error correction M: a thermal print loses dots, and a camera sees a screen askew."""
    import qrcode  # type: ignore[import-untyped]  # imported here: it takes 0.1 s, and most commands draw nothing

    code = qrcode.QRCode(error_correction=qrcode.constants.ERROR_CORRECT_M, border=BORDER_MODULES)
    code.add_data(content)
    return code
