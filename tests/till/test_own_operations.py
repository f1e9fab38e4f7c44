"""What a cashier has just done shows at once: counts, open receipts and their ends, before anybody has acked them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.till import drafts, view
from tests.till.desk import LEDGER, MILK, Desk, held
from tests.till.test_view import caught_up, changes, row


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A till that knows of 12 milk at revision 5."""
    desk = Desk(tmp_path / "A1.outbox")
    desk.shake_hands(rev=5)
    caught_up(desk, 5, row(MILK, "12", 5))
    desk.take("query")
    yield desk
    desk.outbox.close()


def count(desk: Desk, counted: str, sku: str = MILK) -> str:
    kept = desk.session.counted(desk.session.begin(desk.now_ms), sku, counted, desk.now_ms)
    desk.collect()
    return kept.tag


def receipt(desk: Desk, status: str, qty: str, *, edit: int = 1, name: str = "tab-7", kind: str = "sale") -> str:
    lines = [{"sku": MILK, "qty": qty}]
    kept = desk.session.wanted(drafts.receipt(name, kind, status, lines, {"edit": edit}), desk.now_ms)
    desk.collect()
    return kept.tag


def cancel(desk: Desk, name: str = "tab-7") -> None:
    desk.session.wanted(drafts.cancelled(name), desk.now_ms)
    desk.collect()


def shown(desk: Desk, sku: str = MILK) -> tuple[str, str, str, str]:
    """on_hand, reserved, available, pending."""
    balance = desk.session.view.balance(sku)
    assert balance is not None
    return balance.on_hand, balance.reserved, balance.available, balance.pending


# --- counts -----------------------------------------------------------------------------------------------------------


def test_an_own_count_takes_the_place_of_the_balance_and_of_own_movements_before_it(desk: Desk) -> None:
    desk.sell("2")
    count(desk, "7")
    assert shown(desk) == ("7", "0", "7", "-5")


def test_own_movements_after_an_own_count_apply_to_it(desk: Desk) -> None:
    count(desk, "7")
    desk.sell("2")
    assert shown(desk) == ("5", "0", "5", "-7")


def test_the_newest_of_several_own_counts_is_shown(desk: Desk) -> None:
    first = count(desk, "7")
    desk.sell("1")
    count(desk, "9")
    desk.sell("2")
    assert shown(desk)[0] == "7"
    desk.ack(1, first)
    assert shown(desk)[0] == "7"


def test_acks_take_off_one_own_operation_after_another_around_a_count(desk: Desk) -> None:
    tags = [desk.sell("2").tag, count(desk, "7"), desk.sell("1").tag]
    for seq, on_hand in ((1, "10"), (2, "7"), (3, "6")):
        changes(desk, 4 + seq, 5 + seq, row(MILK, on_hand, 5 + seq))
        desk.ack(seq, tags[seq - 1])
        assert shown(desk)[0] == "6", "what the coordinator confirms is what the till has shown all along"
    assert shown(desk) == ("6", "0", "6", "0")


def test_a_counted_sku_says_that_it_is_counted(desk: Desk) -> None:
    desk.sell("1", "salt")
    balance = desk.session.view.balance("salt")
    assert balance is not None
    assert not balance.counted
    count(desk, "3", "salt")
    balance = desk.session.view.balance("salt")
    assert balance is not None
    assert (balance.on_hand, balance.counted) == ("3", True)


def test_an_own_count_survives_a_power_cut_with_what_was_moved_after_it(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "alone")
    count(desk, "7")
    desk.sell("2")
    desk.outbox.close()
    desk = Desk(tmp_path / "alone")
    assert shown(desk)[0] == "5"
    desk.outbox.close()


def test_a_count_bears_the_stamp_of_its_beginning_and_how_long_it_took(desk: Desk) -> None:
    begun = desk.session.begin(desk.now_ms)
    desk.now_ms += 42_000
    changes(desk, 5, 9, row("tea", "1", 9))
    for sku in (MILK, "salt"):
        desk.session.counted(begun, sku, "7", desk.now_ms)
    desk.sell()
    counted, other, sold = held(desk.outbox)
    assert (counted["shop_ms"], counted["seen"], counted["took_ms"]) == (86_400_000, 5, 42_000)
    assert (other["shop_ms"], other["seen"], other["took_ms"]) == (86_400_000, 5, 42_000)
    assert (sold["shop_ms"], sold["seen"]) == (86_442_000, 9)
    assert counted["includes_reserved"] is False


def test_a_sku_that_moved_here_while_it_was_counted_is_to_be_counted_again(desk: Desk) -> None:
    desk.sell("1", "salt")
    begun = desk.session.begin(desk.now_ms)
    desk.sell("1")
    with pytest.raises(ValueError, match="count it again"):
        desk.session.counted(begun, MILK, "7", desk.now_ms)
    assert desk.outbox.last_seq == 2
    desk.session.counted(begun, "salt", "7", desk.now_ms)
    count(desk, "7")
    assert shown(desk)[0] == "7"


