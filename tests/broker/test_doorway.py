"""Calls from other threads cross into the event loop: all of them, in order, and many at a time."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextvars import Context
from functools import partial
from typing import Any, TypeVarTuple

from appliance.broker.embedded.doorway import Doorway
from tests.waiting import wait_until_async

Ts = TypeVarTuple("Ts")


class _CountingLoop(asyncio.SelectorEventLoop):
    """wakes: how often another thread had to wake it; errors: what its calls raised."""

    def __init__(self) -> None:
        super().__init__()
        self.wakes = 0
        self.errors: list[str] = []
        self.set_exception_handler(lambda _, context: self.errors.append(str(context["exception"])))

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        self.wakes += 1
        return super().call_soon_threadsafe(callback, *args, context=context)


def _at_doorway(scenario: Callable[[Doorway], Coroutine[Any, Any, None]]) -> _CountingLoop:
    """Run a scenario to its end, and return the loop that it ran in."""
    loop = _CountingLoop()
    try:
        loop.run_until_complete(scenario(Doorway(loop)))
    finally:
        loop.close()
    return loop


def _in_another_thread(work: Callable[[], None]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_what_is_posted_while_the_loop_runs_the_first_call_crosses_without_another_wake() -> None:
    crossed: list[int] = []

    async def scenario(doorway: Doorway) -> None:
        def cross(at: int) -> None:
            crossed.append(at)
            if at < 20:
                _in_another_thread(partial(doorway.post, partial(cross, at + 1)))

        doorway.post(partial(cross, 1))
        await wait_until_async(lambda: len(crossed) == 20)

    assert _at_doorway(scenario).wakes == 1
    assert crossed == list(range(1, 21))


def test_what_is_posted_just_after_the_last_call_crosses_without_another_wake() -> None:
    crossed: list[int] = []

    async def scenario(doorway: Doorway) -> None:
        def cross(at: int) -> None:
            crossed.append(at)
            if at < 20:
                # The doorway's own turn is over when the loop comes to this.
                post = partial(doorway.post, partial(cross, at + 1))
                asyncio.get_running_loop().call_soon(_in_another_thread, post)

        doorway.post(partial(cross, 1))
        await wait_until_async(lambda: len(crossed) == 20)

    assert _at_doorway(scenario).wakes == 1
    assert crossed == list(range(1, 21))


def test_what_is_posted_to_an_idle_loop_wakes_it() -> None:
    crossed: list[int] = []

    async def scenario(doorway: Doorway) -> None:
        for at in range(5):
            _in_another_thread(partial(doorway.post, partial(crossed.append, at)))
            await wait_until_async(lambda: len(crossed) > at and not doorway._will_look)  # noqa: B023

    assert _at_doorway(scenario).wakes == 5


def test_calls_of_many_threads_all_cross_each_threads_in_its_order() -> None:
    crossed: list[tuple[int, int]] = []

    def post_all(doorway: Doorway, thread: int) -> None:
        for at in range(2000):
            doorway.post(partial(crossed.append, (thread, at)))

    async def scenario(doorway: Doorway) -> None:
        threads = [threading.Thread(target=post_all, args=(doorway, number)) for number in range(4)]
        for thread in threads:
            thread.start()
        await wait_until_async(lambda: len(crossed) == 8000)

    _at_doorway(scenario)
    for number in range(4):
        assert [at for thread, at in crossed if thread == number] == list(range(2000))


def test_a_call_that_fails_keeps_no_other_from_crossing() -> None:
    crossed: list[str] = []

    def fail() -> None:
        raise ValueError("a bug")

    async def scenario(doorway: Doorway) -> None:
        for call in (fail, partial(crossed.append, "after")):
            doorway.post(call)
        await wait_until_async(lambda: crossed == ["after"])

    assert _at_doorway(scenario).errors == ["a bug"]
