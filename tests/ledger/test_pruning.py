"""What is pruned is summed up: no balance changes, no resend counts twice, and what cannot be told any more is said."""

from pathlib import Path
from typing import Any
from unittest.mock import patch

import orjson
import pytest

from appliance.contract.paper import Cancel
from appliance.ledger import pruning
from appliance.ledger.pruning import BATCH, MONTH_MS
from appliance.ledger.verify import Violation, verify
from appliance.printing.jobs import PrintRules, Station
from tests.ledger.busy import BARE, any_day, live
from tests.ledger.test_backup import sell
from tests.shop import Shop, message, operation, rows, tag

MINUTE_MS = 60_000


def prune(shop: Shop, keep_months: int = 1) -> int:
    """Forget all that may be; return in how many steps."""
    steps = 0
    while shop.writer.prune(shop.clock.now_ms, keep_months):
        steps += 1
        assert steps < 10_000
    return steps


def count(shop: Shop, counted: str, seq: int = 1, device: str = "H", **more: Any) -> None:
    said = operation(seq, **BARE | {"type": "count", "sku": "A", "counted": counted}, tag=tag(1000 + seq), **more)
    after = tag(1000 + seq - 1) if seq > 1 else None
    shop.say(device, message(said, epoch=f"epoch-of-device-{device}", after=after))


def history(shop: Shop, **how: Any) -> list[dict[str, Any]]:
    answer = shop.ask("A1", {"id": "q", "what": "history", "sku": "A", **how})
    found: list[dict[str, Any]] = answer["items"]
    return found


def test_history_begins_with_what_the_pruned_entries_came_to(shop: Shop) -> None:
    sell(shop, 1, 5)
    shop.clock.now_ms = 2 * MONTH_MS
    sell(shop, 6, 6)
    prune(shop)
    entries = [(row["rev"], row["cause"], row["effect"], row["on_hand"]) for row in history(shop)]
    assert entries == [(5, "closing", "-5", "-5"), (6, "sale", "-1", "-6")]
    assert [row["rev"] for row in history(shop, run=shop.run, since=5)] == [6]
    assert rows(shop.directory, "SELECT min(revision) FROM entry") == [(6,)]
    assert verify(shop.directory).operations == 6


def test_nothing_is_forgotten_within_the_months_that_are_kept(shop: Shop) -> None:
    shop.clock.now_ms = MONTH_MS
    sell(shop, 1, 1)
    shop.clock.now_ms = 3 * MONTH_MS - 1
    assert prune(shop) == 0
    shop.clock.now_ms += 1
    assert prune(shop) > 0


def test_sku_whose_whole_history_is_pruned_goes_on(shop: Shop) -> None:
    sell(shop, 1, 5)
    shop.clock.now_ms = 2 * MONTH_MS
    prune(shop)
    assert [row["cause"] for row in history(shop)] == ["closing"]
    shop.restart()
    assert shop.writer.last_rev == 5
    sell(shop, 6, 6)
    assert [row["on_hand"] for row in history(shop)] == ["-5", "-6"]
    verify(shop.directory)


def test_one_step_is_short_and_each_leaves_a_whole_ledger(shop: Shop) -> None:
    for first in range(1, 1001, 50):
        sell(shop, first, first + 49)
    shop.clock.now_ms = 2 * MONTH_MS
    before = 0
    while shop.writer.prune(shop.clock.now_ms, 1):
        [(pruned,)] = rows(shop.directory, "SELECT pruned_rev FROM ledger")
        assert pruned - before <= BATCH
        before = pruned
        assert shop.on_hand() == "-1000"
        verify(shop.directory)
    assert before == 1000


def test_resend_of_what_is_pruned_changes_nothing(shop: Shop) -> None:
    bare = orjson.dumps(
        {"epoch": "epoch-without-a-tag", "seq": 1, "type": "move", "sku": "A", "qty": "-1", "reason": "sale"}
    )
    sell(shop, 1, 3)
    shop.say("shell", bare)
    shop.clock.now_ms = 2 * MONTH_MS
    prune(shop)
    assert shop.say("shell", bare)["seq"] == 1
    other = shop.say("shell", bare.replace(b'"A"', b'"B"'))
    assert other["refused"]["code"] == "sequence-reused"
    assert sell(shop, 1, 3)["seq"] == 3
    fork = operation(1, again=True, parents=["epoch-of-the-test-0001"])
    shop.say("A1", message(fork, epoch="epoch-of-the-test-0002"))
    assert shop.on_hand() == "-4"


