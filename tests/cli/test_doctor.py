"""`doctor` finds what is planted, names it, and says what to do; a box that is well it leaves alone."""

import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
import typer

from appliance.app import machine
from appliance.app.machine import Card, Disk, Machine
from appliance.cli import doctor
from appliance.cli.checks import hardware, mdns, network
from appliance.cli.checks.finding import Finding, Verdict
from appliance.clock import wall_ms
from appliance.ledger.database import FILE_NAME
from scripts import processes
from tests.access.authority import Authority
from tests.box import PASSWORD, Box
from tests.broker import mosquitto
from tests.broker.mosquitto import Mosquitto
from tests.shop import Shop, message, operation

Found = dict[str, Finding]


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shop that has sold, with nothing set but where it is; nobody listens on its port."""
    directory = tmp_path / "data"
    directory.mkdir()
    shop = Shop(directory)
    shop.say("A1", message(operation(1, qty="5", reason="receive")))
    shop.stop()
    settings = {"DATA_DIR": str(directory), "BROKER__PORT": str(processes.free_port()), "BROKER__TLS_PORT": "0"}
    for name, value in settings.items():
        monkeypatch.setenv(f"STOCK_{name}", value)
    monkeypatch.chdir(tmp_path)
    return directory


def found() -> Found:
    """What is found, by what was looked at; of several the one that is worst."""
    worst: Found = {}
    rank = list(Verdict)
    for finding in doctor.examine(None):
        known = worst.get(finding.check)
        if known is None or rank.index(finding.verdict) > rank.index(known.verdict):
            worst[finding.check] = finding
    return worst


def verdicts(findings: Found) -> dict[str, str]:
    return {check: finding.verdict.value for check, finding in findings.items()}


@contextmanager
def listening(port: int) -> Iterator[None]:
    """A program that is none of ours has the port."""
    with socket.create_server(("127.0.0.1", port)):
        yield


def test_three_planted_faults_are_found_with_the_service_down_and_each_has_its_remedy(
    directory: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STOCK_PRINTER__URL", f"tcp://127.0.0.1:{processes.free_port()}")
    ledger = directory / FILE_NAME
    ledger.write_bytes(ledger.read_bytes()[:4096] + b"\xff" * 4096 + ledger.read_bytes()[8192:])
    port = processes.free_port()
    monkeypatch.setenv("STOCK_BROKER__PORT", str(port))
    with listening(port):
        findings = found()
        with pytest.raises(typer.Exit) as ended:
            doctor.doctor()
    assert ended.value.exit_code == 4
    failed = {check for check, verdict in verdicts(findings).items() if verdict == "failed"}
    assert failed == {"service", "ports", "ledger", "printer"}
    told = capfd.readouterr().out
    for words in (
        "no coordinator runs",
        "systemctl restart stock-coordinator",
        f"another program has port {port}",
        f"sport = :{port}",
        "it is damaged",
        "backup restore",
        "main is offline",
        "see that it is on and its cable is in",
        "4 failed",
    ):
        assert words in told
    assert all(finding.remedy for finding in findings.values() if finding.verdict != Verdict.OK)


def test_a_box_that_is_well_has_nothing_failed(tmp_path: Path) -> None:
    with Box(tmp_path / "data", STOCK_BROKER__TLS_PORT=str(processes.free_port())) as box:
        done = box.command("doctor", "--json")
        said = {row["check"]: row for row in map(orjson.loads, done.stdout.splitlines())}
        assert done.returncode == 0, done.stdout
        well = {check for check, row in said.items() if row["verdict"] == "ok"}
        assert well >= {"settings", "service", "ports", "certificate", "disk", "ledger", "printer", "alerts"}
        assert said["backup"]["verdict"] == "warning"
        assert "until 9999-12-31" in said["certificate"]["found"]

        (tmp_path / "data" / "tls.pem").unlink()
        Authority().issue(tmp_path / "data", "localhost")
        pair = b"".join((tmp_path / "data" / name).read_bytes() for name in ("key.pem", "certificate.pem"))
        (tmp_path / "data" / "tls.pem").write_bytes(pair)
        (tmp_path / "data" / "tls.pem").chmod(0o644)
        said = {row["check"]: row for row in map(orjson.loads, box.command("doctor", "--json").stdout.splitlines())}
        assert said["certificate"]["verdict"] == "warning"
        assert said["secrets"]["remedy"] == f"chmod 600 {tmp_path / 'data' / 'tls.pem'}"


def test_settings_that_cannot_be_used_are_all_that_is_said(
    directory: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STOCK_BROKER__PORT", "high")
    monkeypatch.setenv("STOCK_BACKUP__KEEP", "0")
    with pytest.raises(typer.Exit):
        doctor.doctor(as_json=True)
    rows = [orjson.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [row["check"] for row in rows] == ["settings"] * 2
    assert {row["found"].split()[0] for row in rows} == {"STOCK_BROKER__PORT", "STOCK_BACKUP__KEEP"}


def test_a_medium_that_is_not_there_is_found(directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOCK_BACKUP__DIR", str(tmp_path / "stick"))
    finding = found()["backup"]
    assert (finding.verdict, finding.remedy) == (Verdict.FAILED, "put the medium in, and mount it there")
    (tmp_path / "stick").mkdir()
    assert "on the box's own disk" in found()["backup"].found


def test_a_certificate_that_ends_is_told_before_it_does(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = Authority().issue(tmp_path, "box.example")
    for name, value in (("CERTIFICATE", certificate), ("KEY", key), ("TLS_PORT", processes.free_port())):
        monkeypatch.setenv(f"STOCK_BROKER__{name}", str(value))
    assert verdicts(found())["certificate"] == "warning"
    key.write_text("nothing")
    assert verdicts(found())["certificate"] == "failed"


@pytest.mark.parametrize(
    ("wall_ms_off", "verdict"), [(3_600_000, Verdict.FAILED), (-3_600_000, Verdict.OK), (None, Verdict.OK)]
)
def test_a_clock_that_is_behind_the_ledger_is_wrong(
    wall_ms_off: int | None, verdict: Verdict, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "is_synchronised", lambda: True)
    [finding] = hardware.check_clock(None if wall_ms_off is None else wall_ms() + wall_ms_off)
    assert finding.verdict == verdict
    monkeypatch.setattr(hardware, "is_synchronised", lambda: False)
    [finding] = hardware.check_clock(None)
    assert finding.verdict == Verdict.WARNING


ROOM = Disk(20 * 10**9, 29 * 10**9, is_read_only=False)


@pytest.mark.parametrize(
    ("disk", "card", "check", "words"),
    [
        (Disk(20 * 10**9, 29 * 10**9, is_read_only=True), Card(None, None), "disk", "read-only"),
        (Disk(10**8, 29 * 10**9, is_read_only=False), Card(None, None), "disk", "100.0 MB free"),
        (None, Card(None, None), "disk", "tells nothing"),
        (ROOM, Card(3, None), "card", "recorded 3 errors"),
        (ROOM, Card(0, 90), "card", "90 % of its life"),
    ],
)
def test_a_disk_that_fails_is_found(
    disk: Disk | None, card: Card, check: str, words: str, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {"disk", "card"} <= {name for name, verdict in verdicts(found()).items() if verdict == "ok"}
    monkeypatch.setattr(hardware, "look", lambda _: Machine(84.0, is_power_low=True, disk=disk, image=None))
    monkeypatch.setattr(hardware, "card_of", lambda _: card)
    findings = found()
    assert words in findings[check].found
    assert findings[check].verdict != Verdict.OK
    assert (findings["power"].verdict, findings["heat"].verdict) == (Verdict.FAILED, Verdict.WARNING)


def test_a_card_tells_its_errors_and_its_age(tmp_path: Path) -> None:
    number = tmp_path.stat().st_dev
    sys = tmp_path / "sys"
    part = sys / "devices" / "mmc0" / "mmcblk0" / "mmcblk0p3"
    part.mkdir(parents=True)
    assert machine.card_of(tmp_path, sys=sys) == Card(None, None)
    block = sys / "dev" / "block"
    block.mkdir(parents=True)
    (block / f"{os.major(number)}:{os.minor(number)}").symlink_to(part)
    ext4 = sys / "fs" / "ext4" / "mmcblk0p3"
    ext4.mkdir(parents=True)
    (ext4 / "errors_count").write_text("2\n")
    (part.parent / "device").mkdir()
    (part.parent / "device" / "life_time").write_text("0x01 0x0a\n")
    assert machine.card_of(tmp_path / "not" / "there", sys=sys) == Card(2, 100)


def test_a_broker_that_others_run_is_tried(directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = processes.free_port()
    folder = tmp_path / "mosquitto"
    folder.mkdir()
    external = {"MODE": "external", "PORT": str(port), "USER": mosquitto.COORDINATOR, "PASSWORD": mosquitto.PASSWORD}
    for name, value in external.items():
        monkeypatch.setenv(f"STOCK_BROKER__{name}", value)
    with ExitStack() as after:
        broker = Mosquitto(folder, port)
        after.callback(broker.close)
        assert verdicts(found())["broker"] == "ok"
        monkeypatch.setenv("STOCK_BROKER__PASSWORD", f"not {PASSWORD}")
        finding = found()["broker"]
        assert (finding.verdict, "refuses the log-in" in finding.found) == (Verdict.FAILED, True)
        assert finding.remedy.startswith("set STOCK_BROKER__USER")
    finding = found()["broker"]
    assert (finding.verdict, "does not answer" in finding.found) == (Verdict.FAILED, True)


# --- the name --------------------------------------------------------------------------------------------------------


@contextmanager
def responder(answers: Iterator[bytes]) -> Iterator[tuple[str, int]]:
    """Answers one question: first with what answers another one, then with each of these, numbered as the question."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
        ours.bind(("127.0.0.1", 0))

        def serve() -> None:
            asked, whom = ours.recvfrom(9000)
            ours.sendto(bytes([asked[0] ^ 1, asked[1]]) + answer("192.0.2.9"), whom)
            for said in answers:
                ours.sendto(asked[:2] + said, whom)

        thread = threading.Thread(target=serve)
        thread.start()
        yield ours.getsockname()
        thread.join()


