"""The control socket: how the commands of `cli` speak to a running coordinator.

A Unix socket in the data directory, for its owner alone (0600). One request is one line of JSON; the answer is a line
for each row and a last one, `{"done":true}` or `{"error":"…"}`. It runs in a thread of its own with a reader of its
own, so that a long listing holds up neither the broker nor a commit.
"""

import os
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

FILE_NAME = "control.sock"
_PATH_MAX = 107
"""Bytes of a Unix socket's path (sun_path of Linux, less its closing zero)."""

_REQUEST_MAX = 512 * 1024
"""Bytes of a request: an import sends as many operations at once as a turn or two commit."""
_TIMEOUT_S = 30
"""A command that neither asks nor listens gives its place to the next one."""

_LAST_WORDS_S = 2
"""What is left of an answer, when the box is being stopped, for a command that reads it: a long listing's rest."""

Rows = Iterator[dict[str, Any]]
Handler = Callable[[dict[str, Any]], Rows]


class ControlError(Exception):
    """The coordinator refused a request, or the socket cannot be used. The text says why."""


class NotRunning(Exception):
    """No coordinator serves this data directory."""


class ControlServer:
    """Answers requests until it is closed. handlers: what each `do` of a request yields, row by row."""

    def __init__(self, directory: Path, handlers: dict[str, Handler]) -> None:
        """Raises ControlError when the socket cannot be made; the caller holds the data directory's lock."""
        path = directory / FILE_NAME
        if len(os.fsencode(path)) > _PATH_MAX:
            raise ControlError(f"{path} is too long for a socket: set STOCK_DATA_DIR to a shorter path")
        path.unlink(missing_ok=True)  # One left by a coordinator that was killed: nobody listens there.
        before = os.umask(0o177)
        try:
            self._server = _Server(str(path), _Request)
        finally:
            os.umask(before)
        self._server.handlers = handlers
        self._path = path
        self._thread = threading.Thread(target=self._server.serve_forever, name="control", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Answer what has been asked, then stop. No command that is idle, or does not read, delays it for long."""
        self._server.hang_up(socket.SHUT_RD)
        cut = threading.Timer(_LAST_WORDS_S, self._server.hang_up, [socket.SHUT_RDWR])
        cut.start()
        self._server.shutdown()
        self._thread.join()
        cut.cancel()
        self._server.server_close()
        with suppress(OSError):  # A disk that has become read-only keeps it; the next start takes it away.
            self._path.unlink()


class _Server(socketserver.UnixStreamServer):
    handlers: dict[str, Handler]
    _live: socket.socket | None = None
    _shut: int | None = None

    def hang_up(self, how: int) -> None:
        """Shut down the connection that is served, and each one after it. how: SHUT_RD, or SHUT_RDWR."""
        self._shut = how
        live = self._live
        if live is not None:
            with suppress(OSError):  # It ended by itself meanwhile.
                live.shutdown(how)

    def finish_request(self, request: Any, client_address: Any) -> None:
        self._live = request
        if self._shut is not None:
            self.hang_up(self._shut)
        try:
            super().finish_request(request, client_address)
        finally:
            self._live = None


class _Request(socketserver.StreamRequestHandler):
    timeout = _TIMEOUT_S
    server: _Server

    def handle(self) -> None:
        try:
            for row in self._answer():
                self.wfile.write(orjson.dumps(row) + b"\n")
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            return  # The command was interrupted: nobody is left to tell.

    def _answer(self) -> Rows:
        asked = self.rfile.readline(_REQUEST_MAX)
        if not asked:
            return  # Whoever connected has gone, or the box is being stopped.
        try:
            request = orjson.loads(asked)
            handler = self.server.handlers[request["do"]]
        except (ValueError, TypeError, KeyError) as error:
            yield {"error": f"a request that this coordinator does not know ({error!r}): is the command newer than it?"}
            return
        try:
            yield from handler(request)
        except ControlError as error:
            yield {"error": str(error)}
            return
        yield {"done": True}


def ask(directory: Path, do: str, **wanted: Any) -> Rows:
    """Ask the running coordinator, and yield the answer's rows.

    Raises NotRunning when nobody serves `directory`, ControlError when the coordinator refuses, dies meanwhile, or is
    held up for too long.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_TIMEOUT_S)
        try:
            connection.connect(str(directory / FILE_NAME))
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise NotRunning(f"no coordinator runs with its data in {directory}") from error
        except OSError as error:
            raise ControlError(f"{directory / FILE_NAME}: {error.strerror or error}") from error
        try:
            yield from _answer(connection, orjson.dumps({"do": do, **wanted}) + b"\n")
        except TimeoutError as error:
            raise ControlError(
                f"no answer within {_TIMEOUT_S} s: another command may hold the coordinator up"
            ) from error
        except ConnectionError as error:
            raise ControlError(_STOPPED) from error


_STOPPED = "the coordinator stopped before its answer was complete"


def _answer(connection: socket.socket, request: bytes) -> Rows:
    connection.sendall(request)
    with connection.makefile("rb") as answer:
        for line in answer:
            if not line.endswith(b"\n"):
                break  # Cut short.
            row = orjson.loads(line)
            if "error" in row:
                raise ControlError(row["error"])
            if row == {"done": True}:
                return
            yield row
    raise ControlError(_STOPPED)
