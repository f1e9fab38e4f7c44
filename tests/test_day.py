"""The day in the shop with real parts: a box as a process, real tills and their cables, on both brokers."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import paho.mqtt.client as mqtt
import pytest

from appliance.control import ask
from appliance.stock.alerts import name
from appliance.till import Till
from appliance.till.outbox import Kept
from scripts.cable import Cable
from tests import box, day
from tests.box import Box
from tests.broker import mosquitto
from tests.broker.mosquitto import Mosquitto
from tests.broker.wire import Client, publish
from tests.till.desk import copy_outbox
from tests.waiting import wait_until

ROOT = "stock/v1/shop/"
ENDS = {sku: f"{sku}: {on_hand} on hand" for sku, on_hand in day.FINAL.items()}

AHEAD = {"A2": timedelta(minutes=7)}
"""Whose wall clock is how fast."""

HANDSHAKES_S = 90.0
"""A till that misses an ack shakes hands again after 30 s (wire contract), and its clone may have to do so after it."""


class Device(Till):
    """A till whose wall clock may be wrong. client_id: two devices that share one throw each other out all day."""

    def __init__(self, *, port: int, device: str, password: str, path: Path, client_id: str) -> None:
        super().__init__(host="127.0.0.1", port=port, shop="shop", device=device, password=password, path=path)
        self.path = path
        self._client_id = client_id
        self._ahead = AHEAD.get(device, timedelta())

    def _new_client(self) -> mqtt.Client:
        client = super()._new_client()
        client._client_id = self._client_id.encode()
        return client

    def _make(self, make: Callable[[int, str], Kept]) -> str:
        return super()._make(lambda now_ms, at: make(now_ms, (datetime.fromisoformat(at) + self._ahead).isoformat()))

    def shown(self) -> dict[str, tuple[str, str]]:
        """What is on the screen: on hand and reserved, by SKU."""
        balances = [self.balance(sku) for sku in self.skus()]
        return {balance.sku: (balance.on_hand, balance.reserved) for balance in balances if balance is not None}


class Live:
    """Plays the day in the time that it takes.

    port, password: of the broker that the devices log in to. up: closes what is put up here.
    """

    def __init__(self, box: Box, port: int, password: str, directory: Path, up: ExitStack) -> None:
        self.box = box
        self.tills: dict[str, Device] = {}
        self._port = port
        self._password = password
        self._directory = directory
        self._cables: dict[str, Cable] = {}
        self._up = up
        self._files = 0
        for device in ("D", "A1", "A2", "H"):
            self._put_up(device, device, self._new_path())
        self.together()

    def do(self, device: str, fields: dict[str, object]) -> None:
        till = self.tills[device]
        pressed: dict[object, Callable[..., str]] = {
            "item": till.item,
            "move": till.move,
            "count": till.count,
            "receipt": till.receipt,
        }
        pressed[fields["type"]](**{key: value for key, value in fields.items() if key != "type"})

    def together(self) -> None:
        wait_until(self._is_together, HANDSHAKES_S)

    def apart(self) -> None:
        with Client(("127.0.0.1", self._port)) as screen:
            screen.log_in(user="screen", password=self._password, client_id="screen")
            screen.subscribe((f"{ROOT}tick", 0))
            began_ms = _shop_ms(screen)
            wait_until(lambda: _shop_ms(screen) >= began_ms + day.APART_MS)

    def go_offline(self, *devices: str) -> None:
        for device in devices:
            self._cables[device].pull()
        wait_until(lambda: not any(self.tills[device].is_connected for device in devices))

    def come_back(self, *devices: str) -> None:
        for device in devices:
            self._cables[device].plug()

    def expect(self, balances: Mapping[str, str]) -> None:
        wanted = balances.items()
        assert wanted <= {sku: on_hand for sku, (on_hand, _) in self._ledger().items()}.items()
        for till in self._online():
            assert wanted <= {sku: on_hand for sku, (on_hand, _) in till.shown().items()}.items()

    def expect_alert(self, kind: str, subject: str, *receipts: str) -> None:
        said = self.alerts()[name(kind, subject)]
        assert all(receipt in orjson.dumps(said["facts"]).decode() for receipt in receipts), said

    def wipe(self, device: str) -> None:
        self.tills[device].close()
        self._switch_on(device, device, self._new_path())

    def clone(self, device: str, clone: str) -> None:
        self._put_up(clone, device, copy_outbox(self.tills[device].path, self._new_path()))

    def back_up(self) -> None:
        self.told("backup", "make", str(self._backup))

    def restore(self) -> None:
        assert self.box.stop() == 0
        wait_until(lambda: not any(till.is_connected for till in self.tills.values()))
        self.told("backup", "restore", str(self._backup))
        self.box.start()

    def alerts(self) -> dict[str, dict[str, Any]]:
        """The active alerts by name, as the box's owner lists them."""
        rows = map(orjson.loads, self.told("alert", "list", "--json").splitlines())
        return {row["alert"]: row for row in rows}

    def told(self, *words: str) -> str:
        """What a command of the box's owner prints; it must succeed."""
        done = self.box.command(*words)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    @property
    def _backup(self) -> Path:
        return self._directory / "an hour ago.backup"

    def _ledger(self) -> dict[str, tuple[str, str]]:
        return {row["sku"]: (row["on_hand"], row["reserved"]) for row in ask(self.box.directory, "balance")}

    def _online(self) -> list[Device]:
        return [self.tills[place] for place, cable in self._cables.items() if cable.is_plugged]

    def _is_together(self) -> bool:
        online = self._online()
        if any(till.pending or not till.is_connected for till in online):
            return False
        ledger = self._ledger()
        return all(till.shown() == ledger for till in online)

    def _put_up(self, place: str, device: str, path: Path) -> None:
        self._cables[place] = self._up.enter_context(closing(Cable(self._port)))
        self._switch_on(place, device, path)

    def _switch_on(self, place: str, device: str, path: Path) -> None:
        port = self._cables[place].port
        till = Device(port=port, device=device, password=self._password, path=path, client_id=path.stem)
        self.tills[place] = self._up.enter_context(till)

    def _new_path(self) -> Path:
        self._files += 1
        return self._directory / f"outbox-{self._files}.db"


