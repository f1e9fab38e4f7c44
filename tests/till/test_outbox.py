"""The outbox: nothing leaves it too early, and a crash at any point loses nothing and doubles nothing."""

from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import orjson
import pytest

from appliance.contract.limits import PARENTS_MAX
from appliance.contract.messages import Ack, Refusal, Rejection
from appliance.till.outbox import Fork, Kept, Outbox, OutboxError
from appliance.till.shoptime import Heard
from tests.till.desk import LEDGER, OTHER, Chance, copy_outbox, held, sale

Opener = Callable[..., Outbox]


@pytest.fixture
def reopen(tmp_path: Path) -> Iterator[Opener]:
    """Open the test's outbox; the one that was open before is closed."""
    opened: list[Outbox] = []

    def open_again(device: str = "A1", *, kept_max: int = 20_000) -> Outbox:
        if opened:
            opened.pop().close()
        opened.append(Outbox(tmp_path / "A1.outbox", device, Chance(7), kept_max=kept_max))
        return opened[-1]

    yield open_again
    for outbox in opened:
        outbox.close()


def add(outbox: Outbox, count: int) -> list[Kept]:
    return [outbox.add(sale(), Heard()) for _ in range(count)]


def acknowledge(
    outbox: Outbox, seq: int, tag: str | None, *, safe: int = 0, refused: Refusal | None = None
) -> Fork | None:
    return outbox.acknowledge(Ack(LEDGER, outbox.epoch, seq, tag, safe, (), 0), refused)


def tags(outbox: Outbox) -> list[object]:
    return [operation["tag"] for operation in held(outbox)]


def test_an_operation_and_its_exact_bytes_survive_a_reopening(reopen: Opener) -> None:
    [kept] = add(reopen(), 1)
    outbox = reopen()
    assert outbox.batch(0, count_max=10, bytes_max=1000) == [kept]
    assert outbox.pending == 1


def test_an_outbox_begins_at_seq_1_with_a_legal_epoch_and_tag(reopen: Opener) -> None:
    outbox = reopen()
    first, second = add(outbox, 2)
    assert (first.seq, second.seq) == (1, 2)
    assert len(first.tag) == 16
    assert first.tag != second.tag
    assert len(outbox.epoch) == 32


def test_the_newest_operations_are_shown_with_what_became_of_them(reopen: Opener) -> None:
    outbox = reopen()
    kept = add(outbox, 3)
    acknowledge(outbox, 2, kept[1].tag)
    shown = outbox.newest(2)
    assert [(made.seq, made.tag, made.is_acked) for made in shown] == [(3, kept[2].tag, False), (2, kept[1].tag, True)]
    assert shown[0].operation["type"] == "move"


def test_the_outbox_of_one_device_is_not_opened_under_another_id(reopen: Opener) -> None:
    reopen("A1")
    with pytest.raises(OutboxError, match="is the outbox of device A1, not A2"):
        reopen("A2")


def test_two_processes_cannot_send_from_one_outbox(reopen: Opener, tmp_path: Path) -> None:
    reopen()
    with pytest.raises(OutboxError, match="is in use"):
        Outbox(tmp_path / "A1.outbox", "A1", Chance(8))


def test_an_outbox_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    with apsw.Connection(str(tmp_path / "A1.outbox")) as db:
        db.pragma("user_version", 99)
    db.close()
    with pytest.raises(OutboxError, match="update this program"):
        Outbox(tmp_path / "A1.outbox", "A1", Chance(8))


def test_an_outbox_of_an_older_version_is_brought_up_to_date_with_all_that_waits_in_it(
    reopen: Opener, tmp_path: Path
) -> None:
    kept = add(reopen(), 3)
    reopen().close()
    with apsw.Connection(str(tmp_path / "A1.outbox")) as db:
        db.execute("ALTER TABLE epoch DROP COLUMN why")
        db.pragma("user_version", 1)
    db.close()
    outbox = reopen()
    assert tags(outbox) == [operation.tag for operation in kept]
    assert acknowledge(outbox, 3, "f" * 16) is Fork.FOREIGN_TAG
    assert tags(reopen()) == [operation.tag for operation in kept]


