"""Identity, order, refusal and forks, through the real coordinator and ledger: the contract's "Operations"."""

from unittest import mock

import orjson
import pytest

from appliance.contract.delivery import Channel
from appliance.work import TURN_MS
from tests.shop import EPOCH, Clock, Shop, message, operation, tag

OTHER = "epoch-of-the-test-0002"


def test_sale_is_acked_and_on_its_balance(shop: Shop) -> None:
    ack = shop.say("A1", message(operation(1)))
    assert (ack["epoch"], ack["seq"], ack["tag"], ack["safe"], ack["rejected"]) == (EPOCH, 1, tag(1), 0, [])
    assert shop.retained("balance/A")["on_hand"] == "-1"
    assert shop.settled == 1


def test_resent_operation_counts_once_even_after_a_restart(shop: Shop) -> None:
    shop.say("A1", message(operation(1), operation(2)))
    assert shop.say("A1", message(operation(1)))["seq"] == 2
    shop.restart()
    assert shop.say("A1", message(operation(2)))["seq"] == 2
    assert shop.on_hand() == "-2"


def test_same_name_with_another_tag_is_refused_and_the_rest_of_the_message_dropped(shop: Shop) -> None:
    shop.say("A1", message(operation(1)))
    ack = shop.say("A1", message(operation(1, tag="f" * 16), operation(2)))
    assert ack["refused"] == {"seq": 1, "tag": "f" * 16, "code": "sequence-reused"}
    assert (ack["seq"], shop.on_hand(), shop.settled) == (1, "-1", 2)
    assert "refused" not in shop.retained("device/A1/ack"), "a refusal concerns one message, not who subscribes later"


def test_handshake_of_another_epoch_does_not_change_the_retained_ack(shop: Shop) -> None:
    """A clone comes back with an old epoch; a broker that keeps messages must hold what the ledger would say anew."""
    shop.say("A1", message(operation(1)))
    shop.say("A1", message(operation(1, tag="f" * 16), epoch=OTHER))
    shop.hand("A1", orjson.dumps({"state": "online", "epoch": EPOCH, "seq": 1, "pending": 0}), Channel.STATE)
    shop.coordinator.turn()
    assert shop.retained("device/A1/ack")["epoch"] == OTHER
    shop.coordinator.rewrite(())
    assert shop.retained("device/A1/ack")["epoch"] == OTHER


def test_gap_is_answered_and_nothing_behind_it_is_committed(shop: Shop) -> None:
    shop.say("A1", message(operation(1)))
    ack = shop.say("A1", message(operation(3)))
    assert (ack["gap"], ack["seq"], shop.on_hand()) == (True, 1, "-1")
    assert "gap" not in shop.say("A1", message(operation(2), operation(3)))
    assert shop.on_hand() == "-3"


def test_gap_inside_a_message_keeps_what_stands_before_it(shop: Shop) -> None:
    ack = shop.say("A1", message(operation(1), operation(3)))
    assert (ack["gap"], ack["seq"]) == (True, 1)


def test_message_after_another_tag_is_refused_whole(shop: Shop) -> None:
    """The fixed trace `after`: A and its clone A' both shake hands; A commits x as 1; A' sends y as 1, then z as 2.

    A' drops before it hears that y was refused. Without the rule z would be committed as 2, and A' would take y for
    acknowledged.
    """
    x, y, z = tag(101), tag(102), tag(103)
    shop.say("A", message(operation(1, tag=x)))
    shop.say("A", message(operation(1, tag=y)))
    ack = shop.say("A", message(operation(2, tag=z), after=y))
    assert ack["refused"] == {"seq": 2, "tag": z, "code": "sequence-reused"}
    assert (ack["seq"], ack["tag"], shop.on_hand()) == (1, x, "-1")


def test_fork_closes_its_parents_and_repeats_count_once(shop: Shop) -> None:
    shop.say("A1", message(operation(1), operation(2)))
    forked = [
        operation(1, tag=tag(1), again=True, parents=[EPOCH]),
        operation(2, tag=tag(2), again=True),
        operation(3, tag=tag(33), again=True),
    ]
    ack = shop.say("A1", message(*forked, epoch=OTHER))
    assert (ack["epoch"], ack["seq"], shop.on_hand()) == (OTHER, 3, "-3")
    assert shop.alerts() == {"fork"}
    refused = shop.say("A1", message(operation(3)))
    assert refused["refused"]["code"] == "epoch-closed"
    assert shop.say("A1", message(operation(2)))["seq"] == 2, "a resend into a closed epoch is acked all the same"


