"""Devices come in by their slips: a box as a process, tills that know only their slip, and the owner's commands."""

import hashlib
import socket
import ssl
import stat
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import orjson
import pytest

from appliance.access.certificate import own_certificate
from appliance.contract.slip import BadSlip, parse_slip
from appliance.till import Till
from scripts import processes
from tests.access.authority import Authority
from tests.box import PASSWORD, Box
from tests.broker import wire
from tests.broker.mosquitto import Mosquitto
from tests.waiting import wait_until


def tls_box(directory: Path, **settings: str) -> Box:
    """A box that listens by TLS, whose slips name an address at which nobody is, and then its own."""
    addresses = {"STOCK_BROKER__ADDRESSES": '["127.0.0.2", "127.0.0.1"]'}
    return Box(directory, **{"STOCK_BROKER__TLS_PORT": str(processes.free_port()), **addresses, **settings})


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    with tls_box(tmp_path / "data") as box:
        yield box


def slip_of(box: Box, device: str = "A1", command: str = "add") -> str:
    done = box.command("device", command, device, "--json")
    assert done.returncode == 0, done.stderr
    return str(orjson.loads(done.stdout)["slip"])


def till_of(slip: str, folder: Path) -> Till:
    return Till.from_slip(slip, path=folder / f"{parse_slip(slip).device}.outbox")


def log_in(box: Box, device: str, password: str) -> int:
    """Return the code of the CONNACK."""
    with wire.Client(box.address) as client:
        client.send(wire.connect(user=device, password=password))
        return client.expect(wire.CONNACK).body[1]


def devices(box: Box) -> list[str]:
    done = box.command("device", "list", "--json")
    assert done.returncode == 0, done.stderr
    return [orjson.loads(row)["device"] for row in done.stdout.splitlines()]


def test_a_till_that_is_given_its_slip_and_nothing_else_sells(box: Box, tmp_path: Path) -> None:
    with till_of(slip_of(box), tmp_path) as till:
        till.receive("milk", 5)
        till.sell("milk", 2)
        assert till.wait_acked(30)
    assert orjson.loads(box.command("balance", "milk", "--json").stdout)["on_hand"] == "3"
    assert devices(box) == ["A1"]


def test_tokens_and_the_certificate_outlive_a_restart(box: Box, tmp_path: Path) -> None:
    slip = slip_of(box)
    box.kill()
    box.start()
    with till_of(slip, tmp_path) as till:
        till.sell("milk", 1)
        assert till.wait_acked(30)


def test_a_device_with_a_token_is_not_let_in_by_the_shops_password(box: Box) -> None:
    token = parse_slip(slip_of(box)).token
    assert [log_in(box, "A1", one) for one in (token, PASSWORD, "guess")] == [0, 4, 4]
    assert [log_in(box, "A2", one) for one in (token, PASSWORD)] == [4, 0]


def test_a_removed_device_is_cut_off_at_once_and_the_others_need_not_wait_for_it(box: Box, tmp_path: Path) -> None:
    slip = slip_of(box)
    with till_of(slip, tmp_path) as till:
        wait_until(lambda: till.is_connected)
        assert states(box) == ["A1"]
        assert box.command("device", "remove", "A1").stdout.startswith("A1 is removed")
        wait_until(lambda: "refuses A1" in (till.fault or ""))
        till.sell("milk", 1)
        assert not till.wait_acked(0)
        assert states(box) == []
    assert devices(box) == []
    assert log_in(box, "A1", parse_slip(slip).token) == 4


def states(box: Box) -> list[str]:
    """Return the devices whose state is retained."""
    with wire.Client(box.address).log_in(user="screen", password=PASSWORD) as screen:
        screen.subscribe(("stock/v1/shop/device/+/state", 0))
        return [packet.topic.split("/")[4] for packet in screen.until_ping()]


def test_a_new_slip_ends_the_old_one_at_once(box: Box, tmp_path: Path) -> None:
    old = slip_of(box)
    with till_of(old, tmp_path) as till:
        wait_until(lambda: till.is_connected)
        new = slip_of(box, command="slip")
        wait_until(lambda: "refuses A1" in (till.fault or ""))
    assert new != old
    with till_of(new, tmp_path) as till:
        till.sell("milk", 1)
        assert till.wait_acked(30)


def test_a_device_that_was_in_by_the_shops_password_is_cut_off_when_it_gets_a_token(box: Box) -> None:
    with wire.Client(box.address).log_in(user="A1", password=PASSWORD) as client:
        slip_of(box)
        assert client.is_closed()


def test_where_only_tokens_count_no_password_is_made_or_let_in(tmp_path: Path) -> None:
    with tls_box(tmp_path / "data", STOCK_DEVICES__TOKENS_ONLY="true") as box:
        assert "device add" in box.welcome
        assert log_in(box, "A2", PASSWORD) == 4
        assert log_in(box, "A1", parse_slip(slip_of(box)).token) == 0
        assert "password" not in box.command("device", "remove", "A1").stdout
    assert not (tmp_path / "data" / "shop-password.argon2").exists()


