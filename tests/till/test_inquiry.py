"""What a person asks the coordinator: receipts of any till, a SKU's history; and the alerts that it tells unasked."""

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from appliance.contract import messages
from appliance.contract.messages import Alert, BadQuery, Row, read_query
from appliance.till import drafts
from tests.till.desk import LEDGER, MILK, OTHER, TOPICS, Desk
from tests.till.test_view import answer, asked

OPENED = orjson.dumps(
    drafts.receipt("tab-7", "sale", "open", [{"sku": MILK, "qty": 3, "price_minor": 8990}], {"edit": 4, "table": "7"})
)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path / "A1.outbox")
    desk.shake_hands()
    desk.take("query")
    yield desk
    desk.outbox.close()


def found(state: str = "open", operation: bytes | None = OPENED) -> Row:
    return Row(9, messages.receipt("tab-7", "sale", state, "A2-1", 4, "A2", 9, 1_790_000_000_000, operation))


def entry(rev: int, on_hand_milli: int) -> Row:
    of = messages.Entry(rev, 0, "A2", "move", None, None, "sale", -1000, on_hand_milli, 0, None)
    return Row(rev, messages.entry(of))


def alert(name: str, status: str = "active") -> bytes:
    kind = name.rpartition("-")[0]
    return messages.alert(Alert(name, kind, status, 0, 9, 1, "Look", b'{"sku":"A"}'))


def test_a_receipt_of_another_till_is_found_with_its_lines_as_it_said_them(desk: Desk) -> None:
    inquiry = desk.session.find_receipt("tab-7")
    desk.collect()
    [question] = asked(desk, "receipt")
    assert question["receipt"] == "tab-7"
    answer(desk, question, 9, found())
    assert inquiry.is_complete
    [receipt] = inquiry.rows
    assert (receipt.state, receipt.device, receipt.edit, receipt.number) == ("open", "A2", 4, "A2-1")
    assert receipt.lines == ({"sku": MILK, "qty": "3", "price_minor": 8990},)
    assert desk.session.next_edit("tab-7") == 5


def test_a_receipt_that_nobody_knows_is_no_failure(desk: Desk) -> None:
    inquiry = desk.session.find_receipt("tab-7")
    desk.collect()
    [question] = asked(desk, "receipt")
    answer(desk, question, 9)
    assert (inquiry.is_complete, inquiry.rows, inquiry.failure) == (True, [], None)


@pytest.mark.parametrize("operation", [None, b'{"type":"new"}', b'{"type":"move","sku":"A","qty":"1","reason":"sale"}'])
def test_a_receipt_without_a_text_that_can_be_read_has_its_state_all_the_same(
    desk: Desk, operation: bytes | None
) -> None:
    inquiry = desk.session.find_receipt("tab-7")
    desk.collect()
    [question] = asked(desk, "receipt")
    answer(desk, question, 9, found(operation=operation))
    assert (inquiry.rows[0].state, inquiry.rows[0].lines) == ("open", ())
    assert desk.session.next_edit("tab-7") == 5


def test_a_receipt_that_was_found_paid_is_not_paid_twice_on_the_screen(desk: Desk) -> None:
    desk.session.find_receipt("tab-7")
    desk.collect()
    [question] = asked(desk, "receipt")
    lines = [{"sku": MILK, "qty": 3}]
    answer(desk, question, 9, found("paid", orjson.dumps(drafts.receipt("tab-7", "sale", "paid", lines, {}))))
    desk.session.wanted(drafts.receipt("tab-7", "sale", "paid", lines, {}), desk.now_ms)
    balance = desk.session.view.balance(MILK)
    assert balance is not None
    assert balance.on_hand == "0"


def test_what_this_till_has_said_since_is_not_undone_by_an_older_answer(desk: Desk) -> None:
    desk.session.find_receipt("tab-7")
    desk.collect()
    [question] = asked(desk, "receipt")
    kept = desk.session.wanted(drafts.receipt("tab-7", "sale", "open", [], {"edit": 9}), desk.now_ms)
    answer(desk, question, 9, found())
    assert desk.session.next_edit("tab-7") == 10
    desk.ack(1, kept.tag)
    desk.session.find_receipt("tab-7")
    desk.collect()
    [question] = asked(desk, "receipt")
    answer(desk, question, 9, found())
    assert desk.session.next_edit("tab-7") == 5, "the coordinator has heard it, and knows better"


def test_pages_are_asked_for_until_the_history_is_whole(desk: Desk) -> None:
    inquiry = desk.session.history(MILK)
    desk.collect()
    [first] = asked(desk, "history")
    assert (first["sku"], first["since"]) == (MILK, 0)
    answer(desk, first, 4, entry(3, 5000), entry(4, 4000), more=True)
    assert not inquiry.is_over
    [second] = asked(desk, "history")
    assert (second["run"], second["since"]) == ("a1", 4)
    answer(desk, second, 9, entry(9, 3000))
    assert inquiry.is_complete
    assert [(row.rev, row.on_hand, row.effect) for row in inquiry.rows] == [
        (3, "5", "-1"),
        (4, "4", "-1"),
        (9, "3", "-1"),
    ]


def test_two_questions_at_once_get_each_its_own_answer(desk: Desk) -> None:
    inquiry, other = desk.session.history(MILK), desk.session.history("tea")
    desk.collect()
    first, second = asked(desk, "history")
    answer(desk, second, 9, entry(9, 3000))
    assert (inquiry.is_over, [row.rev for row in other.rows]) == (False, [9])
    answer(desk, first, 9, entry(7, 3000))
    assert [row.rev for row in inquiry.rows] == [7]


