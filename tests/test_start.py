"""How a box starts, and how it says that it cannot."""

import os
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from scripts import processes
from tests.box import PASSWORD, Box
from tests.broker import wire


def _run(directory: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*processes.COORDINATOR, *words],
        env=processes.environment(STOCK_DATA_DIR=str(directory), **settings),
        cwd=next(parent for parent in directory.parents if parent.is_dir()),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _log_in(box: Box, password: str) -> int:
    """Return the code of the CONNACK."""
    with wire.Client(box.address) as client:
        client.send(wire.connect(user="A1", password=password))
        return client.expect(wire.CONNACK).body[1]


def test_first_start_makes_a_password_shows_it_once_and_keeps_only_its_hash(tmp_path: Path) -> None:
    with Box(tmp_path / "data", STOCK_PASSWORD="") as box:
        shown = box.welcome
        [password] = [line.split()[-1] for line in shown.splitlines() if "shown this once" in line]
        assert _log_in(box, password) == 0
        assert _log_in(box, "guess") == 4
        box.stop()
        box.start()
        assert "shown this once" not in box.welcome
        assert password not in box.welcome
        assert _log_in(box, password) == 0
    for path in (tmp_path / "data").iterdir():
        assert password.encode() not in (path.read_bytes() if path.is_file() else b"")
    assert password not in box.log.read_text()


def test_set_password_replaces_the_kept_one_and_an_absent_one_keeps_it(tmp_path: Path) -> None:
    port = str(processes.free_port())
    for given, right in (("first", "first"), ("second", "second"), ("", "second")):
        with Box(tmp_path / "data", STOCK_PASSWORD=given, STOCK_BROKER__PORT=port) as box:
            assert _log_in(box, right) == 0
            assert _log_in(box, "first" if right == "second" else "second") == 4


def test_a_damaged_password_stops_the_start_and_not_the_box_at_a_log_in(tmp_path: Path) -> None:
    path = tmp_path / "data" / "shop-password.argon2"
    path.parent.mkdir()
    path.write_bytes(b"$argon2id$v=19$m=19456,t=2,p=1$half")
    done = _run(tmp_path / "data", "run", STOCK_PASSWORD="")
    assert done.returncode == 1
    assert done.stderr.endswith(f"stock-coordinator: {path} is damaged: remove it, and set STOCK_PASSWORD\n")
    with Box(tmp_path / "data") as box:
        assert _log_in(box, PASSWORD) == 0


def test_data_is_for_its_owner_alone(tmp_path: Path) -> None:
    with Box(tmp_path / "data") as box:
        assert stat.S_IMODE(box.directory.stat().st_mode) == 0o700
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in box.directory.iterdir()}
    assert modes["control.sock"] == modes["shop-password.argon2"] == 0o600
    assert "ledger.db" in modes


def test_plain_listener_is_on_loopback_only(tmp_path: Path) -> None:
    with Box(tmp_path / "data") as box:
        listening = Path("/proc/net/tcp").read_text().splitlines()
    local = {row.split()[1] for row in listening if f":{box.port:04X}" in row.split()[1]}
    assert local == {f"0100007F:{box.port:04X}"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"STOCK_BROKER__PORT": "abc"}, ("STOCK_BROKER__PORT", "'abc'", "1 to 65535")),
        ({"STOCK_BROKER__PORT": "70000"}, ("STOCK_BROKER__PORT", "70000", "1 to 65535")),
        ({"STOCK_SHOP": "my shop"}, ("STOCK_SHOP", "'my shop'", "A-Z")),
        ({"STOCK_TIME_ZONE": "MSK"}, ("STOCK_TIME_ZONE", "'MSK'", "Europe/Moscow")),
        ({"STOCK_BROKER__MODE": "cloud"}, ("STOCK_BROKER__MODE", "'cloud'", "embedded")),
        ({"STOCK_BROKER__MODE": "external"}, ("STOCK_BROKER__USER", "STOCK_BROKER__PASSWORD")),
        ({"STOCK_BROKER__PLAIN": "wan"}, ("STOCK_BROKER__PLAIN", "'wan'", "loopback")),
        ({"STOCK_PASWORD": "x"}, ("STOCK_PASWORD", "no such setting")),
        ({"STOCK_BROKER__COLOUR": "x"}, ("STOCK_BROKER__COLOUR", "no such setting")),
        ({"STOCK_BROKER": "1"}, ("STOCK_BROKER is", "STOCK_BROKER__")),
        ({"STOCK_BROKER": '{"port":'}, ("STOCK_BROKER is", "STOCK_BROKER__")),
        ({"STOCK_STOCK": '{"reserve_hours":1}'}, ("STOCK_STOCK is", "STOCK_STOCK__")),
        ({"STOCK_STOCK__RESERVE_HOURS": "0"}, ("STOCK_STOCK__RESERVE_HOURS", "'0'", "1 to 744")),
        *(
            ({"STOCK_PRINTER__CODEPAGE": name}, ("STOCK_PRINTER__CODEPAGE", f"'{name}'", "cp866"))
            for name in ("rot13", "undefined", "cp037", "utf-16", "utf-8", "gb18030", "no-such")
        ),
        ({"STOCK_CONFIG": "missing.toml"}, ("missing.toml", "--config")),
    ],
)
def test_wrong_setting_stops_the_start_with_its_name_value_and_remedy(
    tmp_path: Path, settings: dict[str, str], words: tuple[str, ...]
) -> None:
    for command in ("run", "check-config"):
        done = _run(tmp_path / "data", command, **settings)
        assert done.returncode == 1
        for word in words:
            assert word in done.stderr
        assert "Traceback" not in done.stderr


