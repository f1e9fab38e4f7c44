"""A cable carries bytes both ways, ends connections when it is pulled, and serves the waiting ones when it is back."""

import socket
from collections.abc import Iterator

import pytest

from scripts.cable import Cable


@pytest.fixture
def broker() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        yield listener


@pytest.fixture
def cable(broker: socket.socket) -> Iterator[Cable]:
    cable = Cable(broker.getsockname()[1])
    yield cable
    cable.close()


def test_bytes_go_both_ways(broker: socket.socket, cable: Cable) -> None:
    with connect(cable) as till, accept(broker) as far:
        till.sendall(b"sold")
        assert far.recv(10) == b"sold"
        far.sendall(b"acked")
        assert till.recv(10) == b"acked"


def test_pulled_cable_ends_the_connection_on_both_sides(broker: socket.socket, cable: Cable) -> None:
    with connect(cable) as till, accept(broker) as far:
        cable.pull()
        assert till.recv(10) == b""
        assert far.recv(10) == b""


def test_till_that_waits_at_a_pulled_cable_is_served_when_it_is_plugged_in(broker: socket.socket, cable: Cable) -> None:
    cable.pull()
    with connect(cable) as till:
        till.sendall(b"hello")
        broker.setblocking(False)
        with pytest.raises(BlockingIOError):
            broker.accept()
        broker.settimeout(30)
        cable.plug()
        with accept(broker) as far:
            assert far.recv(10) == b"hello"


def test_till_is_told_when_nobody_listens_behind_the_cable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    cable = Cable(port)
    with connect(cable) as till:
        assert till.recv(10) == b""
    cable.close()


def connect(cable: Cable) -> socket.socket:
    return socket.create_connection(("127.0.0.1", cable.port), timeout=30)


def accept(broker: socket.socket) -> socket.socket:
    connection, _ = broker.accept()
    connection.settimeout(30)
    return connection
