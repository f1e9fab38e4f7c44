"""What pre-checks must look like, kept as files that a person has read: golden/*.txt as text, golden/*.hex as bytes.

    python -m tests.printing.golden      shows what differs, and writes the files anew

Only what was looked at and found right belongs there: commit the files with the change that altered them.
"""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from appliance.printing import encode, text
from appliance.printing.layout.blocks import Block, Picture
from appliance.printing.layout.precheck import precheck
from appliance.printing.layout.receipt import Heading, Shop, read_receipt
from appliance.printing.layout.sheet import Paper
from appliance.printing.layout.template import Field, ShopField, Template
from appliance.printing.layout.words import Language
from appliance.printing.sheets import order

FILES = Path(__file__).parent / "golden"
COMMAND = "python -m tests.printing.golden"

COLUMNS = (32, 42, 48)
LANGUAGES: tuple[Language, ...] = get_args(Language)

SHOPS = {
    "ru": Shop("Кафе «Берёзка»", "7701234567", "Москва, Тверская ул., 12, стр. 1"),
    "en": Shop("The Birch Café", "7701234567", "12 Tverskaya St, bldg 1, Moscow"),
}
CASHIERS = {"ru": "Анна", "en": "Ann"}
ARROW = Picture(16, 8, bytes.fromhex("0180 03c0 07e0 0ff0 1ff8 0180 0180 0180"))
"""A logo small enough to be read in a golden file."""

TEXT_CASES = (
    *("one-line", "long-names", "weights", "discounts", "sixty-lines", "missing-characters", "control-bytes"),
    *("edited", "copy", "repeat", "return", "unpriced", "paid", "order"),
)
HEX_CASES: tuple[tuple[str, Language, int], ...] = (
    ("one-line", "ru", 32),
    ("weights", "en", 48),
    ("discounts", "ru", 42),
    ("repeat", "ru", 32),
)

NAMES = {
    "ru": {
        "tea": "Чай чёрный",
        "milk": "Молоко 3,2 % 1 л",
        "cheese": "Сыр весовой",
        "cream": "Сливки",
        "long": "Котлета по-киевски с картофельным пюре, солёным огурцом и соусом из лесных грибов",
        "word": "Высокопревосходительствующий-квас-безалкогольный-нефильтрованный",
    },
    "en": {
        "tea": "Black tea",
        "milk": "Milk 3.2 % 1 l",
        "cheese": "Cheese by weight",
        "cream": "Cream",
        "long": "Chicken Kiev with mashed potatoes, a pickled cucumber and a sauce of wild mushrooms",
        "word": "Pneumonoultramicroscopicsilicovolcanoconiosis-free-mineral-water",
    },
}


@dataclass(frozen=True, slots=True)
class Sheet:
    """One pre-check, and the paper that it is printed on."""

    blocks: tuple[Block, ...]
    paper: Paper


def sheet(case: str, language: Language, columns: int, *, logo: Picture | None = None, qr: bool = True) -> Sheet:
    """Return the sheet of a case."""
    headings = {
        "copy": (Heading.COPY,),
        "repeat": (Heading.REPEAT, Heading.EDITED),
        **dict.fromkeys(("edited", "order"), (Heading.EDITED,)),
    }
    of = read_receipt(
        operation(case, language),
        shop=SHOPS[language],
        device="A1",
        headings=headings.get(case, ()),
        before=operation("before", language) if case in ("edited", "repeat", "order") else None,
    )
    if case == "order":
        of = order(of, tuple(line.sku for line in of.lines))
    header, footer = {"ru": ("Добро пожаловать!", "Спасибо за визит!"), "en": ("Welcome!", "Come again!")}[language]
    template = Template(language, logo, tuple(ShopField), (header,), tuple(Field), (footer,), qr)
    return Sheet(precheck(of, template), Paper(columns))


def operation(case: str, language: Language) -> dict[str, Any]:
    """Return the receipt operation of a case, as a till sends it."""
    lines = _lines(case, NAMES[language])
    for line in lines:
        price = line.get("price_minor")
        if price is not None:
            line["amount_minor"] = round(price * float(line["qty"])) - line.get("discount_minor", 0)
    known = [line["amount_minor"] for line in lines if "amount_minor" in line]
    sums = {"total_minor": sum(known) - 1000, "discount_minor": 2500} if case == "discounts" else {}
    return {
        "type": "receipt",
        "receipt": "0b9f6a52-7c1d-4e83-a5f4-3d2e1c0b9a87",
        "number": "A1-000123",
        "kind": "return" if case == "return" else "sale",
        "status": "paid" if case == "paid" else "open",
        "at": "2026-11-24T19:42:07+03:00",
        "cashier": CASHIERS[language],
        "table": "7",
        "currency": "RUB",
        "lines": lines,
        **sums,
    }


