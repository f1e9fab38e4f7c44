"""`status` shows the whole box on one screen: a real one with its tills, and one that is in trouble."""

from datetime import date
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console

from appliance.app import machine
from appliance.app.machine import Disk, Machine
from appliance.cli import overview
from appliance.till import Till
from tests.box import PASSWORD, Box
from tests.waiting import wait_until

WELL: dict[str, Any] = {
    "state": "running",
    "version": "0.1.0",
    "shop": "shop",
    "run": "00",
    "up_s": 7200,
    "clock": "synchronised",
    "broker": "embedded",
    "port": 1883,
    "ledger": "ledger-1",
    "rev": 9123,
    "skus": 2,
    "receipts": 4,
    "rejected": 0,
    "quarantined": 0,
    "size_bytes": 5_000_000,
    "tills": [],
    "alerts": [],
    "backup": {"kept": 7, "made": "2026-11-24T10:00:00Z", "rev": 9000, "age_s": 3600, "fault": ""},
    "printers": [],
}
COOL = Machine(
    48.2, is_power_low=False, disk=Disk(20 * 10**9, 29 * 10**9, is_read_only=False), image=date(2026, 11, 20)
)
TODAY = date(2026, 11, 24)


def lines(row: dict[str, Any], found: Machine = COOL, width: int = 80) -> str:
    console = Console(width=width, markup=False, emoji=False, highlight=False)
    with console.capture() as captured:
        for part in overview.parts(row, found, TODAY):
            console.print(part)
    text = captured.get()
    assert all(len(line.rstrip()) <= width for line in text.splitlines())
    return "\n".join(line.rstrip() for line in text.splitlines())


def test_a_box_that_is_well_fits_one_screen_and_has_no_empty_table() -> None:
    assert lines(WELL).splitlines() == [
        "shop  running for 2 h, version 0.1.0, embedded broker on port 1883",
        "ledger  revision 9123, 2 SKUs, 4 receipts, 5.0 MB",
        "backup  1 h ago, through revision 9000, 7 kept",
        "clock   follows a time server",
        "machine 48 °C, 20.0 GB free of 29.0 GB",
        "image   of 2026-11-20, 4 days old",
    ]


def test_what_is_wrong_is_said_in_words() -> None:
    alert = {"kind": "oversell", "since": "2026-11-24T10:00:00Z", "summary": "2 more of milk\nwas sold"}
    till = {
        "device": "A2",
        "state": "offline",
        "pending": 4,
        "seen_s": 1700,
        "clock_off_s": -7300.0,
        "program": "",
    }
    printer = {
        "printer": "main",
        "state": "paper-out",
        "reason": "no paper",
        "paper_low": True,
        "queued": 3,
        "oldest_s": 130,
    }
    ill = WELL | {
        "clock": "estimated",
        "rejected": 1,
        "backup": {"kept": 0, "made": None, "rev": None, "age_s": None, "fault": "the stick is not there"},
        "alerts": [alert] * 8,
        "tills": [till],
        "printers": [printer],
    }
    hot = Machine(84.0, is_power_low=True, disk=Disk(10**8, 29 * 10**9, is_read_only=True), image=None)
    shown = " ".join(lines(ill, hot).split())
    for words in (
        "1 rejected",
        "the stick is not there",
        "follows no time server",
        "84 °C, its power supply is too weak, 100.0 MB free of 29.0 GB, the disk has become read-only",
        "A2 offline 4 28 min ago 2 h behind",
        "main paper-out 3 2 min no paper, paper is low",
        "2 more of milk\\nwas sold",
        "and 2 more: stock-coordinator alert list",
    ):
        assert words in shown
    backup: dict[str, Any] = {"backup": None}
    assert "no copies are made: STOCK_BACKUP__DIR is not set" in lines(WELL | backup)
    nothing = Machine(None, is_power_low=None, disk=None, image=None)
    assert "tells no temperature, tells nothing of its disk" in lines(WELL, nothing)


def test_status_of_a_real_box_shows_its_tills_and_of_a_stopped_one_its_ledger(tmp_path: Path) -> None:
    with Box(tmp_path / "data") as box:
        till = Till(host="127.0.0.1", port=box.port, shop="shop", device="A1", password=PASSWORD, path=tmp_path / "A1")
        with till:
            till.receive("milk", 5)
            assert till.wait_acked(30)
            done = box.command("status", "--json")
            row = orjson.loads(done.stdout)
            [seen] = row["tills"]
            assert (done.returncode, row["state"], row["rev"]) == (0, "running", 1)
            assert (seen["device"], seen["state"], seen["seen_s"]) == ("A1", "online", 0)
            assert row["machine"]["disk"]["free_bytes"] > 0
            assert "online" in box.command("status").stdout
        wait_until(lambda: orjson.loads(box.command("status", "--json").stdout)["tills"][0]["state"] == "offline")
        assert box.stop() == 0
        done = box.command("status", "--json")
        row = orjson.loads(done.stdout)
        assert (done.returncode, row["state"], row["rev"]) == (4, "stopped", 1)
        assert [(till["device"], till["state"]) for till in row["tills"]] == [("A1", "offline")]
        assert "stopped: this is what its ledger holds" in box.command("status").stdout
        box.start()


def test_the_machine_is_read_from_the_kernel_and_what_is_not_there_is_none(tmp_path: Path) -> None:
    assert machine.look(tmp_path / "no" / "such", sys=tmp_path).temperature_c is None
    for zone, milli in enumerate(("48200", "51000", "")):
        folder = tmp_path / "class" / "thermal" / f"thermal_zone{zone}"
        folder.mkdir(parents=True)
        (folder / "temp").write_text(f"{milli}\n")
    supply = tmp_path / "class" / "hwmon" / "hwmon1"
    supply.mkdir(parents=True)
    (supply / "name").write_text("rpi_volt\n")
    (supply / "in0_lcrit_alarm").write_text("1\n")
    found = machine.look(tmp_path / "no" / "such", sys=tmp_path)
    assert (found.temperature_c, found.is_power_low) == (51.0, True)
    assert found.disk is not None
    assert not found.disk.is_read_only
    assert found.disk.free_bytes < found.disk.size_bytes
