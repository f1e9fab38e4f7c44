"""The waiting itself: it returns on truth and fails at the deadline, blocking or on the event loop."""

import asyncio
import threading

import pytest

from tests.waiting import wait_until, wait_until_async


def test_waiting_ends_when_the_condition_becomes_true() -> None:
    done = threading.Event()
    threading.Timer(0.02, done.set).start()
    wait_until(done.is_set)
    assert done.is_set()


def test_waiting_fails_at_the_deadline() -> None:
    with pytest.raises(AssertionError, match=r"not true within 0\.02 s"):
        wait_until(lambda: False, deadline_s=0.02)


def test_waiting_lets_the_event_loop_run() -> None:
    async def wait_for_a_task() -> None:
        done: list[bool] = []
        asyncio.get_running_loop().call_later(0.02, done.append, True)
        await wait_until_async(lambda: done)

    asyncio.run(wait_for_a_task())


def test_waiting_on_the_event_loop_fails_at_the_deadline() -> None:
    with pytest.raises(AssertionError, match=r"not true within 0\.02 s"):
        asyncio.run(wait_until_async(lambda: False, deadline_s=0.02))
