"""Whoever has logged in may be hostile, or out of order: the others get their turn whatever one device does."""

import asyncio
from contextlib import closing

from appliance.contract.delivery import Delivery
from tests.broker import wire
from tests.broker.running import ROOT, Ours, Shop


def test_a_device_that_says_much_at_once_is_heard_in_many_turns_of_the_event_loop() -> None:
    shop = _Turns()
    with closing(Ours(shop, turn_s=0.0, unsettled_max=10_000)) as broker:
        broker.thread.call(shop.count)
        with wire.Client(broker.address).log_in() as device:
            device.send(wire.publish(f"{ROOT}device/A1/query", b"{}") * 500)
            shop.wait_for(500)
        shop.is_over = True
    # In one go it would be two or three: as often as the system gives a part of it to read.
    assert len(shop.heard_in) > 100


class _Turns(Shop):
    """Notes in which turns of the event loop it was handed something."""

    def __init__(self) -> None:
        super().__init__()
        self.heard_in: set[int] = set()
        self.is_over = False
        self._turn = 0

    def count(self) -> None:
        self._turn += 1
        if not self.is_over:
            asyncio.get_running_loop().call_soon(self.count)

    def take(self, delivery: Delivery) -> None:
        self.heard_in.add(self._turn)
        super().take(delivery)
