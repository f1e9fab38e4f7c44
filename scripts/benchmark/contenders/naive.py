"""mosquitto and a paho callback that commits each message (naive_callback.py)."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from subprocess import Popen

from scripts.benchmark.contenders import PASSWORD, Kept, Running, naive_callback
from scripts.benchmark.contenders.database import read
from scripts.benchmark.contenders.mosquitto import start_mosquitto
from scripts.benchmark.load.mqtt import Broker, Screen, Till
from scripts.processes import free_port, is_listening, kill, log_of, start, wait_until


class Naive:
    name = "naive"

    @contextmanager
    def running(self, directory: Path, environment: Mapping[str, str] = os.environ) -> Iterator[Running]:
        broker = Broker(free_port(), PASSWORD, "0")
        processes: list[Popen[bytes]] = []
        try:
            processes.append(start_mosquitto(broker, directory, environment))
            wait_until(lambda: is_listening(broker.port), processes[-1])
            command = [sys.executable, naive_callback.__file__, str(broker.port), str(directory / "naive.db")]
            processes.append(start(command, directory, environment))
            log = log_of(command, directory)
            wait_until(lambda: naive_callback.READY in log.read_text(), processes[-1])
            yield Running(partial(Till, broker), partial(Screen, broker), tuple(processes), broker=broker)
        finally:
            kill(processes)

    def kept(self, directory: Path) -> Kept:
        return read(directory / "naive.db", "SELECT count(*) FROM operation", "SELECT sku, on_hand_milli FROM balance")