def test_what_cannot_be_done_is_said(box: Box, tmp_path: Path) -> None:
    slip_of(box)
    for words, code, says in (
        (("add", "A1"), 1, "device slip A1"),
        (("add", "A 1"), 1, "cannot name a device"),
        (("slip", "A2"), 3, "no token"),
        (("remove", "A2"), 3, "no token"),
    ):
        done = box.command("device", *words)
        assert (done.returncode, says in done.stderr) == (code, True), done.stderr
    box.stop()
    done = box.command("device", "add", "A2")
    assert (done.returncode, "no coordinator runs" in done.stderr) == (1, True)


def test_a_disk_that_takes_nothing_is_told_and_who_was_in_stays_in(box: Box) -> None:
    token = parse_slip(slip_of(box)).token
    (box.directory / "devices.new").mkdir()  # No file can be written there.
    for command in ("slip", "remove"):
        done = box.command("device", command, "A1")
        assert done.returncode == 1
        assert "cannot be written (Is a directory)" in done.stderr
    assert log_in(box, "A1", token) == 0
    assert "Traceback" not in box.log.read_text()


def test_without_tls_there_are_no_slips(tmp_path: Path) -> None:
    with Box(tmp_path / "data") as box:
        done = box.command("device", "add", "A1")
        assert (done.returncode, "STOCK_BROKER__TLS_PORT" in done.stderr) == (1, True)
        assert devices(box) == []


def test_a_slip_in_the_terminal_is_a_code_and_lines_to_type(box: Box) -> None:
    shown = box.command("device", "add", "A1").stdout
    assert "█" in shown
    typed = shown.split("Пароль:")[1].split("─")[0]
    assert log_in(box, "A1", " ".join(typed.split())) == 0


def test_a_picture_of_a_slip_is_for_its_owner_alone_and_replaces_nothing(box: Box, tmp_path: Path) -> None:
    picture = tmp_path / "A1.png"
    assert box.command("device", "add", "A1", "--png", str(picture)).returncode == 0
    assert stat.S_IMODE(picture.stat().st_mode) == 0o600
    before = picture.read_bytes()
    done = box.command("device", "slip", "A1", "--png", str(picture))
    assert (done.returncode, "there already" in done.stderr, picture.read_bytes()) == (1, True, before)
    # Nothing is left of one that was not to be had.
    assert box.command("device", "slip", "A2", "--png", str(tmp_path / "A2.png")).returncode == 3
    assert not (tmp_path / "A2.png").exists()


def test_secrets_are_in_no_log_and_in_no_argument(box: Box, tmp_path: Path) -> None:
    slip = slip_of(box)
    with till_of(slip, tmp_path) as till:
        wait_until(lambda: till.is_connected)
    token = parse_slip(slip).token
    assert log_in(box, "A1", f"{token}x") == 4
    assert box.process is not None
    arguments = Path(f"/proc/{box.process.pid}/cmdline").read_text()
    for secret in (token, PASSWORD):
        assert secret not in box.log.read_text()
        assert secret not in box.welcome
        assert secret not in arguments
    kept = [path for path in box.directory.iterdir() if path.is_file() and token.encode() in path.read_bytes()]
    assert kept == []
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in box.directory.iterdir()}
    assert modes["devices.json"] == modes["devices.key"] == modes["tls.pem"] == 0o600


def test_a_secret_that_others_may_read_is_named_at_the_start(box: Box) -> None:
    assert "can be read by others" not in box.log.read_text()
    box.stop()
    (box.directory / "tls.pem").chmod(0o644)
    box.start()
    assert f"chmod 600 {box.directory / 'tls.pem'}" in box.log.read_text()


def test_a_box_in_the_others_place_is_refused_before_it_hears_the_token(box: Box, tmp_path: Path) -> None:
    slip = slip_of(box)
    token = parse_slip(slip).token
    box.kill()
    (rogue_home := tmp_path / "rogue").mkdir()
    with rogue(rogue_home, parse_slip(slip).port) as heard, till_of(slip, tmp_path) as till:
        wait_until(lambda: "not the one on the slip" in (till.fault or ""))
        wait_until(lambda: len(heard) >= 2)
        assert token.encode() not in b"".join(heard)
        assert not till.is_connected


def test_a_till_that_knows_its_box_refuses_another_one_that_takes_its_place(box: Box, tmp_path: Path) -> None:
    slip = slip_of(box)
    (rogue_home := tmp_path / "rogue").mkdir()
    with till_of(slip, tmp_path) as till:
        wait_until(lambda: till.is_connected)
        box.kill()
        with rogue(rogue_home, parse_slip(slip).port) as heard:
            wait_until(lambda: "not the one on the slip" in (till.fault or ""))
        assert parse_slip(slip).token.encode() not in b"".join(heard)
        box.start()
        till.sell("milk", 1)
        assert till.wait_acked(60)


