"""Topic names of the wire contract, built and taken apart in this one place.

A topic is `stock/v1/{shop}/...`, but for the two that Home Assistant prescribes. A SKU is any text, so it is
percent-encoded where it would break a topic; two SKUs never share one topic, and the payload carries the SKU unencoded.
"""

import re
from dataclasses import dataclass

from appliance.contract.delivery import Channel
from appliance.contract.limits import SKU_BYTES_MAX
from appliance.stock.errors import Rejected

_NAME = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)
# mosquitto closes the connection of whoever publishes a Unicode noncharacter in a topic: that would be the coordinator,
# put off the network by one SKU.
_NONCHARACTERS = "\ufdd0-\ufdef" + "".join(chr(plane << 16 | 0xFFFE) + chr(plane << 16 | 0xFFFF) for plane in range(17))
_UNSAFE = re.compile(f"[/+#%\u0000-\u001f\u007f-\u009f{_NONCHARACTERS}]")
SHOP_DEVICE = "_shop"
"""The coordinator's own device: expiries and corrections by command are operations of it."""

HOME_ASSISTANT = "home-assistant"
"""The device as which Home Assistant, or the broker that it has, reads how the box is, and nothing of the shop's."""


def is_name(text: str) -> bool:
    """Whether a text may name a shop, a device or a printer."""
    return _NAME.fullmatch(text) is not None


def check_sku(value: object) -> str:
    """Return a SKU of the wire as it is. Raises Rejected("bad-sku") when it is no text of 1 to 128 bytes of UTF-8."""
    if not isinstance(value, str) or not value:
        raise Rejected("bad-sku", f"{value!r:.80} is not a SKU: write a non-empty text")
    # orjson refuses lone surrogates, so every text that gets here can be encoded.
    if (length := len(value.encode())) > SKU_BYTES_MAX:
        raise Rejected("bad-sku", f"the SKU {value[:40]!r}… has {length} bytes: at most {SKU_BYTES_MAX} are allowed")
    return value


def encode_sku(sku: str) -> str:
    """Return a SKU as one topic level."""
    return _UNSAFE.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), sku)


def decode_sku(level: str) -> str:
    """Return the SKU of a topic level. Raises ValueError for a level that `encode_sku` would not have made."""
    sku = re.sub("(?:%[0-9A-F]{2})+", lambda found: bytes.fromhex(found[0].replace("%", "")).decode(), level)
    if encode_sku(sku) != level:
        raise ValueError(f"{level!r} is not an encoded SKU")
    return sku


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one shop."""

    shop: str

    def __post_init__(self) -> None:
        if not is_name(self.shop):
            raise ValueError(f"{self.shop!r} cannot name a shop: use 1 to 64 of A-Z, a-z, 0-9 and -")

    @property
    def root(self) -> str:
        return f"stock/v1/{self.shop}/"

    @property
    def coordinator(self) -> str:
        return f"{self.root}coordinator"

    @property
    def tick(self) -> str:
        return f"{self.root}tick"

    @property
    def changes(self) -> str:
        return f"{self.root}changes"

    def balance(self, sku: str) -> str:
        return f"{self.root}balance/{encode_sku(sku)}"

    def item(self, sku: str) -> str:
        return f"{self.root}item/{encode_sku(sku)}"

    def alert(self, alert: str) -> str:
        return f"{self.root}alert/{alert}"

    def printer(self, printer: str) -> str:
        return f"{self.root}printer/{printer}"

    def device(self, device: str, leaf: str) -> str:
        """leaf: `state`, `op`, `query` (the device publishes) or `ack`, `answer`, `print` (the coordinator does)."""
        return f"{self.root}device/{device}/{leaf}"

    def home_assistant(self, leaf: str) -> str:
        """leaf: `config`, where Home Assistant discovers the box, or `health`, what it then shows."""
        return f"homeassistant/device/stock-{self.shop}/{leaf}"

    def sender(self, topic: str) -> tuple[str, Channel] | None:
        """Return who published on a device's topic and on which channel, or None when it is no such topic."""
        levels = topic.removeprefix(self.root).split("/")
        if not topic.startswith(self.root) or len(levels) != 3 or levels[0] != "device" or not is_name(levels[1]):
            return None
        return (levels[1], Channel(levels[2])) if levels[2] in list(Channel) else None
