"""What a sheet of paper is made of, before anybody asks how wide it is or which characters the printer has.

`precheck` makes them, `sheet` sets them in rows. There is no more here than a pre-check needs.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum


class Align(StrEnum):
    LEFT = "left"
    CENTRE = "centre"


class Size(Enum):
    """How many cells a character is wide and high: (width, height)."""

    NORMAL = (1, 1)
    TALL = (1, 2)
    DOUBLE = (2, 2)

    @property
    def width(self) -> int:
        return self.value[0]

    @property
    def height(self) -> int:
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph, wrapped where the paper ends."""

    text: str
    align: Align = Align.LEFT
    bold: bool = False
    size: Size = Size.NORMAL


@dataclass(frozen=True, slots=True)
class Pair:
    """Something on the left and something flush right in the same row, or below it where both do not fit.

    indent: empty cells before the left part. A DOUBLE pair whose parts do not fit beside each other becomes TALL.
    """

    left: str
    right: str
    indent: int = 0
    bold: bool = False
    size: Size = Size.NORMAL


@dataclass(frozen=True, slots=True)
class Rule:
    """A line across the paper."""


@dataclass(frozen=True, slots=True)
class Space:
    """One empty row."""


@dataclass(frozen=True, slots=True)
class Code:
    """A QR code, in the middle."""

    content: str


@dataclass(frozen=True, slots=True)
class Picture:
    """Black dots in the middle. bits: rows from the top, each of whole bytes, the left dot highest, 1 is black."""

    width: int
    height: int
    bits: bytes


@dataclass(frozen=True, slots=True)
class Cut:
    """The end of a sheet: paper is fed past the knife and cut, or past the edge to tear it off at."""


Block = Text | Pair | Rule | Space | Code | Picture | Cut
