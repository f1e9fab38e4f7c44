"""The control socket: how the commands of `cli` speak to a running coordinator.

A Unix socket in the data directory, for its owner alone (0600). One request is one line of JSON; the answer is a line
for each row and a last one, `{"done":true}` or `{"error":"…"}`. Each caller is served in a thread of its own, so that
one that is slow, or says nothing, holds up neither the broker and a commit nor the other callers.
"""

import logging
import os
import socket
import socketserver
import threading
import traceback
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, closing, suppress
from pathlib import Path
from typing import Any

import orjson

log = logging.getLogger(__name__)

FILE_NAME = "control.sock"
_PATH_MAX = 107
"""Bytes of a Unix socket's path (sun_path of Linux, less its closing zero)."""

_REQUEST_MAX = 512 * 1024
"""Bytes of a request: an import sends as many operations at once as a turn or two commit."""
_TIMEOUT_S = 30
"""A command that neither asks nor listens gives its place to the next one."""

CALLERS_MAX = 16
"""Callers that are served at once; the others wait. Each may have a Reader of its own, with its cache."""

_LAST_WORDS_S = 2
"""What is left of an answer, when the box is being stopped, for a command that reads it: a long listing's rest."""

Rows = Iterator[dict[str, Any]]
Handler = Callable[[dict[str, Any]], Rows]


class ControlError(Exception):
    """The coordinator refused a request, or the socket cannot be used. The text says why."""


class NotRunning(Exception):
    """No coordinator serves this data directory."""


class ControlServer:
    """Answers requests until it is closed, each caller in a thread of its own."""

    def __init__(self, directory: Path, asked: Callable[[], AbstractContextManager[Mapping[str, Handler]]]) -> None:
        """asked: entered for each request, and left when it is answered: what each `do` yields, row by row.

        Raises ControlError when the socket cannot be made; the caller holds the data directory's lock.
        """
        path = directory / FILE_NAME
        if len(os.fsencode(path)) > _PATH_MAX:
            raise ControlError(f"{path} is too long for a socket: set STOCK_DATA_DIR to a shorter path")
        path.unlink(missing_ok=True)  # One left by a coordinator that was killed: nobody listens there.
        before = os.umask(0o177)
        try:
            self._server = _Server(str(path), asked)
        finally:
            os.umask(before)
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
        self._server.wait()
        cut.cancel()
        self._server.server_close()
        with suppress(OSError):  # A disk that has become read-only keeps it; the next start takes it away.
            self._path.unlink()


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def __init__(self, path: str, asked: Callable[[], AbstractContextManager[Mapping[str, Handler]]]) -> None:
        super().__init__(path, _Request)
        self.asked = asked
        self._places = threading.Semaphore(CALLERS_MAX)
        self._lock = threading.Lock()
        self._live: set[socket.socket] = set()
        self._shut: int | None = None

    def hang_up(self, how: int) -> None:
        """Shut down the connections that are served, and each one after them. how: SHUT_RD, or SHUT_RDWR."""
        with self._lock:
            self._shut = how
            for live in self._live:
                _shut_down(live, how)

    def wait(self) -> None:
        """Return when nobody is served any more."""
        for _ in range(CALLERS_MAX):
            self._places.acquire()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._places.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._live.add(request)
            if self._shut is not None:
                _shut_down(request, self._shut)
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def shutdown_request(self, request: Any) -> None:
        with self._lock:  # Before it is closed, for its number may be another one's then.
            self._live.discard(request)
        super().shutdown_request(request)


def _shut_down(live: socket.socket, how: int) -> None:
    with suppress(OSError):  # It ended by itself meanwhile.
        live.shutdown(how)


class _Request(socketserver.StreamRequestHandler):
    timeout = _TIMEOUT_S
    server: _Server

    def handle(self) -> None:
        # When the caller is gone nobody is left to tell.
        with suppress(BrokenPipeError, ConnectionResetError, TimeoutError), closing(self._answer()) as rows:
            for row in rows:
                self.wfile.write(orjson.dumps(row) + b"\n")

    def _answer(self) -> Generator[dict[str, Any], None, None]:
        asked = self.rfile.readline(_REQUEST_MAX)
        if not asked:
            return  # Whoever connected has gone, or the box is being stopped.
        try:
            with self.server.asked() as handlers:
                try:
                    request = orjson.loads(asked)
                    yield from handlers[request["do"]](request)
                except (ValueError, TypeError, LookupError) as error:
                    at = traceback.extract_tb(error.__traceback__)[-1]
                    # Should it be a fault of ours, this tells where.
                    log.warning("unreadable request reason=%r at=%s:%s", repr(error), Path(at.filename).name, at.lineno)
                    yield {
                        "error": f"this coordinator cannot read the request ({error!r}): is the command newer than it?"
                    }
                    return
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
