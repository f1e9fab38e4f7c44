"""How fresh a balance is: which other devices may hold sales that nobody has heard, and whether this till hears any."""

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from appliance.till.freshness import SILENT_MS, Freshness, Unheard
from tests.till.desk import MILK, TOPICS, Desk
from tests.till.test_view import answer, asked, row

MINUTE_MS = 60_000


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A till that has just caught up: 6 milk."""
    desk = Desk(tmp_path / "A1.outbox")
    catch_up(desk)
    yield desk
    desk.outbox.close()


def catch_up(desk: Desk) -> None:
    desk.shake_hands()
    [question] = asked(desk)
    answer(desk, question, 5, row(MILK, "6", 5))


def state(desk: Desk, device: str, state: str, **more: object) -> None:
    desk.hear(TOPICS.device(device, "state"), orjson.dumps({"state": state, **more}))


def tick_for(desk: Desk, ms: int) -> None:
    """Time passes while the coordinator is heard."""
    desk.now_ms += ms
    desk.tick(86_400_000 + desk.now_ms, 5)


def text(desk: Desk) -> str:
    return desk.session.freshness(desk.now_ms).text


def test_a_balance_that_lacks_nothing_is_a_number(desk: Desk) -> None:
    balance = desk.session.balance(MILK, desk.now_ms)
    assert balance is not None
    assert (balance.freshness, balance.text) == (Freshness(), "6")
    assert desk.session.balance("tea", desk.now_ms) is None


def test_a_device_that_goes_offline_is_missing_since_then(desk: Desk) -> None:
    state(desk, "A2", "online", pending=3)
    state(desk, "A2", "online", pending=0)
    tick_for(desk, MINUTE_MS)
    state(desk, "A2", "offline")
    tick_for(desk, 28 * MINUTE_MS)
    balance = desk.session.balance(MILK, desk.now_ms)
    assert balance is not None
    assert balance.text == "6, A2 not seen for 28 min"
    assert balance.freshness.unheard == (Unheard("A2", is_online=False, pending=0, offline_s=28 * 60),)


def test_a_device_that_says_offline_once_more_is_missing_since_the_first_time(desk: Desk) -> None:
    state(desk, "A2", "online", pending=0)
    state(desk, "A2", "offline")
    tick_for(desk, MINUTE_MS)
    state(desk, "A2", "offline")
    assert text(desk) == "A2 not seen for 1 min"


def test_a_device_that_was_offline_before_is_missing_since_nobody_knows_when(desk: Desk) -> None:
    state(desk, "A2", "offline")
    tick_for(desk, MINUTE_MS)
    assert text(desk) == "A2 not seen since this till connected"
    assert desk.session.freshness(desk.now_ms).unheard[0].offline_s is None


def test_a_device_that_is_online_is_missing_while_it_has_operations_to_send(desk: Desk) -> None:
    state(desk, "A3", "online", pending=4)
    state(desk, "A2", "offline")
    assert text(desk) == "A2 not seen since this till connected, A3 has 4 to send"
    state(desk, "A3", "online", pending=0)
    state(desk, "A2", "online", pending=0)
    assert text(desk) == ""


def test_a_device_whose_state_is_removed_is_no_more(desk: Desk) -> None:
    state(desk, "A2", "offline")
    desk.hear(TOPICS.device("A2", "state"), b"")
    assert text(desk) == ""


def test_a_device_that_was_removed_and_is_there_again_is_a_new_one(desk: Desk) -> None:
    state(desk, "A2", "online")
    state(desk, "A2", "offline")
    desk.session.connected()
    desk.hear(TOPICS.device("A2", "state"), b"")
    state(desk, "A2", "offline")
    assert desk.session.freshness(desk.now_ms).unheard[0].offline_s is None


def test_a_device_that_does_not_say_how_much_it_has_counts_as_having_nothing(desk: Desk) -> None:
    state(desk, "A2", "online")
    assert text(desk) == ""
    state(desk, "A2", "offline")
    assert desk.session.freshness(desk.now_ms).unheard[0].pending is None


def test_ones_own_state_and_what_nobody_can_read_say_nothing(desk: Desk) -> None:
    state(desk, "A1", "offline")
    desk.hear(TOPICS.device("A2", "state"), b"\xff")
    state(desk, "A3", "online", pending="many")
    assert text(desk) == ""


def test_what_is_known_of_the_others_outlasts_ones_own_lost_connection(desk: Desk) -> None:
    for device in ("A2", "A3", "A4"):
        state(desk, device, "online", pending=0)
    state(desk, "A2", "offline")
    desk.session.disconnected()
    desk.now_ms += MINUTE_MS
    desk.session.connected()
    state(desk, "A2", "offline")
    state(desk, "A3", "offline")
    desk.session.subscribed(desk.now_ms)
    desk.answer_state()
    [question] = asked(desk)
    answer(desk, question, 5)
    # A4's state has been removed meanwhile, and when A3 left nobody here can tell.
    assert text(desk) == "A2 not seen for 1 min, A3 not seen since this till connected"


def test_a_till_that_is_offline_says_since_when(desk: Desk) -> None:
    desk.session.disconnected()
    assert text(desk) == "coordinator not heard for 0 s"
    desk.now_ms += 3 * 3_600_000
    assert text(desk) == "coordinator not heard for 3 h"


def test_a_till_that_has_heard_nobody_since_it_started_says_so(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "A1.outbox")
    desk.sell()
    balance = desk.session.balance(MILK, desk.now_ms)
    assert balance is not None
    assert balance.text == "-1, coordinator not heard since this till started"
    desk.outbox.close()


def test_a_coordinator_that_misses_three_ticks_is_not_heard(desk: Desk) -> None:
    desk.now_ms += SILENT_MS - 1
    assert text(desk) == ""
    desk.now_ms += 1
    assert text(desk) == "coordinator not heard for 30 s"
    desk.tick(86_400_000 + desk.now_ms, 5)
    assert text(desk) == ""


def test_until_the_catch_up_is_complete_the_balances_are_as_old_as_they_were(desk: Desk) -> None:
    desk.session.disconnected()
    desk.now_ms += 10 * MINUTE_MS
    desk.shake_hands()
    assert text(desk) == "coordinator not heard for 10 min"
    [question] = asked(desk)
    answer(desk, question, 5)
    assert text(desk) == ""


def test_a_handshake_in_between_is_no_silence(desk: Desk) -> None:
    desk.speaks_as(desk.who.ledger, "b2")
    desk.online(5)
    assert text(desk) == ""


def test_a_backlog_that_has_drained_is_told_so_that_others_need_not_wait_for_it(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "A1.outbox")
    tags = [desk.sell().tag for _ in range(2)]
    desk.connect()
    assert [said["pending"] for said in desk.take("state")] == [2]
    desk.ack(0, None)
    desk.ack(1, tags[0])
    assert desk.take("state") == []
    desk.ack(2, tags[1])
    assert [said["pending"] for said in desk.take("state")] == [0]
    desk.ack(3, desk.sell().tag)
    assert desk.take("state") == []
    desk.outbox.close()
