"""Fixtures that every part's tests share."""

import socket

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says nothing on a busy machine, so no clock takes part.
settings.register_profile("clockless", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("clockless")


@pytest.fixture
def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on.

    Chosen by the kernel among its ephemeral ports, which it hands out in turn: two workers that ask at once get two.
    """
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port
