"""Blocks set in rows, for a paper so many characters wide and a printer with such a code page.

Everything that may differ between two renderings is decided here, once: wrapping, columns, substitutions. So the text,
the picture and the printer's bytes cannot disagree. No row is ever wider than the paper.
"""

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from appliance.printing.layout.blocks import Align, Block, Code, Cut, Pair, Picture, Rule, Size, Space, Text
from appliance.printing.layout.characters import printable

CELL_DOTS = 12
"""Dots that a character is wide in the printers' font A (12 × 24): 32 columns are the 384 dots of 58 mm paper."""


LINE = "─"
"""What a rule is made of: it joins its neighbours. A code page that lacks it has the minus sign instead."""

_GAP = 2
"""Empty cells at least between the parts of a pair: with one they read as a sentence."""


@dataclass(frozen=True, slots=True)
class Paper:
    """What is printed on. columns: characters of font A in a row. code_page: the printer's, by its Python codec."""

    columns: int
    code_page: str = "cp866"

    @property
    def dots(self) -> int:
        return self.columns * CELL_DOTS


@dataclass(frozen=True, slots=True)
class Row:
    """One printed row. Its text has the paper's characters only and no spaces at its end."""

    text: str
    bold: bool = False
    size: Size = Size.NORMAL


Element = Row | Code | Picture | Cut


def set_in_rows(blocks: Iterable[Block], paper: Paper) -> tuple[Element, ...]:
    """Return what comes out of the printer, from the top to the cut."""
    return tuple(element for block in blocks for element in _set(block, paper))


def _set(block: Block, paper: Paper) -> Iterator[Element]:
    match block:
        case Text():
            cells = paper.columns // block.size.width
            text = printable(block.text, paper.code_page)
            lines = _centred(text, cells) if block.align is Align.CENTRE else textwrap.wrap(text, cells)
            for line in lines:
                yield Row(line, block.bold, block.size)
        case Pair():
            yield from _pair(block, paper)
        case Rule():
            yield Row(printable(LINE, paper.code_page) * paper.columns)
        case Space():
            yield Row("")
        case _:
            yield block


def _centred(text: str, cells: int) -> list[str]:
    """Wrap in rows of about the same length: one word alone under a full row looks like a mistake."""
    rows = textwrap.wrap(text, cells)
    balanced = rows
    for narrower in range(cells - 1, 0, -1):
        tried = textwrap.wrap(text, narrower)
        if len(tried) > len(rows):
            break
        balanced = tried
    return [row.center(cells).rstrip() for row in balanced]


def _pair(pair: Pair, paper: Paper) -> Iterator[Row]:
    left, right = printable(pair.left, paper.code_page), printable(pair.right, paper.code_page)
    size, indent = pair.size, " " * pair.indent
    if size is Size.DOUBLE and len(indent + left) + _GAP + len(right) > paper.columns // size.width:
        size = Size.TALL
    cells = paper.columns // size.width
    *above, last = textwrap.wrap(left, cells, initial_indent=indent, subsequent_indent=indent) or [""]
    for line in above:
        yield Row(line, pair.bold, size)
    if len(last) + _GAP + len(right) <= cells:
        yield Row((last + right.rjust(cells - len(last))).rstrip(), pair.bold, size)
        return
    if last:
        yield Row(last, pair.bold, size)
    for line in textwrap.wrap(right, cells):
        yield Row(line.rjust(cells), pair.bold, size)
