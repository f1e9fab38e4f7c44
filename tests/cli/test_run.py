"""`run`, as a newcomer meets it: what the welcome says can be typed as it stands, and what is in the way is named."""

import socket
import subprocess
from pathlib import Path

import orjson

from scripts import processes
from tests.box import PASSWORD, Box


def test_a_sale_typed_as_the_welcome_says_counts_once_however_often_it_is_sent(tmp_path: Path) -> None:
    with Box(tmp_path / "data", STOCK_PASSWORD="") as box:
        sale, send = (
            next(line.strip() for line in box.welcome.splitlines() if line.strip().startswith(word))
            for word in ("SALE=", "mosquitto_pub")
        )
        subprocess.run(["bash", "-ec", "\n".join((sale, send, send))], check=True, timeout=processes.START_S)
        assert orjson.loads(box.command("balance", "A", "--json").stdout)["on_hand"] == "-1"


def test_a_later_welcome_says_how_to_set_another_password(tmp_path: Path) -> None:
    with Box(tmp_path / "data") as box:
        assert "STOCK_PASSWORD sets another" in box.welcome
        assert PASSWORD not in box.welcome


def test_a_port_that_is_taken_is_named_once_with_its_setting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [*processes.COORDINATOR, "run"],
            env=processes.environment(
                STOCK_DATA_DIR=str(tmp_path / "data"), STOCK_PASSWORD=PASSWORD, STOCK_BROKER__PORT=port
            ),
            capture_output=True,
            text=True,
            timeout=processes.START_S,
            check=False,
        )
    assert done.returncode == 1
    complaint = done.stderr.splitlines()[-1]
    assert "STOCK_BROKER__PORT" in complaint
    assert complaint.count(port) == 1
    assert "while attempting" not in complaint


def test_too_few_file_descriptors_for_the_connections_are_named_at_the_start(tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", 'ulimit -n 128; exec "$0" "$@"', *processes.COORDINATOR, "run"],
        env=processes.environment(
            STOCK_DATA_DIR=str(tmp_path / "data"),
            STOCK_PASSWORD=PASSWORD,
            STOCK_BROKER__PORT=str(processes.free_port()),
        ),
        capture_output=True,
        text=True,
        timeout=processes.START_S,
        check=False,
    )
    assert done.returncode == 1
    assert "may open 128 files" in done.stderr.splitlines()[-1]
