"""What the box has to tell a person who has no screen, in blocks: that it does not run, or cannot use its settings."""

from collections.abc import Sequence
from enum import StrEnum

from appliance.printing.layout.blocks import Align, Block, Cut, Rule, Space, Text
from appliance.printing.layout.words import Language


class Notice(StrEnum):
    FAILED = "failed"
    """The service was started again and again, and does not stay up."""
    SETTINGS = "settings"
    """The file on the card cannot be used. What is wrong in it follows."""


_WORDS: dict[tuple[Notice, Language], tuple[str, str]] = {
    (Notice.FAILED, "ru"): (
        "УЧЁТ ОСТАТКОВ НЕ РАБОТАЕТ",
        "Блок учёта запускался несколько раз и не работает. Кассы хранят продажи у себя и передадут их потом. "
        "Выключите блок и включите снова. Если это не поможет, позовите того, кто его настраивал.",
    ),
    (Notice.FAILED, "en"): (
        "THE STOCK BOX DOES NOT RUN",
        "It was started several times and does not stay up. The tills keep what they sell, and hand it over later. "
        "Switch the box off and on. If that does not help, call whoever has set it up.",
    ),
    (Notice.SETTINGS, "ru"): (
        "НАСТРОЙКИ НЕ ПРИНЯТЫ",
        "Блок учёта работает с прежними настройками. Исправьте stock-coordinator.toml на карте памяти:",
    ),
    (Notice.SETTINGS, "en"): (
        "THE SETTINGS ARE NOT TAKEN",
        "The box goes on with those that it had. Correct stock-coordinator.toml on the card:",
    ),
}


def notice(kind: Notice, shop_name: str, faults: Sequence[str], language: Language) -> tuple[Block, ...]:
    """Return the blocks of a notice, its cut included. faults: a paragraph each."""
    title, text = _WORDS[kind, language]
    return (
        Text(shop_name, Align.CENTRE),
        Space(),
        Text(title, Align.CENTRE, bold=True),
        Space(),
        Text(text),
        *(block for fault in faults for block in (Rule(), Text(fault))),
        Cut(),
    )
