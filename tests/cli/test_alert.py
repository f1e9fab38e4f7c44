"""`alert` lists what a person must know, and takes it off every screen once it is known."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from appliance.app import commands
from appliance.control import ControlError
from tests.box import PASSWORD, Box
from tests.shop import Shop, message, operation
from tests.test_path import Shop as Screen
from tests.waiting import wait_until

OVERSOLD = message(operation(1, qty="1", reason="receive"), operation(2, qty="-3"))


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    """A running box that has sold 2 more of A than there were."""
    directory = tmp_path / "data"
    directory.mkdir()
    shop = Shop(directory)
    shop.say("A1", OVERSOLD)
    shop.stop()
    with Box(directory) as box:
        yield box


def oversold(box: Box) -> Any:
    """The alert as `alert list` gives it to a script."""
    listed = map(orjson.loads, box.command("alert", "list", "--json").stdout.splitlines())
    return next(alert for alert in listed if alert["kind"] == "oversell")


def test_acknowledged_alert_goes_from_every_screen(box: Box) -> None:
    screen = Screen(box, box.port, PASSWORD)
    alert = oversold(box)
    assert alert["status"] == "active"
    assert screen.retained("screen", f"alert/{alert['alert']}") == alert
    listed = box.command("alert", "list").stdout
    assert alert["alert"] in listed
    assert alert["summary"] in listed

    done = box.command("alert", "acknowledge", alert["alert"])
    assert (done.returncode, done.stdout) == (0, f"acknowledged: {alert['summary']}\n"), done.stderr
    assert screen.retained("screen", f"alert/{alert['alert']}") is None
    assert alert["alert"] not in box.command("alert", "list").stdout
    assert box.command("alert", "acknowledge", alert["alert"]).returncode == 3, "it is known already"
    verified = orjson.loads(box.command("verify", "--json").stdout)
    assert (verified["verified"], verified["operations"]) == (True, 3), "it is an operation of the box's own"


def test_alert_that_is_not_there_is_not_found(box: Box) -> None:
    for name in ("oversell-0", "", "no alert"):
        done = box.command("alert", "acknowledge", name)
        assert done.returncode == 3, done.stderr
        assert f"{name!r}" in done.stderr


def test_acknowledging_refuses_without_the_coordinator(box: Box) -> None:
    alert = oversold(box)
    assert box.stop() == 0
    done = box.command("alert", "acknowledge", alert["alert"])
    assert (done.returncode, done.stdout) == (1, "")
    assert "the coordinator does not run" in done.stderr
    assert alert["alert"] in box.command("alert", "list").stdout
    box.start()


def test_command_waits_for_its_commit_and_no_longer_than_a_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(tmp_path)
    shop.say("A1", OVERSOLD)
    [alert] = shop.reader.alerts()
    waiting = threading.Thread(target=commands.acknowledge_alert, args=(shop.coordinator, alert.alert))
    waiting.start()
    wait_until(shop.coordinator.has_inbox.is_set)
    assert waiting.is_alive()
    shop.coordinator.turn()
    waiting.join()
    assert shop.alerts() == set()

    monkeypatch.setattr(commands, "ORDER_S", 0.01)
    with pytest.raises(ControlError, match="not committed"):
        commands.acknowledge_alert(shop.coordinator, alert.alert)
    shop.coordinator.turn()
    shop.stop()


def test_command_hears_why_its_operation_was_rejected(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    said: list[str] = []

    def order() -> None:
        try:
            commands.acknowledge_alert(shop.coordinator, "THAT")
        except ControlError as error:
            said.append(str(error))

    waiting = threading.Thread(target=order)
    waiting.start()
    wait_until(shop.coordinator.has_inbox.is_set)
    shop.coordinator.turn()
    waiting.join()
    shop.stop()
    assert said == ["alert is 'THAT': write the name of an alert"]
