"""The units that are plugged in, and a name for each that stays its own.

The numbers of ttyUSB, ttyACM, lp and pts nodes go to whoever comes first, so no unit is ever known by them. A serial
adapter is known by the link that udev makes of its maker and serial number, or of its plug; a USB printer by its
vendor, product and serial number, or by its plug; a printer in the network by its address.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from appliance.printing.transport.address import Address, Network, SerialLine, UsbDevice, UsbNode, parse_url
from appliance.printing.transport.usb import Plugged, plugged_in

_NUMBERED = re.compile(r"/dev/(tty(USB|ACM)\d+|pts/\d+)")
_LP = re.compile(r"/dev/usb/(lp\d+)")


@dataclass(frozen=True, slots=True)
class Found:
    """A unit that may be a printer. words: for the person who chooses. node: where it is until the next start."""

    url: str
    words: str
    node: Path


def find_units(dev: Path = Path("/dev"), classes: Path = Path("/sys/class/usbmisc")) -> list[Found]:
    """Return what is plugged in: USB printers, then serial lines on adapters, by names that will be theirs again."""
    printers = plugged_in(classes)
    seen = [(one.vendor, one.product, one.serial) for one in printers]
    found = []
    for one in printers:
        url = f"usb://{one.vendor}:{one.product}"
        if seen.count((one.vendor, one.product, one.serial)) > 1:
            url += f"?plug={quote(one.plug)}"  # Nothing but their plugs tells them apart.
        elif one.serial:
            url += f"?serial={quote(one.serial)}"
        found.append(
            Found(url, " ".join(filter(None, ("USB printer", one.words, "in", one.plug))), dev / "usb" / one.node)
        )
    lines: dict[Path, Path] = {}
    for link in (*sorted(dev.glob("serial/by-id/*")), *sorted(dev.glob("serial/by-path/*"))):
        lines.setdefault(link.resolve(), link)
    found += [Found(f"serial://{quote(str(link))}", f"serial line {node.name}", node) for node, link in lines.items()]
    return found


def lasting(url: str, dev: Path = Path("/dev"), classes: Path = Path("/sys/class/usbmisc")) -> str:
    """Return an address under which the unit will be again, in place of a node's number, where there is one.

    Raises BadUrl.
    """
    address = parse_url(url)
    if isinstance(address, SerialLine | UsbNode):
        options = urlsplit(url).query
        for one in find_units(dev, classes):
            if one.node == address.path:
                return f"{one.url}?{options}" if options else one.url
    return url


def identity(address: Address, dev: Path = Path("/dev"), classes: Path = Path("/sys/class/usbmisc")) -> str | None:
    """Return the name of the unit at an address; None when it has none, or is not plugged in and only numbered."""
    match address:
        case SerialLine(path):
            link = path if _NUMBERED.fullmatch(str(path)) is None else _link(path, dev)
            return None if link is None else f"serial:{link}"
        case UsbDevice(vendor, product, serial, plug):
            return _usb(vendor, product, serial, plug)
        case UsbNode(path):
            if (numbered := _LP.fullmatch(str(path))) is None:
                return f"usb:{path}"
            return next((_of(one) for one in plugged_in(classes) if one.node == numbered[1]), None)
        case Network(host, port):
            return f"tcp:{host}:{port}"
        case _:
            return None


def _link(node: Path, dev: Path) -> Path | None:
    for links in ("serial/by-id", "serial/by-path"):
        for link in sorted((dev / links).glob("*")):
            if link.resolve() == node:
                return link
    return None


def _of(one: Plugged) -> str:
    return _usb(one.vendor, one.product, one.serial, None if one.serial else one.plug)


def _usb(vendor: str, product: str, serial: str | None, plug: str | None) -> str:
    return f"usb:{vendor}:{product}" + (f":{serial}" if serial else "") + (f"@{plug}" if plug else "")