def test_fork_closes_parents_that_this_ledger_has_never_met(shop: Shop) -> None:
    shop.say("A1", message(operation(1, again=True, parents=[OTHER])))
    assert shop.say("A1", message(operation(1, tag=tag(7)), epoch=OTHER))["refused"]["code"] == "epoch-closed"


def test_fork_holds_when_its_first_operation_is_bad(shop: Shop) -> None:
    shop.say("A1", message(operation(1)))
    ack = shop.say("A1", message(operation(1, tag=tag(9), again=True, parents=[EPOCH], qty="x"), epoch=OTHER))
    assert ack["rejected"][0]["code"] == "bad-quantity"
    assert shop.say("A1", message(operation(2)))["refused"]["code"] == "epoch-closed"


def test_tag_is_found_in_any_epoch_of_the_device_and_of_no_other(shop: Shop) -> None:
    shop.say("A1", message(operation(1)))
    shop.say("A2", message(operation(1, again=True, parents=[OTHER])))
    assert shop.on_hand() == "-2", "another device's tag says nothing"
    third = "epoch-of-the-test-0003"
    shop.say("A1", message(operation(1, again=True, parents=[OTHER]), epoch=third))
    assert shop.on_hand() == "-2"
    shop.say("A1", message(operation(2, again=True), operation(3, tag=tag(2), again=True), epoch=third))
    assert shop.on_hand() == "-3", "also one that was committed a moment ago"


def test_tag_committed_as_rejected_is_not_rejected_again(shop: Shop) -> None:
    shop.say("A1", message(operation(1, qty="x")))
    ack = shop.say("A1", message(operation(1, qty="x", again=True, parents=[EPOCH]), epoch=OTHER))
    assert (ack["seq"], ack["rejected_total"]) == (1, 0)


def test_handshake_answers_with_the_ack_of_that_epoch_and_a_tick(shop: Shop) -> None:
    shop.say("A1", message(operation(1)))
    shop.hand("A1", orjson.dumps({"state": "online", "epoch": EPOCH, "seq": 1, "pending": 0}), Channel.STATE)
    shop.hand("A1", orjson.dumps({"state": "online", "epoch": OTHER, "seq": 1, "pending": 1}), Channel.STATE)
    shop.link.log.clear()
    shop.coordinator.turn()
    heard = [(topic.removeprefix(shop.topics.root), orjson.loads(payload)) for topic, payload in shop.link.log]
    assert [topic for topic, _ in heard] == ["device/A1/ack", "tick", "device/A1/ack", "tick"]
    assert [(ack["epoch"], ack["seq"], ack["tag"]) for topic, ack in heard if topic != "tick"] == [
        (EPOCH, 1, tag(1)),
        (OTHER, 0, None),
    ]
    assert heard[1][1] == {"ledger": "ledger-1", "run": shop.run, "shop_ms": 0, "rev": 1}


def test_device_that_goes_offline_is_answered_nothing(shop: Shop) -> None:
    shop.hand("A1", b'{"state":"offline"}', Channel.STATE)
    shop.coordinator.turn()
    assert shop.link.log == []
    assert shop.settled == 1


def test_two_devices_may_use_one_epoch_name(shop: Shop) -> None:
    shop.say("A1", message(operation(1)))
    assert shop.say("A2", message(operation(1)))["seq"] == 1
    assert shop.on_hand() == "-2"


def test_operation_without_a_tag_is_known_by_its_bytes(shop: Shop) -> None:
    one_liner = {"epoch": EPOCH, "seq": 1, "type": "move", "sku": "A", "qty": "-1", "reason": "sale"}
    assert shop.say("A1", one_liner)["tag"] is None
    assert shop.say("A1", one_liner)["seq"] == 1
    assert shop.on_hand() == "-1"
    assert shop.say("A1", one_liner | {"qty": "-2"})["refused"]["code"] == "sequence-reused"


