"""A device's slip in blocks: its code, and the same in lines for a person who types.

It is printed, shown in a terminal or drawn as a picture, and carries a secret: whoever reads it comes in as the device.
"""

from dataclasses import dataclass, field

from appliance.printing.layout.blocks import Align, Block, Code, Cut, Pair, Rule, Size, Space, Text
from appliance.printing.layout.words import Language


@dataclass(frozen=True, slots=True)
class DeviceSlip:
    """url: what the code holds. token, sha256: grouped, as a person reads them. is_shops: the token is the shop's
    password, with which every other till comes in too.
    """

    shop_name: str
    device: str
    shop: str
    hosts: tuple[str, ...]
    port: int
    token: str = field(repr=False)
    sha256: str
    url: str = field(repr=False)
    is_shops: bool = False


@dataclass(frozen=True, slots=True)
class _Words:
    title: str
    scan: str
    address: str
    port: str
    shop: str
    device: str
    token: str
    certificate: str
    warning: str
    warning_shops: str


_WORDS: dict[Language, _Words] = {
    "ru": _Words(
        title="ПОДКЛЮЧЕНИЕ КАССЫ",
        scan="Отсканируйте код на кассе или введите вручную:",
        address="Адрес",
        port="Порт (TLS)",
        shop="Магазин",
        device="Касса (имя входа)",
        token="Пароль",  # noqa: S106  its label
        certificate="SHA-256 сертификата",
        warning="Это ключ: кто его прочтёт, войдёт как {}. Уничтожьте, когда касса подключена.",
        warning_shops="Это пароль магазина: с ним входит и любая другая касса, под своим именем. Храните как ключ.",
    ),
    "en": _Words(
        title="CONNECT A TILL",
        scan="Scan the code at the till, or type:",
        address="Address",
        port="Port (TLS)",
        shop="Shop",
        device="Till (user name)",
        token="Password",  # noqa: S106  its label
        certificate="The certificate's SHA-256",
        warning="This is a key: whoever reads it comes in as {}. Destroy it when the till is connected.",
        warning_shops="This is the shop's password: every other till comes in with it, by its own name. Keep it safe.",
    ),
}


def device_slip(of: DeviceSlip, language: Language) -> tuple[Block, ...]:
    """Return the blocks of a slip, its cut included."""
    words = _WORDS[language]
    warning = words.warning_shops if of.is_shops else words.warning.format(of.device)
    return (
        Text(of.shop_name, Align.CENTRE, bold=True),
        Space(),
        Text(words.title, Align.CENTRE, bold=True),
        Text(of.device, Align.CENTRE, bold=True, size=Size.TALL),
        Space(),
        Code(of.url),
        Space(),
        Text(words.scan),
        Rule(),
        *(Pair(f"{words.address}:" if host == of.hosts[0] else "", host) for host in of.hosts),
        Pair(f"{words.port}:", str(of.port)),
        Pair(f"{words.shop}:", of.shop),
        Pair(f"{words.device}:", of.device),
        Rule(),
        Text(f"{words.token}:"),
        Text(of.token, bold=True),
        Rule(),
        Text(f"{words.certificate}:"),
        Text(of.sha256),
        Rule(),
        Text(warning, Align.CENTRE),
        Cut(),
    )
