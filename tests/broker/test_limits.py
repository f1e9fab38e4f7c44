"""What is counted: publishes that are not on disk yet, connections, failed log-ins, repeated complaints."""

import logging

import pytest

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
    assert [guard.failed("a") for _ in range(8)] == [0, 0, 1, 2, 4, 8, 10, 10]
    assert guard.is_throttled("a")
    assert not guard.is_throttled("b")
    clock.now_s += 10
    assert not guard.is_throttled("a")
    clock.now_s += 100.5
    assert guard.failed("a") == 0


def test_the_table_of_failed_log_ins_is_bounded_and_keeps_the_newest() -> None:
    guard = Guard(Limits(failures_free=0, throttled_addresses_max=3), Clock())
    for address in "abcad":
        guard.failed(address)
    assert [address for address in "abcd" if guard.is_throttled(address)] == ["a", "c", "d"]


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
