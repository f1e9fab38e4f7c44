"""Any text at all becomes characters that one code page has.

A product's name may hold whatever somebody pasted into a catalogue: control bytes that a printer would obey, accents in
two halves, signs that no code page of 1987 knows. What is lost is replaced by something that can be seen.
"""

import unicodedata

SUBSTITUTES = {
    "₽": ("р.", "RUB"),
    "€": ("EUR",),
    "«": ('"',),
    "»": ('"',),
    "„": ('"',),
    "“": ('"',),
    "”": ('"',),
    "‘": ("'",),
    "’": ("'",),
    "—": ("-",),
    "–": ("-",),
    "‐": ("-",),
    "‑": ("-",),
    "−": ("-",),
    "─": ("-",),
    "×": ("x",),
    "→": ("->",),
    "•": ("*",),
    "⁄": ("/",),
    "і": ("i",),
    "І": ("I",),
}
"""What stands in for a character that the page lacks; the first one that the page has is taken."""

UNKNOWN = "?"

_INVISIBLE = ("Cc", "Cf", "Mn")
"""Unicode's controls, format characters, and marks that need a letter to stand on."""


def printable(text: str, code_page: str) -> str:
    """Return a text in one line of characters of a code page, named as Python's codec: `cp866`.

    Composed (NFC), without controls and invisible marks, each run of white space one space, and what the page lacks
    replaced: by its substitute, else by its plain parts (é → e, … → ..., ½ → 1/2), else by a question mark.
    """
    composed = unicodedata.normalize("NFC", text)
    return " ".join("".join(_character(one, code_page) for one in composed).split())


def is_visible(text: str) -> bool:
    """Whether anything of a text comes out on paper; what the page lacks does, as its substitute."""
    return any(not one.isspace() and unicodedata.category(one) not in _INVISIBLE for one in text)


def _character(one: str, code_page: str) -> str:
    if one.isspace():
        return " "
    category = unicodedata.category(one)
    if category in ("Cc", "Cf"):
        return ""
    if _has(code_page, one):
        return one
    for substitute in SUBSTITUTES.get(one, ()):
        if _has(code_page, substitute):
            return substitute
    if category == "Mn":
        return ""  # A mark that composes with no letter before it has nothing to stand on.
    plain = "".join(_character(part, code_page) for part in unicodedata.normalize("NFKD", one) if part != one)
    return UNKNOWN if UNKNOWN in plain or not plain else plain


def _has(code_page: str, text: str) -> bool:
    """Whether a page has all of a text, at one byte and so one cell a character."""
    try:
        return len(text.encode(code_page)) == len(text)
    except UnicodeEncodeError:
        return False
