"""What a shop may decide about its pre-checks. `printing.template` reads it from a file."""

from dataclasses import dataclass
from enum import StrEnum

from appliance.printing.layout.blocks import Picture
from appliance.printing.layout.words import Language


class ShopField(StrEnum):
    NAME = "name"
    INN = "inn"
    ADDRESS = "address"


class Field(StrEnum):
    NUMBER = "number"
    TIME = "time"
    DEVICE = "device"
    CASHIER = "cashier"
    TABLE = "table"


@dataclass(frozen=True, slots=True)
class Template:
    """What stands around the goods, and in which order. What makes it a pre-check (title, goods, sum) always stands.

    header, footer: lines, in the middle; None is thanks in the sheet's language. qr: whether the receipt's id is
    printed as a QR code, for a till to scan.
    """

    language: Language
    logo: Picture | None
    shop: tuple[ShopField, ...]
    header: tuple[str, ...]
    fields: tuple[Field, ...]
    footer: tuple[str, ...] | None
    qr: bool
