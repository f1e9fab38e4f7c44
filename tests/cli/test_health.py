"""`health`, of a box that works, and of boxes that do not."""

from pathlib import Path

import orjson

from appliance.control import ask
from scripts import processes
from tests.box import Box


def box_with_tls(directory: Path, **settings: str) -> Box:
    return Box(directory, **{"STOCK_BROKER__TLS_PORT": str(processes.free_port()), **settings})


def revision(box: Box) -> int:
    return int(orjson.loads(box.command("status", "--json").stdout)["rev"])


def test_a_device_comes_in_and_leaves_no_trace(tmp_path: Path) -> None:
    with box_with_tls(tmp_path / "data") as box:
        before = revision(box)
        done = box.command("health")
        assert (done.returncode, done.stderr) == (0, "")
        assert "a device came in by TLS" in done.stdout
        assert "could be printed" in done.stdout
        assert revision(box) == before
        assert "health-check" not in box.command("device", "list").stdout


def test_a_check_that_was_cut_off_is_no_obstacle_and_lets_nobody_in_later(tmp_path: Path) -> None:
    with box_with_tls(tmp_path / "data") as box:
        [visitor] = ask(box.directory, "device-visit")
        assert box.command("health").returncode == 0
        assert visitor["device"] not in box.command("device", "list").stdout
        assert not (box.directory / "devices.json").exists()


def test_a_sheet_comes_out_of_a_printer_that_is_ready(tmp_path: Path) -> None:
    paper = tmp_path / "paper"
    paper.touch()
    with box_with_tls(tmp_path / "data", STOCK_PRINTER__URL=f"file://{paper}") as box:
        done = box.command("health")
        assert (done.returncode, done.stderr) == (0, "")
        assert "printer main: a sheet came out" in done.stdout
    assert paper.stat().st_size > 0


def test_a_printer_that_is_not_there_is_told_and_is_no_failure(tmp_path: Path) -> None:
    with box_with_tls(tmp_path / "data", STOCK_PRINTER__URL=f"serial://{tmp_path / 'gone'}") as box:
        done = box.command("health")
        assert (done.returncode, done.stderr) == (0, "")
        assert "printer main: " in done.stdout
        assert "could be printed" in done.stdout


def test_a_box_that_is_stopped_is_not_healthy(tmp_path: Path) -> None:
    box = box_with_tls(tmp_path / "data")
    done = box.command("health")
    assert done.returncode == 1
    assert "no coordinator runs" in done.stderr


def test_a_sheet_that_cannot_be_made_is_a_failure(tmp_path: Path) -> None:
    template = tmp_path / "template.toml"
    with box_with_tls(tmp_path / "data", STOCK_PRECHECK__TEMPLATE=str(template)) as box:
        done = box.command("health")
        assert done.returncode == 1
        assert str(template) in done.stderr