@pytest.fixture(params=["embedded", "external"])
def live(request: pytest.FixtureRequest, tmp_path: Path, free_port: int) -> Iterator[Live]:
    data = tmp_path / "data"
    with ExitStack() as up:
        if request.param == "embedded":
            running = up.enter_context(Box(data))
            yield Live(running, running.port, box.PASSWORD, tmp_path, up)
            return
        folder = tmp_path / "mosquitto"
        folder.mkdir()
        broker = up.enter_context(closing(Mosquitto(folder, free_port)))
        running = up.enter_context(Box(data, **broker.box_settings))
        yield Live(running, free_port, mosquitto.PASSWORD, tmp_path, up)


@pytest.mark.timeout(400)
def test_day_in_the_shop(live: Live) -> None:
    day.play(live)

    alerts = {name(kind, subject) for kind, subject in day.ALERTS}
    assert live.alerts().keys() == alerts
    wait_until(lambda: {alert.alert for alert in live.tills["D"].alerts} == alerts)
    assert "no rule is broken" in live.told("verify")
    for sku, end in ENDS.items():
        assert live.told("explain", sku).splitlines()[-1] == end
    _it_was_1_and_not_minus_3(live)


def _it_was_1_and_not_minus_3(live: Live) -> None:
    """The story of the milk says what a person needs to believe it."""
    story = live.told("explain", day.MILK).splitlines()
    _in_order(
        story,
        ("H", "counted 2 where 6 were expected: corrected by -4"),
        ("A1", "a1-3", "sold", "-1"),
        ("A2", "a2-1", "sold", "-4", "reached the box after a count that had seen it"),
        ("A2", "a2-1", "counted already", "+4", "left before H counted 2", "not taken off twice"),
        ("D", "d-2", "came back", "+1"),
        ("A1", "table-7", "reserved", "an open receipt holds 2 more"),
        ("A1", "table-7", "reserved", "an open receipt holds 1 more"),
        ("D", "table-7", "released", "paid: the 3 that it held are sold"),
    )
    rows = [orjson.loads(row) for row in live.told("explain", day.MILK, "--json").splitlines()]
    [counted] = [row for row in rows if row["cause"] == "count"]
    [late, _] = [row for row in rows if row["receipt"] == "a2-1"]
    assert (late["at"] < counted["at"], late["rev"] > counted["rev"]) == (True, True), "A2's clock is 7 minutes fast"


def _in_order(story: list[str], *told: tuple[str, ...]) -> None:
    """Each of these lines is told, after the one before it."""
    lines = iter(story)
    for words in told:
        assert any(all(word in line for word in words) for line in lines), (words, story)


def _shop_ms(screen: Client) -> int:
    """Shop time now: whoever says how it is hears a tick."""
    screen.send(publish(f"{ROOT}device/screen/state", b'{"state":"online","epoch":"epoch-of-a-screen"}'))
    tick = screen.read()
    assert tick is not None, "the broker closed"
    shop_ms: int = orjson.loads(tick.payload)["shop_ms"]
    return shop_ms
