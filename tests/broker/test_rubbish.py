"""Rubbish on a live broker: whatever a peer sends, others are served, and it leaves nothing behind.

Seeded; a failure prints the seed. `pytest tests/broker/test_rubbish.py` repeats all of them.
"""

import random
from contextlib import closing, suppress

import pytest

from tests.broker.rubbish import sentence
from tests.broker.running import ROOT, Ours
from tests.broker.wire import Client
from tests.waiting import wait_until

CLIENTS = 60


@pytest.mark.parametrize("seed", range(5))
def test_rubbish_disturbs_nobody_and_leaves_nothing_behind(seed: int) -> None:
    dice = random.Random(seed)
    # `close` of the broker checks that no task failed.
    with (
        closing(Ours(tries_free=10**6, guesses_free=10**6)) as broker,
        Client(broker.address).log_in(user="good") as good,
    ):
        good.subscribe((f"{ROOT}tick", 1))
        for number in range(CLIENTS):
            with Client(broker.address) as client, suppress(ConnectionError):
                client.send(sentence(dice))
                if dice.random() < 0.5:
                    client.is_closed(0.01)
            broker.publish("tick", b"%d" % number)
            assert good.read() is not None
        wait_until(lambda: broker.thread.call(lambda: len(list(broker.amqtt._live()))) == 1)  # type: ignore[attr-defined]
        wait_until(lambda: broker.thread.call(lambda: len(broker.amqtt._connections)) == 1)  # type: ignore[attr-defined]
        assert good.answers()
