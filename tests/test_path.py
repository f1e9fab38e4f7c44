"""The whole path with real parts: a box as a process, mosquitto_pub and mosquitto_sub as its tills, on both brokers.

What a newcomer does first, and what a shop must be able to rely on.
"""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.box import PASSWORD, Box
from tests.broker import mosquitto
from tests.broker.mosquitto import Mosquitto
from tests.waiting import wait_until

ROOT = "stock/v1/shop/"
EPOCH = "5f0c8d1e-3b7a-4c61-8e1f-0a9d2b6c4e75"
SALE = {"epoch": EPOCH, "seq": 1, "type": "move", "sku": "A", "qty": "-1", "reason": "sale"}


class Shop:
    """A box and the broker that its devices log in to."""

    def __init__(self, box: Box, port: int, password: str) -> None:
        self.box = box
        self._login = ["-h", "127.0.0.1", "-p", str(port), "-P", password]

    def publish(self, device: str, payload: bytes, *, leaf: str = "op", owner: str | None = None) -> int:
        """Publish with mosquitto_pub at QoS 1; return its exit code."""
        topic = f"{ROOT}device/{owner or device}/{leaf}"
        command = ["mosquitto_pub", *self._login, "-u", device, "-q", "1", "-t", topic, "-s"]
        return subprocess.run(command, input=payload, timeout=30, check=False, capture_output=True).returncode

    def retained(self, device: str, leaf: str) -> Any:
        """One retained message, as mosquitto_sub shows it; None when there is none within the wait."""
        command = ["mosquitto_sub", *self._login, "-u", device, "-t", ROOT + leaf, "-C", "1", "-W", "2"]
        found = subprocess.run(command, timeout=30, check=False, capture_output=True)
        return orjson.loads(found.stdout) if found.stdout else None

    def wait_for(self, device: str, leaf: str, condition: Callable[[Any], bool]) -> Any:
        """Wait until a retained message is as it should be, and return it."""
        seen: list[Any] = [None]

        def is_there() -> bool:
            seen[0] = self.retained(device, leaf)
            return seen[0] is not None and condition(seen[0])

        wait_until(is_there)
        return seen[0]


@pytest.fixture(params=["embedded", "external"])
def shop(request: pytest.FixtureRequest, tmp_path: Path, free_port: int) -> Iterator[Shop]:
    if request.param == "embedded":
        with Box(tmp_path / "data") as box:
            yield Shop(box, box.port, PASSWORD)
        return
    folder = tmp_path / "mosquitto"
    folder.mkdir()
    broker = Mosquitto(folder, free_port)
    try:
        with Box(tmp_path / "data", **broker.box_settings) as box:
            shop = Shop(box, free_port, mosquitto.PASSWORD)
            shop.wait_for("A1", "coordinator", lambda said: said["state"] == "online")
            yield shop
    finally:
        broker.close()


def test_sale_is_on_the_balance_and_in_the_ack_and_survives_a_kill(shop: Shop) -> None:
    assert shop.publish("A1", orjson.dumps(SALE)) == 0
    balance = shop.wait_for("screen", "balance/A", lambda said: True)
    assert (balance["on_hand"], balance["rev"]) == ("-1", 1)
    ack = shop.wait_for("A1", "device/A1/ack", lambda said: said["seq"] == 1)
    assert ack["epoch"] == EPOCH

    shop.box.kill()
    shop.box.start()
    first = shop.wait_for("screen", "coordinator", lambda said: said["state"] == "online" and said["rev"] == 1)
    assert shop.retained("screen", "balance/A") == balance
    assert shop.publish("A1", orjson.dumps(SALE)) == 0
    assert shop.publish("A1", orjson.dumps(SALE | {"epoch": EPOCH[::-1]})) == 0, "another sale is another one"
    balance = shop.wait_for("screen", "balance/A", lambda said: said["rev"] != 1)
    assert (balance["on_hand"], balance["rev"]) == ("-2", 2), "the resent sale has changed nothing"
    assert first["ledger"] == ack["ledger"]


def test_sigterm_says_offline_and_exits_with_0(shop: Shop) -> None:
    shop.publish("A1", orjson.dumps(SALE))
    shop.wait_for("screen", "balance/A", lambda said: True)
    with subprocess.Popen(
        ["mosquitto_sub", *shop._login, "-u", "screen", "-t", f"{ROOT}coordinator"], stdout=subprocess.PIPE
    ) as screen:
        assert screen.stdout is not None
        assert orjson.loads(screen.stdout.readline())["state"] == "online"
        assert shop.box.stop() == 0
        assert orjson.loads(screen.stdout.readline())["state"] == "offline"
        screen.terminate()
    shop.box.start()
    assert shop.wait_for("screen", "balance/A", lambda said: True)["on_hand"] == "-1"


def test_bad_message_is_answered_and_its_device_goes_on(shop: Shop) -> None:
    for rubbish in (b"{", b"\x00\xff", b"x" * 300_000):
        assert shop.publish("A1", rubbish) == 0
    assert shop.publish("A1", orjson.dumps(SALE | {"qty": "much"})) == 0
    ack = shop.wait_for("A1", "device/A1/ack", lambda said: said["seq"] == 1)
    assert ack["rejected"][0]["code"] == "bad-quantity"
    second = SALE | {"seq": 2, "tag": "0123456789abcdef", "after": None}
    assert shop.publish("A1", orjson.dumps(second)) == 0
    ack = shop.wait_for("A1", "device/A1/ack", lambda said: said["seq"] == 2)
    assert ack["rejected"][1]["code"] == "after-missing"
    assert shop.publish("A1", orjson.dumps(SALE | {"epoch": EPOCH[::-1]})) == 0
    assert shop.wait_for("screen", "balance/A", lambda said: True)["on_hand"] == "-1"
    kinds = {row["kind"] for row in (shop.retained("screen", "alert/+"), shop.retained("screen", "alert/+"))}
    assert kinds <= {"quarantine", "rejected"}
    status = orjson.loads(shop.box.command("status", "--json").stdout)
    assert (status["quarantined"], status["rejected"], len(status["alerts"])) == (3, 2, 2)


def test_publish_to_another_devices_topic_changes_nothing(shop: Shop) -> None:
    shop.publish("A2", orjson.dumps(SALE), owner="A1")
    shop.publish("A2", orjson.dumps(SALE | {"sku": "B"}))
    shop.wait_for("screen", "balance/B", lambda said: True)
    assert shop.retained("screen", "balance/A") is None
    assert shop.box.command("balance", "A").returncode == 3


def test_commands_read_the_running_box_and_its_ledger_alike(shop: Shop) -> None:
    shop.publish("A1", orjson.dumps(SALE))
    shop.wait_for("screen", "balance/A", lambda said: True)
    running = [shop.box.command(*words) for words in (("balance", "A", "--json"), ("balance", "--json"))]
    status = orjson.loads(shop.box.command("status", "--json").stdout)
    assert (status["state"], status["rev"], status["skus"]) == ("running", 1, 1)
    shop.box.stop()
    stopped = [shop.box.command(*words) for words in (("balance", "A", "--json"), ("balance", "--json"))]
    assert [done.stdout for done in stopped] == [done.stdout for done in running]
    assert orjson.loads(running[0].stdout)["on_hand"] == "-1"
    assert orjson.loads(shop.box.command("status", "--json").stdout)["state"] == "stopped"
    assert "A" in shop.box.command("balance").stdout
    shop.box.start()
