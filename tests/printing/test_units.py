"""What is plugged in, under names that stay each unit's own, and what of a unit's learned answers is in force."""

from pathlib import Path

import pytest

from appliance.app.setups import printers_in_force
from appliance.printing.learned import Unit, keep, load
from appliance.printing.transport.address import SerialLine, UsbDevice, UsbNode, parse_url
from appliance.printing.transport.usb import find_node
from appliance.printing.units import Found, find_units, identity, lasting
from appliance.settings import PrinterSettings, Settings
from tests.printing.test_transport import plug


def link(dev: Path, name: str, node: str) -> None:
    """Lay out a serial line as udev does: a link in by-id or by-path to a numbered node."""
    (dev / name).parent.mkdir(parents=True, exist_ok=True)
    (dev / node).touch()
    (dev / name).symlink_to(dev / node)


def test_what_is_plugged_in_is_found_by_names_that_last(tmp_path: Path) -> None:
    dev, classes = tmp_path / "dev", tmp_path / "usbmisc"
    link(dev, "serial/by-id/usb-FTDI-A1", "ttyUSB0")
    link(dev, "serial/by-path/pci-1", "ttyUSB0")
    link(dev, "serial/by-path/pci-2", "ttyACM0")
    plug(classes, 0, "04b8", "0e15", "A B")
    plug(classes, 1, "0416", "5011", None)
    assert find_units(dev, classes) == [
        Found("usb://04b8:0e15?serial=A%20B", "USB printer in 1-0", dev / "usb" / "lp0"),
        Found("usb://0416:5011", "USB printer in 1-1", dev / "usb" / "lp1"),
        Found(f"serial://{dev}/serial/by-id/usb-FTDI-A1", "serial line ttyUSB0", dev / "ttyUSB0"),
        Found(f"serial://{dev}/serial/by-path/pci-2", "serial line ttyACM0", dev / "ttyACM0"),
    ]
    assert [parse_url(one.url) is not None for one in find_units(dev, classes)] == [True] * 4


@pytest.mark.parametrize("serial", [None, "00000001"])
def test_two_that_nothing_tells_apart_are_found_and_known_by_their_plugs(tmp_path: Path, serial: str | None) -> None:
    classes = tmp_path / "usbmisc"
    plug(classes, 0, "0416", "5011", serial)
    plug(classes, 1, "0416", "5011", serial)
    urls = [one.url for one in find_units(tmp_path, classes)]
    assert urls == [f"usb://0416:5011?plug=1-{number}" for number in (0, 1)]
    addresses = [address for url in urls if isinstance(address := parse_url(url), UsbDevice)]
    assert [find_node(one, classes).name for one in addresses] == ["lp0", "lp1"]
    assert [identity(one, tmp_path, classes) for one in addresses] == ["usb:0416:5011@1-0", "usb:0416:5011@1-1"]


def test_a_number_that_a_person_types_becomes_the_name_that_stays(tmp_path: Path) -> None:
    dev, classes = tmp_path / "dev", tmp_path / "usbmisc"
    link(dev, "serial/by-id/usb-FTDI-A1", "ttyUSB0")
    plug(classes, 0, "04b8", "0e15", "A")
    by_id = f"serial://{dev}/serial/by-id/usb-FTDI-A1"
    assert lasting(f"serial://{dev}/ttyUSB0?baud=19200&flow=rtscts", dev, classes) == f"{by_id}?baud=19200&flow=rtscts"
    assert lasting(f"usb://{dev}/usb/lp0", dev, classes) == "usb://04b8:0e15?serial=A"
    for stays in (by_id, f"serial://{dev}/ttyUSB7", "tcp://192.168.1.50", f"usb://{dev}/receipts"):
        assert lasting(stays, dev, classes) == stays


def test_a_number_is_nobodys_name(tmp_path: Path) -> None:
    link(tmp_path, "serial/by-id/usb-FTDI-A1", "ttyUSB0")
    assert identity(SerialLine(Path("/dev/ttyUSB7"), 9600, "none"), tmp_path) is None
    assert identity(SerialLine(Path("/dev/pts/3"), 9600, "none"), tmp_path) is None
    assert identity(UsbNode(Path("/dev/usb/lp0")), tmp_path, tmp_path / "usbmisc") is None


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("serial:///dev/serial/by-id/usb-FTDI-A1?baud=115200", "serial:/dev/serial/by-id/usb-FTDI-A1"),
        ("serial:///dev/ttyAMA0", "serial:/dev/ttyAMA0"),
        ("serial:///dev/receipts", "serial:/dev/receipts"),
        ("usb://04b8:0e15?serial=A", "usb:04b8:0e15:A"),
        ("usb://04b8:0e15?plug=1-1.2", "usb:04b8:0e15@1-1.2"),
        ("usb:///dev/receipts", "usb:/dev/receipts"),
        ("tcp://192.168.1.50", "tcp:192.168.1.50:9100"),
        ("terminal:", None),
    ],
)
def test_a_unit_is_known_plugged_in_or_not(url: str, name: str | None) -> None:
    address = parse_url(url)
    assert address is not None
    assert identity(address) == name


URL = "tcp://192.168.1.50"
LEARNED = {"answers": "marker", "width": 32, "codepage": "cp866", "table": 59}


@pytest.mark.parametrize(
    ("explicit", "in_force"),
    [
        ({}, LEARNED),
        ({"url": URL}, LEARNED),
        ({"answers": "fence"}, {**LEARNED, "answers": "fence"}),
        ({"width": 48}, {**LEARNED, "width": 48}),
        ({"table": 17}, {**LEARNED, "table": 17}),
        ({"codepage": "cp866"}, LEARNED),
        ({"codepage": "cp1251"}, {**LEARNED, "codepage": "cp1251", "table": None}),
        ({"url": "tcp://another"}, {"answers": "nothing", "width": 48, "codepage": "cp866", "table": None}),
    ],
)
def test_what_a_person_has_set_goes_before_what_was_learned(
    tmp_path: Path, explicit: dict[str, object], in_force: dict[str, object]
) -> None:
    keep(tmp_path, "main", URL, "tcp:192.168.1.50:9100", Unit("marker", 32, "cp866", 59))
    settings = Settings.model_construct(data_dir=tmp_path, printer=PrinterSettings.model_validate(explicit))
    [printer] = printers_in_force(settings).values()
    assert printer.url == explicit.get("url", URL)
    assert {name: getattr(printer, name) for name in in_force} == in_force


def test_a_printer_that_nobody_set_or_found_is_none(tmp_path: Path) -> None:
    for named in ({}, {"bar": PrinterSettings(groups=("beer",))}):
        assert printers_in_force(Settings.model_construct(data_dir=tmp_path, printers=named)) == {}


def test_printers_are_learned_one_beside_the_other(tmp_path: Path) -> None:
    keep(tmp_path, "bar", "tcp://a", "tcp:a:9100", Unit("fence", 42))
    keep(tmp_path, "kitchen", "tcp://b", None, Unit("nothing", 32))
    kept = load(tmp_path)
    assert kept.urls == {"bar": "tcp://a", "kitchen": "tcp://b"}
    assert kept.units == {"tcp:a:9100": Unit("fence", 42)}
