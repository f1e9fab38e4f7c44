"""The local view: the coordinator's balances by query and `changes`, and the till's own operations on top."""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import orjson
import pytest

from appliance.contract import messages
from appliance.contract.messages import Row, read_query
from appliance.till import CatalogueItem, drafts
from appliance.till.view import ANSWER_MS
from tests.till.desk import LEDGER, MILK, OTHER, TOPICS, Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A till that has shaken hands at revision 0 and has asked its first questions."""
    desk = Desk(tmp_path / "A1.outbox")
    desk.shake_hands()
    yield desk
    desk.outbox.close()


def row(sku: str, on_hand: str, rev: int, *, reserved: str = "0") -> Row:
    said = {"sku": sku, "on_hand": on_hand, "reserved": reserved, "counted": True, "rev": rev}
    return Row(rev, orjson.dumps(said))


def asked(desk: Desk, what: str = "balances") -> list[dict[str, object]]:
    """Return, and forget, the questions of one kind."""
    questions = [said for leaf, said in desk.published if leaf == "query" and said["what"] == what]
    desk.published = [(leaf, said) for leaf, said in desk.published if said not in questions]
    return questions


def answer(desk: Desk, question: dict[str, object], to: int, *rows: Row, more: bool = False, since: int = -1) -> None:
    query = read_query(orjson.dumps(question))
    since = query.since if since < 0 else since
    desk.hear(TOPICS.device("A1", "answer"), messages.answer(query, desk.who, since, to, rows, more=more))


def changes(desk: Desk, since: int, to: int, *rows: Row) -> None:
    for payload in messages.changes(desk.who.run, since, to, rows):
        desk.hear(TOPICS.changes, payload)


def caught_up(desk: Desk, to: int, *rows: Row) -> None:
    [question] = asked(desk)
    answer(desk, question, to, *rows)


def on_hand(desk: Desk, sku: str = MILK) -> str | None:
    balance = desk.session.view.balance(sku)
    return None if balance is None else balance.on_hand


def test_after_the_handshake_balances_and_items_are_asked_for(desk: Desk) -> None:
    questions = desk.take("query")
    assert [question["what"] for question in questions] == ["balances", "items"]
    assert all(question["since"] == 0 for question in questions)


def test_a_sku_that_nobody_has_told_has_no_balance(desk: Desk) -> None:
    assert on_hand(desk) is None


def test_pages_are_asked_for_until_there_are_no_more(desk: Desk) -> None:
    [first] = asked(desk)
    answer(desk, first, 5, row(MILK, "12", 5), more=True)
    [second] = asked(desk)
    assert (second["run"], second["since"]) == ("a1", 5)
    answer(desk, second, 9, row("bread", "3", 9))
    assert asked(desk) == []
    assert (on_hand(desk), on_hand(desk, "bread")) == ("12", "3")


def test_a_balance_is_the_coordinators_plus_ones_own_unacked(desk: Desk) -> None:
    caught_up(desk, 5, row(MILK, "12", 5))
    kept = desk.sell("2")
    balance = desk.session.view.balance(MILK)
    assert balance is not None
    assert (balance.on_hand, balance.available, balance.pending, balance.counted) == ("10", "10", "-2", True)
    desk.ack(1, kept.tag)
    changes(desk, 5, 6, row(MILK, "10", 6))
    balance = desk.session.view.balance(MILK)
    assert balance is not None
    assert (balance.on_hand, balance.pending) == ("10", "0")


def test_an_own_sale_shows_without_any_coordinator(tmp_path: Path) -> None:
    alone = Desk(tmp_path / "alone")
    alone.sell("2")
    assert on_hand(alone) == "-2"
    alone.outbox.close()
    again = Desk(tmp_path / "alone")
    assert on_hand(again) == "-2"
    again.outbox.close()


def test_a_receipt_moves_each_of_its_lines_and_a_kits_parts(desk: Desk) -> None:
    kit = {"sku": "kit", "qty": 2, "components": [{"sku": "cup", "qty": 1}, {"sku": "tea", "qty": "0.15"}]}
    desk.session.wanted(drafts.receipt("r-1", "sale", "paid", [{"sku": MILK, "qty": 3}, kit], {}), desk.now_ms)
    desk.session.wanted(drafts.receipt("r-2", "return", "paid", [{"sku": MILK, "qty": 1}], {}), desk.now_ms)
    shown = {sku: on_hand(desk, sku) for sku in desk.session.view.skus()}
    assert shown == {MILK: "-2", "cup": "-2", "tea": "-0.3"}


def test_changes_are_applied_in_order(desk: Desk) -> None:
    caught_up(desk, 5, row(MILK, "12", 5))
    changes(desk, 5, 6, row(MILK, "11", 6))
    changes(desk, 6, 8, row(MILK, "9", 8), row("bread", "1", 7))
    assert (on_hand(desk), on_hand(desk, "bread"), asked(desk)) == ("9", "1", [])


def test_changes_that_are_known_already_are_ignored(desk: Desk) -> None:
    caught_up(desk, 9, row(MILK, "12", 5))
    changes(desk, 7, 9, row(MILK, "99", 9))
    assert (on_hand(desk), asked(desk)) == ("12", [])


def test_changes_that_overlap_are_applied(desk: Desk) -> None:
    caught_up(desk, 5, row(MILK, "12", 5))
    changes(desk, 3, 7, row(MILK, "10", 7))
    assert on_hand(desk) == "10"


def test_a_gap_in_changes_is_asked_for(desk: Desk) -> None:
    caught_up(desk, 5, row(MILK, "12", 5))
    changes(desk, 7, 8, row(MILK, "9", 8))
    assert on_hand(desk) == "12"
    [question] = asked(desk)
    assert (question["run"], question["since"]) == ("a1", 5)
    answer(desk, question, 8, row(MILK, "9", 8))
    assert on_hand(desk) == "9"


def test_changes_that_overtake_the_last_page_are_not_lost(desk: Desk) -> None:
    [question] = asked(desk)
    changes(desk, 5, 6, row(MILK, "11", 6))
    answer(desk, question, 5, row(MILK, "12", 5))
    [again] = asked(desk)
    assert again["since"] == 5


def test_a_lower_revision_of_the_same_run_is_ignored(desk: Desk) -> None:
    caught_up(desk, 9, row(MILK, "12", 9))
    changes(desk, 9, 10, row(MILK, "99", 8))
    assert on_hand(desk) == "12"


def test_a_tick_that_shows_a_missed_revision_is_asked_about(desk: Desk) -> None:
    caught_up(desk, 5, row(MILK, "12", 5))
    desk.tick(100_000, 5)
    assert asked(desk) == []
    desk.tick(110_000, 6)
    assert [question["since"] for question in asked(desk)] == [5]


def test_a_new_run_is_asked_again_and_a_known_ledger_goes_on_where_it_was(desk: Desk) -> None:
    caught_up(desk, 5, row(MILK, "12", 5))
    desk.speaks_as(LEDGER, "b2")
    desk.online()
    desk.answer_state(rev=7)
    [question] = asked(desk)
    assert (question["run"], question["since"]) == ("a1", 5)
    answer(desk, question, 7, row("bread", "3", 7))
    assert (on_hand(desk), on_hand(desk, "bread")) == ("12", "3")


def test_on_a_new_run_balances_are_taken_as_they_come_even_with_a_lower_revision(desk: Desk) -> None:
    caught_up(desk, 50, row(MILK, "12", 50), row("gone", "1", 49))
    desk.speaks_as(LEDGER, "b2")
    desk.online()
    desk.answer_state(rev=10)
    [question] = asked(desk)
    # Restored from a backup: it does not know revision 50, so it answers from the beginning, in two pages.
    answer(desk, question, 4, row(MILK, "20", 4), more=True, since=0)
    assert on_hand(desk) == "12"
    [second] = asked(desk)
    answer(desk, second, 10, row("bread", "3", 10))
    shown = (on_hand(desk), on_hand(desk, "bread"), on_hand(desk, "gone"))
    assert shown == ("20", "3", None)
    changes(desk, 10, 11, row(MILK, "19", 11))
    assert on_hand(desk) == "19"


def test_changes_of_a_new_run_are_not_applied_to_the_copy_of_an_old_one(desk: Desk) -> None:
    caught_up(desk, 5, row(MILK, "12", 5))
    desk.speaks_as(LEDGER, "b2")
    changes(desk, 5, 6, row(MILK, "11", 6))
    assert on_hand(desk) == "12"
    assert [question["since"] for question in asked(desk)] == [5]


def test_a_question_that_the_old_run_left_open_is_asked_anew_at_the_handshake(desk: Desk) -> None:
    assert len(asked(desk)) == 1
    desk.speaks_as(LEDGER, "b2")
    desk.online()
    desk.answer_state()
    assert len(asked(desk)) == 1


def test_the_answer_of_another_ledger_is_not_taken(desk: Desk) -> None:
    [question] = asked(desk)
    desk.speaks_as(OTHER, "0b")
    answer(desk, question, 5, row(MILK, "12", 5))
    assert on_hand(desk) is None


def test_a_question_without_an_answer_is_asked_again(desk: Desk) -> None:
    [first] = asked(desk)
    desk.wait(ANSWER_MS - 1)
    assert asked(desk) == []
    desk.wait(1)
    [again] = asked(desk)
    answer(desk, first, 5, row(MILK, "99", 5))
    assert on_hand(desk) is None
    answer(desk, again, 5, row(MILK, "12", 5))
    assert on_hand(desk) == "12"


def test_an_answer_from_elsewhere_than_asked_is_not_taken(desk: Desk) -> None:
    [question] = asked(desk)
    answer(desk, question, 9, row(MILK, "12", 9), since=4)
    assert on_hand(desk) is None


def test_units_come_from_the_catalogue_and_prevent_a_fraction(desk: Desk) -> None:
    [question] = asked(desk, "items")
    answer(desk, question, 5, Row(5, messages.item(MILK, 5, {"unit": "pcs"})))
    assert desk.session.view.unit(MILK) == "pcs"
    with pytest.raises(ValueError, match="counted in pcs"):
        desk.sell("0.5")


def test_one_row_that_cannot_be_read_does_not_hide_the_others(desk: Desk) -> None:
    caught_up(desk, 6, Row(5, b'{"sku":"new","on_hand":[]}'), row(MILK, "12", 6))
    assert on_hand(desk) == "12"
    changes(desk, 6, 8, Row(7, b'{"sku":"new","on_hand":7}'), row(MILK, "11", 8))
    assert (on_hand(desk), on_hand(desk, "new"), asked(desk)) == ("11", None, [])


@pytest.mark.parametrize("told", ["1999999998", "-8999999999999.999"])
def test_a_balance_may_be_larger_than_any_quantity_that_made_it(desk: Desk, told: str) -> None:
    caught_up(desk, 5, row(MILK, told, 5), row("bread", "1", 5))
    assert on_hand(desk) == told
    changes(desk, 5, 6, row("bread", told, 6, reserved="1999999998"))
    assert on_hand(desk, "bread") == told


def test_after_a_fork_what_the_ledger_holds_already_is_not_subtracted_again(desk: Desk) -> None:
    caught_up(desk, 5, row(MILK, "12", 5))
    kept = desk.sell("2")
    desk.ack(1, kept.tag)
    changes(desk, 5, 6, row(MILK, "10", 6))
    desk.sell("1")
    desk.ack(2, "f" * 16)
    assert (on_hand(desk), desk.outbox.pending) == ("9", 2)


def test_what_a_restored_coordinator_lost_is_ones_own_again(desk: Desk) -> None:
    caught_up(desk, 5, row(MILK, "12", 5))
    kept = desk.sell("2")
    desk.ack(1, kept.tag)
    desk.speaks_as(LEDGER, "b2")
    desk.online()
    desk.ack(0, None)
    desk.answer_state()
    caught_up(desk, 5, row(MILK, "12", 5))
    assert on_hand(desk) == "10"


def test_the_balances_of_a_box_that_was_left_are_forgotten(desk: Desk) -> None:
    caught_up(desk, 5, row(MILK, "12", 5))
    desk.speaks_as(OTHER, "0b")
    desk.online()
    changes(desk, 5, 6, row(MILK, "77", 6))
    assert on_hand(desk) == "12"
    desk.session.accept(OTHER, desk.now_ms)
    desk.collect()
    assert on_hand(desk) is None
    desk.answer_state()
    [question] = asked(desk)
    assert cast("int", question["since"]) == 0


# --- the catalogue ----------------------------------------------------------------------------------------------------


def item(sku: str, rev: int, **details: object) -> Row:
    return Row(rev, orjson.dumps({"sku": sku, "rev": rev, **details}))


def test_the_catalogue_is_told_and_an_own_entry_counts_at_once(desk: Desk) -> None:
    [question] = asked(desk, "items")
    kit = [{"sku": "egg", "qty": "2"}]
    answer(
        desk,
        question,
        5,
        item(MILK, 4, name="Молоко", barcodes=["1"], price_minor=8990),
        item("set", 5, components=kit),
    )
    milk, breakfast = desk.session.view.items.rows.values()
    assert milk == CatalogueItem(MILK, "Молоко", "pcs", ("1",), 8990, (), 4)
    assert (breakfast.name, breakfast.price_minor, breakfast.components) == ("", None, tuple(kit))
    desk.session.wanted(drafts.item(MILK, {"name": "Milk", "unit": "l"}), desk.now_ms)
    assert desk.session.view.items.rows[MILK] == CatalogueItem(MILK, "Milk", "l", (), None, (), 5)


def test_an_item_that_cannot_be_read_hides_no_other(desk: Desk) -> None:
    [question] = asked(desk, "items")
    answer(desk, question, 5, item("new", 4, name=["of", "a", "later", "version"]), item(MILK, 5))
    assert list(desk.session.view.items.rows) == [MILK]