def test_one_turn_commits_all_that_waits_and_acks_each_device(shop: Shop) -> None:
    for device in ("A1", "A2"):
        for seq in (1, 2):
            shop.hand(device, orjson.dumps(message(operation(seq))))
    assert shop.coordinator.turn() == 4
    assert shop.on_hand() == "-4"
    assert [shop.retained(f"device/{device}/ack")["seq"] for device in ("A1", "A2")] == [2, 2]
    changes = [orjson.loads(payload) for topic, payload in shop.link.log if topic == shop.topics.changes]
    assert [(part["from"], part["to"], [item["rev"] for item in part["items"]]) for part in changes] == [(0, 4, [4])]


def test_long_message_takes_several_turns_and_a_sale_goes_between(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    backlog = orjson.dumps(message(*(operation(seq) for seq in range(1, 11))))
    monkeypatch.setattr("appliance.coordinator.TURN_BYTES", len(backlog) * 4 // 10)
    shop.hand("A1", backlog)
    shop.hand("A1", orjson.dumps(message(operation(11))))
    shop.coordinator.turn()
    assert (shop.retained("device/A1/ack")["seq"], shop.settled) == (4, 0)
    shop.hand("A2", orjson.dumps(message(operation(1))))
    shop.coordinator.turn()
    assert (shop.retained("device/A2/ack")["seq"], shop.settled) == (1, 1)
    while shop.coordinator.turn():
        pass
    assert (shop.retained("device/A1/ack")["seq"], shop.settled) == (11, 3)
    assert (shop.on_hand(), shop.coordinator.resent) == ("-12", 0)


def test_clone_that_comes_between_two_turns_of_a_long_message_is_refused_or_refuses_its_rest(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    backlog = orjson.dumps(message(*(operation(seq) for seq in range(1, 5))))
    monkeypatch.setattr("appliance.coordinator.TURN_BYTES", len(backlog) // 2)
    shop.hand("A1", backlog)
    shop.coordinator.turn()
    monkeypatch.setattr("appliance.coordinator.TURN_BYTES", 1)
    rest = shop.coordinator._inbox.take(1)
    shop.say("A1", message(operation(3, tag="f" * 16)))
    shop.coordinator._inbox.put_back(rest)
    shop.link.log.clear()
    shop.coordinator.turn()
    refusal = orjson.loads(shop.link.log[-1][1])
    assert refusal["refused"] == {"seq": 3, "tag": tag(3), "code": "sequence-reused"}
    assert (shop.on_hand(), shop.settled) == ("-3", 2)


def test_turn_whose_time_is_over_leaves_the_rest_in_order_to_the_next(shop: Shop) -> None:
    """Each look at the clock of this box takes half of a turn's time."""

    class SlowClock(Clock):
        def shop_ms(self) -> int:
            self.now_ms += TURN_MS // 2
            return self.now_ms

    shop.coordinator._clock = SlowClock()
    for device in ("A1", "A2"):
        shop.hand(device, orjson.dumps(message(*(operation(seq) for seq in range(1, 5)))))
        shop.hand(device, orjson.dumps(message(operation(5))))
    assert shop.coordinator.turn() == 4
    assert shop.settled == 0, "nobody's message is done"
    turns = 1
    while shop.coordinator.turn():
        turns += 1
    assert (shop.on_hand(), shop.settled) == ("-10", 4)
    assert turns > 4
    acks = [orjson.loads(payload) for topic, payload in shop.link.log if topic.endswith("/ack")]
    assert not any(ack.get("gap") for ack in acks)


@pytest.mark.parametrize(("commit_ms", "judged"), [(0, 2), (TURN_MS * 2, 4), (10_000, 5)])
def test_turn_may_take_as_long_as_the_last_commit_within_bounds(shop: Shop, commit_ms: int, judged: int) -> None:
    class SlowClock(Clock):
        step_ms = 0

        def shop_ms(self) -> int:
            self.now_ms += self.step_ms
            return self.now_ms

    clock = shop.coordinator._clock = SlowClock()

    def begin_commit() -> None:
        clock.now_ms += commit_ms

    with mock.patch.object(shop.crashes, "judged", begin_commit):
        shop.say("A1", message(operation(1)))
    clock.step_ms = TURN_MS // 2
    shop.say("A1", message(*(operation(seq) for seq in range(2, 20))))
    assert shop.retained("device/A1/ack")["seq"] == 1 + judged
