"""Printers on USB, through the kernel's usblp driver: by its node, or by who the printer says it is.

The identity is looked up in sysfs, so a printer is found wherever it is plugged in. libusb would need the driver taken
away, a package, and rights on the bus, and would give nothing that this does not.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from appliance.printing.transport.address import UsbDevice
from appliance.printing.transport.port import CannotOpen
from appliance.printing.transport.stream import Stream, said


class UsbStream(Stream):
    """The node is opened by one program at a time; the kernel says EBUSY to a second.

    usblp gives a write back before the printer has it, and has room again when it has; what is closed before that is
    lost.
    """

    def __init__(self, node: Path) -> None:
        try:
            fd = os.open(node, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise CannotOpen(f"{node}: {said(error)}") from error
        # An empty packet reads as nothing; an unplugged printer is ENODEV.
        super().__init__(fd, is_end_told=False)
        self._written = 0

    def write(self, data: bytes) -> int:
        taken = super().write(data)
        self._written = taken or self._written
        return taken

    def unsent(self) -> int:
        return 0 if self.wait(0, to_write=True) else self._written


@dataclass(frozen=True, slots=True)
class Plugged:
    """A USB printer that is plugged in. node: its name in /dev/usb. plug: where. words: what it calls itself."""

    node: str
    vendor: str
    product: str
    serial: str | None
    plug: str
    words: str


def plugged_in(classes: Path) -> list[Plugged]:
    """Return the USB printers that the kernel has."""
    found = []
    for entry in sorted(classes.glob("lp*")):
        plugged = (entry / "device").resolve().parent
        vendor, product = _attribute(plugged, "idVendor"), _attribute(plugged, "idProduct")
        if vendor and product:
            words = filter(None, (_attribute(plugged, "manufacturer"), _attribute(plugged, "product")))
            serial = _attribute(plugged, "serial") or None
            found.append(Plugged(entry.name, vendor, product, serial, plugged.name, " ".join(words)))
    return found


def find_node(device: UsbDevice, classes: Path = Path("/sys/class/usbmisc"), nodes: Path = Path("/dev/usb")) -> Path:
    """Return the node of this printer. Raises CannotOpen when none or several are plugged in."""
    found = [
        nodes / one.node
        for one in plugged_in(classes)
        if (one.vendor, one.product) == (device.vendor, device.product)
        and device.serial in (None, one.serial)
        and device.plug in (None, one.plug)
    ]
    name = f"USB printer {device.vendor}:{device.product}"
    name += (f" with serial {device.serial}" if device.serial else "") + (f" in {device.plug}" if device.plug else "")
    if not found:
        raise CannotOpen(f"{name}: it is not plugged in or not switched on")
    if len(found) > 1:
        raise CannotOpen(f"{name}: {len(found)} of them are plugged in; add ?serial=… or ?plug=… to the URL")
    return found[0]


def _attribute(plugged: Path, name: str) -> str | None:
    try:
        return (plugged / name).read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return None  # not every device has a serial number, and any may be unplugged just now
