"""Fixtures that every part's tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from scripts import processes
from tests.shop import Shop

# How long an example takes says nothing on a busy machine, so no clock takes part.
settings.register_profile("clockless", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("clockless")


@pytest.fixture
def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on."""
    return processes.free_port()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A shop of its own, single-threaded, with its ledger in `tmp_path`."""
    shop = Shop(tmp_path)
    yield shop
    shop.stop()
