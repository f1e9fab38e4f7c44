"""What a printer's model can do: its code pages and their numbers, its dots, its knife.

The data are python-escpos's profiles, of some 35 models, named as there. They are imported when the first job is
encoded, for that reads a large YAML: 0.6 s, or 0.1 s where ESCPOS_CAPABILITIES_PICKLE_DIR names a place for a pickle.
"""

import codecs
import logging
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import Any

from appliance.printing.layout.sheet import Paper

DEFAULT_MODEL = "default"
"""The profile for a printer that nobody named: Epson's commands and code pages, as most clones have them."""


class CannotPrint(Exception):
    """A model does not have what the settings ask for. Its text names the value and the remedy."""


@dataclass(frozen=True, slots=True)
class Model:
    """One model. tables: the number that ESC t takes, by code page. dots: across the print head, None if unknown."""

    name: str
    tables: dict[str, int]
    dots: int | None
    cuts: bool

    def table(self, code_page: str) -> int:
        """Return the number of a code page, named by its Python codec. Raises CannotPrint."""
        if code_page in self.tables:
            return self.tables[code_page]
        raise CannotPrint(
            f"the printer profile {self.name!r} has no code page {code_page!r}: write one of "
            f"{', '.join(sorted(self.tables))}, or choose another profile"
        )

    def check_width(self, paper: Paper) -> None:
        """Raise CannotPrint for a paper wider than the print head: its pictures would be taken for text."""
        if self.dots is not None and self.dots < paper.dots:
            raise CannotPrint(
                f"the printer profile {self.name!r} prints {self.dots} dots, but {paper.columns} columns are "
                f"{paper.dots}: choose fewer columns or another profile"
            )


@cache
def find_model(name: str) -> Model:
    """Return a model by the name of its profile. Raises CannotPrint."""
    profile = _profiles().get(name)
    if profile is None:
        raise CannotPrint(f"{name!r} is no printer profile: write one of {', '.join(model_names())}")
    pages: dict[str, str] = profile["codePages"]
    dots = profile["media"]["width"].get("pixels")
    return Model(
        name=name,
        # Clones list CP866 twice. Where Epson has it theirs prints something else: the higher number is their own.
        tables={page: int(number) for number in sorted(pages, key=int) if (page := _codec(pages[number]))},
        dots=dots if isinstance(dots, int) else None,
        cuts=bool(profile["features"].get("paperPartCut")),
    )


def model_names() -> list[str]:
    """Return the names of all models that are known."""
    return sorted(_profiles())


def known_tables() -> list[tuple[str, int]]:
    """Return the Cyrillic code pages that a printer may have, each with a number for it: those of most models first."""
    found = []
    for page in ("cp866", "cp1251"):
        numbers = Counter(
            int(number)
            for profile in _profiles().values()
            for number, name in profile["codePages"].items()
            if _codec(name) == page
        )
        found += [(page, number) for number in sorted(numbers, key=lambda number: (-numbers[number], number))]
    return found


def _codec(page: str) -> str:
    """Return Python's name for a code page; "" for one that it cannot write, such as printers' Vietnamese ones."""
    try:
        return codecs.lookup(page).name
    except LookupError:
        return ""


def _profiles() -> dict[str, Any]:
    root = logging.getLogger()
    handlers = list(root.handlers)
    from escpos.capabilities import CAPABILITIES  # type: ignore[import-untyped]

    # In passing it sets up logging for the whole process, which is not its to decide.
    for handler in [one for one in root.handlers if one not in handlers]:
        root.removeHandler(handler)
    profiles: dict[str, Any] = CAPABILITIES["profiles"]
    return profiles
