"""Counts, open receipts and alerts as tills live through them, with the real coordinator and its ledger."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.till import drafts
from tests.till.desk import MILK, sale
from tests.till.floor import Floor

MINUTE_MS = 60_000


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[Floor]:
    """Two desks and a handheld that have been connected for a minute; 20 milk are on the shelf."""
    floor = Floor(tmp_path, "A1", "A2", "H")
    floor.online("A1", "A2", "H")
    floor.wanted("A1", drafts.move(MILK, "20", "receive"))
    floor.wait(MINUTE_MS)
    yield floor
    floor.close()


def opened(qty: str = "3", edit: int = 1, receipt: str = "tab-7") -> dict[str, object]:
    return drafts.receipt(receipt, "sale", "open", [{"sku": MILK, "qty": qty}], {"edit": edit, "table": "7"})


def paid(qty: str = "3", receipt: str = "tab-7") -> dict[str, object]:
    return drafts.receipt(receipt, "sale", "paid", [{"sku": MILK, "qty": qty}], {})


def shown(floor: Floor, device: str) -> tuple[str, str, str]:
    """on_hand, reserved and available of milk on a till's screen."""
    balance = floor[device].view.balance(MILK)
    assert balance is not None
    return balance.on_hand, balance.reserved, balance.available


def everywhere(floor: Floor) -> set[tuple[str, str, str]]:
    return {shown(floor, device) for device in floor.tills}


# --- counts -----------------------------------------------------------------------------------------------------------


def test_a_count_on_one_till_is_the_balance_on_all(floor: Floor) -> None:
    floor["H"].counted(floor["H"].begin(floor.now_ms), MILK, "12", floor.now_ms)
    floor.settle()
    assert everywhere(floor) == {("12", "0", "12")}
    assert floor.shop.alerts() == set()


def test_what_an_offline_till_sold_before_the_count_is_in_it_and_what_it_sold_after_is_not(floor: Floor) -> None:
    floor.offline("A2")
    floor.wait(MINUTE_MS)
    floor.wanted("A2", sale("4"))
    floor.wait(MINUTE_MS)
    floor["H"].counted(floor["H"].begin(floor.now_ms), MILK, "16", floor.now_ms)
    floor.wait(MINUTE_MS)
    floor.wanted("A2", sale("1"))
    assert (shown(floor, "A1")[0], shown(floor, "A2")[0]) == ("16", "15")
    floor.online("A2")
    assert everywhere(floor) == {("15", "0", "15")}
    assert floor.shop.alerts() == set()


def test_the_stamp_is_of_the_moment_at_which_counting_began(floor: Floor) -> None:
    begun = floor["H"].begin(floor.now_ms)
    floor.wait(MINUTE_MS)
    floor.wanted("A1", sale("2"))
    floor.wait(MINUTE_MS)
    floor["H"].counted(begun, MILK, "20", floor.now_ms)
    floor.settle()
    # Sold while it was counted: after the count by its stamp, but nobody can be sure, so it is to be counted again.
    assert everywhere(floor) == {("18", "0", "18")}
    assert floor.shop.alerts() == {"recount"}


def test_a_stocktake_of_many_skus_bears_one_stamp_and_its_counts_go_in_one_message(floor: Floor) -> None:
    floor.offline("H")
    begun = floor["H"].begin(floor.now_ms)
    for sku, counted in (("salt", "3"), (MILK, "19"), ("tea", "0.5")):
        floor.wait(1000)
        floor["H"].counted(begun, sku, counted, floor.now_ms)
    assert floor.tills["H"].outbox.pending == 3
    floor.online("H")
    assert [floor.shop.on_hand(sku) for sku in ("salt", MILK, "tea")] == ["3", "19", "0.5"]
    assert floor.shop.alerts() == set()


def test_a_count_while_goods_are_reserved_asks_for_another_unless_the_counter_has_looked_for_them(floor: Floor) -> None:
    floor.wanted("A1", opened())
    floor["H"].counted(floor["H"].begin(floor.now_ms), MILK, "20", floor.now_ms)
    floor.settle()
    assert [alert.kind for alert in floor["A2"].alerts()] == ["recount"]
    floor.wait(MINUTE_MS)
    floor["H"].counted(floor["H"].begin(floor.now_ms), MILK, "20", floor.now_ms, includes_reserved=True)
    floor.settle()
    assert floor["A2"].alerts() == []


# --- open receipts ----------------------------------------------------------------------------------------------------


def test_a_receipt_opened_on_a_handheld_is_found_and_paid_at_the_desk(floor: Floor) -> None:
    floor.wanted("H", opened("3"))
    assert everywhere(floor) == {("20", "3", "17")}
    inquiry = floor["A1"].find_receipt("tab-7")
    floor.settle()
    [found] = inquiry.rows
    assert (found.state, found.device, found.edit) == ("open", "H", 1)
    assert found.operation is not None
    assert found.operation["table"] == "7"

    floor.offline("A1")
    floor.wanted("A1", drafts.receipt("tab-7", "sale", "paid", found.lines, {}))
    assert shown(floor, "A1") == ("17", "0", "17"), "the desk knows what it has just paid"
    floor.online("A1")
    assert everywhere(floor) == {("17", "0", "17")}
    assert floor.shop.alerts() == set()


