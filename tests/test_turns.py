"""The thread that takes the coordinator's turns: it stops at once, and outlives a disk that is full."""

import threading
from pathlib import Path

import apsw
import orjson
import pytest

from appliance.app import turns as turns_module
from appliance.app.turns import Turns
from appliance.clock import ShopClock, boottime_ms
from appliance.contract.delivery import Channel
from appliance.ledger.database import DiskFault, open_database
from appliance.ledger.pruning import MONTH_MS
from appliance.ledger.writer import ANNOUNCED_AHEAD_MS, KEEP_TIME_MS
from tests.shop import Shop, message, operation, rows
from tests.waiting import wait_until


def _turns(shop: Shop) -> Turns:
    return Turns(shop.coordinator, shop.writer, shop.clock)  # type: ignore[arg-type]


def test_stop_that_comes_while_a_turn_begins_is_not_missed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was: the turn cleared the event that `stop` had set, and the thread slept for a minute."""
    turns = _turns(shop)
    real = shop.coordinator.turn
    is_first = True

    def turn() -> int:
        nonlocal is_first
        if is_first:
            is_first = False
            turns.stop()
        return real()

    monkeypatch.setattr(shop.coordinator, "turn", turn)
    shop.hand("A1", orjson.dumps(message(operation(1))))
    thread = threading.Thread(target=turns.run, daemon=True)
    thread.start()
    thread.join(timeout=20)
    assert not thread.is_alive()
    assert shop.on_hand() == "-1"


def test_stop_that_comes_while_messages_wait_is_not_missed(shop: Shop) -> None:
    """It was: the turn that dealt with them was not the last, and nobody woke the thread for another one."""
    turns = _turns(shop)
    shop.hand("A1", orjson.dumps(message(operation(1))))
    turns.stop()
    thread = threading.Thread(target=turns.run, daemon=True)
    thread.start()
    thread.join(timeout=20)
    assert not thread.is_alive()
    assert shop.on_hand() == "-1"


def test_time_is_kept_although_messages_never_stop(shop: Shop) -> None:
    """A message a minute without a revision once kept shop time from ever becoming durable."""
    turns = _turns(shop)
    for _ in range(10):
        shop.clock.now_ms += KEEP_TIME_MS // 3
        shop.hand("A1", b'{"state":"offline"}', Channel.STATE)
        turns._turn()
        assert rows(shop.directory, "SELECT kept_ms FROM run")[0][0] > shop.clock.now_ms - KEEP_TIME_MS


def test_nothing_is_told_of_a_time_that_a_power_cut_could_take_back(shop: Shop) -> None:
    shop.clock.now_ms = ANNOUNCED_AHEAD_MS
    shop.coordinator.tick()
    told = len(shop.link.log)
    shop.clock.now_ms += 1
    shop.coordinator.tick()
    assert len(shop.link.log) == told
    shop.say("A1", message(operation(1)))
    shop.coordinator.tick()
    assert orjson.loads(shop.link.log[-1][1])["shop_ms"] == shop.clock.now_ms


def test_turn_is_taken_again_when_the_disk_has_recovered(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns_module, "_DISK_RETRY_S", (0.001,))
    faults = 3
    real = type(shop.writer).turn

    def turn(self: object, now_ms: int, wall_ms: int) -> object:
        nonlocal faults
        if faults:
            faults -= 1
            raise DiskFault("full")
        return real(shop.writer, now_ms, wall_ms)

    monkeypatch.setattr(type(shop.writer), "turn", turn)
    turns = _turns(shop)
    thread = threading.Thread(target=turns.run, daemon=True)
    shop.hand("A1", orjson.dumps(message(operation(1), operation(2))))
    thread.start()
    wait_until(lambda: shop.settled == 1)
    turns.stop()
    thread.join(timeout=20)
    assert (faults, shop.on_hand()) == (0, "-2")


def test_disk_that_is_full_at_the_start_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(apsw.Connection):
        def execute(self, *_: object, **__: object) -> apsw.Cursor:
            raise apsw.FullError("database or disk is full")

    monkeypatch.setattr(apsw, "Connection", Full)
    with pytest.raises(DiskFault, match="make room"):
        open_database(tmp_path / "ledger.db", writable=True)


def test_shop_clock_goes_on_from_where_the_ledger_says() -> None:
    clock = ShopClock(5_000, boottime_ms())
    assert 5_000 <= clock.shop_ms() < 65_000


def test_what_is_old_is_forgotten_between_turns_and_sales_go_on(shop: Shop) -> None:
    for seq in range(1, 501):
        shop.say("A1", message(operation(seq)))
    shop.clock.now_ms = 2 * MONTH_MS
    turns = Turns(shop.coordinator, shop.writer, shop.clock, keep_months=1)  # type: ignore[arg-type]
    shop.clock.now_ms += KEEP_TIME_MS
    for seq in range(501, 510):
        shop.hand("A1", orjson.dumps(message(operation(seq))))
        turns._turn()
    assert shop.on_hand() == "-509"
    assert rows(shop.directory, "SELECT pruned_rev FROM ledger") == [(500,)]
