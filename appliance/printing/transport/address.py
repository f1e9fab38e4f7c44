"""Reads a printer's URL into the address that it names; what is wrong with it is said with the remedy."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

BAUDS = (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)
"""What receipt printers' DIP switches offer."""

FLOWS = ("none", "rtscts", "xonxoff")
"""pyserial's fourth, dsrdtr, is no flow control on Linux: the kernel ignores it."""


class BadUrl(ValueError):
    """The text names the URL, the part of it that is wrong, and what to write."""


@dataclass(frozen=True, slots=True)
class SerialLine:
    path: Path
    baud: int
    flow: str


@dataclass(frozen=True, slots=True)
class UsbNode:
    """A node of the kernel's usblp driver, best under a name that udev keeps."""

    path: Path


@dataclass(frozen=True, slots=True)
class UsbDevice:
    """A printer by its vendor and product (four hex digits each).

    serial: its serial number, where two are alike. plug: which of the machine's plugs it is in (sysfs: `1-1.2`), where
    two have no serial number, or the same.
    """

    vendor: str
    product: str
    serial: str | None = None
    plug: str | None = None


@dataclass(frozen=True, slots=True)
class Network:
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class File:
    path: Path


@dataclass(frozen=True, slots=True)
class Terminal:
    """Standard output, for a person who looks on."""


Address = SerialLine | UsbNode | UsbDevice | Network | File | Terminal


def parse_url(url: str) -> Address | None:
    """Return the address that the URL names, None for an empty one (no printer). Raises BadUrl."""
    if not url:
        return None
    try:
        parts = urlsplit(url)
        port = parts.port if parts.scheme == "tcp" else None
    except ValueError as error:
        _refuse(url, f"{error}; write it as in {_EXAMPLES['tcp']}")
    if parts.scheme not in _EXAMPLES:
        _refuse(url, f"the scheme is {parts.scheme!r}; use one of {', '.join(_EXAMPLES.values())}")
    if parts.fragment:
        _refuse(url, "everything from # on would be ignored; write %23 for a # in a name")
    options = _options(url, parts)
    match parts.scheme:
        case "serial":
            return _serial(url, parts, options)
        case "usb" if parts.netloc:
            return _usb_device(url, parts, options)
        case "usb":
            return UsbNode(_path(url, parts))
        case "tcp":
            if not parts.hostname or parts.path not in ("", "/"):
                _refuse(url, f"it needs a host and nothing after the port; write it as in {_EXAMPLES['tcp']}")
            return Network(_host(url, parts.hostname), 9100 if port is None else port)
        case "file":
            return File(_path(url, parts))
        case _:
            if parts.netloc or parts.path:
                _refuse(url, "nothing may follow terminal:")
            return Terminal()


def _options(url: str, parts: SplitResult) -> dict[str, str]:
    known = {"serial": {"baud", "flow"}, "usb": {"serial", "plug"} if parts.netloc else set()}.get(parts.scheme, set())
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    for name in options:
        if name not in known:
            _refuse(
                url,
                f"it has no option {name!r}; {'there are ' + ', '.join(sorted(known)) if known else 'leave it out'}",
            )
    return options


def _serial(url: str, parts: SplitResult, options: dict[str, str]) -> SerialLine:
    baud, flow = options.get("baud", "9600"), options.get("flow", "none")
    if baud not in map(str, BAUDS):
        _refuse(url, f"baud is {baud!r}; use what the printer's self-test prints, one of {', '.join(map(str, BAUDS))}")
    if flow not in FLOWS:
        _refuse(url, f"flow is {flow!r}; use one of {', '.join(FLOWS)}")
    return SerialLine(_path(url, parts), int(baud), flow)


def _usb_device(url: str, parts: SplitResult, options: dict[str, str]) -> UsbDevice:
    ids = re.fullmatch(r"([0-9a-f]{4}):([0-9a-f]{4})", parts.netloc.lower())
    if ids is None or parts.path not in ("", "/"):
        _refuse(url, f"{parts.netloc + parts.path!r} is not vendor:product as lsusb shows them; see {_EXAMPLES['usb']}")
    return UsbDevice(ids[1], ids[2], options.get("serial"), options.get("plug"))


def _host(url: str, host: str) -> str:
    try:
        host.encode("idna")
    except UnicodeError as error:
        _refuse(url, f"{host!r} cannot be a host's name ({error}); write it as in {_EXAMPLES['tcp']}")
    return host


def _path(url: str, parts: SplitResult) -> Path:
    path = Path(unquote(parts.path))
    if "\0" in str(path):
        _refuse(url, "a path has no NUL in it; leave %00 out")
    if parts.netloc or not path.is_absolute() or path == Path("/"):
        _refuse(url, f"it needs an absolute path after three slashes, as in {_EXAMPLES[parts.scheme]}")
    return path


def _refuse(url: str, why: str) -> NoReturn:
    raise BadUrl(f"printer URL {url!r}: {why}")


_EXAMPLES = {
    "serial": "serial:///dev/serial/by-id/usb-FTDI-if00-port0?baud=9600&flow=rtscts",
    "usb": "usb://04b8:0e15 or usb:///dev/usb/lp0",
    "tcp": "tcp://192.168.1.50:9100",
    "file": "file:///var/tmp/receipts.bin",
    "terminal": "terminal:",
}