def test_safe_0_keeps_everything_that_is_acked(reopen: Opener) -> None:
    outbox = reopen()
    kept = add(outbox, 5)
    assert acknowledge(outbox, 5, kept[4].tag, safe=0) is None
    assert (outbox.pending, len(held(outbox))) == (0, 5)


def test_what_is_safe_is_trimmed_and_what_is_beyond_it_is_kept(reopen: Opener) -> None:
    outbox = reopen()
    kept = add(outbox, 5)
    acknowledge(outbox, 4, kept[3].tag, safe=2)
    assert tags(outbox) == [operation.tag for operation in kept[2:]]


def test_safe_beyond_the_ack_trims_only_what_is_acked(reopen: Opener) -> None:
    outbox = reopen()
    kept = add(outbox, 3)
    acknowledge(outbox, 2, kept[1].tag, safe=99)
    assert tags(outbox) == [kept[2].tag]


def test_only_own_tags_are_trimmed(reopen: Opener) -> None:
    outbox = reopen()
    kept = add(outbox, 3)
    assert acknowledge(outbox, 3, "f" * 16, safe=3) is Fork.FOREIGN_TAG
    assert tags(outbox) == [operation.tag for operation in kept]


def test_acked_operations_are_kept_up_to_the_cap(reopen: Opener) -> None:
    outbox = reopen(kept_max=3)
    kept = add(outbox, 10)
    acknowledge(outbox, 8, kept[7].tag)
    assert tags(outbox) == [operation.tag for operation in kept[5:]]
    assert outbox.pending == 2


def test_unacked_operations_are_never_capped(reopen: Opener) -> None:
    outbox = reopen(kept_max=3)
    add(outbox, 10)
    acknowledge(outbox, 0, None)
    assert len(held(outbox)) == 10


def test_the_tag_of_the_last_trimmed_operation_is_remembered(reopen: Opener) -> None:
    outbox = reopen()
    kept = add(outbox, 2)
    acknowledge(outbox, 2, kept[1].tag, safe=2)
    outbox = reopen()
    assert held(outbox) == []
    assert outbox.tag_at(2) == kept[1].tag
    assert acknowledge(outbox, 2, kept[1].tag, safe=2) is None


def test_a_fork_requeues_everything_still_kept_with_its_tag_and_renumbered(reopen: Opener) -> None:
    outbox = reopen()
    kept = add(outbox, 5)
    acknowledge(outbox, 3, kept[2].tag, safe=2)
    parent = outbox.epoch
    assert acknowledge(outbox, 9, "f" * 16) is Fork.FOREIGN_TAG
    requeued = held(outbox)
    assert outbox.epoch != parent
    assert [operation["tag"] for operation in requeued] == [operation.tag for operation in kept[2:]]
    assert [operation["seq"] for operation in requeued] == [1, 2, 3]
    assert all(operation["again"] is True for operation in requeued)
    assert [operation.get("parents") for operation in requeued] == [[parent], None, None]
    assert outbox.pending == 3


def test_a_fork_changes_nothing_else_of_an_operation(reopen: Opener) -> None:
    outbox = reopen()
    add(outbox, 1)
    before = held(outbox)[0]
    acknowledge(outbox, 1, "f" * 16)
    assert held(outbox)[0] == {**before, "again": True, "parents": held(outbox)[0]["parents"]}


def test_a_fork_of_a_fork_names_its_parents_newest_first(reopen: Opener) -> None:
    outbox = reopen()
    add(outbox, 1)
    oldest = outbox.epoch
    acknowledge(outbox, 1, "f" * 16)
    older = outbox.epoch
    acknowledge(outbox, 1, "f" * 16)
    assert held(outbox)[0]["parents"] == [older, oldest]


def test_a_fork_names_older_parents_no_more_once_operation_1_is_trimmed(reopen: Opener) -> None:
    outbox = reopen()
    kept = add(outbox, 2)
    acknowledge(outbox, 1, "f" * 16)
    newer = outbox.epoch
    acknowledge(outbox, 1, kept[0].tag, safe=1)
    acknowledge(outbox, 2, "f" * 16)
    assert held(outbox)[0]["parents"] == [newer]


