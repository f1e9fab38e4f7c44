"""kill -9 of the running box while four tills sell: what was acknowledged is in the ledger, exactly once.

A kill does not test fsync (the page cache survives it); it tests that nothing is told before its commit, and that what
was committed and not yet told is healed by the resend. The test counts the kills that landed between the two.
"""

import random
import subprocess
import threading
from pathlib import Path

import orjson
import pytest

from tests.box import PASSWORD, Box
from tests.broker import wire
from tests.shop import rows, tag

KILLS = 100
DEVICES = ("A1", "A2", "A3", "A4")
WINDOW = 16
"""Messages that a device has on their way; enough to keep the disk busy, few enough to be resent quickly."""

ROOT = "stock/v1/shop/"
SEED = 20261124


class Device(threading.Thread):
    """One till that sends operation after operation and writes down what it was told.

    acked: through which seq the ack topic said so. pubacked: every seq whose PUBACK came, in order of sending.
    """

    def __init__(self, name: str, address: tuple[str, int], acked: int) -> None:
        super().__init__(name=name)
        self.device = name
        self.address = address
        self.epoch = f"epoch-of-device-{name}"
        self.acked = acked
        self.pubacked = acked
        self.foreign: list[dict[str, object]] = []

    def run(self) -> None:
        try:
            with wire.Client(self.address) as client:
                self._sell(client)
        except ConnectionError:
            pass  # The box was killed: that is what the test is about.

    def _sell(self, client: wire.Client) -> None:
        client.log_in(user=self.device, password=PASSWORD, client_id=self.device)
        client.subscribe((f"{ROOT}device/{self.device}/ack", 0))
        state = orjson.dumps({"state": "online", "epoch": self.epoch, "seq": self.acked, "pending": 1})
        client.send(wire.publish(f"{ROOT}device/{self.device}/state", state, qos=0, retain=True))
        sent = None
        while (packet := client.read()) is not None:
            if packet.kind == wire.PUBACK:
                self.pubacked = max(self.pubacked, self._seq(packet.packet_id, self.pubacked))
            elif packet.kind == wire.PUBLISH:
                ack = orjson.loads(packet.payload)
                if ack["seq"] and (ack["epoch"] != self.epoch or ack["tag"] != tag(ack["seq"]) or ack["rejected"]):
                    self.foreign.append(ack)
                self.acked = max(self.acked, ack["seq"])
                sent = self.acked if sent is None else sent
            if sent is not None:
                while sent < self.acked + WINDOW:
                    sent += 1
                    client.send(self._operation(sent))

    def _operation(self, seq: int) -> bytes:
        said: dict[str, object] = {"seq": seq, "tag": tag(seq), "type": "move", "sku": f"S{seq % 7}", "qty": "-1"}
        said["reason"] = "sale"
        message: dict[str, object] = {"epoch": self.epoch, "ops": [said]}
        if seq > 1:
            message["after"] = tag(seq - 1)
        payload = orjson.dumps(message)
        return wire.publish(f"{ROOT}device/{self.device}/op", payload, qos=1, packet_id=seq % 60_000 + 1)

    @staticmethod
    def _seq(packet_id: int, near: int) -> int:
        """The seq behind a packet id, which is the seq but for its multiples of 60,000."""
        return near + (packet_id - 1 - near) % 60_000


class Watcher(threading.Thread):
    """A screen that follows `changes` until the box is gone; `through` is the last revision that it was shown."""

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(name="watcher")
        self.through = 0
        self._client = wire.Client(address).log_in(user="screen", password=PASSWORD, client_id="screen")
        self._client.subscribe((f"{ROOT}changes", 0))

    def run(self) -> None:
        with self._client as client:
            while (packet := client.read()) is not None:
                if packet.kind == wire.PUBLISH:
                    self.through = orjson.loads(packet.payload)["to"]


@pytest.mark.timeout(900)
def test_hundred_kills_lose_and_double_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(SEED)
    box = Box(tmp_path / "data")
    acked = dict.fromkeys(DEVICES, 0)
    untold = 0
    for _ in range(KILLS):
        box.start()
        watcher = Watcher(box.address)
        devices = [Device(name, box.address, acked[name]) for name in DEVICES]
        for thread in (watcher, *devices):
            thread.start()
        assert box.process is not None
        with pytest.raises(subprocess.TimeoutExpired):
            box.process.wait(timeout=chance.uniform(0.02, 0.4))
        box.kill()
        for thread in (watcher, *devices):
            thread.join()
        committed = dict(rows(box.directory, "SELECT name, seq FROM epoch JOIN device ON device.id = device"))
        untold += rows(box.directory, "SELECT max(revision) FROM txn") != [(watcher.through,)]
        for device in devices:
            assert device.foreign == []
            assert committed.get(device.device, 0) >= max(device.acked, device.pubacked), "acknowledged and lost"
            acked[device.device] = device.acked
    operations = rows(
        box.directory,
        "SELECT name, count(*), min(txn.seq), max(txn.seq), count(DISTINCT txn.seq) FROM txn "
        "JOIN epoch ON epoch.id = txn.epoch JOIN device ON device.id = device GROUP BY name",
    )
    [(sold_milli, total)] = rows(box.directory, "SELECT -sum(on_hand_milli), (SELECT count(*) FROM txn) FROM sku")
    for _, count, first, last, distinct in operations:
        assert (first, last, distinct) == (1, count, count), "exactly once, in order, without a gap"
    assert sold_milli == 1000 * total, "every sale took one piece off"
    assert untold > 0, "no kill landed between a commit and its announcement: the test has shown too little"
    with capsys.disabled():
        print(f"\n{KILLS} kills, {total} operations, {untold} kills between a commit and its announcement")
