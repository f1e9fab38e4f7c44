"""Clients that this project did not write come in by a slip and sell: mosquitto's, and MQTT.js."""

import hashlib
import json
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from scripts.processes import START_S
from tests.access.test_devices import slip_of, tls_box
from tests.box import Box

MQTTJS = Path(__file__).parent / "mqttjs"
EPOCH = "5f0c9b1e-7a53-4d0e-9d0f-000000000001"
SALE = {"epoch": EPOCH, "seq": 1, "type": "move", "sku": "milk", "qty": "-1", "reason": "sale"}


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    with tls_box(tmp_path / "data", STOCK_BROKER__ADDRESSES='["127.0.0.1"]') as box:
        yield box


def program(name: str) -> str:
    found = shutil.which(name)
    assert found is not None, f"{name} is missing: run scripts/setup"
    return found


def test_mosquittos_clients_sell_by_what_the_slip_says_and_a_file_of_the_certificate(box: Box, tmp_path: Path) -> None:
    slip = urlsplit(slip_of(box))
    pem = tmp_path / "box.pem"
    pem.write_text(box.command("device", "certificate").stdout)
    # Whoever took the file elsewhere than from the box compares it with the slip.
    fingerprint = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.read_text())).hexdigest()
    assert parse_qs(slip.query)["sha256"] == [fingerprint]

    def client(name: str, *words: str) -> subprocess.CompletedProcess[str]:
        at = ["-h", str(slip.hostname), "-p", str(slip.port), "--cafile", str(pem)]
        who = ["-u", str(slip.username), "-P", str(slip.password)]
        return subprocess.run(
            [program(name), *at, *who, "-q", "1", *words], capture_output=True, text=True, timeout=START_S, check=False
        )

    root = f"stock/v1{slip.path}"
    sold = client("mosquitto_pub", "-t", f"{root}/device/A1/op", "-m", json.dumps(SALE))
    assert (sold.returncode, sold.stderr) == (0, "")
    # Its PUBACK said that the sale is on the disk, so its ack is retained.
    heard = client("mosquitto_sub", "-C", "2", "-t", f"{root}/device/A1/ack", "-t", f"{root}/balance/milk")
    said = [json.loads(row) for row in heard.stdout.splitlines()]
    [ack] = [one for one in said if "seq" in one]
    [balance] = [one for one in said if "on_hand" in one]
    assert (ack["epoch"], ack["seq"], balance["on_hand"]) == (EPOCH, 1, "-1")


def mqttjs(slip: str) -> subprocess.CompletedProcess[str]:
    assert (MQTTJS / "node_modules").exists(), "MQTT.js is missing: run scripts/setup"
    return subprocess.run(
        [program("node"), str(MQTTJS / "till.js")],
        input=json.dumps({"slip": slip, "operation": SALE}),
        capture_output=True,
        text=True,
        timeout=START_S,
        check=False,
    )


def test_mqttjs_sells_by_the_slip_alone(box: Box) -> None:
    done = mqttjs(slip_of(box))
    assert done.returncode == 0, done.stderr
    heard = json.loads(done.stdout)
    assert (heard["ack"]["seq"], heard["balance"]["on_hand"]) == (1, "-1")


def test_mqttjs_says_nothing_to_another_box_than_the_slips(box: Box) -> None:
    slip = slip_of(box)
    fingerprint = parse_qs(urlsplit(slip).query)["sha256"][0]
    done = mqttjs(slip.replace(fingerprint, hashlib.sha256(b"another").hexdigest()))
    assert (done.returncode, done.stderr) == (1, "another box\n")
    assert "device-connected" not in box.log.read_text()


def test_mqttjs_is_refused_with_the_slip_that_a_new_one_has_replaced(box: Box) -> None:
    old = slip_of(box)
    slip_of(box, command="slip")
    done = mqttjs(old)
    assert done.returncode == 1
    assert "Bad username or password" in done.stderr
