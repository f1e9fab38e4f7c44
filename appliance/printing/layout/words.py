"""The words of a pre-check and the way a language writes figures.

Nothing here may look fiscal: the words that a fiscal document has (ФН, ФД, ФПД) must not be among them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from appliance.printing.layout.receipt import Purpose
from appliance.stock.operation import ReceiptKind

Language = Literal["ru", "en"]

_MINOR_DIGITS = dict.fromkeys(
    ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND"), 0
) | (
    dict.fromkeys(("VUV", "XAF", "XOF", "XPF"), 0) | dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3)
)
"""ISO 4217: the decimals of a currency where they are not two."""

_MEASURED = ("kg", "l", "m", "кг", "л", "м")
"""Units whose scales show three decimals, and so does the paper: 0,350 kg is not a rounded 0,35."""


@dataclass(frozen=True, slots=True)
class PurposeWords:
    """Words that depend on what a sheet is for, and on which way the goods go."""

    title: str
    total: str = ""
    notice: str = ""


@dataclass(frozen=True, slots=True)
class Words:
    """One language.

    unsaid: for a sum that the till did not say. was_is: how a change is said. units, currencies: what the wire's names
    become on paper.
    """

    sale: Mapping[Purpose, PurposeWords]
    give_back: Mapping[Purpose, PurposeWords]
    not_fiscal: str
    copy: str
    edited: str
    repeat: str
    test: str
    inn: str
    number: str
    time: str
    device: str
    cashier: str
    table: str
    discount: str
    subtotal: str
    unsaid: str
    changes: str
    unchanged: str
    added: str
    removed: str
    was_is: str
    amount: str
    thanks: str
    decimal_mark: str
    time_format: str
    units: dict[str, str]
    currencies: dict[str, str]

    def of(self, kind: ReceiptKind, purpose: Purpose) -> PurposeWords:
        return (self.give_back if kind is ReceiptKind.RETURN else self.sale)[purpose]

    def money(self, minor: int, currency: str) -> str:
        """Return a sum without its currency. No grouping: a Russian till prints 12450,00."""
        digits = _MINOR_DIGITS.get(currency, 2)
        whole, fraction = divmod(abs(minor), 10**digits)
        text = f"{whole}{self.decimal_mark}{fraction:0{digits}d}" if digits else str(whole)
        return f"-{text}" if minor < 0 else text

    def money_named(self, minor: int, currency: str) -> str:
        """Return a sum with its currency, where it has one."""
        return f"{self.money(minor, currency)} {self.currencies.get(currency, currency)}".rstrip()

    def quantity(self, milli: int, unit: str) -> str:
        """Return a quantity with its unit: `2`, `0,350 кг`. Pieces go without saying."""
        whole, fraction = divmod(abs(milli), 1000)
        text = f"{whole}{self.decimal_mark}{fraction:03d}" if fraction or unit in _MEASURED else str(whole)
        sign = "-" if milli < 0 else ""
        return f"{sign}{text} {self.units.get(unit, unit)}".rstrip()

    def moment(self, at: str) -> str:
        """Return a moment of the wire (RFC 3339) as the clock on the wall showed it there; "" stays ""."""
        return datetime.fromisoformat(at).strftime(self.time_format) if at else ""


RUSSIAN = Words(
    sale={
        Purpose.PAY: PurposeWords("ПРЕЧЕК", "К ОПЛАТЕ", "Кассовый чек будет выдан при оплате"),
        Purpose.PAID: PurposeWords("ОПЛАЧЕНО", "ИТОГО", "Кассовый чек выдаётся отдельно"),
        Purpose.ORDER: PurposeWords("ЗАКАЗ"),
    },
    give_back={
        Purpose.PAY: PurposeWords("ПРЕЧЕК ВОЗВРАТА", "К ВОЗВРАТУ", "Кассовый чек будет выдан при возврате"),
        Purpose.PAID: PurposeWords("ВОЗВРАЩЕНО", "ИТОГО", "Кассовый чек выдаётся отдельно"),
        Purpose.ORDER: PurposeWords("ВОЗВРАТ"),
    },
    not_fiscal="НЕ ЯВЛЯЕТСЯ ФИСКАЛЬНЫМ ДОКУМЕНТОМ",
    copy="КОПИЯ",
    edited="ИЗМЕНЁН",
    repeat="ПОВТОР — первый экземпляр мог напечататься",
    test="ПРОБНАЯ ПЕЧАТЬ",
    inn="ИНН",
    number="Номер",
    time="Дата",
    device="Касса",
    cashier="Кассир",
    table="Стол",
    discount="Скидка",
    subtotal="Подытог",
    unsaid="см. на кассе",
    changes="Что изменилось",
    unchanged="состав прежний",
    added="добавлено {}",
    removed="убрано {}",
    was_is="было {}, стало {}",
    amount="сумма: {}",
    thanks="Спасибо за визит!",
    decimal_mark=",",
    time_format="%d.%m.%Y %H:%M",
    units={"pcs": "", "kg": "кг", "g": "г", "l": "л", "ml": "мл", "m": "м"},
    currencies={"RUB": "₽"},
)

ENGLISH = Words(
    sale={
        Purpose.PAY: PurposeWords("PRE-CHECK", "TO PAY", "The receipt is issued when you pay"),
        Purpose.PAID: PurposeWords("PAID", "TOTAL", "The receipt is issued separately"),
        Purpose.ORDER: PurposeWords("ORDER"),
    },
    give_back={
        Purpose.PAY: PurposeWords("RETURN PRE-CHECK", "TO REFUND", "The receipt is issued with the refund"),
        Purpose.PAID: PurposeWords("REFUNDED", "TOTAL", "The receipt is issued separately"),
        Purpose.ORDER: PurposeWords("RETURN"),
    },
    not_fiscal="NOT A FISCAL DOCUMENT",
    copy="COPY",
    edited="CHANGED",
    repeat="REPEAT — the first copy may have printed",
    test="TEST PRINT",
    inn="TIN",
    number="Number",
    time="Date",
    device="Till",
    cashier="Cashier",
    table="Table",
    discount="Discount",
    subtotal="Subtotal",
    unsaid="see the till",
    changes="What changed",
    unchanged="the same goods",
    added="added {}",
    removed="removed {}",
    was_is="was {}, now {}",
    amount="amount: {}",
    thanks="Thank you for your visit!",
    decimal_mark=".",
    time_format="%Y-%m-%d %H:%M",
    units={"pcs": ""},
    currencies={},
)

LANGUAGES: dict[Language, Words] = {"ru": RUSSIAN, "en": ENGLISH}
