"""Which item a scanned mark names: one text for one item, however its code was read.

A line's `marks` are the raw codes of the till's scanner (README.md, "receipt"), and they are kept raw. Whoever must
know whether two of them are the same item asks here. The invariant: every form of one item's code has one identity
(with separators or without, in brackets, behind a symbology prefix, with its crypto tail or cut off, and the short form
of a tobacco pack), and different items share none.

The layouts are those of Честный ЗНАК: tobacco's from its description of the codes (version 1.2), water's from the
decree on it, the other groups' lengths from codes as they are seen in trade. For any other GS1 code that keeps its
separators the GS1 General Specifications hold. Without separators a code with a lot or a date behind its serial has no
certain end of it, and mostly no identity.

No library: biip 5.2.0, the best kept parser, was measured and refused. It has no answer where the difficulty is:
without separators it takes a 93 tail into the serial without a word and raises for 91 with 92; it knows no short form;
in brackets it loses the rest of a serial from a `(` on. What is left for it is `_elements` below, for which it would
cost 90 ms at each start of a command and 90 µs a code.
"""

import re

from appliance.contract.limits import TEXT_MAX

_GS = "\x1d"
"""What a scanner sends for FNC1, the end of an element whose length does not follow from its kind."""

_PREDEFINED = (
    {"00": 18, "01": 14, "02": 14, "03": 14, "04": 16, "20": 2, "41": 14}
    | {f"1{digit}": 6 for digit in range(1, 10)}
    | {f"3{digit}": 8 for digit in range(1, 7)}
)
"""Digits after the first two of an element that needs no separator (GS1 General Specifications, "Element strings with
predefined length"); every other element runs to the next separator."""

# FNC1 at the start of a symbol comes as GS, as è (its codeword, 232, taken for a character), as a symbology identifier
# (`]d2`, `]C1`, `]Q3`; a pack of tobacco is no GS1 symbol, hence `]d1`) or not at all. No mark begins with any of them.
_START = re.compile(r"\A(?:[\s\x1d\xe8]|\][A-Za-z][0-9A-Za-z])+")

# Brackets may stand in a serial too, but hardly ever around two to four digits.
_BRACKETED = re.compile(r"\(([0-9]{2,4})\)")

_CHARACTER = r"""[!"%&'()*+,\-./0-9:;<=>?A-Z_a-z]"""
"""GS1's character set 82, to which serials and tails keep."""

_SERIAL = re.compile(rf"({_CHARACTER}{{1,20}})")

# When a scanner drops the separators, only the end of the code tells where the serial stops: serials contain 91 and 93
# themselves. Of several readings the one with the shortest serial is taken, for it is the one that explains most of the
# tail; shorter than 6 (milk) there is none. A bare serial of 13 with 93 in its eighth place is so read as a serial of 7
# with its tail (beer): that is one in 6724 of them, and the other way round it would be every can of beer. What follows
# 92 may have any length (44 and 88 are documented, 87 was seen): 91 and 92 at their distance are proof enough.
_SERIAL_BEFORE_TAIL = re.compile(
    rf"""({_CHARACTER}{{6,20}}?)
    (?: (?:240[0-9]{{4}})? 91{_CHARACTER}{{4}} 92{_CHARACTER}{{1,90}}  # clothes, perfume, tyres, shoes (early: 240)
      | 93{_CHARACTER}{{4}} (?:3103[0-9]{{6}})?                      # milk, perhaps with its weight; water, beer
      | 8005[0-9]{{6}} (?:93{_CHARACTER}{{4}})?                      # a block of tobacco with its price
    )""",
    re.VERBOSE,
)

_PACK = re.compile(rf"({_CHARACTER}{{7}})(?:{_CHARACTER}{{4}}){{0,2}}")
"""What follows the GTIN on a pack of tobacco, without AIs: the serial, the highest retail price, the check."""


def identity(code: str) -> str | None:
    """Return the identity of a marked item, `01{gtin}21{serial}`, or None when the code is no such mark.

    Only GTIN and serial count; crypto tail, price, weight and dates do not. Case is significant. Any text may be asked.

    A GTIN with a wrong check digit is no mark. Error correction leaves no misread digits in a scanned symbol, so this
    is a typed code, or digits of something else in the place of a GTIN; and in a short form it is all that can be
    checked. To follow it would be to guess an item.
    """
    if len(code) > TEXT_MAX:
        return None
    text = _START.sub("", code).rstrip(" \t\r\n")
    if text.startswith("("):
        text = _BRACKETED.sub(rf"{_GS}\1", "".join(text.split()))
    match _elements(text):
        case {"01": gtin, "21": rest}:
            # One separator shows that the scanner sends them: then there is nothing to guess.
            found = (None if _GS in text else _SERIAL_BEFORE_TAIL.fullmatch(rest)) or _SERIAL.fullmatch(rest)
        case _:
            gtin, found = text[:14], _PACK.fullmatch(text[14:])
    return f"01{gtin}21{found[1]}" if found and _is_gtin(gtin) else None


def _elements(text: str) -> dict[str, str]:
    """Return the values of an element string by the first two digits of their AIs; of any other text, anything."""
    elements = {}
    while text := text.lstrip(_GS):
        key, text = text[:2], text[2:]
        if length := _PREDEFINED.get(key):
            elements[key], text = text[:length], text[length:]
        else:
            elements[key], _, text = text.partition(_GS)
    return elements


def _is_gtin(text: str) -> bool:
    """Return whether 14 characters are a GTIN and its check digit: weighted by 3 and 1 in turn they sum to tens."""
    if not (text.isascii() and text.isdigit()):
        return False
    return (3 * sum(map(int, text[::2])) + sum(map(int, text[1::2]))) % 10 == 0
