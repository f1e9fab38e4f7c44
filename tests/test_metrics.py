"""Metrics: what a watcher of many shops reads from a real box, and that Prometheus' own check finds nothing wrong."""

import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import apsw
import orjson
from prometheus_client.parser import text_string_to_metric_families

from appliance.app.metrics import Metrics
from scripts import processes
from tests.box import PASSWORD, Box
from tests.broker import wire
from tests.shop import EPOCH, message, operation

OP = "stock/v1/shop/device/A1/op"


def read(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        return str(answer.read().decode())


def samples(text: str) -> dict[str, float]:
    """Return every sample by its name and labels, as they stand in the exposition."""
    return dict(_samples(text))


def _samples(text: str) -> Iterator[tuple[str, float]]:
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sample.labels.items())
            yield f"{sample.name}{{{labels}}}" if labels else sample.name, sample.value


def test_a_scrape_of_a_real_box_says_what_the_shop_did(tmp_path: Path) -> None:
    port = processes.free_port()
    settings = {
        "STOCK_METRICS_PORT": str(port),
        "STOCK_PRINTER__URL": f"file:{tmp_path / 'paper'}",
        "STOCK_BACKUP__DIR": str(tmp_path / "stick"),
    }
    with Box(tmp_path / "data", **settings) as box:
        with wire.Client(box.address) as thief:
            thief.send(wire.connect(user="A1", password="guess"))
            assert thief.expect(wire.CONNACK).body[1] == 4
        with wire.Client(box.address) as till:
            till.send(wire.connect(user="A1", password=PASSWORD))
            assert till.expect(wire.CONNACK).body[1] == 0
            state = orjson.dumps({"state": "online", "epoch": EPOCH, "seq": 0, "pending": 2})
            till.send(wire.publish("stock/v1/shop/device/A1/state", state, qos=1, packet_id=9))
            till.expect(wire.PUBACK)
            sold = orjson.dumps(message(operation(1), operation(2, qty="many")))
            for number in (1, 2):
                till.send(wire.publish(OP, sold, qos=1, packet_id=number))
                till.expect(wire.PUBACK)
            text = read(port)
            found = samples(text)
            checked = subprocess.run(
                [processes.installed("promtool", "prometheus"), "check", "metrics"],
                input=text,
                capture_output=True,
                text=True,
                check=False,
            )
            assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
        expected = {
            'stock_info{broker="embedded",shop="shop",version="0.1.0"}': 1,
            'stock_operations_total{outcome="committed"}': 1,
            'stock_operations_total{outcome="rejected"}': 1,
            'stock_operations_total{outcome="resent"}': 2,
            "stock_ledger_revision": 2,
            "stock_ledger_readable": 1,
            'stock_alerts{kind="rejected"}': 1,
            'stock_tills{state="online"}': 1,
            'stock_till_online{device="A1"}': 1,
            'stock_till_pending_operations{device="A1"}': 2,
            'stock_printer_queue_jobs{printer="main"}': 0,
            'stock_broker_connections{of="device"}': 1,
            'stock_broker_refused_connections_total{reason="credentials"}': 1,
            "stock_broker_connected": 1,
            "stock_ack_seconds_count": 2,
        }
        assert {name: found.get(name) for name in expected} == expected
        assert found["stock_commit_seconds_count"] >= 2  # One for each message, and the printer's own.
        for name in ("stock_disk_free_bytes", "stock_ledger_size_bytes", "process_resident_memory_bytes"):
            assert found[name] > 0
        assert box.stop() == 0
        assert not processes.is_listening(port)


def test_who_waits_after_wrong_passwords_is_counted(tmp_path: Path) -> None:
    port = processes.free_port()
    with Box(tmp_path / "data", STOCK_METRICS_PORT=str(port)) as box:
        for number in range(6):
            with wire.Client(box.address) as thief:
                thief.send(wire.connect(user="A1", password=f"guess {number}"))
                assert thief.expect(wire.CONNACK).body[1] == 4
        found = samples(read(port))
    assert found['stock_broker_throttled{who="device"}'] == 1
    assert found['stock_broker_throttled{who="address"}'] == 0


def test_only_the_box_itself_reads_them(free_port: int) -> None:
    metrics = Metrics(free_port)
    try:
        assert processes.is_listening(free_port)
        assert not processes.is_listening(free_port, "127.0.0.2")
    finally:
        metrics.close()


def test_a_port_that_another_one_has_is_a_sentence_and_no_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        refused = subprocess.run(
            [*processes.COORDINATOR, "run"],
            env=processes.environment(STOCK_DATA_DIR=str(tmp_path / "data"), STOCK_METRICS_PORT=str(port)),
            capture_output=True,
            text=True,
            timeout=processes.START_S,
            check=False,
        )
    assert refused.returncode == 1
    assert f"the metrics cannot be served on 127.0.0.1:{port}" in refused.stderr
    assert "STOCK_METRICS_PORT sets the port" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_ledger_that_cannot_be_read_and_a_broker_that_does_not_answer_leave_the_rest(
    free_port: int, tmp_path: Path
) -> None:
    def fail(_: Any) -> Any:
        raise apsw.IOError("disk I/O error")

    running: Any = SimpleNamespace(settings=SimpleNamespace(data_dir=tmp_path), row=fail)
    reader: Any = None

    def stand_still() -> Any:
        raise TimeoutError

    broker = SimpleNamespace(is_connected=False, traffic=stand_still)
    metrics = Metrics(free_port)
    try:
        metrics.watch(running, broker, reader)
        found = samples(read(free_port))
    finally:
        metrics.close()
    assert (found["stock_ledger_readable"], found["stock_broker_connected"]) == (0, 0)
    assert found["stock_disk_free_bytes"] > 0
    assert "stock_ledger_revision" not in found


def test_a_box_without_them_loads_no_library_for_them() -> None:
    loaded = "import sys, appliance.cli, appliance.app; assert 'prometheus_client' not in sys.modules"
    subprocess.run([sys.executable, "-c", loaded], check=True, timeout=processes.START_S)
