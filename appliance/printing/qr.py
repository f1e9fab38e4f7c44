"""A QR code as dots, the same for every printer and for the preview.

A printer's own QR command would be shorter on the line, but half of the cheap ones have none and print its bytes as
rubbish; a raster works on all (about a kilobyte, one second at 9600 baud).
"""

from appliance.printing.layout.blocks import Picture

MODULE_DOTS = 4
"""Dots of one module at 203 dpi: 0.5 mm, which a telephone reads from a hand's distance."""

BORDER_MODULES = 2
"""Half of what the standard asks for: there is nothing but white paper on either side."""


def draw(content: str) -> Picture:
    """Return the QR code of a text, at error correction M: a thermal print loses dots."""
    import qrcode  # type: ignore[import-untyped]  # imported here: it takes 0.1 s, and most commands draw nothing

    code = qrcode.QRCode(error_correction=qrcode.constants.ERROR_CORRECT_M, border=BORDER_MODULES)
    code.add_data(content)
    matrix: list[list[bool]] = code.get_matrix()
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
