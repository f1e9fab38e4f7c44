"""A pre-check to look at: the preview, a printer's test page and the picture in the README print this one."""

import json
from importlib import resources

from appliance.printing.layout.receipt import PreCheck, Shop, read_receipt

_SHOP = Shop("Кафе «Берёзка»", inn="7701234567", address="Москва, Тверская ул., 12, стр. 1")


def sample_precheck() -> PreCheck:
    """Return a pre-check of five lines: a long name, a weight, a discount, signs that CP866 lacks."""
    operation = json.loads((resources.files(__package__) / "sample.json").read_text("utf-8"))
    return read_receipt(operation, shop=_SHOP, device="A1")
