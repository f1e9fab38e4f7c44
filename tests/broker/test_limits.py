"""What is counted: publishes that are not on disk yet, connections, failed log-ins, complaints, descriptors."""

import logging
import resource

import pytest

from appliance.broker.embedded import TooFewDescriptors
from appliance.broker.embedded.descriptors import make_room
from appliance.broker.embedded.guard import Admission, Guard
from appliance.broker.embedded.limits import Limits
from appliance.broker.embedded.repeats import Repeats
from appliance.broker.unsettled import Unsettled


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_pubacks_leave_in_the_order_of_receipt() -> None:
    unsettled = Unsettled(count_max=10, bytes_max=100)
    first, second, unacknowledged, last = (unsettled.hold(packet_id, 1) for packet_id in (7, 3, None, 9))
    last.settle()
    second.settle()
    assert unsettled.release() == []
    first.settle()
    assert unsettled.release() == [7, 3]
    unacknowledged.settle()
    assert unsettled.release() == [9]
    assert unsettled.release() == []


def test_too_many_or_too_large_publishes_are_full() -> None:
    unsettled = Unsettled(count_max=3, bytes_max=100)
    held = [unsettled.hold(1, 1), unsettled.hold(2, 1)]
    assert not unsettled.is_full
    held.append(unsettled.hold(3, 1))
    assert unsettled.is_full
    for one in held:
        one.settle()
    unsettled.release()
    assert not unsettled.is_full
    large = unsettled.hold(4, 100)
    assert unsettled.is_full
    large.settle()
    unsettled.release()
    assert not unsettled.is_full


def test_settling_twice_is_a_bug_and_says_so() -> None:
    held = Unsettled(count_max=1, bytes_max=1).hold(1, 1)
    held.settle()
    with pytest.raises(AssertionError, match="twice"):
        held.settle()


def test_connections_are_limited_in_total_and_by_address() -> None:
    guard = Guard(Limits(connections_max=3, connections_per_address_max=2, refusals_max=1), Clock())
    assert [guard.enter("a") for _ in range(4)] == [
        Admission.ADMITTED,
        Admission.ADMITTED,
        Admission.FULL,
        Admission.FLOODED,
    ]
    guard.leave("a")
    guard.leave("a")
    assert guard.enter("b") is Admission.ADMITTED
    assert guard.enter("c") is Admission.FULL
    assert guard.enter("d") is Admission.FLOODED
    for address in "aabcd":
        guard.leave(address)
    assert [guard.enter("a"), guard.enter("a"), guard.enter("b")] == [Admission.ADMITTED] * 3


def test_the_penalty_for_failed_log_ins_grows_to_its_limit_and_is_forgotten() -> None:
    clock = Clock()
    limits = Limits(failures_free=2, penalty_first_s=1, penalty_max_s=10, failures_forgotten_s=100)
    guard = Guard(limits, clock)

    def penalty_s() -> int:
        guard.failed("a", "A1")
        began_s = clock.now_s
        while guard.is_throttled("a", "A1"):
            clock.now_s += 1
        return int(clock.now_s - began_s)

    assert [penalty_s() for _ in range(8)] == [0, 0, 1, 2, 4, 8, 10, 10]
    guard.failed("a", "A1")
    assert guard.is_throttled("a", "A1")
    assert not guard.is_throttled("a", "B1")
    assert not guard.is_throttled("b", "A1")
    clock.now_s += 100.5
    assert penalty_s() == 0


def test_an_address_that_tries_one_name_after_the_other_is_throttled_and_forgiven_bit_by_bit() -> None:
    clock = Clock()
    guard = Guard(Limits(address_failures_max=3, address_forgiven_s=10), clock)
    for device in ("A1", None, "B1"):
        assert not guard.is_throttled("a", "C1")
        guard.failed("a", device)
    assert guard.is_throttled("a", "C1")
    assert guard.is_throttled("a", None)
    assert not guard.is_throttled("b", "C1")
    clock.now_s += 10
    assert not guard.is_throttled("a", "C1")
    guard.failed("a", "C1")
    assert guard.is_throttled("a", "D1")


def test_a_device_that_came_in_lately_does_not_mind_what_others_do_at_its_address() -> None:
    clock = Clock()
    guard = Guard(Limits(address_failures_max=1, failures_free=0, penalty_max_s=60, proved_s=1000), clock)
    guard.succeeded("a", "A1")
    guard.failed("a", "B1")
    assert [guard.is_throttled("a", device) for device in ("A1", "B1", "C1", None)] == [False, True, True, True]
    # Its own failures count all the same, so that nobody may guess under its name.
    guard.failed("a", "A1")
    assert guard.is_throttled("a", "A1")
    clock.now_s += 1001
    guard.failed("a", "B1")
    assert guard.is_throttled("a", "A1")


def test_one_till_with_an_old_password_keeps_no_newcomer_out() -> None:
    """It tries every second, and a till that never was here before comes after a minute, and after an hour."""
    clock = Clock()
    guard = Guard(Limits(), clock)
    tries = 0
    for _ in range(3600):
        for device in ("old-1", "old-2", "old-3"):
            if not guard.is_throttled("a", device):
                guard.failed("a", device)
                tries += 1
        clock.now_s += 1
        assert not guard.is_throttled("a", "new")
    assert tries < 3 * (12 + 60)


def test_the_tables_of_the_guard_are_bounded_and_keep_the_newest() -> None:
    guard = Guard(Limits(failures_free=0, address_failures_max=1, remembered_max=3), Clock())
    for address in "abcad":
        guard.failed(address, "A1")
    assert [address for address in "abcd" if guard.is_throttled(address, "A1")] == ["a", "c", "d"]
    assert [address for address in "abcd" if guard.is_throttled(address, "B1")] == ["a", "c", "d"]
    for address in "abcad":
        guard.succeeded(address, "C1")
    for address in "abcd":
        guard.failed(address, None)
    assert [address for address in "abcd" if not guard.is_throttled(address, "C1")] == ["a", "c", "d"]


@pytest.mark.parametrize(("soft", "hard"), [(64, 4096), (4096, 4096), (64, resource.RLIM_INFINITY)])
def test_the_system_is_asked_for_as_many_descriptors_as_the_connections_need(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int
) -> None:
    allowed = [(soft, hard)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: allowed[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: allowed.append(limits))
    make_room(Limits(connections_max=1000))
    assert allowed[-1][0] > 1000
    assert allowed[-1][1] == hard


def test_too_few_descriptors_stop_the_start_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (128, 128))
    with pytest.raises(TooFewDescriptors, match="LimitNOFILE"):
        make_room(Limits())


def test_a_complaint_is_written_once_and_its_repeats_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    repeats = Repeats(logging.getLogger("test"), 1e9)
    for device in ("A1", "A1", "A1", "B1"):
        repeats.write(logging.WARNING, "refused", f"device={device}", "reason=x")
    repeats = Repeats(logging.getLogger("test"), 0)
    for _ in range(2):
        repeats.write(logging.INFO, "refused", "device=C1", "reason=x")
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        "refused device=A1 reason=x repeats=0",
        "refused device=B1 reason=x repeats=0",
    ]