def test_a_found_receipt_is_edited_with_the_next_edit(floor: Floor) -> None:
    floor.wanted("H", opened("3", edit=4))
    floor["A1"].find_receipt("tab-7")
    floor.settle()
    assert floor["A1"].next_edit("tab-7") == 5
    floor.offline("A1")
    floor.wanted("A1", opened("5", edit=5))
    assert shown(floor, "A1") == ("20", "5", "15")
    floor.online("A1")
    assert everywhere(floor) == {("20", "5", "15")}


def test_a_cancelled_receipt_reserves_nothing_on_any_till(floor: Floor) -> None:
    floor.wanted("H", opened())
    floor.offline("H")
    floor.wanted("H", drafts.cancelled("tab-7"))
    assert (shown(floor, "H"), shown(floor, "A1")) == (("20", "0", "20"), ("20", "3", "17"))
    floor.online("H")
    assert everywhere(floor) == {("20", "0", "20")}


def test_what_came_back_of_a_sale_is_on_the_shelf_again(floor: Floor) -> None:
    floor.wanted("A1", paid("3"))
    floor.wanted("A2", drafts.receipt("back-1", "return", "paid", [{"sku": MILK, "qty": "1"}], {"of": "tab-7"}))
    assert everywhere(floor) == {("18", "0", "18")}
    floor.wanted("A2", drafts.receipt("back-2", "return", "paid", [{"sku": MILK, "qty": "3"}], {"of": "tab-7"}))
    assert {alert.kind for alert in floor["H"].alerts()} == {"return-exceeds-sale"}


def test_a_receipt_that_nobody_has_opened_is_found_to_be_none(floor: Floor) -> None:
    inquiry = floor["A1"].find_receipt("tab-8")
    floor.settle()
    assert (inquiry.is_complete, inquiry.rows) == (True, [])


def test_a_receipt_that_expired_is_found_without_lines(floor: Floor) -> None:
    floor.wanted("H", opened())
    floor.shop.clock.now_ms += 13 * 60 * MINUTE_MS
    floor.wait(MINUTE_MS)
    inquiry = floor["A1"].find_receipt("tab-7")
    floor.settle()
    [found] = inquiry.rows
    assert (found.state, found.lines) == ("expired", ())
    assert floor["A1"].next_edit("tab-7") == 2
    assert everywhere(floor) == {("20", "0", "20")}


# --- history and alerts -----------------------------------------------------------------------------------------------


def test_a_history_of_many_pages_is_whole_and_ends_in_the_balance(floor: Floor) -> None:
    for _ in range(1200):
        floor["A1"].wanted(sale("0.001"), floor.now_ms)
    floor.settle()
    inquiry = floor["H"].history(MILK)
    floor.settle()
    assert inquiry.is_complete
    assert (len(inquiry.rows), inquiry.rows[0].cause, inquiry.rows[0].effect) == (1201, "receive", "20")
    assert (inquiry.rows[-1].device, inquiry.rows[-1].on_hand) == ("A1", "18.8")


def test_an_alert_that_is_acknowledged_on_one_till_goes_on_all(floor: Floor) -> None:
    floor.wanted("A1", paid("3"))
    floor.wanted("A2", paid("4"))
    [alert] = floor["H"].alerts()
    assert alert.kind == "receipt-conflict"
    assert alert.facts["receipt"] == "tab-7"
    floor.wanted("H", drafts.acknowledged(alert.alert))
    assert [floor[device].alerts() for device in floor.tills] == [[], [], []]


def test_the_others_are_seen_to_leave_and_to_have_caught_up_when_they_return(floor: Floor) -> None:
    assert floor["A1"].freshness(floor.now_ms).text == ""
    floor.offline("A2")
    floor.wanted("A2", sale("1"))
    floor.wait(28 * MINUTE_MS)
    balance = floor["A1"].balance(MILK, floor.now_ms)
    assert balance is not None
    assert balance.text == "20, A2 not seen for 28 min"
    floor.online("A2")
    balance = floor["A1"].balance(MILK, floor.now_ms)
    assert balance is not None
    assert balance.text == "19"


def test_marks_travel_as_they_were_scanned(floor: Floor) -> None:
    code = "0104607001234567215dGh\x1d93abcd"
    line = {"sku": MILK, "qty": "1", "marks": [code]}
    floor.wanted("A1", drafts.receipt("r-1", "sale", "paid", [line], {}))
    inquiry = floor["H"].find_receipt("r-1")
    floor.settle()
    assert inquiry.rows[0].lines[0]["marks"] == [code]


def test_a_history_gap_is_told_to_everybody(tmp_path: Path) -> None:
    floor = Floor(tmp_path, "A1", "A2", kept_max=0)
    backup = tmp_path / "backup"
    shutil.copytree(floor.shop.directory, backup)
    floor.online("A1", "A2")
    floor.wanted("A1", sale("1"))
    floor.restore(backup)
    floor.online("A1", "A2")
    assert floor["A2"].alerts() == [], "nothing is said before there is an operation to say it with"
    floor.wanted("A1", sale("2"))
    assert [alert.kind for alert in floor["A2"].alerts()] == ["fork", "history-gap"]
    assert floor.shop.on_hand(MILK) == "-2"
    floor.close()