def test_a_fork_never_names_more_parents_than_the_contract_allows(reopen: Opener) -> None:
    outbox = reopen()
    add(outbox, 1)
    for _ in range(PARENTS_MAX + 3):
        acknowledge(outbox, 1, "f" * 16)
    parents = held(outbox)[0]["parents"]
    assert isinstance(parents, list)
    assert len(parents) == PARENTS_MAX


def test_a_fork_with_nothing_kept_names_its_parents_with_the_next_operation(reopen: Opener) -> None:
    outbox = reopen()
    parent = outbox.epoch
    acknowledge(outbox, 1, "f" * 16)
    outbox = reopen()
    add(outbox, 2)
    assert [operation.get("parents") for operation in held(outbox)] == [[parent], None]


def test_an_ack_beyond_what_was_ever_made_is_foreign(reopen: Opener) -> None:
    outbox = reopen()
    kept = add(outbox, 1)
    assert acknowledge(outbox, 2, kept[0].tag) is Fork.FOREIGN_TAG


def test_an_ack_below_what_is_trimmed_is_a_history_gap(reopen: Opener) -> None:
    outbox = reopen()
    kept = add(outbox, 4)
    acknowledge(outbox, 3, kept[2].tag, safe=3)
    assert acknowledge(outbox, 1, kept[0].tag) is Fork.HISTORY_GAP
    assert tags(outbox) == [kept[3].tag]


def test_a_refusal_forks_only_the_outbox_whose_operation_it_names(reopen: Opener) -> None:
    outbox = reopen()
    kept = add(outbox, 2)
    clones = Refusal(2, "f" * 16, "sequence-reused")
    assert acknowledge(outbox, 1, kept[0].tag, refused=clones) is None
    own = Refusal(2, kept[1].tag, "sequence-reused")
    assert acknowledge(outbox, 1, kept[0].tag, refused=own) is Fork.REFUSED
    assert tags(outbox) == [operation.tag for operation in kept]


def test_a_restored_coordinator_that_acks_less_makes_operations_pending_again(reopen: Opener) -> None:
    outbox = reopen()
    kept = add(outbox, 4)
    acknowledge(outbox, 4, kept[3].tag, safe=1)
    assert outbox.never_acked() == []
    assert acknowledge(outbox, 2, kept[1].tag, safe=1) is None
    assert outbox.pending == 2
    assert outbox.never_acked() == kept[2:]


def test_operations_acked_before_a_fork_are_not_taken_for_new_ones(reopen: Opener) -> None:
    outbox = reopen()
    kept = add(outbox, 3)
    acknowledge(outbox, 2, kept[1].tag)
    acknowledge(outbox, 3, "f" * 16)
    assert [operation.tag for operation in outbox.never_acked()] == [kept[2].tag]


def test_a_rejected_operation_is_kept_for_a_person_after_it_is_trimmed(reopen: Opener) -> None:
    outbox = reopen()
    kept = add(outbox, 2)
    mine = Rejection(1, kept[0].tag, "bad-quantity", "qty is x")
    clones = Rejection(2, "f" * 16, "bad-quantity", "not mine")
    for _ in range(2):
        outbox.acknowledge(Ack(LEDGER, outbox.epoch, 2, kept[1].tag, 2, (mine, clones), 2), None)
    [rejected] = reopen().rejected()
    assert (rejected.tag, rejected.code, rejected.detail) == (kept[0].tag, "bad-quantity", "qty is x")
    assert rejected.operation["sku"] == "4607001234567"


def test_another_ledger_gets_what_was_never_acked_and_the_rest_is_parked(reopen: Opener) -> None:
    outbox = reopen()
    outbox.bind(LEDGER)
    kept = add(outbox, 3)
    acknowledge(outbox, 1, kept[0].tag)
    parent = outbox.epoch
    outbox.accept(OTHER)
    assert (outbox.ledger, outbox.is_parked(LEDGER)) == (OTHER, True)
    requeued = held(outbox)
    assert [operation["tag"] for operation in requeued] == [kept[1].tag, kept[2].tag]
    assert [operation["seq"] for operation in requeued] == [1, 2]
    assert all(operation["again"] is True for operation in requeued)
    assert requeued[0]["parents"] == [parent]


