"""From a till to the paper: a box as a process, a till over its broker, and the emulated printer on a pty."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from appliance.control import ControlError, ask
from appliance.till import Till
from tests.box import PASSWORD, Box
from tests.printing.emulator import Printer, PtyPrinter
from tests.waiting import wait_until

LINES = [{"sku": "milk", "name": "Молоко 3,2 %", "qty": "2", "unit": "pcs", "price_minor": 8990}]


@pytest.fixture
def pty(tmp_path: Path) -> Iterator[PtyPrinter]:
    with PtyPrinter(Printer(bytes_per_s=20_000), tmp_path / "printer") as pty:
        yield pty


@pytest.fixture
def box(tmp_path: Path, pty: PtyPrinter) -> Iterator[Box]:
    with Box(
        tmp_path / "data",
        STOCK_SHOP_NAME="Кафе «Берёзка»",
        STOCK_SHOP_INN="7701234567",
        STOCK_SHOP_ADDRESS="Тверская, 12",
        STOCK_PRINTER__URL=f"serial://{pty.link}?baud=115200",
        STOCK_PRINTER__WIDTH="32",
        STOCK_PRINTER__ANSWERS="marker",
    ) as box:
        yield box


@contextmanager
def till(box: Box, device: str = "A1") -> Iterator[Till]:
    """A till that knows the shop's time: before it does, nobody can tell how old its receipts are."""
    path = box.directory.parent / f"{device}.outbox"
    with Till(host="127.0.0.1", port=box.port, shop="shop", device=device, password=PASSWORD, path=path) as till:
        till.item("milk", group="dairy")
        assert till.wait_acked(30)
        yield till


def queue(box: Box) -> list[dict[str, Any]]:
    return rows(box.command("printer", "queue", "--json"))


def printers(box: Box) -> list[dict[str, Any]]:
    return rows(box.command("printer", "list", "--json"))


