"""What is counted: publishes that are not on disk yet, complaints, descriptors."""

import logging
import resource

import pytest

from appliance.broker.embedded import TooFewDescriptors
from appliance.broker.embedded.descriptors import make_room
from appliance.broker.embedded.limits import Limits
from appliance.broker.embedded.repeats import Repeats
from appliance.broker.unsettled import Unsettled


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
