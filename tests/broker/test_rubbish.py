"""Rubbish on a live broker: whatever a peer sends, others are served, and it leaves nothing behind.

Seeded; a failure prints the seed. `pytest tests/broker/test_rubbish.py` repeats all of them.
"""

import random
from contextlib import closing, suppress

import pytest

from tests.broker.running import ROOT, Ours
from tests.broker.wire import GOODBYE, PING, Client, connect, packet, publish, subscribe, unsubscribe
from tests.waiting import wait_until

CLIENTS = 60


def sentence(dice: random.Random) -> bytes:
    """Return a conversation that begins well and goes wrong somewhere."""
    said = [connect(client_id=f"rubbish-{dice.randrange(5)}", clean=dice.random() < 0.7)] if dice.random() < 0.8 else []
    for _ in range(dice.randrange(8)):
        said.append(
            dice.choice(
                [
                    PING,
                    GOODBYE,
                    connect(),
                    dice.randbytes(dice.randrange(40)),
                    packet(dice.randrange(16), dice.randrange(16), dice.randbytes(dice.randrange(60))),
                    publish(f"{ROOT}device/A1/op", dice.randbytes(dice.randrange(300)), qos=dice.randrange(2)),
                    publish(f"{ROOT}device/A1/state", dice.randbytes(dice.randrange(300)), qos=dice.randrange(4)),
                    subscribe((f"{ROOT}device/+/state", dice.randrange(4)), ("#", 0)),
                    unsubscribe(f"{ROOT}device/+/state"),
                ]
            )
        )
    stream = bytearray(b"".join(said))
    for _ in range(dice.randrange(3)):
        if stream:
            stream[dice.randrange(len(stream))] = dice.randrange(256)
    return bytes(stream[: dice.randrange(len(stream) + 1)] if dice.random() < 0.3 else stream)


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