def rows(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    return [orjson.loads(row) for row in done.stdout.splitlines()]


def wait_for_sheets(pty: PtyPrinter, condition: Callable[[list[str]], bool]) -> list[str]:
    wait_until(lambda: condition(pty.sheets()))
    return pty.sheets()


def test_an_open_receipt_comes_out_with_its_words(box: Box, pty: PtyPrinter) -> None:
    with till(box) as a1:
        a1.receipt(LINES, status="open", number="A1-000123", table="7", currency="RUB")
        [sheet] = wait_for_sheets(pty, lambda sheets: len(sheets) == 1)
        for words in ('Кафе "Берёзка"', "ИНН 7701234567", "Тверская, 12", "A1-000123", "Молоко 3,2 %", "179,80 р."):
            assert words in sheet
        a1.receipt(LINES, number="A1-000124")
        assert a1.wait_acked(30)
    wait_until(lambda: queue(box) == [])
    [main] = printers(box)
    assert (main["printer"], main["state"], main["queued"]) == ("main", "ready", 0)
    assert len(pty.sheets()) == 1, "what is paid is not printed unless the shop says so"


def test_a_kill_in_the_middle_of_a_sheet_is_doubt_and_the_second_sheet_says_so(box: Box, pty: PtyPrinter) -> None:
    with till(box) as a1:
        pty.do(Printer.take_paper)
        wait_until(lambda: printers(box)[0]["state"] == "paper-out")
        pty.do(Printer.give_paper)
        pty.do(lambda printer: setattr(printer, "bytes_per_s", 1.0))
        a1.receipt(LINES, status="open", number="A1-000123")
        wait_until(lambda: [job["state"] for job in queue(box)] == ["printing"])
        box.kill()
        pty.do(lambda printer: setattr(printer, "bytes_per_s", 20_000.0))
        box.start()
        first, second = wait_for_sheets(pty, lambda sheets: len(sheets) == 2)
    assert ("ПОВТОР" in first, "ПОВТОР" in second) == (False, True)
    wait_until(lambda: queue(box) == [])


def test_a_person_cancels_retries_and_tests_from_the_command_line(box: Box, pty: PtyPrinter) -> None:
    pty.do(Printer.take_paper)
    wait_until(lambda: printers(box)[0]["state"] == "paper-out")
    with till(box) as a1:
        a1.receipt(LINES, status="open", number="A1-000123")
        assert a1.wait_acked(30)
    [job] = queue(box)
    assert box.command("printer", "cancel", str(job["job"])).returncode == 0
    assert queue(box) == []
    refused = box.command("printer", "cancel", "99")
    assert (refused.returncode, "there is no job 99" in refused.stderr) == (1, True)
    for wrong in (0, 2**63):
        assert box.command("printer", "retry", str(wrong)).returncode == 2
        with pytest.raises(ControlError, match=f"{wrong} is no number of a job"):
            list(ask(box.directory, "print-cancel", job=wrong))
    pty.do(Printer.give_paper)
    assert box.command("printer", "test", "main").returncode == 0
    wait_for_sheets(pty, lambda sheets: len(sheets) == 1)
    assert box.command("printer", "retry", str(job["job"])).returncode == 0
    assert "A1-000123" in wait_for_sheets(pty, lambda sheets: len(sheets) == 2)[1]
    listed = box.command("printer", "list").stdout.splitlines()
    assert [line.split()[:2] for line in listed[1:]] == [["main", "ready"]], "one line for each, whatever its reason"


def test_a_printer_that_is_unplugged_and_comes_back_is_found_again(box: Box, pty: PtyPrinter) -> None:
    pty.unplug()
    with till(box) as a1:
        a1.receipt(LINES, status="open", number="A1-000123")
        wait_until(lambda: [row["state"] for row in printers(box)] == ["offline"])
        pty.plug()
        assert "A1-000123" in wait_for_sheets(pty, lambda sheets: len(sheets) == 1)[0]


def test_a_stop_with_a_printer_that_waits_is_clean_and_the_queue_stays(box: Box, pty: PtyPrinter) -> None:
    pty.do(Printer.take_paper)
    wait_until(lambda: printers(box)[0]["state"] == "paper-out")
    with till(box) as a1:
        a1.receipt(LINES, status="open", number="A1-000123")
        assert a1.wait_acked(30)
    assert box.stop() == 0
    assert [job["state"] for job in queue(box)] == ["queued"], "the command reads the ledger itself"
    pty.do(Printer.give_paper)
    box.start()
    wait_for_sheets(pty, lambda sheets: len(sheets) == 1)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"STOCK_PRINTER__WIDTH": "40"}, ("STOCK_PRINTER__WIDTH", "40", "42 or 48")),
        ({"STOCK_PRINTER__CODEPAGE": "cp9"}, ("STOCK_PRINTER__CODEPAGE", "'cp9'", "cp866")),
        ({"STOCK_PRINTER__ANSWERS": "yes"}, ("STOCK_PRINTER__ANSWERS", "'yes'", "marker")),
        ({"STOCK_PRECHECK__PRINT_ON": "never"}, ("STOCK_PRECHECK__PRINT_ON", "'never'", "none")),
        ({"STOCK_PRECHECK__STALE_S": "0"}, ("STOCK_PRECHECK__STALE_S", "'0'", "seconds")),
        ({"STOCK_SHOP_INN": "12"}, ("STOCK_SHOP_INN", "'12'", "10 or 12 digits")),
        ({"STOCK_PRINTER__URL": "lpt:1"}, ("'main'", "lpt", "serial://")),
        ({"STOCK_PRINTER__URL": "terminal:", "STOCK_PRINTER__PROFILE": "X"}, ("'main'", "'X'", "profile")),
    ],
)
def test_a_wrong_setting_of_a_printer_stops_the_start(
    tmp_path: Path, settings: dict[str, str], words: tuple[str, ...]
) -> None:
    done = Box(tmp_path / "data", **settings).command("run")
    assert done.returncode == 1
    for word in words:
        assert word in done.stderr


def test_printers_are_set_up_by_a_table_or_by_the_shorthand_and_not_by_both(tmp_path: Path) -> None:
    (tmp_path / "stock-coordinator.toml").write_text(
        '[printers.bar]\nurl = "terminal:"\ngroups = ["beer"]\n'
        f'[printers.kitchen]\nurl = "file://{tmp_path}/sheets"\nwidth = 32\n'
    )
    config = str(tmp_path / "stock-coordinator.toml")
    with Box(tmp_path / "data", STOCK_CONFIG=config) as box:
        assert [row["printer"] for row in printers(box)] == ["bar", "kitchen"]
    done = Box(tmp_path / "other", STOCK_CONFIG=config, STOCK_PRINTER__URL="terminal:").command("run")
    assert (done.returncode, "keep one of them" in done.stderr) == (1, True)
    (tmp_path / "stock-coordinator.toml").write_text(
        '[printers.bar]\nurl = "tcp://a"\n[printers.kitchen]\nurl = "tcp://a"\n'
    )
    done = Box(tmp_path / "other", STOCK_CONFIG=config).command("check-config")
    assert (done.returncode, "two printers are at tcp://a" in done.stderr) == (1, True)
    (tmp_path / "stock-coordinator.toml").write_text("[printers.bar]\nwidth = 33\n")
    done = Box(tmp_path / "other", STOCK_CONFIG=config).command("run")
    assert (done.returncode, "STOCK_PRINTERS__BAR__WIDTH" in done.stderr) == (1, True)


def test_stock_never_waits_for_paper(box: Box, pty: PtyPrinter) -> None:
    pty.do(Printer.stall)
    with till(box) as a1:
        for number in range(200):
            a1.receipt(LINES, status="open", number=f"A1-{number:06d}")
        assert a1.wait_acked(30)
    assert len(queue(box)) == 200
    assert pty.sheets() == []
