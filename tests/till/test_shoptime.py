"""Stamps: made once, never ahead of the coordinator, and honest about doubt."""

from pathlib import Path
from typing import cast

import orjson
import pytest

from appliance.contract import messages
from appliance.contract.messages import Row, read_query
from appliance.till.shoptime import FRESH_MS, NEVER, Heard, ShopTime
from tests.till.desk import LEDGER, TOPICS, Desk, held


def test_a_stamp_is_a_tick_plus_the_tills_own_elapsed_time() -> None:
    time = ShopTime(Heard(), 1000)
    time.asked(1000)
    time.tick("a1", 86_000_000, 1100)
    time.saw("a1", 9120)
    assert time.stamp(1600) == {"run": "a1", "shop_ms": 86_000_500, "seen": 9120}


def test_a_till_that_never_heard_a_tick_is_uncertain_and_names_no_run_of_any_ledger() -> None:
    assert ShopTime(Heard(), 1000).stamp(3000) == {"run": NEVER, "shop_ms": 3000, "seen": 0, "uncertain": True}


@pytest.mark.parametrize(("delay_ms", "is_certain"), [(0, True), (FRESH_MS, True), (FRESH_MS + 1, False)])
def test_a_tick_is_fresh_within_2500_ms_of_the_state_that_asked_for_it(delay_ms: int, is_certain: bool) -> None:
    time = ShopTime(Heard(), 1000)
    time.asked(1000)
    time.tick("a1", 5000, 1000 + delay_ms)
    assert ("uncertain" not in time.stamp(9000)) is is_certain


def test_a_tick_that_nobody_asked_for_leaves_the_stamp_uncertain() -> None:
    time = ShopTime(Heard(), 1000)
    time.tick("a1", 5000, 1000)
    assert time.stamp(1000)["uncertain"] is True


def test_once_fresh_a_run_stays_certain_through_later_ticks_and_silence() -> None:
    time = ShopTime(Heard(), 0)
    time.asked(0)
    time.tick("a1", 5000, 100)
    time.tick("a1", 105_000, 100_100)
    assert "uncertain" not in time.stamp(10_000_000)


def test_a_new_run_is_uncertain_until_its_own_fresh_tick() -> None:
    time = ShopTime(Heard(), 0)
    time.asked(0)
    time.tick("a1", 5000, 100)
    time.saw("a1", 77)
    time.tick("b2", 9000, 50_000)
    assert time.stamp(50_000) == {"run": "b2", "shop_ms": 9000, "seen": 0, "uncertain": True}
    time.asked(50_000)
    time.tick("b2", 9100, 50_100)
    assert "uncertain" not in time.stamp(50_100)


def test_of_several_ticks_the_one_with_the_latest_shop_time_counts() -> None:
    time = ShopTime(Heard(), 0)
    time.asked(0)
    time.tick("a1", 10_000, 2_000)  # Two seconds on its way.
    time.tick("a1", 20_000, 10_000)  # At once.
    time.tick("a1", 30_000, 23_000)  # Three seconds on its way.
    assert time.stamp(23_000)["shop_ms"] == 33_000


def test_what_another_run_has_seen_counts_for_nothing() -> None:
    time = ShopTime(Heard(), 0)
    time.tick("a1", 1, 0)
    time.saw("b2", 500)
    time.saw("a1", 7)
    time.saw("a1", 3)
    assert time.stamp(0)["seen"] == 7


def test_after_a_restart_the_time_away_is_counted_but_uncertain() -> None:
    time = ShopTime(Heard("a1", 9, 86_000_000, 50_000), 80_000)
    assert time.stamp(81_000) == {"run": "a1", "shop_ms": 86_031_000, "seen": 9, "uncertain": True}


def test_after_a_reboot_the_stamp_falls_short_and_never_runs_ahead() -> None:
    time = ShopTime(Heard("a1", 9, 86_000_000, 50_000), 20)
    assert time.stamp(1020)["shop_ms"] == 86_001_000


def test_a_stamp_is_taken_when_the_operation_is_made_and_not_when_it_is_sent(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "A1.outbox")
    desk.shake_hands(shop_ms=50_000, rev=3)
    desk.session.disconnected()
    desk.now_ms += 1000
    desk.sell()
    desk.now_ms += 100_000
    desk.shake_hands(shop_ms=151_000, rev=9)
    [operation] = cast("list[dict[str, object]]", desk.take("op")[0]["ops"])
    assert (operation["shop_ms"], operation["seen"], operation.get("uncertain")) == (51_000, 3, None)
    desk.outbox.close()


def test_a_restarted_till_goes_on_from_the_newest_stamp(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "A1.outbox")
    desk.shake_hands(shop_ms=50_000, rev=3)
    desk.sell()
    desk.outbox.close()
    again = Desk(tmp_path / "A1.outbox", now_ms=desk.now_ms + 500)
    again.sell()
    stamp = held(again.outbox)[1]
    assert (stamp["run"], stamp["shop_ms"], stamp["seen"], stamp["uncertain"]) == ("a1", 50_500, 3, True)
    again.outbox.close()


def test_a_tick_that_shows_a_new_run_is_not_taken_for_the_answer_to_the_state_it_causes(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "A1.outbox")
    desk.shake_hands()
    desk.now_ms += 60_000
    desk.speaks_as(LEDGER, "b2")
    desk.tick(1000)
    desk.sell()
    assert held(desk.outbox)[0]["uncertain"] is True
    desk.answer_state(shop_ms=1000)
    desk.sell()
    assert "uncertain" not in held(desk.outbox)[1]
    desk.outbox.close()


def test_seen_counts_what_changes_and_answers_show(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "A1.outbox")
    desk.shake_hands(rev=3)
    [query] = [read_query(orjson.dumps(said)) for said in desk.take("query") if said["what"] == "balances"]
    desk.hear(TOPICS.device("A1", "answer"), messages.answer(query, desk.who, 0, 5, (), more=False))
    desk.sell()
    for payload in messages.changes("a1", 5, 8, [Row(8, b'{"sku":"x","on_hand":"1","reserved":"0","rev":8}')]):
        desk.hear(TOPICS.changes, payload)
    desk.sell()
    assert [operation["seen"] for operation in held(desk.outbox)] == [5, 8]
    desk.outbox.close()


def test_a_foreign_box_does_not_set_the_clock(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "A1.outbox")
    desk.shake_hands(shop_ms=50_000)
    desk.speaks_as("another-ledger", "0b")
    desk.tick(7)
    desk.sell()
    assert held(desk.outbox)[0]["run"] == "a1"
    desk.outbox.close()