def answer(address: str, *, flags: int = 0x8400, kind: int = 1) -> bytes:
    question = b"\x05stock\x05local\0" + struct.pack(">2H", 1, 1)
    record = b"\xc0\x0c" + struct.pack(">2HIH", kind, 0x8001, 120, 4) + socket.inet_aton(address)
    return struct.pack(">5H", flags, 1, 1, 0, 0) + question + record


def test_a_name_is_asked_for_in_the_network_and_rubbish_is_no_answer() -> None:
    rubbish = (b"", b"\x84\0" * 4, answer("192.0.2.9", flags=0), answer("192.0.2.9", kind=16), answer("192.0.2.9")[:-2])
    with responder(iter((*rubbish, answer("192.0.2.7")))) as group:
        assert mdns.resolve("stock.local", ["127.0.0.1"], wait_s=30, group=group) == {"192.0.2.7"}
    with responder(iter(())) as group:
        assert mdns.resolve("stock.local", ["127.0.0.1"], wait_s=0.05, group=group) == set()
    assert mdns.resolve("stock.local", [], wait_s=0.01) == set()


@pytest.mark.parametrize(
    ("addresses", "name", "expected"),
    [
        ([], set(), {"address": "failed"}),
        (["169.254.3.4"], {"169.254.3.4"}, {"address": "warning", "name": "ok"}),
        (["192.0.2.7"], {"192.0.2.7"}, {"address": "ok", "name": "ok"}),
        (["192.0.2.7"], set(), {"address": "ok", "name": "warning"}),
        (["192.0.2.7"], {"192.0.2.9"}, {"address": "ok", "name": "failed"}),
    ],
)
def test_a_box_is_found_by_its_address_and_its_name(
    addresses: list[str], name: set[str], expected: dict[str, str], directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolve(asked: str, interfaces: Any, *, wait_s: float) -> set[str]:
        assert (asked.endswith(".local"), interfaces) == (True, addresses)
        return name

    monkeypatch.setenv("STOCK_BROKER__PLAIN", "lan")
    monkeypatch.setattr(network, "own_addresses", lambda: addresses)
    monkeypatch.setattr(network, "resolve", resolve)
    looked = {check: verdict for check, verdict in verdicts(found()).items() if check in ("address", "name")}
    assert looked == expected
