"""Rubbish: conversations that begin well and go wrong somewhere, made by chance from a seed."""

import random

from tests.broker.running import ROOT
from tests.broker.wire import GOODBYE, PING, connect, packet, publish, subscribe, unsubscribe


def sentence(dice: random.Random, *, device: str = "A1", password: str = "secret") -> bytes:
    """Return what a client might say whose head or network is out of order, up to nine packets.

    Three in four log in well, so that it is read beyond the log-in.
    """
    said = []
    for _ in range(dice.randrange(8)):
        said.append(
            dice.choice(
                [
                    PING,
                    GOODBYE,
                    connect(),
                    dice.randbytes(dice.randrange(40)),
                    packet(dice.randrange(16), dice.randrange(16), dice.randbytes(dice.randrange(60))),
                    publish(f"{ROOT}device/{device}/op", dice.randbytes(dice.randrange(300)), qos=dice.randrange(2)),
                    publish(f"{ROOT}device/{device}/state", dice.randbytes(dice.randrange(300)), qos=dice.randrange(4)),
                    subscribe((f"{ROOT}device/+/state", dice.randrange(4)), ("#", 0)),
                    unsubscribe(f"{ROOT}device/+/state"),
                ]
            )
        )
    log_in = connect(
        user=device, password=password, client_id=f"rubbish-{dice.randrange(5)}", clean=dice.random() < 0.7
    )
    chance = dice.random()
    if chance < 0.75:
        return log_in + _broken(dice, b"".join(said))
    return _broken(dice, log_in + b"".join(said) if chance < 0.9 else b"".join(said))


def _broken(dice: random.Random, stream: bytes) -> bytes:
    broken = bytearray(stream)
    for _ in range(dice.randrange(3)):
        if broken:
            broken[dice.randrange(len(broken))] = dice.randrange(256)
    return bytes(broken[: dice.randrange(len(broken) + 1)] if dice.random() < 0.3 else broken)