def test_count_from_before_what_is_kept_has_no_effect_and_asks_for_another(shop: Shop) -> None:
    sell(shop, 1, 3)
    run, then_ms = shop.run, shop.clock.now_ms
    shop.clock.now_ms = 2 * MONTH_MS
    prune(shop)
    count(shop, "7", run=run, shop_ms=then_ms)
    assert shop.on_hand() == "-3"
    assert "recount" in shop.alerts()
    verify(shop.directory)
    count(shop, "5", seq=2)
    assert shop.on_hand() == "5"
    assert shop.alerts() == set()
    verify(shop.directory)


def test_count_that_saw_all_that_is_pruned_counts_however_late_it_is(shop: Shop) -> None:
    sell(shop, 1, 3)
    run, then_ms = shop.run, shop.clock.now_ms
    shop.clock.now_ms = 2 * MONTH_MS
    prune(shop)
    count(shop, "7", run=run, shop_ms=then_ms, seen=3)
    assert shop.on_hand() == "7"
    assert shop.alerts() == set()
    verify(shop.directory)


def test_count_whose_stamp_nobody_can_trust_asks_for_another(shop: Shop) -> None:
    sell(shop, 1, 3)
    shop.clock.now_ms = 2 * MONTH_MS
    prune(shop)
    count(shop, "7", run=shop.run, shop_ms=shop.clock.now_ms, uncertain=True)
    assert shop.on_hand() == "7"
    assert shop.alerts() == {"recount"}


def test_pruned_anchor_still_judges_what_comes_late(shop: Shop) -> None:
    sell(shop, 1, 3)
    shop.clock.now_ms = 10 * MINUTE_MS
    count(shop, "7")
    shop.clock.now_ms = 2 * MONTH_MS
    prune(shop)
    late = operation(1, run=shop.run, shop_ms=5 * MINUTE_MS, seen=0)
    shop.say("A2", message(late, epoch="epoch-of-device-A2"))
    assert shop.on_hand() == "7"
    assert [row["cause"] for row in history(shop)] == ["closing", "sale", "counted-already"]
    verify(shop.directory)


def test_return_of_a_sale_that_is_pruned_is_no_excess(shop: Shop) -> None:
    """How much was sold is not known any more: an alert would accuse without a proof."""
    shop.say("D", message(_receipt(1, "r-1", "sale", "2")))
    shop.clock.now_ms = 2 * MONTH_MS
    prune(shop)
    shop.say("D", message(_receipt(2, "r-2", "return", "3", of="r-1")))
    assert shop.on_hand() == "1"
    assert shop.alerts() == set()
    verify(shop.directory)


def test_receipt_that_is_pruned_is_known_but_its_text_is_gone(shop: Shop) -> None:
    shop.say("D", message(_receipt(1, "r-1", "sale", "2")))
    shop.clock.now_ms = 2 * MONTH_MS
    prune(shop)
    [found] = shop.ask("A1", {"id": "q", "what": "receipt", "receipt": "r-1"})["items"]
    assert (found["state"], found["operation"]) == ("paid", None)
    shop.say("D", message(_receipt(2, "r-1", "sale", "2")))
    assert shop.on_hand() == "-2", "paid once more for the same goods"
    copy = operation(3, **BARE | {"type": "print", "receipt": "r-1"})
    [rejected] = [row for row in shop.say("D", message(copy))["rejected"] if row["seq"] == 3]
    assert rejected["code"] == "nothing-to-print"


def test_text_of_what_waits_for_a_printer_is_kept_until_that_is_over(tmp_path: Path) -> None:
    shop = Shop(tmp_path, printing=PrintRules((Station("main"),)))
    shop.say("D", message(_receipt(1, "r-1", "sale", "2")))
    shop.clock.now_ms = 2 * MONTH_MS
    shop.say("D", message(operation(2, **BARE | {"type": "print", "receipt": "r-1"})))
    [job] = shop.reader.jobs.queue()
    prune(shop)
    assert (shop.reader.jobs.material(job.id).operation or {})["receipt"] == "r-1"
    verify(shop.directory)
    shop.coordinator.change_paper(Cancel(job.id), lambda verdict: None)
    shop.coordinator.turn()
    shop.clock.now_ms = 4 * MONTH_MS
    sell(shop, 1, 1)
    prune(shop)
    assert rows(shop.directory, "SELECT count(*) FROM body") == [(0,)]
    verify(shop.directory)


