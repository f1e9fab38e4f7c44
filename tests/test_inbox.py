"""A turn's work is shared out fairly: nobody waits behind another one's backlog, and nobody's order changes."""

from appliance.inbox import Inbox


def _take(inbox: Inbox[str], size_max: int = 100) -> list[str]:
    return [waiting.work for waiting in inbox.take(size_max)]


def test_single_sale_is_not_kept_waiting_by_a_backlog() -> None:
    inbox: Inbox[str] = Inbox()
    for number in range(6):
        inbox.put("A1", f"backlog {number}", 50)
    inbox.put("A2", "sale", 1)
    assert _take(inbox) == ["backlog 0", "sale", "backlog 1"]
    assert _take(inbox) == ["backlog 2", "backlog 3"]


def test_order_of_one_sender_is_kept_also_when_a_turn_failed() -> None:
    inbox: Inbox[str] = Inbox()
    for number in range(3):
        for sender in ("A1", "A2"):
            inbox.put(sender, f"{sender} {number}", 1)
    batch = inbox.take(4)
    inbox.put("A1", "A1 3", 1)
    inbox.put_back(batch)
    taken = _take(inbox)
    assert [work for work in taken if work.startswith("A1")] == [f"A1 {number}" for number in range(4)]
    assert [work for work in taken if work.startswith("A2")] == [f"A2 {number}" for number in range(3)]
    assert not inbox


def test_work_that_is_larger_than_a_turn_is_taken_alone() -> None:
    inbox: Inbox[str] = Inbox()
    inbox.put("A1", "large", 1000)
    inbox.put("A2", "small", 1)
    assert _take(inbox, 10) == ["large"]
    assert _take(inbox, 10) == ["small"]
    assert _take(inbox, 10) == []
