"""The day in the shop, in one thread: as it should be, and with every message doubled, shuffled or dropped."""

import random
from collections.abc import Iterator, Mapping
from pathlib import Path

import orjson
import pytest

from appliance.stock.alerts import name
from tests import day
from tests.simulation.network import Network, Till

SEEDS = 200


class Quiet:
    """Plays the day with a network that delivers everything in order."""

    def __init__(self, directory: Path, seed: int = 0) -> None:
        self.network = Network(directory, seed)
        self.tills: dict[str, Till] = {}
        self._backup: Path | None = None
        for device in ("D", "A1", "A2", "H"):
            self.tills[device] = self.network.add_till(device)
            self.network.connect(self.tills[device])
        self.network.settle()

    def do(self, device: str, fields: dict[str, object]) -> None:
        self.network.do(self.tills[device], fields)

    def together(self) -> None:
        self.network.settle()

    def apart(self) -> None:
        self.network.pass_time(day.APART_MS)

    def go_offline(self, *devices: str) -> None:
        for device in devices:
            self.network.disconnect(self.tills[device])

    def come_back(self, *devices: str) -> None:
        for device in devices:
            self.network.connect(self.tills[device])

    def expect(self, balances: Mapping[str, str]) -> None:
        assert {sku: self.network.shop.on_hand(sku) for sku in balances} == balances
        for till in self.network.tills:
            if till.is_connected:
                seen = {sku: balance for sku in balances if (balance := till.session.view.balance(sku)) is not None}
                assert {sku: balance.on_hand for sku, balance in seen.items()} == balances, till.device

    def expect_alert(self, kind: str, subject: str, *receipts: str) -> None:
        said = self.network.shop.retained(f"alert/{name(kind, subject)}")
        assert said is not None, (kind, subject)
        for receipt in receipts:
            assert receipt in orjson.dumps(said["facts"]).decode()

    def wipe(self, device: str) -> None:
        self.network.settle()
        old = self.tills[device]
        self.network.disconnect(old)
        old.outbox.close()
        self.network.tills.remove(old)
        self.tills[device] = self.network.add_till(device)
        self.come_back(device)

    def clone(self, device: str, clone: str) -> None:
        self.tills[clone] = self.network.add_till(device, storage_of=self.tills[device])
        self.come_back(clone)

    def back_up(self) -> None:
        self._backup = self.network.back_up()

    def restore(self) -> None:
        assert self._backup is not None
        self.network.restart_box(backup=self._backup)
        self.come_back(*self.tills)


class Wild(Quiet):
    """Every message arrives twice, acks are dropped, and what is under way arrives in any order of the devices."""

    def __init__(self, directory: Path, seed: int) -> None:
        self._chance = random.Random(seed)
        super().__init__(directory, seed)

    def together(self) -> None:
        for _ in range(self._chance.randrange(0, 12)):
            self._shuffle()
        self.network.pass_time(self._chance.randrange(0, 12_000))

    def expect(self, balances: Mapping[str, str]) -> None:
        """What the shelf shows in between depends on what has arrived."""

    def expect_alert(self, kind: str, subject: str, *receipts: str) -> None: ...

    def evening(self) -> None:
        """Everything arrives at last."""
        for _ in range(200):
            self._shuffle()
        self.network.settle()

    def _shuffle(self) -> None:
        till = self._chance.choice(self.network.tills)
        self.network.carry_in(till, times=2)
        if self._chance.random() < 0.7:
            self.network.turn()
        other = self._chance.choice(self.network.tills)
        for _ in range(self._chance.randrange(0, 6)):
            self.network.carry_out(other, is_lost=self._is_lost(other))

    def _is_lost(self, till: Till) -> bool:
        return bool(till.to_till) and till.to_till[0][0].endswith("/ack") and self._chance.random() < 0.3


@pytest.fixture
def quiet(tmp_path: Path) -> Iterator[Quiet]:
    stage = Quiet(tmp_path)
    yield stage
    stage.network.close()


def _alerts(network: Network) -> set[str]:
    return {alert.alert for alert in network.shop.reader.alerts()}


def test_day_in_the_shop(quiet: Quiet) -> None:
    day.play(quiet)
    assert _alerts(quiet.network) == {name(kind, subject) for kind, subject in day.ALERTS}


@pytest.mark.parametrize("seed", range(SEEDS))
def test_day_ends_the_same_however_its_messages_arrive(tmp_path: Path, seed: int) -> None:
    stage = Wild(tmp_path, seed)
    try:
        day.play(stage)
        stage.evening()
        assert {sku: stage.network.shop.on_hand(sku) for sku in day.FINAL} == day.FINAL
        assert _alerts(stage.network) == {name(kind, subject) for kind, subject in day.ALERTS}
    finally:
        stage.network.close()
