"""Home Assistant: what it discovers of a box, who reads it at either broker, and that it is taken back.

That the discovery is what Home Assistant takes was seen with the schemas of its release 2025.4; what is looked at here
are the names of the fields that they know.
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import apsw
import orjson
import pytest

from appliance.app import home_assistant, machine
from appliance.app.home_assistant import HomeAssistant
from appliance.broker.external.acl import acl_file
from appliance.contract.topics import HOME_ASSISTANT, Topics
from scripts import processes
from tests.box import PASSWORD, Box
from tests.broker import wire
from tests.broker.mosquitto import COORDINATOR, Mosquitto
from tests.broker.running import ROOT, SHOP, Ours
from tests.waiting import wait_until

CONFIG, HEALTH = "homeassistant/device/stock-shop/config", "homeassistant/device/stock-shop/health"

WELL: dict[str, Any] = {
    "alerts": [{"kind": "oversell", "summary": "2 more of milk"}, {"kind": "oversell", "summary": "1 more of tea"}],
    "backup": {"fault": ""},
    "printers": [
        {"printer": "bar", "state": "unknown", "paper_low": False},
        {"printer": "main", "state": "paper-out", "paper_low": False},
    ],
}


class Kept:
    """A broker that keeps what it is told, or takes nothing."""

    def __init__(self) -> None:
        self.retained: dict[str, bytes] = {}
        self.told = 0
        self.is_there = True

    def retain_beside(self, retained: Any) -> bool:
        if self.is_there:
            self.retained |= retained
            self.told += 1
        return self.is_there

    def reaches(self, topics: Any) -> bool:
        return True


def home(directory: Path, broker: Any, row: Any = WELL, *, is_on: bool = True) -> HomeAssistant:
    settings = SimpleNamespace(shop=SHOP, shop_name="", data_dir=directory, home_assistant=is_on)

    def read(_: Any) -> Any:
        if isinstance(row, Exception):
            raise row
        return row

    running: Any = SimpleNamespace(settings=settings, row=read)
    reader: Any = None
    return HomeAssistant(running, broker, reader)


def heard(client: wire.Client, count: int) -> dict[str, bytes]:
    return {one.topic: one.payload for one in (client.expect(wire.PUBLISH) for _ in range(count))}


def test_what_is_told_has_health_and_kinds_of_alerts_and_no_word_of_stock(tmp_path: Path) -> None:
    broker = Kept()
    home(tmp_path, broker).tell()
    health = orjson.loads(broker.retained[HEALTH])
    assert (health["alerts"], health["kinds"], health["printers_not_ready"]) == (2, ["oversell"], ["main"])
    assert (health["is_backup_failing"], health["is_disk_failing"]) == (False, False)
    assert b"milk" not in b"".join(broker.retained.values())


def test_the_discovery_is_one_device_whose_fields_home_assistant_knows(tmp_path: Path) -> None:
    broker = Kept()
    home(tmp_path, broker).tell()
    config = orjson.loads(broker.retained[CONFIG])
    assert set(config) == {"device", "origin", "availability", "state_topic", "components"}
    assert set(config["device"]) <= {"identifiers", "name", "manufacturer", "model", "sw_version"}
    assert set(config["origin"]) <= {"name", "sw_version", "support_url"}
    assert config["availability"] == [{"topic": f"{ROOT}coordinator", "value_template": "{{ value_json.state }}"}]
    assert config["state_topic"] == HEALTH
    fields = {"platform", "unique_id", "name", "value_template", "device_class", "state_class", "unit_of_measurement"}
    components = config["components"].values()
    assert all(set(one) <= fields for one in components)
    assert {one["platform"] for one in components} == {"sensor", "binary_sensor"}
    assert len({one["unique_id"] for one in components}) == len(components)
    assert {one.get("device_class") for one in components} <= {None, "problem", "temperature", "data_size"}


def test_what_a_box_does_not_have_is_no_sensor(tmp_path: Path) -> None:
    broker = Kept()
    home(tmp_path, broker, WELL | {"backup": None}).tell()
    assert "backup" not in orjson.loads(broker.retained[CONFIG])["components"]


def test_a_ledger_that_cannot_be_read_is_a_failing_disk(tmp_path: Path) -> None:
    broker = Kept()
    home(tmp_path, broker, apsw.IOError("disk I/O error")).tell()
    health = orjson.loads(broker.retained[HEALTH])
    assert (health["is_disk_failing"], health["alerts"]) == (True, None)


def test_only_what_has_changed_is_told_until_the_broker_may_have_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = machine.look(tmp_path)
    monkeypatch.setattr(machine, "look", lambda _: found)
    broker = Kept()
    box = home(tmp_path, broker)
    box.tell()
    box.tell()
    assert broker.told == 1
    box.say_anew()
    box.tell()
    assert broker.told == 2
    box.say_anew()
    broker.is_there = False
    box.tell()
    broker.is_there = True
    box.tell()
    assert broker.told == 3


@pytest.fixture
def ours() -> Iterator[Ours]:
    with closing(Ours()) as broker:
        yield broker


class Inside:
    """The embedded broker, as `brokers.Embedded` hands it on."""

    def __init__(self, ours: Ours) -> None:
        self._ours = ours

    def retain_beside(self, retained: Any) -> bool:
        for topic, payload in retained.items():
            self._ours.broker.publish(topic, payload, True)
        return True

    def reaches(self, topics: Any) -> bool:
        return all(self._ours.broker.is_heard(topic) for topic in topics)


def test_it_is_taken_back_when_somebody_is_there_who_hears_it(tmp_path: Path, ours: Ours) -> None:
    home(tmp_path, Inside(ours)).tell()
    off = home(tmp_path, Inside(ours), is_on=False)
    assert off.is_wanted(off._running.settings)
    assert not off.take_back()
    with wire.Client(ours.address).log_in(user=HOME_ASSISTANT) as there:
        assert there.subscribe(("homeassistant/#", 0)) == bytes([0])
        assert off.take_back()
        assert heard(there, 2) == {CONFIG: b"", HEALTH: b""}
    assert not off.is_wanted(off._running.settings)


def test_at_a_real_box_home_assistant_reads_this_and_nothing_of_the_shop(tmp_path: Path) -> None:
    with (
        Box(tmp_path / "data", STOCK_HOME_ASSISTANT="true") as box,
        wire.Client(box.address).log_in(user=HOME_ASSISTANT, password=PASSWORD) as there,
    ):
        forbidden = [f"{ROOT}{topic}" for topic in ("balance/+", "item/+", "changes", "alert/+", "tick", "+", "#")]
        assert there.subscribe(*((topic, 0) for topic in (*forbidden, "#", "+/#"))) == bytes([0x80] * 9)
        assert there.subscribe(("homeassistant/device/+/+", 0)) == bytes([0])
        told = heard(there, 2)
        assert orjson.loads(told[CONFIG])["state_topic"] == HEALTH
        assert orjson.loads(told[HEALTH])["alerts"] == 0
        assert there.subscribe((f"{ROOT}coordinator", 0)) == bytes([0])
        assert orjson.loads(heard(there, 1)[f"{ROOT}coordinator"])["state"] == "online"
        with wire.Client(box.address).log_in(user="A1", password=PASSWORD) as till:
            assert till.subscribe(("homeassistant/#", 0), (CONFIG, 0)) == bytes([0x80, 0x80])
        there.send(wire.publish(f"{ROOT}device/{HOME_ASSISTANT}/op", b"{}"))
        assert there.is_closed()
        with wire.Client(box.address) as willing:
            will = (f"{ROOT}device/{HOME_ASSISTANT}/state", b"{}", 0, True)
            willing.send(wire.connect(user=HOME_ASSISTANT, password=PASSWORD, will=will))
            assert willing.expect(wire.CONNACK).body[1] == 5


def test_a_mosquitto_of_home_assistants_own_bridges_to_the_box(tmp_path: Path) -> None:
    """As broker/README.md says to set it."""
    folder = tmp_path / "home"
    folder.mkdir()
    with Box(tmp_path / "data", STOCK_HOME_ASSISTANT="true") as box:
        acl = f"user {HOME_ASSISTANT}\ntopic readwrite #\n"
        with closing(Mosquitto(folder, processes.free_port(), acl=acl)) as theirs:
            theirs.stop()
            with (folder / "conf").open("a") as file:
                file.write(f"""
