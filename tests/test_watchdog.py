"""What systemd hears of a box: that it serves, that its writer answers, and nothing more when it does not."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from appliance.app import turns as turns_module
from appliance.app.turns import Turns
from appliance.app.watchdog import Watchdog
from appliance.ledger.database import DiskFault
from appliance.settings import ServiceManager, service_manager
from tests.box import Box
from tests.shop import Shop, message, operation
from tests.waiting import DEADLINE_S, wait_until


class Systemd:
    """The socket on which systemd listens, and what it has heard there."""

    def __init__(self, directory: Path) -> None:
        self._ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.address = str(directory / "notify")
        self._ear.bind(self.address)
        self._ear.settimeout(DEADLINE_S)
        self.close = self._ear.close

    def hear(self) -> str:
        return self._ear.recv(4096).decode()

    def waiting(self) -> list[str]:
        """Return what was told and not heard yet, without waiting for more."""
        heard = []
        self._ear.setblocking(False)
        try:
            while True:
                heard.append(self._ear.recv(4096).decode())
        except BlockingIOError:
            return heard
        finally:
            self._ear.settimeout(DEADLINE_S)


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    with closing(Systemd(tmp_path)) as listening:
        yield listening


def test_a_box_in_which_nothing_is_sold_says_that_it_is_ready_goes_on_and_stops(
    tmp_path: Path, systemd: Systemd
) -> None:
    with Box(tmp_path / "data", NOTIFY_SOCKET=systemd.address, WATCHDOG_USEC="300000") as box:
        assert systemd.hear() == "READY=1"
        assert [systemd.hear() for _ in range(3)] == ["WATCHDOG=1"] * 3
        assert box.stop() == 0
        assert systemd.waiting()[-1] == "STOPPING=1"


@pytest.mark.parametrize(("is_ours", "watchdog_s"), [(True, 2.5), (False, 0.0)])
def test_a_watchdog_is_fed_only_by_the_process_that_it_is_for(
    monkeypatch: pytest.MonkeyPatch, is_ours: bool, watchdog_s: float
) -> None:
    pid = str(os.getpid()) if is_ours else "1"
    for name, value in {"NOTIFY_SOCKET": "@abstract", "WATCHDOG_USEC": "2500000", "WATCHDOG_PID": pid}.items():
        monkeypatch.setenv(name, value)
    assert service_manager() == ServiceManager("\0abstract", watchdog_s)
    assert service_manager() == ServiceManager()  # What this process starts is not the service.


def test_a_writer_that_is_stuck_feeds_nothing_until_it_goes_on(
    shop: Shop, systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_stuck, goes_on = threading.Event(), threading.Event()
    real = shop.coordinator.turn

    def turn() -> int:
        is_stuck.set()
        assert goes_on.wait(DEADLINE_S)
        return real()

    turns = Turns(shop.coordinator, shop.writer, shop.clock)  # type: ignore[arg-type]
    watchdog = Watchdog(ServiceManager(systemd.address, 1.0), turns)
    monkeypatch.setattr(shop.coordinator, "turn", turn)
    thread = threading.Thread(target=turns.run, daemon=True)
    thread.start()
    turns.wake()
    assert is_stuck.wait(DEADLINE_S)
    watchdog.look()
    assert systemd.waiting() == []
    goes_on.set()
    wait_until(lambda: turns.rounds)
    watchdog.look()
    assert systemd.hear() == "WATCHDOG=1"
    turns.stop()
    thread.join(DEADLINE_S)


def test_a_disk_that_fails_is_no_reason_to_start_anew(
    shop: Shop, systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    def turn() -> int:
        raise DiskFault("full")

    monkeypatch.setattr(turns_module, "_DISK_RETRY_S", (0.001,))
    monkeypatch.setattr(shop.coordinator, "turn", turn)
    turns = Turns(shop.coordinator, shop.writer, shop.clock)  # type: ignore[arg-type]
    watchdog = Watchdog(ServiceManager(systemd.address, 1.0), turns)
    shop.hand("A1", orjson.dumps(message(operation(1))))
    thread = threading.Thread(target=turns.run, daemon=True)
    thread.start()
    for _ in range(3):
        before = turns.rounds
        wait_until(lambda before=before: turns.rounds > before)  # type: ignore[misc]
        watchdog.look()
        assert systemd.hear() == "WATCHDOG=1"
    turns.stop()
    thread.join(DEADLINE_S)
