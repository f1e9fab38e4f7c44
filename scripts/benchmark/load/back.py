"""A till that comes back and wants every balance that it lacks, while the others sell."""

import time
from dataclasses import dataclass

import orjson

from scripts.benchmark.load.mqtt import SHOP, Broker, Connection, publication

_DEVICE = "back"

_LIMIT = 500
"""Balances a page, which is what the reference till asks for."""


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """took_ms: from the first question to the last answer. told: how many balances; rev: what the till knows now."""

    took_ms: float
    told: int
    rev: int


def ask(broker: Broker, since: int) -> CaughtUp:
    """Ask page by page for the balances that changed after a revision."""
    connection = Connection(broker, _DEVICE, SHOP.device(_DEVICE, "answer"))
    topic = SHOP.device(_DEVICE, "query")
    told, more = 0, True
    began_s = time.perf_counter()
    while more:
        query = {"id": "q", "what": "balances", "run": broker.run, "since": since, "limit": _LIMIT}
        connection.send(publication(topic, orjson.dumps(query)))
        while not (answers := connection.read()):
            pass
        page = orjson.loads(answers[0][1])
        since, more = page["to"], page["more"]
        told += len(page["items"])
    took_ms = (time.perf_counter() - began_s) * 1000
    connection.close()
    return CaughtUp(took_ms, told, since)


def subscribe(broker: Broker, skus: int) -> CaughtUp:
    """Subscribe to every balance, and hear so many retained ones."""
    began_s = time.perf_counter()
    connection = Connection(broker, _DEVICE, SHOP.balance("") + "+")
    told = len(connection.take_early())
    while told < skus:
        told += len(connection.read())
    took_ms = (time.perf_counter() - began_s) * 1000
    connection.close()
    return CaughtUp(took_ms, told, 0)


def retain(broker: Broker, skus: list[str]) -> None:
    """Have a broker retain a balance of each SKU, as large as ours."""
    connection = Connection(broker, "coordinator")
    for sku in skus:
        balance = {"sku": sku, "on_hand": "10000", "reserved": "0", "available": "10000", "counted": True}
        payload = orjson.dumps(balance | {"rev": 1, "at": "2026-11-24T10:00:01+03:00"})
        connection.send(publication(SHOP.balance(sku), payload, retain=True))
    connection.close()
