"""A box that is stopped while tills sell, and a broker that ends beneath it: nothing is lost, and all sell on."""

from contextlib import closing
from pathlib import Path

import pytest

from tests.box import PASSWORD, Box
from tests.broker import mosquitto
from tests.broker.mosquitto import Mosquitto
from tests.crash.kill import DEVICES, Device, Watcher, working
from tests.crash.shift import Shift
from tests.shop import rows
from tests.waiting import wait_until

ROUNDS = 5
SALES = 40
"""That must be acknowledged between two blows."""


def test_sigterm_under_load_acks_all_that_it_took_and_says_offline(tmp_path: Path) -> None:
    box = Box(tmp_path / "data")
    acked = dict.fromkeys(DEVICES, 0)
    for _ in range(ROUNDS):
        box.start()
        watcher = Watcher(box.address)
        devices = [Device(name, box.address, acked[name]) for name in DEVICES]
        with working(watcher, *devices):
            wait_until(lambda: all(device.acked >= acked[device.device] + SALES for device in devices))  # noqa: B023
            assert box.stop() == 0
        committed = dict(rows(box.directory, "SELECT name, seq FROM epoch JOIN device ON device.id = device"))
        assert committed == {device.device: device.acked for device in devices}
        assert [device.foreign for device in devices] == [[]] * len(devices)
        assert watcher.state == "offline"
        assert rows(box.directory, "SELECT max(revision) FROM txn") == [(watcher.through,)]
        acked = committed


def test_box_that_is_stopped_and_started_again_and_again_loses_nothing_that_tills_sell(tmp_path: Path) -> None:
    with Box(tmp_path / "data") as box, Shift(tmp_path, "127.0.0.1", box.port, PASSWORD) as shift:
        for _ in range(3):
            shift.wait_for_acks(SALES)
            assert box.stop() == 0
            box.start()
        assert shift.over(box) == []


@pytest.mark.parametrize("keeps", [True, False], ids=["that keeps what it knows", "that forgets all"])
def test_broker_that_is_restarted_under_load_loses_nothing_that_tills_sell(
    tmp_path: Path, free_port: int, keeps: bool
) -> None:
    folder = tmp_path / "mosquitto"
    folder.mkdir()
    with (
        closing(Mosquitto(folder, free_port, keeps=keeps)) as broker,
        Box(tmp_path / "data", **broker.box_settings) as box,
        Shift(tmp_path, "127.0.0.1", free_port, mosquitto.PASSWORD) as shift,
    ):
        for blow in (broker.stop, broker.kill, broker.stop):
            shift.wait_for_acks(SALES)
            blow()
            broker.start()
        shift.wait_for_acks(SALES)
        assert box.stop() == 0
        box.start()
        assert shift.over(box) == []