def _lines(case: str, names: dict[str, str]) -> list[dict[str, Any]]:
    tea = {"sku": "tea", "name": names["tea"], "qty": "1", "unit": "pcs", "price_minor": 25000}
    milk = {"sku": "milk", "name": names["milk"], "qty": "2", "unit": "pcs", "price_minor": 8990}
    cheese = {"sku": "cheese", "name": names["cheese"], "qty": "0.35", "unit": "kg", "price_minor": 98000}
    match case:
        case "long-names":
            return [tea | {"sku": key, "name": names[key], "price_minor": 1250000} for key in ("long", "word")]
        case "weights":
            return [
                cheese,
                cheese | {"qty": "1", "price_minor": 125000},
                cheese | {"qty": "0.005"},
                tea | {"name": names["cream"], "qty": "250", "unit": "g", "price_minor": 75},
                milk | {"qty": "0.5"},
                milk | {"unit": "box", "qty": "3"},
            ]
        case "discounts":
            return [milk, tea | {"discount_minor": 1500}, cheese]
        case "sixty-lines":
            return [tea | {"sku": f"tea-{at}", "name": f"{names['tea']} № {at}", "qty": str(at)} for at in range(1, 61)]
        case "missing-characters":
            strange = (
                *("«Ёлки» — 5 ₽ × 2 …", "Cre\u0300me bru\u0302le\u0301e №1", "И\u0306огурт 'й'", "Қазақ сөзі"),
                *(
                    "中文 \U0001f370 ♥",
                    "½ л • 20 °C → 5 €",
                    "Тонкий\u2009пробел\u00a0и\u200bневидимый",
                    "\u0301ударение",
                ),
            )
            return [tea | {"sku": str(at), "name": name} for at, name in enumerate(strange)]
        case "control-bytes":
            hostile = (
                *(
                    "Чай\x1b@\x1d\x56\x00 с лимоном",
                    "Кофе\x00\x07\x0b\x0c\r\nдвойной",
                    "\x1b\x70\x00",
                    "\u202eЗаказ\u202c",
                ),
                "\x9b2J\x7fТабак\tна вес",
            )
            return [tea | {"sku": f"sku-{at}", "name": name} for at, name in enumerate(hostile)]
        case "before":
            return [tea, milk, cheese, tea | {"sku": "cream", "name": names["cream"]}]
        case "edited" | "repeat" | "order":
            new = tea | {"sku": "long", "name": names["long"], "qty": "2", "price_minor": 69000}
            return [milk | {"qty": "3"}, cheese | {"qty": "0.4"}, tea | {"discount_minor": 2500}, new]
        case "unpriced":
            return [{"sku": "tea", "qty": "2"}, {"sku": "сыр/весовой", "qty": "0.35", "unit": "kg"}]
        case _:
            return [milk]


def wanted() -> Iterator[tuple[Path, str]]:
    """Yield each golden file and what the code makes of it now."""
    for case in TEXT_CASES:
        for language in LANGUAGES:
            sheets = [sheet(case, language, columns) for columns in COLUMNS]
            parts = [f"== {one.paper.columns} columns\n{text.render(one.blocks, one.paper)}" for one in sheets]
            yield FILES / f"{case}.{language}.txt", "\n".join(parts)
    for case, language, columns in HEX_CASES:
        one = sheet(case, language, columns, logo=ARROW if case == "one-line" else None, qr=False)
        yield FILES / f"{case}.{language}.{columns}.hex", as_hex(encode.encode(one.blocks, one.paper))


def as_hex(job: bytes) -> str:
    """Return bytes in hex, a new row after each line feed, so that a difference shows in which line it is."""
    return "".join(f"{row.hex(' ')}\n" for row in re.findall(rb"[^\n]*\n|[^\n]+$", job))


def difference(path: Path, now: str) -> str:
    """Return what a golden file and the code differ in; "" when they do not."""
    kept = path.read_text("utf-8") if path.exists() else ""
    lines = difflib.unified_diff(kept.splitlines(), now.splitlines(), path.name, "now", lineterm="")
    return "\n".join(lines)


def update() -> None:
    """Write the golden files anew, showing what changes."""
    FILES.mkdir(exist_ok=True)
    known = set()
    for path, now in wanted():
        known.add(path)
        if changed := difference(path, now):
            print(changed)
            path.write_text(now, "utf-8")
    for path in sorted(set(FILES.iterdir()) - known):
        print(f"{path.name} belongs to no case: removed")
        path.unlink()


if __name__ == "__main__":
    update()
