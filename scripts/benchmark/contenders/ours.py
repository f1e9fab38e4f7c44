"""The box with its embedded broker, one process."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from appliance.access.tokens import Tokens, make_token
from scripts.benchmark.contenders import PASSWORD, Kept, Running
from scripts.benchmark.contenders.database import read
from scripts.benchmark.load.mqtt import Broker, Screen, Till
from scripts.processes import COORDINATOR, free_port, kill, run_of, start, wait_until
from scripts.processes import environment as settings_of


class Ours:
    """enrolled: the devices that have a token of their own; the others log in with the shop's password."""

    def __init__(self, name: str = "ours", enrolled: Sequence[str] = ()) -> None:
        self.name = name
        self._enrolled = enrolled

    @contextmanager
    def running(self, directory: Path, environment: Mapping[str, str] = os.environ) -> Iterator[Running]:
        port = free_port()
        tokens = {device: make_token() for device in self._enrolled}
        if tokens:
            known = Tokens(directory)
            for device, token in tokens.items():
                known.put(device, token)
        settings = settings_of(STOCK_DATA_DIR=str(directory), STOCK_BROKER__PORT=str(port), STOCK_PASSWORD=PASSWORD)
        process = start([*COORDINATOR, "run"], directory, {**environment, **settings})
        try:
            wait_until(lambda: run_of(directory) is not None, process)
            broker = Broker(port, PASSWORD, run_of(directory) or "", tokens)
            yield Running(partial(Till, broker), partial(Screen, broker), (process,), broker=broker)
        finally:
            kill([process])

    def kept(self, directory: Path) -> Kept:
        return read(
            directory / "ledger.db",
            "SELECT count(*) FROM txn WHERE code IS NULL AND same_as IS NULL",
            "SELECT code, on_hand_milli FROM sku",
        )
