"""A pre-check to look at: the preview, a printer's test page and the picture in the README print this one."""

import json
from importlib import resources

from appliance.printing.layout.receipt import PreCheck, Shop, read_receipt
from appliance.printing.layout.words import Language

_SHOPS: dict[Language, Shop] = {
    "ru": Shop("Кафе «Берёзка»", inn="7701234567", address="Москва, Тверская ул., 12, стр. 1"),
    "en": Shop("Café “Beryozka”", inn="7701234567", address="12 bld. 1 Tverskaya St., Moscow"),
}


def sample_precheck(language: Language) -> PreCheck:
    """Return a pre-check of five lines: a long name, a weight, a discount, signs that CP866 lacks."""
    operation = json.loads((resources.files(__package__) / f"sample-{language}.json").read_text("utf-8"))
    return read_receipt(operation, shop=_SHOPS[language], device="A1")
