"""A pre-check to look at: the preview, a printer's test page and the picture in the README print this one."""

import json
from importlib import resources

from appliance.printing.layout.receipt import Heading, PreCheck, Shop, read_receipt
from appliance.printing.layout.words import Language

_SHOPS: dict[Language, Shop] = {
    "ru": Shop("Кафе «Берёзка»", inn="7701234567", address="Москва, Тверская ул., 12, стр. 1"),
    "en": Shop("Café “Beryozka”", inn="7701234567", address="12 bld. 1 Tverskaya St., Moscow"),
}


def sample_precheck(language: Language, shop: Shop | None = None, headings: tuple[Heading, ...] = ()) -> PreCheck:
    """Return a pre-check of five lines: a long name, a weight, a discount, signs that CP866 lacks.

    shop: who sells; without, a shop that is made up like the rest.
    """
    operation = json.loads((resources.files(__package__) / f"sample-{language}.json").read_text("utf-8"))
    return read_receipt(operation, shop=shop or _SHOPS[language], device="A1", headings=headings)
