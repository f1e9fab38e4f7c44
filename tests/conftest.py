"""Fixtures that every part's tests share."""

import pytest
from hypothesis import HealthCheck, settings

from scripts import processes

# How long an example takes says nothing on a busy machine, so no clock takes part.
settings.register_profile("clockless", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("clockless")


@pytest.fixture
def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on."""
    return processes.free_port()