def test_a_history_that_begins_anew_is_not_told_twice(desk: Desk) -> None:
    inquiry = desk.session.history(MILK)
    desk.collect()
    [first] = asked(desk, "history")
    answer(desk, first, 4, entry(3, 5000), more=True)
    [second] = asked(desk, "history")
    answer(desk, second, 2, entry(1, 7000), since=0)
    assert [row.rev for row in inquiry.rows] == [1]


def test_offline_nothing_can_be_asked_and_that_is_said_at_once(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "A1.outbox")
    inquiry = desk.session.find_receipt("tab-7")
    assert (inquiry.is_over, inquiry.is_complete) == (True, False)
    assert "no connection" in str(inquiry.failure)
    desk.collect()
    assert desk.published == []
    desk.outbox.close()


def test_a_question_fails_with_its_connection(desk: Desk) -> None:
    inquiry = desk.session.history(MILK)
    desk.session.disconnected()
    assert "lost" in str(inquiry.failure)


def test_a_question_fails_when_the_coordinator_has_started_anew(desk: Desk) -> None:
    inquiry = desk.session.history(MILK)
    desk.collect()
    desk.speaks_as(LEDGER, "b2")
    desk.online()
    assert "lost" in str(inquiry.failure)


def test_another_ledger_is_not_asked(desk: Desk) -> None:
    inquiry = desk.session.history(MILK)
    desk.collect()
    [question] = asked(desk, "history")
    desk.speaks_as(OTHER, "0b")
    answer(desk, question, 9, entry(9, 3000))
    assert not inquiry.is_over
    desk.online()
    assert "no connection" in str(desk.session.find_receipt("tab-7").failure)


def test_an_error_is_the_answers_failure(desk: Desk) -> None:
    inquiry, other = desk.session.history(MILK), desk.session.history("tea")
    desk.collect()
    payload = BadQuery(inquiry.id, "unknown-query", "what is 'history'").payload
    desk.hear(TOPICS.device("A1", "answer"), payload)
    assert inquiry.failure == "unknown-query: what is 'history'"
    assert not other.is_over


def test_an_answer_that_cannot_be_read_is_no_answer(desk: Desk) -> None:
    inquiry = desk.session.history(MILK)
    desk.collect()
    [question] = asked(desk, "history")
    answer(desk, question, 9, Row(9, b'{"rev":"nine"}'))
    assert "cannot be read" in str(inquiry.failure)
    assert inquiry.rows == []


def test_an_inquiry_that_was_given_up_is_not_answered_any_more(desk: Desk) -> None:
    inquiry = desk.session.history(MILK)
    desk.collect()
    [question] = asked(desk, "history")
    desk.session.give_up(inquiry)
    answer(desk, question, 9, entry(9, 3000))
    assert inquiry.rows == []


def test_what_is_asked_can_be_read_by_the_coordinator(desk: Desk) -> None:
    desk.session.find_receipt("tab-7")
    desk.session.history(MILK)
    desk.collect()
    queries = [read_query(orjson.dumps(said)) for said in desk.take("query")]
    assert [(query.what, query.receipt, query.sku) for query in queries] == [
        ("receipt", "tab-7", ""),
        ("history", "", MILK),
    ]


# --- alerts -----------------------------------------------------------------------------------------------------------


def test_alerts_are_heard_until_they_go(desk: Desk) -> None:
    for name in ("oversell-b2", "fork-a1"):
        desk.hear(TOPICS.alert(name), alert(name))
    assert [(said.alert, said.kind, said.facts) for said in desk.session.alerts()] == [
        ("fork-a1", "fork", {"sku": "A"}),
        ("oversell-b2", "oversell", {"sku": "A"}),
    ]
    desk.hear(TOPICS.alert("fork-a1"), b"")
    desk.hear(TOPICS.alert("oversell-b2"), b"rubbish")
    assert [said.alert for said in desk.session.alerts()] == ["oversell-b2"]


def test_an_alert_that_is_acknowledged_here_says_so_until_it_goes_or_is_raised_again(desk: Desk) -> None:
    desk.hear(TOPICS.alert("fork-a1"), alert("fork-a1"))
    desk.session.wanted(drafts.acknowledged("fork-a1"), desk.now_ms)
    desk.collect()
    assert [said.status for said in desk.session.alerts()] == ["acknowledged"]
    [message] = desk.take("op")
    assert message["ops"][0]["alert"] == "fork-a1"  # type: ignore[index]
    desk.hear(TOPICS.alert("fork-a1"), alert("fork-a1"))
    assert [said.status for said in desk.session.alerts()] == ["active"]


def test_after_a_reconnect_only_what_is_still_retained_is_an_alert(desk: Desk) -> None:
    desk.hear(TOPICS.alert("fork-a1"), alert("fork-a1"))
    desk.session.disconnected()
    assert len(desk.session.alerts()) == 1
    desk.session.connected()
    assert desk.session.alerts() == []


def test_what_cannot_name_an_alert_is_not_acknowledged(desk: Desk) -> None:
    with pytest.raises(ValueError, match="the name of an alert"):
        desk.session.wanted(drafts.acknowledged("Fork A1"), desk.now_ms)
    assert desk.outbox.last_seq == 0