def test_a_parked_ledger_that_returns_gets_everything_parked_and_what_was_never_acked_since(reopen: Opener) -> None:
    outbox = reopen()
    outbox.bind(LEDGER)
    old = add(outbox, 3)
    acknowledge(outbox, 1, old[0].tag)
    outbox.accept(OTHER)
    outbox = reopen()
    new = add(outbox, 2)
    acknowledge(outbox, 4, "f" * 16)
    # The new box has committed the two that were re-queued and the first new one.
    acknowledge(outbox, 3, new[0].tag)
    outbox.accept(LEDGER)
    assert tags(outbox) == [operation.tag for operation in [*old, new[1]]]
    assert [operation["seq"] for operation in held(outbox)] == [1, 2, 3, 4]
    assert [bool(operation.get("parents")) for operation in held(outbox)] == [True, False, False, False]
    assert (outbox.is_parked(LEDGER), outbox.is_parked(OTHER)) == (False, True)
    # And back once more: the other box gets all that it was ever given, each once.
    outbox.accept(OTHER)
    assert set(tags(outbox)) == {operation.tag for operation in [*old[1:], *new]}
    assert len(tags(outbox)) == 4


def test_only_operation_1_names_parents_also_when_another_was_operation_1_before(reopen: Opener) -> None:
    outbox = reopen()
    outbox.bind(LEDGER)
    [old] = add(outbox, 1)
    acknowledge(outbox, 1, old.tag)
    at_ledger = outbox.epoch
    outbox.accept(OTHER)
    at_other = outbox.epoch
    add(outbox, 1)
    assert held(outbox)[0]["parents"] == [at_ledger]
    outbox.accept(LEDGER)
    assert [operation.get("parents") for operation in held(outbox)] == [[at_other, at_ledger], None]


def test_a_batch_keeps_to_its_limits_and_always_holds_one(reopen: Opener) -> None:
    outbox = reopen()
    kept = add(outbox, 5)
    size = len(kept[0].encoded) + 1
    assert len(outbox.batch(0, count_max=3, bytes_max=1 << 20)) == 3
    assert len(outbox.batch(0, count_max=100, bytes_max=2 * size)) == 2
    assert len(outbox.batch(0, count_max=100, bytes_max=1)) == 1
    assert outbox.batch(5, count_max=100, bytes_max=1 << 20) == []


def test_what_was_heard_is_kept_with_the_operation(reopen: Opener) -> None:
    outbox = reopen()
    heard = Heard("a1", 17, 86_400_000, 1_000)
    outbox.add(sale(), heard)
    assert reopen().heard() == heard


def _steps() -> list[Callable[[Outbox], object]]:
    """Every kind of transaction, in an order in which each has something to do."""
    return [
        lambda outbox: outbox.bind(LEDGER),
        lambda outbox: add(outbox, 1),
        lambda outbox: add(outbox, 1),
        lambda outbox: acknowledge(outbox, 1, outbox.tag_at(1)),
        lambda outbox: acknowledge(outbox, 2, "f" * 16),
        lambda outbox: add(outbox, 1),
        lambda outbox: acknowledge(outbox, 2, outbox.tag_at(2), safe=1),
        lambda outbox: outbox.accept(OTHER),
        lambda outbox: add(outbox, 1),
        lambda outbox: outbox.accept(LEDGER),
    ]


def _dump(path: Path) -> list[object]:
    db = apsw.Connection(str(path))
    dumped = [list(db.execute(f"SELECT * FROM {table}")) for table in ("outbox", "epoch", "operation", "rejection")]
    db.close()
    return [dumped]


@pytest.mark.parametrize("crash_after", range(len(_steps()) + 1))
def test_a_power_cut_after_any_step_leaves_exactly_that_step(tmp_path: Path, crash_after: int) -> None:
    """The file and its WAL are copied while the outbox is open, as a power cut would leave them."""
    outbox = Outbox(tmp_path / "A1.outbox", "A1", Chance(7))
    for step in _steps()[:crash_after]:
        step(outbox)
    found = copy_outbox(tmp_path / "A1.outbox", tmp_path / "found.outbox")
    outbox.close()
    assert _dump(found) == _dump(tmp_path / "A1.outbox")
    survivor = Outbox(found, "A1", Chance(9))
    for step in _steps()[crash_after:]:
        step(survivor)
    survivor.close()


