"""One till that sells at an even pace and waits for each ack."""

import time
import uuid

from scripts.benchmark.load.mqtt import Broker, Till

_PACE_PER_S = 20


def acks_ms(broker: Broker, seconds: float) -> list[float]:
    """Sell for some seconds, and return from each sale to its ack."""
    # A name of its own each time: what an earlier one was told last is retained, and would be no ack of this one.
    till = Till(broker, f"cashier-{uuid.uuid4()}")
    took_ms: list[float] = []
    ends_s = time.perf_counter() + seconds
    while (began_s := time.perf_counter()) < ends_s:
        till.move("4600000000000", -1, "sale")
        till.flush()
        while till.in_flight:
            till.read()
        took_s = time.perf_counter() - began_s
        took_ms.append(took_s * 1000)
        time.sleep(max(0.0, 1 / _PACE_PER_S - took_s))
    till.close()
    return took_ms