def test_settings_file_is_read_and_the_environment_wins(tmp_path: Path) -> None:
    (tmp_path / "stock-coordinator.toml").write_text('shop = "corner"\n[broker]\nport = 1999\nplain = "lan"\n')
    shown = _run(tmp_path / "data", "check-config", STOCK_BROKER__PORT="2001").stdout
    values = dict(line.split(maxsplit=1) for line in shown.splitlines() if len(line.split()) > 1)
    assert values["STOCK_SHOP"].strip() == "corner"
    assert values["STOCK_BROKER__PORT"].strip() == "2001"
    assert values["STOCK_BROKER__PLAIN"].strip() == "lan"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("shop = ]", ("stock-coordinator.toml", "line 1")),
        ("tills = 3", ("tills", "no such setting")),
        ("[broker]\nport = 'x'", ("broker.port", "STOCK_BROKER__PORT")),
        ("stock = 1", ("stock", "is 1", "[stock]")),
    ],
)
def test_wrong_settings_file_is_named_with_the_remedy(tmp_path: Path, text: str, words: tuple[str, ...]) -> None:
    (tmp_path / "stock-coordinator.toml").write_text(text)
    done = _run(tmp_path / "data", "check-config")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_password_stands_in_no_output(tmp_path: Path) -> None:
    done = _run(tmp_path / "data", "check-config", STOCK_PASSWORD="hush-hush", STOCK_BROKER__PORT="0")
    shown = _run(tmp_path / "data", "check-config", STOCK_PASSWORD="hush-hush")
    wrong = _run(tmp_path / "data", "check-config", STOCK_BROKER__PASSWORD="hush-hush", STOCK_BROKER__USER="")
    for text in (done.stdout, done.stderr, shown.stdout, shown.stderr, wrong.stdout, wrong.stderr):
        assert "hush" not in text
    assert "*" in shown.stdout


def test_start_whose_output_goes_to_the_journal_makes_no_password(tmp_path: Path) -> None:
    """A file stands in for the journal's stream: what counts is that the variable names what is written to."""
    with (tmp_path / "journal").open("w+") as journal:
        stream = os.fstat(journal.fileno())
        for stdout, stderr in ((journal, subprocess.DEVNULL), (subprocess.DEVNULL, journal)):
            done = subprocess.run(
                [*processes.COORDINATOR, "run"],
                env=processes.environment(
                    STOCK_DATA_DIR=str(tmp_path / "data"), JOURNAL_STREAM=f"{stream.st_dev}:{stream.st_ino}"
                ),
                cwd=tmp_path,
                timeout=60,
                check=False,
                stdout=stdout,
                stderr=stderr,
            )
            assert done.returncode == 1
        journal.seek(0)
        assert "STOCK_PASSWORD" in journal.read()
    assert not (tmp_path / "data" / "shop-password.argon2").exists()


def test_a_terminal_that_has_inherited_the_journals_variable_is_no_journal(tmp_path: Path) -> None:
    with Box(tmp_path / "data", STOCK_PASSWORD="", JOURNAL_STREAM="8:1") as box:
        assert "shown this once" in box.welcome


def test_second_box_on_the_same_data_is_refused(tmp_path: Path) -> None:
    with Box(tmp_path / "data") as box:
        done = _run(box.directory, "run", STOCK_BROKER__PORT=str(processes.free_port()))
    assert done.returncode == 1
    assert "another coordinator" in done.stderr


def test_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = _run(tmp_path / "data", "run", STOCK_PASSWORD=PASSWORD, STOCK_BROKER__PORT=str(port))
    assert done.returncode == 1
    assert str(port) in done.stderr
    assert "another program" in done.stderr


def test_data_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = _run(tmp_path / "file" / "data", "run", STOCK_PASSWORD=PASSWORD)
    assert done.returncode == 1
    assert "STOCK_DATA_DIR" in done.stderr


def test_commands_without_a_ledger_say_so(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    done = _run(tmp_path / "data", "balance")
    assert done.returncode == 1
    assert "no ledger yet" in done.stderr


def test_version_is_the_packages(tmp_path: Path) -> None:
    assert _run(tmp_path / "data", "version").stdout.strip() == "0.1.0"
