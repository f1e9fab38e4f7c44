"""The control socket, from both of its ends."""

import itertools
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from appliance import control
from appliance.control import ControlError, ControlServer, NotRunning, Rows, ask
from tests.waiting import wait_until


def _count(request: dict[str, Any]) -> Rows:
    for number in range(request["to"]):
        yield {"number": number}


def _refuse(_: dict[str, Any]) -> Rows:
    raise ControlError("not today")
    yield {}


def _never_end(_: dict[str, Any]) -> Rows:
    return ({"number": number} for number in itertools.count())


@contextmanager
def _served(directory: Path) -> Iterator[ControlServer]:
    server = ControlServer(directory, {"count": _count, "refuse": _refuse, "never-end": _never_end})
    server.start()
    yield server
    server.close()


def _connected(directory: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(directory / control.FILE_NAME))
    return connection


def _close(server: ControlServer) -> None:
    """Close, and fail when that hangs."""
    closing = threading.Thread(target=server.close, daemon=True)
    closing.start()
    wait_until(lambda: not closing.is_alive())


def test_an_answer_has_its_rows_and_a_refusal_its_words(tmp_path: Path) -> None:
    with _served(tmp_path):
        assert list(ask(tmp_path, "count", to=3)) == [{"number": 0}, {"number": 1}, {"number": 2}]
        with pytest.raises(ControlError, match="not today"):
            list(ask(tmp_path, "refuse"))
        with pytest.raises(ControlError, match="does not know"):
            list(ask(tmp_path, "dance"))


def test_nobody_answers_where_no_coordinator_runs(tmp_path: Path) -> None:
    with pytest.raises(NotRunning):
        list(ask(tmp_path, "count", to=1))
    with _served(tmp_path):
        pass
    with pytest.raises(NotRunning):
        list(ask(tmp_path, "count", to=1))


def test_a_client_that_asks_nothing_does_not_delay_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.control._Request.timeout", None)
    server = ControlServer(tmp_path, {"count": _count})
    server.start()
    with _connected(tmp_path) as idle:
        wait_until(lambda: server._server._live is not None)
        _close(server)
        assert idle.recv(1) == b""


def test_a_client_that_does_not_read_does_not_delay_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.control._Request.timeout", None)
    monkeypatch.setattr("appliance.control._LAST_WORDS_S", 0.01)
    server = ControlServer(tmp_path, {"never-end": _never_end})
    server.start()
    with _connected(tmp_path) as stalled:
        stalled.sendall(b'{"do":"never-end"}\n')
        assert stalled.recv(1) == b"{"
        _close(server)


def test_what_was_asked_before_the_end_is_answered(tmp_path: Path) -> None:
    began, goes_on = threading.Event(), threading.Event()

    def slow(_: dict[str, Any]) -> Rows:
        began.set()
        goes_on.wait()
        yield {"number": 1}

    server = ControlServer(tmp_path, {"slow": slow})
    server.start()
    rows: list[dict[str, Any]] = []
    asking = threading.Thread(target=lambda: rows.extend(ask(tmp_path, "slow")))
    asking.start()
    began.wait()
    closing = threading.Thread(target=server.close)
    closing.start()
    wait_until(lambda: server._server._shut is not None)
    goes_on.set()
    asking.join()
    closing.join()
    assert rows == [{"number": 1}]


def test_an_answer_that_is_cut_short_or_does_not_come_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / control.FILE_NAME))
        listener.listen()

        def answer_a_part() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(100)
                connection.sendall(b'{"number":1}\n{"num')

        answering = threading.Thread(target=answer_a_part)
        answering.start()
        rows = ask(tmp_path, "count", to=2)
        assert next(rows) == {"number": 1}
        with pytest.raises(ControlError, match="stopped before"):
            next(rows)
        answering.join()
        monkeypatch.setattr("appliance.control._TIMEOUT_S", 0.01)
        with pytest.raises(ControlError, match="no answer within"):
            list(ask(tmp_path, "count", to=2))
    (tmp_path / control.FILE_NAME).unlink()
