"""The protocol of a device: each test's name is a rule of the wire contract's section "Operations"."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest

from appliance.contract.limits import OPERATION_BYTES_MAX
from appliance.contract.messages import Refusal, Rejection
from appliance.contract.operations import identify, read_message, read_operation
from appliance.stock.operation import Item, Move, Receipt
from appliance.till import drafts
from appliance.till.session import ACK_MS, BATCH_BYTES, BATCH_COUNT, WINDOW, Phase, Subscribe
from tests.till.desk import LEDGER, MILK, OTHER, TOPICS, Desk, copy_outbox, held, operations, sale

Seat = Callable[..., Desk]


@pytest.fixture
def seat(tmp_path: Path) -> Iterator[Seat]:
    """Make a desk; a later one at the same path takes the place of the earlier, as a restart does."""
    seated: dict[Path, Desk] = {}

    def sit(path: Path | None = None, **how: Any) -> Desk:
        path = path or tmp_path / "A1.outbox"
        if path in seated:
            seated.pop(path).outbox.close()
        seated[path] = Desk(path, **how)
        return seated[path]

    yield sit
    for desk in seated.values():
        desk.outbox.close()


def test_it_subscribes_to_the_few_topics_of_a_till_and_never_to_balances(seat: Seat) -> None:
    desk = seat()
    desk.session.connected()
    [subscribe] = desk.session.outputs()
    assert isinstance(subscribe, Subscribe)
    leaves = [topic.removeprefix("stock/v1/shop/") for topic in subscribe.topics]
    assert leaves == [
        *("coordinator", "tick", "changes", "device/A1/ack", "device/A1/answer"),
        *("alert/+", "device/+/state"),
    ]


def test_state_is_published_only_when_the_subscriptions_stand(seat: Seat) -> None:
    desk = seat()
    desk.sell()
    desk.session.connected()
    desk.collect()
    assert desk.published == []
    desk.session.subscribed(desk.now_ms)
    desk.collect()
    [state] = desk.take("state")
    assert state["state"] == "online"
    assert (state["epoch"], state["seq"], state["pending"]) == (desk.outbox.epoch, 1, 1)


def test_no_operation_is_sent_before_the_coordinator_has_acked_the_epoch(seat: Seat) -> None:
    desk = seat()
    desk.sell()
    desk.connect()
    desk.tick(1000)
    desk.online()
    assert desk.take("op") == []
    assert desk.session.acked_ms is None
    desk.ack(0, None)
    assert desk.sent_seqs() == [[1]]
    assert desk.session.acked_ms == desk.now_ms


def test_an_ack_of_another_epoch_says_nothing(seat: Seat) -> None:
    desk = seat()
    desk.sell()
    epoch = desk.outbox.epoch
    desk.connect()
    desk.ack(7, "f" * 16, epoch="0123456789abcdef")
    assert (desk.session.phase, desk.take("op"), desk.outbox.pending) == (Phase.GREETING, [], 1)
    assert (desk.outbox.epoch, desk.notes) == (epoch, [])


def test_an_operation_is_on_disk_when_wanted_returns_without_any_connection(seat: Seat, tmp_path: Path) -> None:
    desk = seat()
    kept = desk.sell()
    survivor = seat(copy_outbox(desk.path, tmp_path / "after the power cut"))
    assert [operation["tag"] for operation in held(survivor.outbox)] == [kept.tag]


def test_a_first_message_has_no_after_and_a_later_one_names_the_tag_before_it(seat: Seat) -> None:
    desk = seat()
    desk.shake_hands()
    first = desk.sell()
    desk.sell()
    one, two = desk.take("op")
    assert "after" not in one
    assert two["after"] == first.tag
    assert one["epoch"] == two["epoch"] == desk.outbox.epoch


def test_after_is_known_when_the_operation_before_is_trimmed(seat: Seat) -> None:
    desk = seat()
    desk.shake_hands()
    first = desk.sell()
    desk.ack(1, first.tag, safe=1)
    assert held(desk.outbox) == []
    desk.sell()
    assert desk.take("op")[-1]["after"] == first.tag


def test_the_coordinator_can_read_every_operation_that_is_sent(seat: Seat) -> None:
    desk = seat()
    desk.shake_hands()
    desk.session.wanted(drafts.item(MILK, {"name": "Молоко", "unit": "pcs", "price_minor": 8990}), desk.now_ms)
    line = {"sku": MILK, "qty": 2, "price_minor": 8990, "amount_minor": 17980}
    header = {"number": "A1-1", "total_minor": 17980}
    desk.session.wanted(drafts.receipt("r-1", "sale", "paid", [line], header), desk.now_ms, "2026-11-24T10:00:01+03:00")
    desk.sell()
    desk.collect()
    kinds = []
    for payload in desk.raw_ops:
        message = read_message(payload)
        for raw in message.operations:
            head = identify(raw)
            operation = read_operation(head, is_linked=head.seq == 1 or message.after is not None)
            kinds.append(type(operation.body))
    assert kinds == [Item, Receipt, Move]


def test_when_idle_an_operation_is_sent_at_once_and_alone(seat: Seat) -> None:
    desk = seat()
    desk.shake_hands()
    for expected in (1, 2, 3):
        kept = desk.sell()
        assert desk.sent_seqs() == [[expected]]
        desk.ack(expected, kept.tag)


def test_only_a_few_messages_wait_for_their_ack_and_the_rest_follows_in_one_batch(seat: Seat) -> None:
    desk = seat()
    desk.shake_hands()
    kept = [desk.sell() for _ in range(WINDOW + 5)]
    assert desk.sent_seqs() == [[seq] for seq in range(1, WINDOW + 1)]
    desk.ack(1, kept[0].tag)
    assert desk.sent_seqs() == [list(range(WINDOW + 1, WINDOW + 6))]


def test_a_backlog_goes_out_in_batches_of_bounded_count(seat: Seat) -> None:
    desk = seat()
    for _ in range(BATCH_COUNT * WINDOW + 10):
        desk.sell()
    desk.shake_hands()
    sent = desk.sent_seqs()
    assert [len(seqs) for seqs in sent] == [BATCH_COUNT] * WINDOW
    assert [seq for seqs in sent for seq in seqs] == list(range(1, BATCH_COUNT * WINDOW + 1))


def test_a_batch_is_bounded_in_bytes(seat: Seat) -> None:
    desk = seat()
    for _ in range(9):
        desk.session.wanted(drafts.item("x", {"barcodes": ["9" * 900] * 20}), desk.now_ms)
    desk.shake_hands()
    for payload in desk.raw_ops:
        assert len(payload) <= BATCH_BYTES + 1024
        assert len(read_message(payload).operations) == 3


def test_a_resend_is_byte_identical(seat: Seat) -> None:
    desk = seat()
    desk.shake_hands()
    desk.sell()
    [first] = desk.raw_ops
    desk.session.disconnected()
    desk.now_ms += 60_000
    desk.shake_hands(shop_ms=99_000_000, rev=500)
    assert desk.raw_ops == [first, first]


def test_a_resend_after_a_restart_is_byte_identical(seat: Seat) -> None:
    desk = seat()
    desk.shake_hands()
    desk.sell()
    again = seat(now_ms=5)
    again.shake_hands(shop_ms=99_000_000, rev=500)
    assert again.raw_ops == desk.raw_ops


def test_a_gap_is_resent_once_per_acked_seq_and_handshake(seat: Seat) -> None:
    desk = seat()
    desk.shake_hands()
    first, _, third = [desk.sell() for _ in range(3)]
    desk.take("op")
    desk.ack(1, first.tag)
    desk.ack(1, first.tag, gap=True)
    assert desk.sent_seqs() == [[2, 3]]
    desk.ack(1, first.tag, gap=True)
    assert desk.sent_seqs() == []
    # Another acked seq is another gap.
    desk.ack(3, third.tag)
    desk.sell()
    desk.take("op")
    desk.ack(3, third.tag, gap=True)
    assert desk.sent_seqs() == [[4]]
    # And a new handshake begins anew.
    desk.session.disconnected()
    desk.shake_hands()
    desk.take("op")
    desk.ack(3, third.tag, gap=True)
    assert desk.sent_seqs() == [[4]]


def test_an_old_ack_that_comes_late_cannot_leave_an_operation_waiting_for_ever(seat: Seat) -> None:
    desk = seat()
    desk.shake_hands()
    kept = [desk.sell() for _ in range(2)]
    desk.ack(1, kept[0].tag, gap=True)
    desk.ack(2, kept[1].tag)
    desk.take("op")
    desk.ack(1, kept[0].tag)  # Again, by a broker that delivers twice; a resend from here was used up.
    assert desk.take("op") == []
    desk.wait(ACK_MS)
    desk.ack(1, kept[0].tag)
    assert desk.sent_seqs() == [[2]]


def test_it_shakes_hands_again_when_no_ack_came_for_30_s(seat: Seat) -> None:
    desk = seat()
    desk.shake_hands()
    desk.sell()
    desk.take("op")
    desk.take("state")
    desk.wait(ACK_MS - 1)
    assert desk.take("state") == []
    desk.wait(1)
    assert len(desk.take("state")) == 1
    assert desk.take("op") == []
    desk.answer_state()
    assert desk.sent_seqs() == [[1]]


def test_a_handshake_that_nobody_answers_is_repeated_every_30_s(seat: Seat) -> None:
    desk = seat()
    desk.connect()
    desk.take("state")
    for _ in range(3):
        desk.wait(ACK_MS)
        assert len(desk.take("state")) == 1


def test_every_ack_that_moves_on_renews_the_patience(seat: Seat) -> None:
    desk = seat()
    desk.shake_hands()
    desk.wait(2 * ACK_MS)
    first = desk.sell()
    desk.sell()
    desk.take("state")
    desk.wait(ACK_MS - 1)
    desk.ack(1, first.tag)
    desk.wait(ACK_MS - 1)
    assert desk.take("state") == []
    desk.wait(1)
    assert len(desk.take("state")) == 1


def test_what_one_connection_did_not_carry_is_not_said_before_the_next_handshake(seat: Seat) -> None:
    desk = seat()
    desk.shake_hands()
    desk.session.wanted(sale(), desk.now_ms)
    desk.session.disconnected()
    desk.connect()
    assert desk.take("op") == []


def test_with_nothing_to_ack_it_waits_in_silence(seat: Seat) -> None:
    desk = seat()
    desk.shake_hands()
    desk.take("state")
    desk.wait(10 * ACK_MS)
    assert desk.take("state") == []


@pytest.mark.parametrize("sign", ["online", "tick"])
def test_it_shakes_hands_again_when_a_new_run_shows(seat: Seat, sign: str) -> None:
    desk = seat()
    desk.shake_hands()
    desk.take("state")
    desk.sell()
    desk.take("op")
    desk.speaks_as(LEDGER, "b2")
    if sign == "online":
        desk.online()
    else:
        desk.tick(1000)
    assert len(desk.take("state")) == 1
    desk.sell()
    assert desk.take("op") == []
    desk.answer_state()
    assert desk.sent_seqs() == [[1, 2]]


def test_nothing_is_sent_to_a_coordinator_that_said_offline_until_it_is_back(seat: Seat) -> None:
    desk = seat()
    desk.shake_hands()
    desk.take("state")
    desk.offline()
    desk.sell()
    assert desk.take("op") == []
    desk.online()
    assert len(desk.take("state")) == 1
    desk.answer_state()
    assert desk.sent_seqs() == [[1]]


def test_an_ack_of_a_foreign_tag_forks(seat: Seat) -> None:
    desk = seat()
    desk.shake_hands()
    kept = desk.sell()
    parent = desk.outbox.epoch
    desk.take("op")
    desk.take("state")
    desk.ack(1, "f" * 16)
    [state] = desk.take("state")
    assert state["epoch"] == desk.outbox.epoch != parent
    assert desk.take("op") == []
    desk.answer_state()
    [message] = desk.take("op")
    [operation] = operations(message)
    assert "after" not in message
    assert (operation["seq"], operation["tag"]) == (1, kept.tag)
    assert (operation["again"], operation["parents"]) == (True, [parent])
    assert any("forked" in note and "foreign-tag" in note for note in desk.notes)


@pytest.mark.parametrize("code", ["sequence-reused", "epoch-closed"])
def test_a_refusal_forks_and_everything_still_kept_is_sent_again(seat: Seat, code: str) -> None:
    desk = seat()
    desk.shake_hands()
    kept = [desk.sell() for _ in range(3)]
    desk.ack(1, kept[0].tag)
    desk.take("op")
    parent = desk.outbox.epoch
    desk.ack(1, kept[0].tag, refused=Refusal(2, kept[1].tag, code))
    desk.answer_state()
    sent = [operation for message in desk.take("op") for operation in operations(message)]
    assert [(operation["seq"], operation["tag"]) for operation in sent] == [
        (place, operation.tag) for place, operation in enumerate(kept, start=1)
    ]
    assert sent[0]["parents"] == [parent]


def test_the_refusal_of_a_clone_is_not_taken_for_ones_own(seat: Seat) -> None:
    desk = seat()
    desk.shake_hands()
    kept = desk.sell()
    epoch = desk.outbox.epoch
    desk.ack(1, kept.tag, refused=Refusal(1, "f" * 16, "sequence-reused"))
    assert desk.outbox.epoch == epoch


def test_a_clone_finds_out_by_the_foreign_tag_and_loses_nothing(seat: Seat, tmp_path: Path) -> None:
    desk = seat()
    desk.shake_hands()
    first = desk.sell()
    desk.ack(1, first.tag)
    clone = seat(copy_outbox(desk.path, tmp_path / "clone"), seed=2)
    of_desk, of_clone = desk.sell(), clone.sell()
    desk.ack(2, of_desk.tag)
    clone.connect()
    clone.ack(2, of_desk.tag)
    assert clone.outbox.epoch != desk.outbox.epoch
    assert [operation["tag"] for operation in held(clone.outbox)] == [first.tag, of_clone.tag]


def test_a_restored_coordinator_is_sent_again_what_it_lost(seat: Seat) -> None:
    desk = seat()
    desk.shake_hands()
    kept = [desk.sell() for _ in range(3)]
    desk.ack(3, kept[2].tag)
    desk.take("op")
    desk.speaks_as(LEDGER, "b2")
    desk.online()
    desk.ack(1, kept[0].tag)
    assert desk.sent_seqs() == [[2, 3]]


def test_a_history_gap_forks(seat: Seat) -> None:
    desk = seat()
    desk.shake_hands()
    kept = [desk.sell() for _ in range(4)]
    desk.ack(3, kept[2].tag, safe=3)
    desk.speaks_as(LEDGER, "b2")
    desk.online()
    desk.take("op")
    desk.ack(1, kept[0].tag)
    assert any("history-gap" in note for note in desk.notes)
    desk.answer_state()
    [message] = desk.take("op")
    assert [operation["tag"] for operation in operations(message)] == [kept[3].tag]


def test_nothing_is_sent_to_another_ledger_until_a_person_accepts_it(seat: Seat) -> None:
    desk = seat()
    desk.shake_hands()
    acked, waiting = desk.sell(), desk.sell()
    desk.ack(1, acked.tag)
    desk.session.disconnected()
    desk.speaks_as(OTHER, "0b")
    desk.connect()
    desk.published.clear()
    desk.ack(0, None)
    desk.tick(1000)
    desk.online()
    later = desk.sell()
    desk.wait(10 * ACK_MS)
    desk.ack(0, None)
    assert desk.published == []
    assert desk.session.other_ledger == OTHER
    desk.session.accept(OTHER, desk.now_ms)
    desk.collect()
    assert desk.session.other_ledger is None
    desk.answer_state()
    [message] = desk.take("op")
    assert [operation["tag"] for operation in operations(message)] == [waiting.tag, later.tag]
    assert all(operation["again"] is True for operation in operations(message))


def test_accept_ledger_follows_a_new_box_without_a_person_and_with_one_handshake(seat: Seat) -> None:
    desk = seat(accept_ledger=True)
    desk.shake_hands()
    kept = desk.sell()
    desk.published.clear()
    desk.speaks_as(OTHER, "0b")
    desk.online()
    assert desk.outbox.ledger == OTHER
    desk.answer_state()
    assert len(desk.take("state")) == 1
    assert operations(desk.take("op")[0])[0]["tag"] == kept.tag


def test_when_a_parked_ledger_returns_everything_parked_is_sent_again(seat: Seat) -> None:
    desk = seat()
    desk.shake_hands()
    acked, waiting = desk.sell(), desk.sell()
    desk.ack(1, acked.tag)
    desk.speaks_as(OTHER, "0b")
    desk.online()
    desk.session.accept(OTHER, desk.now_ms)
    desk.answer_state()
    at_other = desk.sell()
    desk.ack(2, at_other.tag)
    desk = seat()
    desk.take("op")
    desk.connect()
    desk.ack(0, None)
    desk.answer_state()
    [message] = desk.take("op")
    assert [operation["tag"] for operation in operations(message)] == [acked.tag, waiting.tag]


def test_the_own_ledger_back_without_an_answer_from_a_person_goes_on_as_before(seat: Seat) -> None:
    desk = seat()
    desk.shake_hands()
    desk.sell()
    epoch = desk.outbox.epoch
    desk.take("op")
    desk.speaks_as(OTHER, "0b")
    desk.online()
    desk.sell()
    assert desk.take("op") == []
    desk.speaks_as(LEDGER, "a1")
    desk.online()
    desk.answer_state()
    assert (desk.sent_seqs(), desk.outbox.epoch) == ([[1, 2]], epoch)


def test_a_rejected_operation_is_acked_and_shown_to_a_person(seat: Seat) -> None:
    desk = seat()
    desk.shake_hands()
    kept = desk.sell()
    desk.ack(1, kept.tag, rejected=(Rejection(1, kept.tag, "unknown-reason", "reason is sale"),))
    assert desk.outbox.pending == 0
    assert [rejected.tag for rejected in desk.outbox.rejected()] == [kept.tag]


@pytest.mark.parametrize("payload", [b"", b"\xff", b"[]", b"null", b'{"epoch":1}', b'{"seq":-1}', b"{}"])
def test_what_is_unreadable_says_nothing(seat: Seat, payload: bytes) -> None:
    desk = seat()
    desk.shake_hands()
    kept = desk.sell()
    desk.published.clear()
    for topic in (
        TOPICS.coordinator,
        TOPICS.tick,
        TOPICS.changes,
        TOPICS.device("A1", "ack"),
        TOPICS.device("A1", "answer"),
        "elsewhere",
    ):
        desk.hear(topic, payload)
    assert desk.published == []
    assert (desk.session.phase, desk.outbox.pending) == (Phase.READY, 1)
    assert desk.outbox.tag_at(1) == kept.tag


@pytest.mark.parametrize(
    ("fields", "remedy"),
    [
        (drafts.move("", "1", "receive"), "non-empty text"),
        (drafts.move("x" * 129, "1", "receive"), "at most 128"),
        (drafts.move(MILK, "1", "sale"), "negative"),
        (drafts.move(MILK, "1", "theft"), "write one of"),
        (drafts.receipt("r-1", "sale", "paid", [{"sku": "x", "qty": 1}] * 501, {}), "at most 500"),
        (drafts.receipt("r/1", "sale", "paid", [], {}), "UUID"),
        (drafts.item("x", {"barcodes": ["9" * 1000] * 70}), "split it"),
        (drafts.item("x", {"price_minor": 0.5}), "whole number"),
    ],
)
def test_what_would_be_rejected_is_refused_before_a_seq_is_spent(
    seat: Seat, fields: dict[str, object], remedy: str
) -> None:
    desk = seat()
    with pytest.raises(ValueError, match=remedy):
        desk.session.wanted(fields, desk.now_ms)
    assert (desk.outbox.last_seq, desk.session.view.skus()) == (0, [])


@pytest.mark.parametrize("qty", ["1.2345", "", "x", "1e3", 0.1 + 0.2, "1000000000", True])
def test_a_bad_quantity_never_becomes_a_draft(qty: object) -> None:
    with pytest.raises(ValueError, match="write a decimal"):
        drafts.negated(qty)


def test_a_fraction_of_what_is_counted_in_pieces_is_prevented(seat: Seat) -> None:
    desk = seat()
    desk.session.wanted(drafts.item(MILK, {"unit": "pcs"}), desk.now_ms)
    with pytest.raises(ValueError, match="counted in pcs: enter a whole number"):
        desk.sell("0.5")
    line = {"sku": "new", "qty": "0.5", "unit": "pcs"}
    with pytest.raises(ValueError, match="counted in pcs"):
        desk.session.wanted(drafts.receipt("r-1", "sale", "paid", [line], {}), desk.now_ms)
    desk.session.wanted(drafts.item(MILK, {"unit": "kg"}), desk.now_ms)
    assert desk.sell("0.5").seq == 3


def test_an_operation_at_the_limit_still_fits_after_a_fork(seat: Seat) -> None:
    desk = seat()
    length = OPERATION_BYTES_MAX
    while desk.outbox.last_seq == 0:
        barcodes = ["9" * 1000] * (length // 1000) + ["9" * (length % 1000)]
        with suppress(ValueError):
            desk.session.wanted(drafts.item("x", {"barcodes": barcodes}), desk.now_ms)
        length -= 10
    assert len(held(desk.outbox)) == 1
    desk.shake_hands()
    for _ in range(70):
        desk.ack(1, "f" * 16)
        desk.answer_state()
    head = identify(read_message(desk.raw_ops[-1]).operations[0])
    assert isinstance(read_operation(head, is_linked=True).body, Item)


def test_the_same_inputs_give_the_same_outputs(seat: Seat, tmp_path: Path) -> None:
    def day(desk: Desk) -> list[bytes]:
        desk.shake_hands()
        kept = [desk.sell() for _ in range(10)]
        desk.ack(1, kept[0].tag)
        desk.ack(2, "f" * 16)
        desk.answer_state()
        desk.wait(ACK_MS)
        desk.answer_state()
        return [*desk.raw_ops, orjson.dumps(desk.published)]

    assert day(seat(tmp_path / "one")) == day(seat(tmp_path / "two"))


def test_a_sale_is_a_move_away_from_the_shelf() -> None:
    assert sale("2") == {"type": "move", "sku": MILK, "qty": "-2", "reason": "sale"}