def test_ack_of_an_epoch_whose_rejections_are_pruned_counts_them(shop: Shop) -> None:
    shop.say("A1", message(operation(1, qty="half")))
    shop.clock.now_ms = 2 * MONTH_MS
    prune(shop)
    ack = sell(shop, 2, 2)
    assert (ack["rejected_total"], [row["detail"] for row in ack["rejected"]]) == (1, [""])
    assert shop.ask("A1", {"id": "q", "what": "rejected"})["items"] == []


def test_file_gives_room_back_when_much_is_pruned(shop: Shop) -> None:
    for seq in range(1, 401):
        shop.say("D", message(_receipt(seq, f"r-{seq}", "sale", "2", cashier="somebody" * 50)))
    shop.clock.now_ms = 2 * MONTH_MS
    [(pages,)] = rows(shop.directory, "PRAGMA page_count")
    prune(shop)
    assert rows(shop.directory, "PRAGMA page_count")[0][0] < pages
    assert rows(shop.directory, "PRAGMA freelist_count")[0][0] * 4 <= rows(shop.directory, "PRAGMA page_count")[0][0]


def test_ledger_of_a_busy_shop_verifies_when_all_of_it_is_pruned(tmp_path: Path) -> None:
    live(tmp_path)
    shop = Shop(tmp_path, run="later")
    before = {balance.sku: balance for balance in shop.reader.all_balances()}
    shop.clock.now_ms += 3 * MONTH_MS
    prune(shop)
    assert {balance.sku: balance for balance in shop.reader.all_balances()} == before
    verify(tmp_path)
    for sku, balance in before.items():
        assert shop.reader.explain(sku)[-1].on_hand_milli == balance.on_hand_milli
    shop.stop()


@pytest.mark.parametrize("seed", range(12))
def test_pruning_changes_no_balance_whatever_happens(tmp_path: Path, seed: int) -> None:
    """Beside its twin that keeps everything: with a month of some minutes, so that stamps reach behind what is kept."""
    pruned, whole = tmp_path / "pruned", tmp_path / "whole"
    for directory in (pruned, whole):
        directory.mkdir()
    any_day(Shop(whole), seed)
    with patch.object(pruning, "MONTH_MS", 3 * MINUTE_MS):
        shop = Shop(pruned)
        any_day(shop, seed, then=lambda: prune(shop))
    assert rows(pruned, "SELECT pruned_rev > 200 FROM ledger") == [(1,)]
    verify(pruned)
    on_hand = "SELECT code, on_hand_milli, reserved_milli FROM sku ORDER BY code"
    doubted = {sku for (sku,) in rows(pruned, "SELECT facts ->> 'sku' FROM alert WHERE kind = 'recount'")}
    for one, other in zip(rows(pruned, on_hand), rows(whole, on_hand), strict=True):
        assert one == other or one[0] in doubted


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        ("UPDATE closing SET on_hand_milli = 0", "on_hand is the sum of the effects"),
        ("UPDATE closing SET reserved_milli = 9", "reserved is the sum of the entries"),
        ("UPDATE closing SET revision = 99", "a closing sums up what is pruned"),
        ("UPDATE closing SET revision = 4", "an entry names the SKU's revision before it"),
        ("DELETE FROM closing", "an entry names the SKU's revision before it"),
        ("UPDATE ledger SET pruned_rev = 4", "a closing sums up what is pruned"),
        ("UPDATE ledger SET pruned_rev = 6", "what is pruned has no entries left"),
    ],
)
def test_closing_that_is_not_the_sum_is_found_out(shop: Shop, change: str, broken: str) -> None:
    sell(shop, 1, 5)
    shop.clock.now_ms = 2 * MONTH_MS
    sell(shop, 6, 6)
    prune(shop)
    verify(shop.directory)
    shop.writer._connection.execute(change)
    with pytest.raises(Violation) as found:
        verify(shop.directory)
    assert broken in found.value.what


def _receipt(seq: int, receipt: str, kind: str, qty: str, **more: Any) -> dict[str, Any]:
    said = {"type": "receipt", "receipt": receipt, "kind": kind, "status": "paid", "lines": [{"sku": "A", "qty": qty}]}
    return operation(seq, **BARE | said, **more)
