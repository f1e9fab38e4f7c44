"""A first start without a printer, which would print the slip: it lies on the card until the till is in."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.access.password import FILE_NAME as PASSWORD_FILE
from appliance.app import setups
from appliance.app.setups import adopt_printer
from appliance.printing.learned import Unit, keep, load
from appliance.printing.units import Found
from appliance.settings import load_settings
from appliance.till import Till
from scripts import processes
from tests.box import Box
from tests.printing.emulator import Printer, PtyPrinter
from tests.waiting import wait_until


@pytest.fixture
def pty(tmp_path: Path) -> Iterator[PtyPrinter]:
    with PtyPrinter(Printer(bytes_per_s=50_000), tmp_path / "printer") as pty:
        yield pty


@pytest.fixture
def boot(tmp_path: Path) -> Path:
    (tmp_path / "boot").mkdir()
    return tmp_path / "boot"


def _box(tmp_path: Path, **settings: str) -> Box:
    return Box(
        tmp_path / "data",
        STOCK_BROKER__TLS_PORT=str(processes.free_port()),
        STOCK_BROKER__ADDRESSES='["127.0.0.1"]',
        **settings,
    )


def test_without_a_printer_the_slip_lies_on_the_card_until_the_till_has_logged_in(tmp_path: Path, boot: Path) -> None:
    with _box(tmp_path, STOCK_PASSWORD="") as box:
        (box.directory / PASSWORD_FILE).unlink()  # This box has shown its password; under systemd it has none yet.
        done = box.command("card", "slip", str(boot))
        assert (done.returncode, done.stdout) == (1, "")
        assert "A1" in done.stderr
        slip = (boot / "slip-A1.txt").read_text("utf-8").split()[-1]
        assert (boot / "slip-A1.png").read_bytes().startswith(b"\x89PNG")
        assert box.command("card", "slip", str(boot)).returncode == 1
        assert (boot / "slip-A1.txt").read_text("utf-8").split()[-1] == slip
        with Till.from_slip(slip, path=tmp_path / "till.outbox") as till:
            till.receive("milk", "20")
            assert till.wait_acked(20)
            wait_until(lambda: box.command("card", "slip", str(boot)).returncode == 0)
    assert list(boot.iterdir()) == []


def test_a_power_cut_between_the_token_and_its_text_ends_in_another_slip(tmp_path: Path, boot: Path) -> None:
    with _box(tmp_path) as box:
        box.command("device", "add", "A1")
        (boot / "slip-A1.txt").write_bytes(b"")
        assert box.command("card", "slip", str(boot)).returncode == 1
        assert "stock://" in (boot / "slip-A1.txt").read_text("utf-8")


def test_a_shop_that_has_a_password_or_a_device_needs_no_slip_on_its_card(tmp_path: Path, boot: Path) -> None:
    with _box(tmp_path) as box:
        assert box.command("card", "slip", str(boot)).returncode == 0
        (box.directory / PASSWORD_FILE).unlink()
        box.command("device", "add", "bar")
        assert box.command("card", "slip", str(boot)).returncode == 0
    assert list(boot.iterdir()) == []


def test_nobody_sets_up_a_system_that_is_not_the_image(tmp_path: Path, boot: Path) -> None:
    done = _box(tmp_path).command("card", "take", str(boot), "--etc", str(tmp_path))
    assert done.returncode == 1
    assert "not the image" in done.stderr


def test_the_only_unit_that_is_plugged_in_is_taken_for_the_printer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STOCK_DATA_DIR", str(tmp_path))
    usb = [Found("usb://04b8:0e15", "one", Path("lp0")), Found("usb://04b8:0e28", "another", Path("lp1"))]
    serial = [Found("serial:///dev/serial/by-id/adapter", "serial line", Path("ttyUSB0"))]
    settings = load_settings()
    for found, taken in (
        ([], None),
        (usb, None),
        (serial * 2, None),
        ([usb[0], *serial], usb[0].url),
        (serial, None),  # There is one already.
    ):
        monkeypatch.setattr(setups, "find_units", lambda found=found: found)
        assert adopt_printer(settings) == taken
    assert load(tmp_path).urls == {"main": usb[0].url}


@pytest.mark.parametrize(("kind", "word"), [("failed", "НЕ РАБОТАЕТ"), ("settings", "НАСТРОЙКИ")])
def test_a_person_is_called_on_paper_while_no_coordinator_runs(
    tmp_path: Path, pty: PtyPrinter, kind: str, word: str
) -> None:
    box = _box(tmp_path, STOCK_PRINTER__URL=f"serial://{pty.link}?baud=115200", STOCK_PRINTER__ANSWERS="marker")
    (tmp_path / "data").mkdir()
    done = box.command("printer", "notice", kind)
    assert (done.returncode, done.stdout) == (0, "main: confirmed\n"), done.stderr
    [sheet] = pty.sheets()
    assert word in sheet


def test_a_person_is_called_also_when_the_settings_are_what_is_wrong(tmp_path: Path, pty: PtyPrinter) -> None:
    (tmp_path / "data").mkdir()
    keep(tmp_path / "data", "main", f"serial://{pty.link}?baud=115200", None, Unit("nothing", 48))
    (tmp_path / "broken.toml").write_text("shop = ]\n")
    done = _box(tmp_path, STOCK_CONFIG=str(tmp_path / "broken.toml")).command("printer", "notice", "failed")
    assert (done.returncode, done.stdout) == (0, "main: delivered\n"), done.stderr
    wait_until(lambda: "НЕ РАБОТАЕТ" in "".join(pty.sheets()))
