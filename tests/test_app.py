"""How the parts of a box come up together, and what of the world's faults they outlive."""

import asyncio
import os
import resource
import signal
import threading
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from appliance import app
from appliance.app.crashes import TURNS_PART
from appliance.app.supervision import Supervisor
from appliance.broker.embedded import EmbeddedBroker
from appliance.ledger.writer import Writer
from appliance.settings import ServiceManager, load_settings
from tests.box import PASSWORD, Box
from tests.broker import mosquitto
from tests.broker.mosquitto import Mosquitto
from tests.broker.wire import Client
from tests.waiting import wait_until


def test_no_turn_is_taken_before_the_broker_can_announce_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_port: int
) -> None:
    """A first turn may have an alert to announce; a broker that had not started yet ended the process."""
    threads: set[str] = set()
    start = EmbeddedBroker.start

    async def watched_start(broker: EmbeddedBroker) -> None:
        threads.update(thread.name for thread in threading.enumerate())
        await start(broker)

    monkeypatch.setattr(EmbeddedBroker, "start", watched_start)
    _serve_until_open(tmp_path, monkeypatch, free_port)
    assert threads
    assert "turns" not in threads


def test_nobody_but_the_turns_asks_the_writer_once_they_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_port: int
) -> None:
    """What was said when the shop opened asked it too: while a turn was under way, that was the end of the process."""
    asked: set[str] = set()
    last_rev = vars(Writer)["last_rev"].fget

    def watched_last_rev(writer: Writer) -> int:
        if any(thread.name == TURNS_PART for thread in threading.enumerate()):
            asked.add(threading.current_thread().name)
        found: int = last_rev(writer)
        return found

    monkeypatch.setattr(Writer, "last_rev", property(watched_last_rev))
    _serve_until_open(tmp_path, monkeypatch, free_port)
    assert asked == {TURNS_PART}


def _serve_until_open(directory: Path, monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    for name, value in {"DATA_DIR": str(directory), "PASSWORD": "sesame", "BROKER__PORT": str(port)}.items():
        monkeypatch.setenv(f"STOCK_{name}", value)
    monkeypatch.chdir(directory)
    served = app.serve(
        load_settings(),
        command=lambda *words: words,
        may_show_password=False,
        take_over=False,
        manager=ServiceManager(),
        started=lambda _: os.kill(os.getpid(), signal.SIGTERM),
    )
    asyncio.run(served)


def test_a_box_whose_broker_is_away_is_not_said_to_be_open(tmp_path: Path, free_port: int) -> None:
    external = {"MODE": "external", "PORT": str(free_port), "USER": mosquitto.COORDINATOR}
    settings = {f"STOCK_BROKER__{name}": value for name, value in external.items()}
    with closing(Mosquitto(tmp_path, free_port)) as broker:
        broker.kill()
        box = Box(tmp_path / "data", **settings, STOCK_BROKER__PASSWORD=mosquitto.PASSWORD)
        with ExitStack() as ending:
            ending.push(box.__exit__)
            start = threading.Thread(target=box.start)
            start.start()
            wait_until(lambda: box.log.exists() and "disconnected" in box.log.read_text())
            assert box.welcome == ""
            assert "online shop" not in box.log.read_text()
            broker.start()
            start.join()
            assert f"open at the broker on 127.0.0.1 port {free_port}" in box.welcome
            assert "the shop's password" not in box.welcome
            assert box.stop() == 0


def test_a_box_that_has_no_file_descriptor_left_accepts_again_when_it_has(tmp_path: Path) -> None:
    with Box(tmp_path / "data") as box:
        assert box.process is not None
        usual = resource.prlimit(box.process.pid, resource.RLIMIT_NOFILE)
        open_now = max(int(entry.name) for entry in Path(f"/proc/{box.process.pid}/fd").iterdir()) + 1
        resource.prlimit(box.process.pid, resource.RLIMIT_NOFILE, (open_now, usual[1]))
        with Client(box.address) as waiting:
            wait_until(lambda: "cannot accept a connection" in box.log.read_text())
            resource.prlimit(box.process.pid, resource.RLIMIT_NOFILE, usual)
            waiting.log_in(user="A1", password=PASSWORD)
        assert box.stop() == 0


def test_a_fault_of_ours_in_the_event_loop_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    codes: list[int] = []
    died: list[str] = []
    monkeypatch.setattr(os, "_exit", codes.append)

    async def fail() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(Supervisor(lambda part, error: died.append(part)).die_in_loop)
        loop.call_soon(lambda: 1 // 0)
        future = loop.create_future()
        future.set_exception(OSError("in a task"))
        del future
        await asyncio.sleep(0)

    asyncio.run(fail())
    assert codes == [1, 1]
    assert died == ["loop", "loop"]