connection stock
address 127.0.0.1:{box.port}
remote_username {HOME_ASSISTANT}
remote_password {PASSWORD}
try_private false
notifications false
topic homeassistant/device/+/+ in
topic stock/v1/shop/coordinator in
""")
            theirs.start()

            def reads() -> bool:
                with theirs.client(HOME_ASSISTANT) as there:
                    there.subscribe(("homeassistant/#", 0), (f"{ROOT}coordinator", 0))
                    return {one.topic for one in there.until_ping()} == {CONFIG, HEALTH, f"{ROOT}coordinator"}

            wait_until(reads)


def _config_there(broker: Mosquitto) -> bool:
    with broker.client(HOME_ASSISTANT) as there:
        there.subscribe((CONFIG, 0))
        return bool(there.until_ping())


def test_at_the_shops_mosquitto_it_is_retained_and_taken_back(tmp_path: Path, free_port: int) -> None:
    with closing(Mosquitto(tmp_path, free_port)) as broker:
        box = Box(tmp_path / "data", STOCK_HOME_ASSISTANT="true", **broker.box_settings)
        with box:
            wait_until(lambda: _config_there(broker))
            broker.kill()
            broker.start()  # It has lost everything.
            wait_until(lambda: _config_there(broker))
            box.stop()
            box.environment["STOCK_HOME_ASSISTANT"] = "false"
            box.start()
            wait_until(lambda: not _config_there(broker))
            wait_until(lambda: not (tmp_path / "data" / home_assistant.FILE_NAME).exists())


def test_an_acl_without_home_assistant_stops_no_sale(tmp_path: Path, free_port: int) -> None:
    """mosquitto closes the connection of whoever publishes what it must not: it must not be the shop's."""
    acl = "".join(line for line in acl_file(Topics(SHOP), COORDINATOR).splitlines(True) if "homeassistant" not in line)
    with (
        closing(Mosquitto(tmp_path, free_port, acl=acl)) as broker,
        Box(tmp_path / "data", STOCK_HOME_ASSISTANT="true", **broker.box_settings) as box,
    ):
        wait_until(lambda: "not retained topics=homeassistant" in box.log.read_text())
        operation = b'{"epoch":"epoch-of-the-test-0001","seq":1,"type":"move","sku":"A","qty":"-1","reason":"sale"}'
        broker.publish("A1", "device/A1/op", operation)
        wait_until(lambda: "balance/A" in broker.retained())
        assert "disconnected" not in box.log.read_text()
