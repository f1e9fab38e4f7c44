"""Fixtures of the broker's tests: a certificate, and a client that trusts it."""

import ssl
from pathlib import Path

import pytest

from appliance.access.certificate import Certificate, own_certificate


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return own_certificate(tmp_path, ["localhost"])


@pytest.fixture
def client(certificate: Certificate) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=certificate.pem)