@pytest.mark.parametrize("step", range(len(_steps())))
def test_a_transaction_that_fails_half_way_changes_nothing(tmp_path: Path, step: int) -> None:
    """Every statement of every kind of transaction fails in turn, as on a disk that is full."""
    for failing in range(1, 200):
        directory = tmp_path / str(failing)
        directory.mkdir()
        path = directory / "A1.outbox"
        outbox = Outbox(path, "A1", Chance(7))
        for before in _steps()[:step]:
            before(outbox)
        epoch, pending = outbox.epoch, outbox.pending
        ticks = iter(range(1, 1000))

        def authorise(*_: object, ticks: Iterator[int] = ticks, failing: int = failing) -> int:
            return apsw.SQLITE_DENY if next(ticks) == failing else apsw.SQLITE_OK

        database = outbox._db
        before_bytes = _dump(copy_outbox(path, directory / "before.outbox"))
        database.authorizer = authorise
        try:
            _steps()[step](outbox)
        except (apsw.AuthError, apsw.SQLError):
            database.authorizer = None
            assert (outbox.epoch, outbox.pending) == (epoch, pending)
            assert _dump(copy_outbox(path, directory / "after.outbox")) == before_bytes
            outbox.close()
        else:
            database.authorizer = None
            outbox.close()
            return
    raise AssertionError("the step never succeeded")


def test_the_file_can_be_read_with_any_json_reader(reopen: Opener) -> None:
    [kept] = add(reopen(), 1)
    assert orjson.loads(kept.encoded)["type"] == "move"


def test_a_fork_for_a_history_gap_says_so_in_operation_1_and_in_no_other(reopen: Opener) -> None:
    outbox = reopen()
    kept = add(outbox, 4)
    acknowledge(outbox, 2, kept[1].tag, safe=2)
    assert acknowledge(outbox, 1, kept[0].tag) is Fork.HISTORY_GAP
    assert [operation.get("why") for operation in held(outbox)] == ["history-gap", None]


def test_a_fork_for_another_reason_says_none(reopen: Opener) -> None:
    outbox = reopen()
    add(outbox, 2)
    assert acknowledge(outbox, 2, "f" * 16) is Fork.FOREIGN_TAG
    assert all("why" not in operation for operation in held(outbox))


def test_a_history_gap_with_nothing_kept_is_told_by_the_next_operation_even_after_a_restart(reopen: Opener) -> None:
    outbox = reopen()
    kept = add(outbox, 2)
    acknowledge(outbox, 2, kept[1].tag, safe=2)
    assert acknowledge(outbox, 0, None) is Fork.HISTORY_GAP
    assert held(outbox) == []
    outbox = reopen()
    add(outbox, 2)
    assert [operation.get("why") for operation in held(outbox)] == ["history-gap", None]


def test_a_history_gap_that_was_not_acked_is_told_again_by_the_next_fork_and_else_it_is_not(reopen: Opener) -> None:
    outbox = reopen()
    kept = add(outbox, 4)
    acknowledge(outbox, 2, kept[1].tag, safe=2)
    acknowledge(outbox, 1, kept[0].tag)
    acknowledge(outbox, 1, "f" * 16)
    assert [operation.get("why") for operation in held(outbox)] == ["history-gap", None]
    acknowledge(outbox, 1, kept[2].tag)
    acknowledge(outbox, 2, "f" * 16)
    assert [operation.get("why") for operation in held(outbox)] == [None, None]


def test_a_history_gap_concerns_the_ledger_that_has_it_and_no_other(reopen: Opener) -> None:
    outbox = reopen()
    outbox.bind(LEDGER)
    kept = add(outbox, 4)
    acknowledge(outbox, 2, kept[1].tag, safe=2)
    acknowledge(outbox, 1, kept[0].tag)
    outbox.accept(OTHER)
    assert [operation.get("why") for operation in held(outbox)] == [None, None]
    outbox.accept(LEDGER)
    assert [operation.get("why") for operation in held(outbox)] == ["history-gap", None]
