"""The control socket, from both of its ends."""

import itertools
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import orjson
import pytest

from appliance import control
from appliance.control import CALLERS_MAX, ControlError, ControlServer, Handler, NotRunning, Rows, ask
from tests.waiting import wait_until


def _count(request: dict[str, Any]) -> Rows:
    for number in range(request["to"]):
        yield {"number": number}


def _refuse(_: dict[str, Any]) -> Rows:
    raise ControlError("not today")
    yield {}


def _never_end(_: dict[str, Any]) -> Rows:
    return ({"number": number} for number in itertools.count())


def _limit(request: dict[str, Any]) -> Rows:
    yield {"limit": int(request["limit"])}


def _server(directory: Path, **handlers: Handler) -> ControlServer:
    return ControlServer(directory, lambda: nullcontext(handlers))


@contextmanager
def _served(directory: Path) -> Iterator[ControlServer]:
    server = _server(directory, count=_count, refuse=_refuse, never_end=_never_end, limit=_limit)
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
        with pytest.raises(ControlError, match="cannot read the request"):
            list(ask(tmp_path, "dance"))


def test_nobody_answers_where_no_coordinator_runs(tmp_path: Path) -> None:
    with pytest.raises(NotRunning):
        list(ask(tmp_path, "count", to=1))
    with _served(tmp_path):
        pass
    with pytest.raises(NotRunning):
        list(ask(tmp_path, "count", to=1))


def test_callers_that_are_slow_or_say_nothing_hold_up_nobody(tmp_path: Path) -> None:
    with _served(tmp_path), _connected(tmp_path) as silent, _connected(tmp_path) as begun, _connected(tmp_path) as deaf:
        begun.sendall(b'{"do":')
        deaf.sendall(b'{"do":"never_end"}\n')
        assert deaf.recv(1) == b"{"
        assert list(ask(tmp_path, "count", to=1)) == [{"number": 0}]
        silent.shutdown(socket.SHUT_RDWR)


def test_more_callers_than_there_is_room_for_wait(tmp_path: Path) -> None:
    def crowd(_: dict[str, Any]) -> Rows:
        yield {"served": len(server._server._live)}

    server = _server(tmp_path, crowd=crowd)
    server.start()
    with ExitStack() as idle:
        for _ in range(CALLERS_MAX):
            idle.enter_context(_connected(tmp_path))
        wait_until(lambda: len(server._server._live) == CALLERS_MAX)
        with _connected(tmp_path) as caller, caller.makefile("rb") as answer:
            caller.sendall(b'{"do":"crowd"}\n')
            idle.close()
            assert orjson.loads(answer.readline())["served"] <= CALLERS_MAX
    server.close()


@pytest.mark.parametrize(
    "request_line",
    [
        b"hello\n",
        b"[1]\n",
        b"7\n",
        b'{"do":["count"]}\n',
        b'{"do":"count"}\n',
        b'{"do":"limit","limit":"x"}\n',
        b"\xff\n",
    ],
)
def test_a_request_that_cannot_be_read_is_an_error_and_a_line_without_a_traceback(
    tmp_path: Path, request_line: bytes, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with _served(tmp_path), _connected(tmp_path) as caller:
        caller.sendall(request_line)
        with caller.makefile("rb") as answer:
            assert b"cannot read the request" in orjson.loads(answer.readlines()[-1])["error"].encode()
    [said] = caplog.records
    assert said.getMessage().startswith("unreadable request reason=")
    assert "Traceback" not in caplog.text + "".join(capfd.readouterr())


def test_a_client_that_asks_nothing_does_not_delay_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.control._Request.timeout", None)
    server = _server(tmp_path, count=_count)
    server.start()
    with _connected(tmp_path) as idle:
        wait_until(lambda: server._server._live)
        _close(server)
        assert idle.recv(1) == b""


def test_a_client_that_does_not_read_does_not_delay_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.control._Request.timeout", None)
    monkeypatch.setattr("appliance.control._LAST_WORDS_S", 0.01)
    server = _server(tmp_path, never_end=_never_end)
    server.start()
    with _connected(tmp_path) as stalled:
        stalled.sendall(b'{"do":"never_end"}\n')
        assert stalled.recv(1) == b"{"
        _close(server)


def test_what_was_asked_before_the_end_is_answered(tmp_path: Path) -> None:
    began, goes_on = threading.Event(), threading.Event()

    def slow(_: dict[str, Any]) -> Rows:
        began.set()
        goes_on.wait()
        yield {"number": 1}

    server = _server(tmp_path, slow=slow)
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
