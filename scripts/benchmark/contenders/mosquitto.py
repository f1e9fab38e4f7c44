"""mosquitto alone: what a broker needs to carry a message, with nobody who keeps it. A floor, and no rival."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from subprocess import Popen

from scripts.benchmark.contenders import PASSWORD, Running
from scripts.benchmark.load.mqtt import SHOP, Broker, Screen, UnackedTill
from scripts.processes import free_port, installed, is_listening, kill, start, wait_until


class Mosquitto:
    name = "mosquitto"

    @contextmanager
    def running(self, directory: Path, environment: Mapping[str, str] = os.environ) -> Iterator[Running]:
        broker = Broker(free_port(), PASSWORD, "0")
        process = start_mosquitto(broker, directory, environment)
        try:
            wait_until(lambda: is_listening(broker.port), process)
            screen = partial(Screen, broker, topic_filter=SHOP.device("+", "op"))
            yield Running(partial(UnackedTill, broker), screen, (process,), broker=broker)
        finally:
            kill([process])

    def kept(self, directory: Path) -> None:
        return None


def start_mosquitto(broker: Broker, directory: Path, environment: Mapping[str, str]) -> Popen[bytes]:
    """Start the broker, which is not ready yet.

    It keeps nothing on the disk, which costs it nothing. Its queue limit is lifted, because its default drops messages,
    and Nagle's algorithm is off.
    """
    config = directory / "mosquitto.conf"
    config.write_text(
        f"listener {broker.port} 127.0.0.1\nallow_anonymous true\npersistence false\n"
        "max_queued_messages 0\nset_tcp_nodelay true\n"
    )
    return start([installed("mosquitto", "mosquitto"), "-c", str(config)], directory, environment)
