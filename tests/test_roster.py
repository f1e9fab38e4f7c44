"""The roster shows the tills that a shop has, and not those that it had."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from appliance.app import roster as rosters
from appliance.app.roster import SHOWN_DAYS, Roster, tills
from appliance.clock import boottime_ms, wall_ms
from appliance.contract.delivery import Channel, Delivery
from appliance.contract.limits import PAYLOAD_MAX
from appliance.ledger.devices import LastCommit
from tests.shop import WALL_MS, Shop, message, operation

ONLINE = {"state": "online", "pending": 3, "app": "shelf", "version": "2.4"}
OFFLINE = {"state": "offline"}
DAY_MS = 24 * 3_600_000


def hear(roster: Roster, device: str, said: dict[str, Any], channel: Channel = Channel.STATE, size: int = 0) -> None:
    payload = orjson.dumps(said)
    roster.hear(Delivery(device, channel, payload, size or len(payload), lambda: None))


def shown(roster: Roster, *committed: LastCommit) -> dict[str, tuple[str, int | None]]:
    return {row["device"]: (row["state"], row["pending"]) for row in tills(roster.heard(), committed)}


def test_till_is_shown_with_what_it_says_and_keeps_what_it_had_to_send_when_it_goes() -> None:
    roster = Roster()
    hear(roster, "A1", ONLINE)
    [row] = tills(roster.heard(), ())
    assert (row["state"], row["pending"], row["program"], row["seen_s"]) == ("online", 3, "shelf 2.4", 0)
    hear(roster, "A1", {}, Channel.OP)
    assert shown(roster) == {"A1": ("online", 3)}
    hear(roster, "A1", OFFLINE)
    assert shown(roster) == {"A1": ("offline", 3)}
    hear(roster, "A1", ONLINE | {"pending": 0})
    assert shown(roster) == {"A1": ("online", 0)}


def test_device_that_only_publishes_is_shown_as_one_that_does_not_say() -> None:
    roster = Roster()
    hear(roster, "shell", {}, Channel.OP)
    assert shown(roster) == {"shell": ("unknown", None)}


def test_will_that_a_broker_has_kept_brings_nobody_back_and_a_removed_till_stays_away() -> None:
    roster = Roster()
    hear(roster, "A1", OFFLINE)
    hear(roster, "A2", ONLINE)
    roster.remove("A2")
    hear(roster, "A2", OFFLINE)
    assert shown(roster) == {}
    hear(roster, "A2", ONLINE)
    assert shown(roster) == {"A2": ("online", 3)}


def test_of_devices_without_end_those_that_were_heard_last_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rosters, "DEVICES_MAX", 2)
    roster = Roster()
    for device in ("A1", "A2", "A1", "A3"):
        hear(roster, device, ONLINE)
    assert list(roster.heard()) == ["A1", "A3"]


def test_state_that_is_too_large_says_nothing() -> None:
    roster = Roster()
    hear(roster, "A1", ONLINE, size=PAYLOAD_MAX + 1)
    assert shown(roster) == {}


def test_till_in_the_dustbin_is_not_shown_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    roster = Roster()
    hear(roster, "A1", ONLINE)
    hear(roster, "A2", ONLINE)
    hear(roster, "A2", OFFLINE)
    committed = [LastCommit(f"B{days}", 1, wall_ms() - days * DAY_MS, None) for days in (1, SHOWN_DAYS + 1)]
    assert shown(roster, *committed) == {"A1": ("online", 3), "A2": ("offline", 3), "B1": ("offline", None)}
    later_ms = boottime_ms() + (SHOWN_DAYS + 1) * DAY_MS
    monkeypatch.setattr(rosters, "boottime_ms", lambda: later_ms)
    assert shown(roster, *committed) == {"A1": ("online", 3), "B1": ("offline", None)}, "one that is online is there"


def test_ledger_knows_when_a_device_committed_last_and_how_far_its_clock_was_off(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.clock.now_ms = 60_000
    stamp = {"run": shop.run, "shop_ms": 30_000, "seen": 0}
    shop.say("A1", message(operation(1)))
    shop.say("A1", message(operation(2, **stamp, at="2026-09-21T17:14:50+03:00")))
    shop.say("A2", message(operation(1, **stamp, at="2026-09-21T14:14:50Z", uncertain=True)))
    shop.say("A3", message(operation(1, at="2026-09-21T14:14:50Z")))
    commits = {commit.device: commit for commit in shop.reader.last_commits()}
    shop.stop()
    assert [(commit.rev, commit.wall_ms - WALL_MS) for commit in commits.values()] == [
        (2, 60_000),
        (3, 60_000),
        (4, 60_000),
    ]
    happened_ms = WALL_MS + 30_000
    assert commits["A1"].clock_off_ms == 1_790_000_090_000 - happened_ms == 60_000
    assert (commits["A2"].clock_off_ms, commits["A3"].clock_off_ms) == (None, None), "nobody can tell when it was"