@contextmanager
def rogue(home: Path, port: int) -> Iterator[list[bytes]]:
    """Somebody with a certificate of his own at the box's port; yields what each connection let him read."""
    context = own_certificate(home, ["127.0.0.1"]).context
    heard: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            plain.settimeout(10)
            try:
                with context.wrap_socket(plain, server_side=True) as peer:
                    heard.append(peer.recv(4096))
            except OSError as error:
                heard.append(str(error).encode())

    with socket.create_server(("127.0.0.1", port)) as listener:
        serving = threading.Thread(target=serve, args=(listener,))
        serving.start()
        try:
            yield heard
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            serving.join()


def test_the_certificate_is_to_be_had_by_command_and_from_the_port_and_is_the_slips(box: Box, tmp_path: Path) -> None:
    says = parse_slip(slip_of(box))
    pem = box.command("device", "certificate").stdout
    assert hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).digest() == says.sha256
    # The lines of the contract, for a device that has openssl and nothing of ours.
    fetched = tmp_path / "box.pem"
    subprocess.run(
        [
            "sh",
            "-c",
            f"openssl s_client -connect 127.0.0.1:{says.port} </dev/null 2>/dev/null | openssl x509 >{fetched}",
        ],
        check=True,
        timeout=processes.START_S,
    )
    shown = subprocess.run(
        ["openssl", "x509", "-in", str(fetched), "-noout", "-fingerprint", "-sha256"],
        check=True,
        capture_output=True,
        text=True,
        timeout=processes.START_S,
    ).stdout
    assert shown.strip().split("=")[1].replace(":", "").lower() == says.sha256.hex()
    assert fetched.read_text() == pem


def test_a_certificate_of_the_shops_own_is_shown_and_pinned(tmp_path: Path) -> None:
    authority = Authority()
    certificate, key = authority.issue(tmp_path, "stock.example", "127.0.0.1", with_intermediate=True)
    own = {"STOCK_BROKER__CERTIFICATE": str(certificate), "STOCK_BROKER__KEY": str(key)}
    with tls_box(tmp_path / "data", **own) as box:
        slip = slip_of(box)
        with till_of(slip, tmp_path) as till:
            till.sell("milk", 1)
            assert till.wait_acked(30)
        trusting = ssl.create_default_context(cadata=authority.pem)
        with (
            socket.create_connection(("127.0.0.1", parse_slip(slip).port), 10) as plain,
            trusting.wrap_socket(plain, server_hostname="stock.example"),
        ):
            pass
    assert not (tmp_path / "data" / "tls.pem").exists()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"STOCK_BROKER__CERTIFICATE": "/nowhere.pem"}, ("STOCK_BROKER__KEY", "set both")),
        (
            {"STOCK_BROKER__CERTIFICATE": "/nowhere.pem", "STOCK_BROKER__KEY": "/nowhere.key"},
            ("/nowhere.pem", "No such file"),
        ),
        ({"STOCK_BROKER__TLS_PORT": "99999"}, ("STOCK_BROKER__TLS_PORT", "0 for no TLS")),
        ({"STOCK_BROKER__ADDRESSES": '["a b"]'}, ("STOCK_BROKER__ADDRESSES", "'a b'", "host name")),
        ({"STOCK_BROKER__ADDRESSES": '["a","b","c","d","e"]'}, ("STOCK_BROKER__ADDRESSES", "at most 4")),
        (
            {"STOCK_BROKER__WEBSOCKET_PORT": "8884"},
            ("WEBSOCKET_PORT", "STOCK_BROKER__CERTIFICATE"),
        ),
        ({"STOCK_DEVICES__TOKENS_ONLY": "maybe"}, ("STOCK_DEVICES__TOKENS_ONLY", "'maybe'")),
    ],
)
def test_a_wrong_setting_stops_the_start(tmp_path: Path, settings: dict[str, str], words: tuple[str, ...]) -> None:
    done = tls_box(tmp_path / "data", **settings).command("run")
    assert done.returncode == 1
    for word in words:
        assert word in done.stderr


def test_a_tls_port_that_is_taken_is_named_with_its_setting(tmp_path: Path) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = tls_box(tmp_path / "data", STOCK_BROKER__TLS_PORT=port).command("run")
    assert done.returncode == 1
    for words in (f"port {port}", "STOCK_BROKER__TLS_PORT sets"):
        assert words in done.stderr


def test_with_another_broker_its_own_users_come_in(tmp_path: Path, free_port: int) -> None:
    (folder := tmp_path / "mosquitto").mkdir()
    with (
        closing(Mosquitto(folder, free_port)) as broker,
        Box(tmp_path / "data", **broker.box_settings) as box,
    ):
        done = box.command("device", "add", "A1")
    assert (done.returncode, "a user of its name there" in done.stderr) == (1, True)


@pytest.mark.parametrize("slip", ["", "http://a", "stock://A1:secret@h:1/shop"])
def test_a_till_is_not_made_from_what_is_no_slip(tmp_path: Path, slip: str) -> None:
    with pytest.raises(BadSlip) as caught:
        Till.from_slip(slip, path=tmp_path / "A1.outbox")
    assert "secret" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
