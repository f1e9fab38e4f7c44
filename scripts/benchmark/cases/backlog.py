"""Tills that come back after a day offline, and what a selling one notices of it."""

import random
import selectors
import statistics
import time
import uuid
from collections.abc import Iterator

from scripts.benchmark.cases import Goal, Measure, Site, empty_directory
from scripts.benchmark.contenders.ours import Ours
from scripts.benchmark.load import cashier
from scripts.benchmark.load.mqtt import Broker, Till
from scripts.benchmark.load.tills import SKUS, STALLED_S
from scripts.processes import Failed, another_process

TILLS = 20
RECEIPTS = 1000
LINES = 8

_PER_MESSAGE = 100
"""Receipts a message: 100 of them are about 150 KiB, and a message may have 256."""

_IN_FLIGHT = 2 * _PER_MESSAGE
_CHUNK_S = 0.5
"""The selling till reports so often, and may go on so long after the last receipt."""


class Backlog:
    """A receipt is ours alone, so who stands beside us here is the same till before the others came."""

    name = "backlog"
    title = f"{TILLS} tills replay {RECEIPTS} receipts of {LINES} lines each, and another one sells"
    contenders = ("ours",)
    measures = (
        Measure("receipts_per_s", "receipts a second", better="more"),
        Measure("before_p99_ms", "99 % of the seller's acks within, before, ms"),
        Measure("meanwhile_p99_ms", "99 % of the seller's acks within, meanwhile, ms"),
    )
    goals = (Goal("meanwhile_p99_ms", 100),)

    def run(self, contender: str, site: Site) -> dict[str, float]:
        receipts = round(RECEIPTS * site.scale)
        ours = Ours()
        with empty_directory(contender, site) as directory:
            with ours.running(directory) as running, another_process(cashier.acks_ms) as process:
                broker = running.broker
                assert broker is not None
                before_ms = process.submit(cashier.acks_ms, broker, site.seconds / 2).result()
                meanwhile_ms: list[float] = []
                selling = process.submit(cashier.acks_ms, broker, _CHUNK_S)
                began_s = time.perf_counter()
                for _ in _replay(broker, receipts):
                    if selling.done():
                        meanwhile_ms += selling.result()
                        selling = process.submit(cashier.acks_ms, broker, _CHUNK_S)
                took_s = time.perf_counter() - began_s
                meanwhile_ms += selling.result()
            kept = ours.kept(directory)
        wanted = TILLS * receipts + len(before_ms) + len(meanwhile_ms)
        if kept.operations != wanted:
            raise Failed(f"{wanted} operations were called durable, {kept.operations} are in the database")
        return {
            "receipts_per_s": TILLS * receipts / took_s,
            "before_p99_ms": _p99(before_ms),
            "meanwhile_p99_ms": _p99(meanwhile_ms),
        }


def _replay(broker: Broker, receipts: int) -> Iterator[None]:
    """Empty the outboxes of all tills; gives way each time that something was acked. Raises Failed."""
    left = {Till(broker, f"till-{n}"): receipts for n in range(TILLS)}
    with selectors.DefaultSelector() as selector:
        for till in left:
            selector.register(till, selectors.EVENT_READ, till)
            _send(till, left)
        while left:
            if not (ready := selector.select(STALLED_S)):
                raise Failed(f"the box said nothing for {STALLED_S:.0f} s")
            for key, _ in ready:
                till = key.data
                till.read()
                _send(till, left)
                if not left[till] and not till.in_flight:
                    del left[till]
                    selector.unregister(till)
                    till.close()
            yield


def _send(till: Till, left: dict[Till, int]) -> None:
    while left[till] and till.in_flight <= _IN_FLIGHT - _PER_MESSAGE:
        count = min(_PER_MESSAGE, left[till])
        left[till] -= count
        till.send_bodies([_receipt() for _ in range(count)], count)


def _receipt() -> str:
    lines = ",".join(
        f'{{"sku":"{sku}","name":"Молоко 3,2 % 1 л","qty":"1","unit":"pcs","price_minor":8990,"amount_minor":8990}}'
        for sku in random.sample(SKUS, LINES)
    )
    return (
        f'"type":"receipt","receipt":"{uuid.uuid4()}","number":"A1-000123","kind":"sale","status":"paid","edit":1,'
        f'"cashier":"Анна","lines":[{lines}],"total_minor":{8990 * LINES},"currency":"RUB"'
    )


def _p99(took_ms: list[float]) -> float:
    return statistics.quantiles(took_ms, n=100, method="inclusive")[98]
