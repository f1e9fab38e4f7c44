"""What the tests' own client makes of a peer that goes away."""

import socket
from collections.abc import Callable

import pytest

from tests.broker.wire import CONNACK, Client


@pytest.mark.parametrize("asked", [lambda client: client.expect(CONNACK), Client.until_ping])
def test_a_clean_close_in_place_of_an_answer_is_a_connection_error(asked: Callable[[Client], object]) -> None:
    """A box that is killed may close cleanly, and a test that kills it looks out for a ConnectionError."""
    with socket.create_server(("127.0.0.1", 0)) as server, Client(server.getsockname()[:2]) as client:
        peer, _ = server.accept()
        peer.shutdown(socket.SHUT_WR)
        with peer, pytest.raises(ConnectionError, match="the peer closed"):
            asked(client)
