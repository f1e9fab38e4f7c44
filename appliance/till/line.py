"""The line to the box: where it may be found, and how a till knows that it is the right one.

With a slip's fingerprint nothing is said before the certificate has proved to be the slip's. It is fetched once and
compared, and from then on it alone is trusted; names and authorities mean nothing. So a new address stops no shop, and
whoever stands in the box's place is refused before the password is sent.
"""

import hashlib
import hmac
import socket
import ssl
from collections.abc import Sequence
from typing import Any

import paho.mqtt.client as mqtt

CONNECT_TIMEOUT_S = 10.0
"""For the TCP connection and for CONNACK; the shop password takes the broker a moment, a hundred tills at once more."""

KEEPALIVE_S = 30
"""At most 60 s by the contract; at half of it a dead connection is noticed within 45 s."""


class WrongBox(OSError):
    """Whoever answers shows another certificate than the slip's."""

    def __init__(self) -> None:
        super().__init__("its certificate is not the one on the slip: it is another box, or this one wants new slips")


class _Trust(ssl.SSLContext):
    """paho leaves a socket open whose handshake has failed; made so, the socket closes itself."""

    def wrap_socket(self, *arguments: Any, **options: Any) -> ssl.SSLSocket:
        return super().wrap_socket(*arguments, **{**options, "do_handshake_on_connect": True})


class Line:
    """hosts: tried in turn, beginning with the one that answered last. sha256: of the certificate, in DER; None for
    plain MQTT.
    """

    def __init__(self, hosts: Sequence[str], port: int, sha256: bytes | None) -> None:
        self.port = port
        self._hosts = list(hosts)
        self._sha256 = sha256
        self._trust: ssl.SSLContext | None = None

    @property
    def hosts(self) -> list[str]:
        return list(self._hosts)

    def connect(self, client: mqtt.Client, host: str) -> None:
        """Connect a new client to one of the hosts. Raises OSError, or ValueError for what cannot be an address."""
        client.connect_timeout = CONNECT_TIMEOUT_S
        if self._sha256 is not None:
            if self._trust is None:
                self._trust = _fetch_trust(host, self.port, self._sha256)
            client.tls_set_context(self._trust)
        try:
            client.connect(host, self.port, KEEPALIVE_S)
        except ssl.SSLCertVerificationError as error:
            raise WrongBox from error
        self._hosts.remove(host)
        self._hosts.insert(0, host)


def _fetch_trust(host: str, port: int, sha256: bytes) -> ssl.SSLContext:
    """Return a context that trusts the certificate with this fingerprint alone. Raises WrongBox."""
    looking = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    looking.check_hostname = False
    looking.verify_mode = ssl.CERT_NONE  # Only to be shown the certificate; nothing is sent.
    with (
        socket.create_connection((host, port), CONNECT_TIMEOUT_S) as connection,
        looking.wrap_socket(connection) as shown,
    ):
        certificate = shown.getpeercert(binary_form=True) or b""
    if not hmac.compare_digest(hashlib.sha256(certificate).digest(), sha256):
        raise WrongBox
    trusting = _Trust(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False  # The fingerprint says more than a name.
    trusting.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # The shop's own may be signed by another.
    trusting.load_verify_locations(cadata=certificate)
    return trusting
