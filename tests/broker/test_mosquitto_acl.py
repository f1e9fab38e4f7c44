"""The ACL file that a command makes, kept by a real mosquitto: what a device reads and writes, topic by topic."""

import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from appliance.broker.embedded.acl import may_publish, may_subscribe
from appliance.contract.topics import HOME_ASSISTANT, Topics
from scripts import processes
from tests.broker.mosquitto import COORDINATOR, PASSWORD, Mosquitto
from tests.broker.running import ROOT, SHOP
from tests.broker.wire import PUBACK, PUBLISH, Client, publish

LEAVES = ("state", "op", "query", "answer", "ack", "print")

TOPICS = [
    *(ROOT + rest for rest in ("coordinator", "tick", "changes", "balance/A", "item/A", "alert/low-1", "printer/main")),
    *(f"{ROOT}device/{device}/{leaf}" for device in ("A1", "A2", "_shop") for leaf in LEAVES),
    *("stock/v1/other/balance/A", "stock/v1/other/device/A1/ack", "elsewhere"),
    *(Topics(SHOP).home_assistant(leaf) for leaf in ("config", "health")),
]
"""Every topic of the contract, of two devices and of the coordinator's own, and what is none of the shop's business."""


@pytest.fixture
def mosquitto(tmp_path: Path, free_port: int) -> Iterator[Mosquitto]:
    with closing(Mosquitto(tmp_path, free_port)) as broker:
        yield broker


def told(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*processes.COORDINATOR, "broker", *words],
        env=processes.environment(**settings),
        capture_output=True,
        text=True,
        timeout=processes.START_S,
        check=False,
    )


@pytest.mark.parametrize("name", ["A1", HOME_ASSISTANT])
def test_a_device_reads_there_what_it_reads_at_the_embedded_broker(mosquitto: Mosquitto, name: str) -> None:
    with mosquitto.client(name) as device, mosquitto.client(COORDINATOR) as coordinator:
        device.subscribe(*((topic, 0) for topic in TOPICS), ("#", 0), (f"{ROOT}#", 0), (f"{ROOT}device/+/+", 0))
        for topic in TOPICS:
            if topic.startswith((ROOT, "homeassistant/")):
                coordinator.send(publish(topic, b"x"))
        coordinator.until_ping()
        read = {one.topic for one in device.until_ping()}
    assert read == {topic for topic in TOPICS if may_subscribe(topic, SHOP, name)}


@pytest.mark.parametrize("topic", TOPICS)
def test_a_device_writes_there_what_it_writes_at_the_embedded_broker(mosquitto: Mosquitto, topic: str) -> None:
    with mosquitto.client("A1") as device, mosquitto.client(COORDINATOR) as coordinator:
        coordinator.subscribe((f"{ROOT}#", 0))
        device.send(publish(topic, b"x", qos=1))
        if topic in may_publish(Topics(SHOP), "A1"):
            device.expect(PUBACK)
            assert coordinator.expect(PUBLISH).topic == topic
        else:
            assert device.is_closed()
            assert coordinator.until_ping() == []


def test_a_user_with_a_wildcard_for_a_name_gets_nothing(mosquitto: Mosquitto, tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    subprocess.run(
        [processes.installed("mosquitto_passwd", "mosquitto"), "-b", str(passwords), "+", "secret"], check=True
    )
    mosquitto.kill()
    mosquitto.start()
    with mosquitto.client(COORDINATOR) as coordinator, Client(mosquitto.address).log_in(user="+") as odd:
        odd.subscribe((f"{ROOT}device/+/ack", 0))
        coordinator.send(publish(f"{ROOT}device/A1/ack", b"x"))
        coordinator.until_ping()
        assert odd.until_ping() == []


def test_what_mosquitto_cannot_do_is_what_the_readme_says(mosquitto: Mosquitto) -> None:
    """Each of these is refused by the embedded broker; should mosquitto learn it, the README has a line too many."""
    log_in = {"password": PASSWORD, "user": "A1"}
    with mosquitto.client("A2") as reader, Client(mosquitto.address).log_in(client_id="till", **log_in) as till:
        assert reader.subscribe((f"{ROOT}device/A1/ack", 1), (f"{ROOT}#", 0)) == bytes([1, 0])
        with Client(mosquitto.address).log_in(user="A2", password=PASSWORD, client_id="till"):
            assert till.is_closed()
    with mosquitto.client(COORDINATOR) as coordinator:
        coordinator.subscribe((f"{ROOT}#", 0))
        for leaf in ("device/A2/state", "device/A1/state"):
            with Client(mosquitto.address).log_in(client_id=leaf, will=(ROOT + leaf, b"x", 0, False), **log_in):
                pass
        assert coordinator.expect(PUBLISH).topic == f"{ROOT}device/A1/state"


def test_the_command_prints_the_file_for_this_shop_and_this_user(tmp_path: Path, mosquitto: Mosquitto) -> None:
    done = told("acl", STOCK_SHOP=SHOP, STOCK_BROKER__USER=COORDINATOR)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (tmp_path / "acl").read_text()


@pytest.mark.parametrize("user", [None, "", " coordinator", "a\nuser b"])
def test_without_a_user_on_one_line_the_command_says_which_setting_is_missing(user: str | None) -> None:
    done = told("acl", **({} if user is None else {"STOCK_BROKER__USER": user}))
    assert (done.returncode, done.stdout) == (1, "")
    assert "set it to the user name" in done.stderr
    assert "STOCK_BROKER__USER" in done.stderr
