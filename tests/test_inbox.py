"""A turn's work is shared out fairly: nobody waits behind another one's backlog, and nobody's order changes."""

from dataclasses import replace

from appliance.inbox import Inbox


def _take(inbox: Inbox[str], size_max: int = 100) -> list[str]:
    return [waiting.work for waiting in inbox.take(size_max)]


def test_single_sale_is_not_kept_waiting_by_backlogs() -> None:
    inbox: Inbox[str] = Inbox()
    for number in range(3):
        for sender in ("A1", "A2", "A3"):
            inbox.put(sender, f"{sender} {number}", 100)
    assert _take(inbox) == ["A1 0"]
    inbox.put("A4", "sale", 1)
    assert _take(inbox) == ["sale", "A2 0"]
    assert _take(inbox) == ["A3 0"]
    inbox.put("A4", "another sale", 1)
    assert _take(inbox) == ["another sale", "A1 1"]


def test_bytes_of_the_turns_are_shared_evenly() -> None:
    inbox: Inbox[str] = Inbox()
    for _ in range(400):
        inbox.put("many", "small", 1)
    for _ in range(4):
        inbox.put("few", "large", 100)
    for _ in range(8):
        taken = _take(inbox)
        assert taken.count("small") <= 100
        assert taken.count("large") <= 1
    assert not inbox


def test_work_that_is_put_back_keeps_its_place() -> None:
    inbox: Inbox[str] = Inbox()
    inbox.put("A1", "long", 150)
    inbox.put("A2", "other", 150)
    [waiting] = inbox.take(100)
    inbox.put_back([replace(waiting, work="rest of it", size=50)])
    inbox.put("A1", "next", 150)
    assert _take(inbox) == ["rest of it", "other"]
    assert _take(inbox) == ["next"]


def test_turn_that_failed_does_not_push_back_who_comes_next() -> None:
    inbox: Inbox[str] = Inbox()
    for number in range(2):
        inbox.put("A1", f"backlog {number}", 100)
    inbox.put_back(inbox.take(1000))
    inbox.put("A2", "sale", 50)
    assert _take(inbox, 1000) == ["sale", "backlog 0", "backlog 1"]


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
    for number in range(2):
        inbox.put("A1", f"large {number}", 1000)
    assert _take(inbox, 10) == ["large 0"]
    assert _take(inbox, 10) == ["large 1"]
    assert _take(inbox, 10) == []
