"""A sheet as plain text: for the terminal, for golden tests, for a person who reads a job in the queue.

A character of double width is followed by a space, so every row is as wide as on paper. Of a picture only its place is
shown, and of the cut a dashed line.
"""

import textwrap
from collections.abc import Iterable

from appliance.printing.layout.blocks import Block, Code, Cut, Picture
from appliance.printing.layout.sheet import Element, Paper, Row, set_in_rows


def render(blocks: Iterable[Block], paper: Paper) -> str:
    """Return the rows of a sheet, each ended by a newline."""
    return "".join(f"{row}\n" for element in set_in_rows(blocks, paper) for row in _rows(element, paper))


def _rows(element: Element, paper: Paper) -> list[str]:
    match element:
        case Row(text, _, size):
            return ["".join(one.ljust(size.width) for one in text).rstrip()]
        case Code(content):
            return _placed(f"[QR {content}]", paper)
        case Picture(width, height, _):
            return _placed(f"[picture {width} × {height}]", paper)
        case Cut():
            return [("- " * (paper.columns // 2)).rstrip()]


def _placed(text: str, paper: Paper) -> list[str]:
    return [row.center(paper.columns).rstrip() for row in textwrap.wrap(text, paper.columns)]
