"""The slip: everything that a device needs to come in, as one URL for a QR code (README.md, "Slip").

    stock://{device}:{token}@{host}:{port}/{shop}?also={host}&sha256={hex}

It is parsed by any URL library, and here. It carries a secret: neither an error nor a `repr` shows the token.
"""

import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import parse_qsl, quote, urlsplit

from appliance.contract.topics import is_name

SCHEME = "stock"

HOSTS_MAX = 4
"""Addresses on one slip: a box has one in the shop's network, perhaps two, and a name."""

HOST_MAX = 64
"""Characters of one. With the longest names a slip is 550 bytes, which a QR code still shows on 58 mm paper."""

_TOKEN = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


class BadSlip(ValueError):
    """A text is no slip. The message says what is wrong with it, and shows nothing of its token."""


@dataclass(frozen=True, slots=True)
class Slip:
    """hosts: where the box may be found, tried in this order. sha256: of the certificate that it shows, in DER."""

    hosts: tuple[str, ...]
    port: int
    shop: str
    device: str
    token: str = field(repr=False)
    sha256: bytes


def is_host(text: str) -> bool:
    """Whether a text may be an address on a slip: a host name in lower case, or an IP address without brackets."""
    if len(text) > HOST_MAX or text != text.lower():
        return False
    if ":" not in text:
        return _HOST.fullmatch(text) is not None
    try:
        return "%" not in text and bool(ip_address(text))
    except ValueError:
        return False


def format_slip(slip: Slip) -> str:
    """Return a slip's URL. Raises BadSlip when it cannot be one."""
    first, *also = slip.hosts or ("",)
    query = "".join(f"also={quote(host, safe=':')}&" for host in also)
    authority = f"{slip.device}:{slip.token}@{f'[{first}]' if ':' in first else first}:{slip.port}"
    url = f"{SCHEME}://{authority}/{slip.shop}?{query}sha256={slip.sha256.hex()}"
    if parse_slip(url) != slip:
        raise BadSlip("a slip that does not come back as it was")
    return url


def parse_slip(text: str) -> Slip:
    """Return what a slip says. A key of its query that is not known is ignored. Raises BadSlip."""
    try:
        url = urlsplit(text.strip())
        port = url.port
    except ValueError:
        raise BadSlip("its address cannot be read") from None  # The error's own text shows parts of the URL.
    if url.scheme != SCHEME:
        raise BadSlip(f"a slip begins with {SCHEME}://")
    query = parse_qsl(url.query, keep_blank_values=True)
    hosts = (url.hostname or "", *(value.lower() for key, value in query if key == "also"))
    if not 1 <= len(hosts) <= HOSTS_MAX or not all(map(is_host, hosts)):
        raise BadSlip(f"it wants 1 to {HOSTS_MAX} host names or addresses")
    if not port:
        raise BadSlip("its port is missing")
    device, token, shop = url.username or "", url.password or "", url.path.removeprefix("/")
    if not is_name(device) or not is_name(shop):
        raise BadSlip("its shop or its device is no name of 1 to 64 of A-Z, a-z, 0-9 and -")
    if not _TOKEN.fullmatch(token):
        raise BadSlip("its token is missing, or is none")
    pins = [value for key, value in query if key == "sha256"]
    if len(pins) != 1 or not _SHA256.fullmatch(pins[0]):
        raise BadSlip("it wants one sha256, of 64 of 0-9 and a-f")
    return Slip(hosts, port, shop, device, token, bytes.fromhex(pins[0]))


def grouped(text: str) -> str:
    """Return a token or a fingerprint as a person reads it: in groups of four, unless it has groups of its own."""
    if "-" in text:
        return text
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))