@pytest.mark.parametrize(("counted", "remedy"), [("-1", "counted.*-1"), ("x", "decimal"), ("0.5", "in pcs")])
def test_a_count_that_cannot_be_is_prevented(desk: Desk, counted: str, remedy: str) -> None:
    desk.session.wanted(drafts.item(MILK, {"unit": "pcs"}), desk.now_ms)
    with pytest.raises(ValueError, match=remedy):
        count(desk, counted)
    assert desk.outbox.last_seq == 1


# --- receipts ---------------------------------------------------------------------------------------------------------


def test_an_own_open_receipt_reserves_at_once(desk: Desk) -> None:
    receipt(desk, "open", "3")
    assert shown(desk) == ("12", "3", "9", "0")


def test_an_edit_replaces_what_its_receipt_reserved(desk: Desk) -> None:
    receipt(desk, "open", "3")
    receipt(desk, "open", "5", edit=2)
    assert shown(desk) == ("12", "5", "7", "0")


def test_a_payment_releases_and_moves(desk: Desk) -> None:
    receipt(desk, "open", "3")
    receipt(desk, "paid", "4")
    assert shown(desk) == ("8", "0", "8", "-4")


def test_a_cancelled_receipt_releases(desk: Desk) -> None:
    receipt(desk, "open", "3")
    cancel(desk)
    assert shown(desk) == ("12", "0", "12", "0")


def test_an_open_return_reserves_nothing(desk: Desk) -> None:
    receipt(desk, "open", "3", kind="return")
    assert shown(desk) == ("12", "0", "12", "0")


def test_a_receipt_that_is_acked_open_is_released_by_an_unacked_payment(desk: Desk) -> None:
    tag = receipt(desk, "open", "3")
    desk.sell("1")
    changes(desk, 5, 6, row(MILK, "12", 6, reserved="3"))
    desk.ack(1, tag)
    assert shown(desk) == ("11", "3", "8", "-1")
    receipt(desk, "paid", "3")
    assert shown(desk) == ("8", "0", "8", "-4")


def test_what_another_device_has_released_meanwhile_is_never_shown_as_less_than_nothing(desk: Desk) -> None:
    desk.ack(1, receipt(desk, "open", "3"))
    changes(desk, 5, 6, row(MILK, "12", 6))
    cancel(desk)
    assert shown(desk) == ("12", "0", "12", "0")


def test_a_second_payment_for_the_same_goods_moves_nothing(desk: Desk) -> None:
    receipt(desk, "paid", "3")
    receipt(desk, "paid", "3")
    assert shown(desk)[0] == "9"


def test_after_a_power_cut_unacked_receipts_reserve_as_before(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "alone")
    receipt(desk, "open", "3")
    receipt(desk, "open", "5", edit=2)
    receipt(desk, "open", "1", name="tab-8")
    cancel(desk, "tab-8")
    desk.outbox.close()
    desk = Desk(tmp_path / "alone")
    assert shown(desk) == ("0", "5", "-5", "0")
    assert desk.session.next_edit("tab-7") == 3
    desk.outbox.close()


def test_a_till_starts_with_a_copy_to_send_of_a_receipt_that_it_has_forgotten(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "A1.outbox")
    desk.shake_hands()
    tag = receipt(desk, "paid", "2")
    desk.ack(1, tag)
    desk.session.wanted({"type": "print", "receipt": "tab-7"}, desk.now_ms)
    desk.outbox.close()
    again = Desk(tmp_path / "A1.outbox")
    assert (again.outbox.pending, again.session.view.skus()) == (1, [])
    again.outbox.close()


def test_what_a_restored_coordinator_lost_reserves_again(desk: Desk) -> None:
    desk.ack(1, receipt(desk, "open", "3"))
    desk.speaks_as(LEDGER, "b2")
    desk.online()
    desk.ack(0, None)
    assert shown(desk)[1] == "3"


def test_the_next_edit_of_a_receipt_is_one_more_than_the_last_and_unknown_ones_are_asked_about(desk: Desk) -> None:
    receipt(desk, "open", "3", edit=7)
    assert desk.session.next_edit("tab-7") == 8
    with pytest.raises(ValueError, match="ask find_receipt"):
        desk.session.next_edit("tab-8")


def test_a_part_of_a_piece_is_not_reserved(desk: Desk) -> None:
    desk.session.wanted(drafts.item(MILK, {"unit": "pcs"}), desk.now_ms)
    with pytest.raises(ValueError, match="counted in pcs"):
        receipt(desk, "open", "0.5")
    assert desk.outbox.last_seq == 1


def test_only_the_newest_receipts_are_remembered(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "RECEIPTS_MAX", 2)
    for name in ("one", "two", "three"):
        receipt(desk, "open", "1", name=name)
    assert [desk.session.view.receipt(name) is not None for name in ("one", "two", "three")] == [False, True, True]


def test_nothing_is_remembered_of_a_sku_when_its_last_own_operation_is_acked(desk: Desk) -> None:
    salt = desk.sell("1", "salt")
    desk.sell("1")
    desk.ack(1, salt.tag)
    assert (desk.session.view.skus(), desk.session.view.balance("salt")) == ([MILK], None)
