"""Tells a scanner from a person: both type, but no person types a whole code within a blink.

A keyboard-wedge scanner is a keyboard. What it types must become an item of the cart wherever the cursor stands, and
never, digit by digit, the quantity or the money that a person was just asked for. So each printable key is held for a
moment: a code that comes at a scanner's speed and ends with Enter is a scan; everything else is handed on as it was
typed, in order. Time is an argument.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

GAP_S = 0.05
"""At most so long after one key of a scanner comes the next: they send every 1 to 20 ms, and fast typists every 90."""

SHORTEST = 6
"""Characters of the shortest code that is scanned: UPC-E without its check digit."""

GROUP_SEPARATOR = "\x1d"
"""What a scanner types between the parts of a marked item's code, as Ctrl+]."""

K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class _Held(Generic[K]):
    key: K
    character: str
    at_s: float


class Wedge(Generic[K]):
    """The keys of one keyboard, in which a scanner may be plugged too. K: a key, as who hands them on knows it."""

    def __init__(self) -> None:
        self._held: list[_Held[K]] = []

    @property
    def is_holding(self) -> bool:
        return bool(self._held)

    def typed(self, key: K, character: str, at_s: float) -> list[K]:
        """Take a printable key and hold it. Returns the keys held before, when it shows that a person typed them."""
        released = self.released() if self._is_over(at_s) else []
        self._held.append(_Held(key, character, at_s))
        return released

    def entered(self, at_s: float) -> str | None:
        """Take an Enter. Returns the code that was scanned, whose keys are gone; None when a person has typed."""
        code = "".join(held.character for held in self._held)
        if self._is_over(at_s) or len(code) < SHORTEST or not code.isascii() or not any(map(str.isdigit, code)):
            return None
        self._held.clear()
        return code

    def released(self) -> list[K]:
        """Return the keys that are held, and hold them no longer: a person has typed them."""
        held, self._held = self._held, []
        return [one.key for one in held]

    def due(self, now_s: float) -> list[K]:
        """Return the keys that no other has followed as a scanner's would."""
        return self.released() if self._is_over(now_s) else []

    def _is_over(self, at_s: float) -> bool:
        return bool(self._held) and at_s - self._held[-1].at_s > GAP_S
