"""The order in which the parts of a box come up."""

import asyncio
import os
import signal
import threading
from pathlib import Path

import pytest

from appliance import app
from appliance.broker.embedded import EmbeddedBroker
from appliance.settings import load_settings


def test_no_turn_is_taken_before_the_broker_can_announce_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_port: int
) -> None:
    """A first turn may have an alert to announce; a broker that had not started yet ended the process."""
    threads: set[str] = set()
    start = EmbeddedBroker.start

    async def watched_start(broker: EmbeddedBroker) -> None:
        threads.update(thread.name for thread in threading.enumerate())
        await start(broker)

    monkeypatch.setattr(EmbeddedBroker, "start", watched_start)
    for name, value in {"DATA_DIR": str(tmp_path), "PASSWORD": "sesame", "BROKER__PORT": str(free_port)}.items():
        monkeypatch.setenv(f"STOCK_{name}", value)
    monkeypatch.chdir(tmp_path)
    served = app.serve(
        load_settings(),
        may_show_password=False,
        take_over=False,
        started=lambda _: os.kill(os.getpid(), signal.SIGTERM),
    )
    asyncio.run(served)
    assert threads
    assert "turns" not in threads
