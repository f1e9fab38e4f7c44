"""What readers are told: the change feed, pages of queries, the rewritten projection, and runs that end."""

from typing import Any

import orjson
import pytest

from tests.shop import Shop, message, operation


def _sell(shop: Shop, count: int, *, first: int = 1) -> None:
    shop.say("A1", message(*(operation(seq, sku=f"S{seq:04}") for seq in range(first, first + count))))


def _all(shop: Shop, **query: Any) -> list[dict[str, Any]]:
    """Follow the pages of a query to their end, and check that they join."""
    rows: list[dict[str, Any]] = []
    since = 0
    for _ in range(100):
        page = shop.ask("A2", {"id": "q1", "run": shop.run, "since": since} | query)
        assert page["id"] == "q1"
        assert page["from"] == since
        rows += page["items"]
        since = page["to"]
        if not page["more"]:
            return rows
    raise AssertionError("the pages have no end")


def test_pages_join_and_hold_every_balance_once(shop: Shop) -> None:
    _sell(shop, 250)
    rows = _all(shop, what="balances", limit=40)
    assert sorted(row["sku"] for row in rows) == [f"S{seq:04}" for seq in range(1, 251)]


def test_page_never_splits_a_revision(shop: Shop) -> None:
    lines = [{"sku": f"L{number:03}", "qty": "1"} for number in range(300)]
    bare = {"sku": ..., "qty": ..., "reason": ...}
    receipt = {"type": "receipt", "receipt": "r", "kind": "sale", "status": "paid", "lines": lines}
    shop.say("A1", message(operation(1), operation(2, **bare, **receipt), operation(3, sku="Z")))
    page = shop.ask("A2", {"id": "q", "what": "balances", "limit": 10})
    assert [(row["rev"], row["sku"]) for row in page["items"][:2]] == [(1, "A"), (2, "L000")]
    assert (len(page["items"]), page["to"], page["more"]) == (301, 2, True)


def test_page_is_never_larger_than_a_payload(shop: Shop) -> None:
    for first in range(1, 2001, 500):
        shop.say("A1", message(*(operation(seq, sku=f"{seq:04}{'x' * 120}") for seq in range(first, first + 500))))
        while shop.coordinator.turn():
            pass
    page = shop.ask("A2", {"id": "q", "what": "balances", "limit": 5000})
    assert page["more"] is True
    assert len(shop.link.log[-1][1]) <= 256 * 1024
    assert len(_all(shop, what="balances", limit=5000)) == 2000


def test_catching_up_brings_only_what_changed_since(shop: Shop) -> None:
    _sell(shop, 3)
    page = shop.ask("A2", {"id": "q", "what": "balances", "run": shop.run, "since": 2})
    assert ([row["sku"] for row in page["items"]], page["from"], page["to"]) == (["S0003"], 2, 3)


def test_revision_of_an_earlier_run_is_still_good_after_a_restart(shop: Shop) -> None:
    _sell(shop, 3)
    before = shop.run
    shop.restart()
    _sell(shop, 1, first=4)
    page = shop.ask("A2", {"id": "q", "what": "balances", "run": before, "since": 3})
    assert ([row["sku"] for row in page["items"]], page["from"], page["run"]) == (["S0004"], 3, shop.run)


@pytest.mark.parametrize(("run", "since"), [("unknown", 2), (None, 2), ("00000001", 9)])
def test_since_that_this_ledger_does_not_know_is_answered_from_the_beginning(
    shop: Shop, run: str | None, since: int
) -> None:
    _sell(shop, 3)
    shop.restart()
    _sell(shop, 7, first=4)
    page = shop.ask("A2", {"id": "q", "what": "balances", "run": run, "since": since})
    assert (page["from"], len(page["items"])) == (0, 10)


def test_items_and_receipts_can_be_asked_for(shop: Shop) -> None:
    bare = {"qty": ..., "reason": ...}
    lines = [{"sku": "A", "qty": "1"}]
    receipt = {"type": "receipt", "receipt": "r-7", "number": "A1-7", "kind": "sale", "status": "paid", "lines": lines}
    shop.say("A1", message(operation(1, type="item", name="Bread", **bare), operation(2, **bare, **receipt)))
    assert [row["name"] for row in _all(shop, what="items")] == ["Bread"]
    [row] = shop.ask("A2", {"id": "q", "what": "receipt", "receipt": "r-7"})["items"]
    assert (row["state"], row["device"], row["number"], row["rev"]) == ("paid", "A1", "A1-7", 2)
    assert shop.ask("A2", {"id": "q", "what": "receipt", "receipt": "r-8"})["items"] == []


@pytest.mark.parametrize(
    ("query", "code"),
    [
        (b"\xff", "bad-query"),
        (b"[]", "bad-query"),
        ({"id": "q", "what": "money"}, "unknown-query"),
        ({"id": "q", "what": "balances", "since": -1}, "bad-field"),
        ({"id": "q", "what": "balances", "limit": "all"}, "bad-field"),
        ({"id": "q", "what": "receipt"}, "bad-field"),
        ({"what": "balances"}, "bad-field"),
    ],
)
def test_question_that_is_bad_is_answered_with_a_code(shop: Shop, query: Any, code: str) -> None:
    answer = shop.ask("A1", query)
    assert (answer["code"], shop.settled) == (code, 1)
    assert answer["id"] == (query.get("id") if isinstance(query, dict) else None)


def test_too_many_questions_are_answered_busy(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.questions.QUESTIONS_MAX", 2)
    from appliance.contract.delivery import Channel

    for _ in range(3):
        shop.hand("A1", b'{"id":"q","what":"balances"}', Channel.QUERY)
    assert orjson.loads(shop.link.log[-1][1])["code"] == "busy"
    assert shop.coordinator.questions.answer() == 2
    assert shop.settled == 3


def test_feed_of_one_turn_comes_in_parts_that_join(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.coordinator.TURN_BYTES", 2**20)
    for device in ("A1", "A2", "A3", "A4"):
        skus = (operation(seq, sku=f"{device}-{seq:04}-{'x' * 100}") for seq in range(1, 501))
        shop.hand(device, orjson.dumps(message(*skus)))
    shop.coordinator.turn()
    payloads = [payload for topic, payload in shop.link.log if topic == shop.topics.changes]
    parts = [orjson.loads(payload) for payload in payloads]
    assert len(parts) > 1
    assert max(map(len, payloads)) <= 256 * 1024
    assert [part["from"] for part in parts] == [0] + [part["to"] for part in parts[:-1]]
    assert parts[-1]["to"] == 2000
    assert sum(len(part["items"]) for part in parts) == 2000


def test_projection_is_rewritten_and_what_the_ledger_does_not_know_is_cleared(shop: Shop) -> None:
    bare = {"qty": ..., "reason": ...}
    shop.say("A1", message(operation(1, type="item", **bare), operation(2, qty="x")))
    expected = dict(shop.link.retained)
    shop.restart()
    stale = {shop.topics.balance("gone"): b"x", shop.topics.device("gone", "ack"): b"x", shop.topics.item("A"): b"old"}
    shop.link.retained |= stale
    shop.coordinator.rewrite(set(stale))
    online = shop.link.retained.pop(shop.topics.coordinator)
    assert shop.link.retained == expected
    assert shop.link.log[-1] == (shop.topics.coordinator, online), "`online` is said last"


def test_clock_that_becomes_trusted_is_told(shop: Shop) -> None:
    shop.coordinator.tick()
    assert shop.retained("coordinator") is None
    shop.clock.synchronised = True
    shop.coordinator.tick()
    assert shop.retained("coordinator")["clock"] == "synchronised"
