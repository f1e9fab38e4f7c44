"""A network cable on loopback that can be pulled and plugged in again, so that a till is offline for real.

    till ──▶ cable ──▶ broker

It forwards the bytes of each connection both ways and looks at none. Pulled, it ends the connections in the middle of
whatever they carry, and lets new ones wait unanswered, as a network that has gone does; plugged in, it serves those.
"""

import socket
import threading
from contextlib import suppress

_CHUNK_BYTES = 64 * 1024


class Cable:
    """A cable to a port of 127.0.0.1. Tills connect to `port`; it starts plugged in."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._changed = threading.Condition()
        self._is_plugged = True
        self._is_closed = False
        self._ends: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._accept, name=f"cable-{self.port}", daemon=True)
        self._thread.start()

    @property
    def is_plugged(self) -> bool:
        return self._is_plugged

    def pull(self) -> None:
        with self._changed:
            self._is_plugged = False
            self._hang_up()

    def plug(self) -> None:
        with self._changed:
            self._is_plugged = True
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            self._hang_up()
            self._changed.notify_all()
        # It wakes the thread that waits in accept(), which close() alone does not.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            with self._changed:
                self._changed.wait_for(lambda: self._is_plugged or self._is_closed)
                if self._is_closed:
                    near.close()
                    return
                self._join(near)

    def _join(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(("127.0.0.1", self._to_port))
        except OSError:
            near.close()  # Nobody listens behind the cable: the till is told so, as it would be without one.
            return
        for end in (near, far):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._ends |= {near, far}
        threading.Thread(target=self._carry, args=(near, far), daemon=True).start()

    def _carry(self, near: socket.socket, far: socket.socket) -> None:
        back = threading.Thread(target=_pump, args=(far, near), daemon=True)
        back.start()
        _pump(near, far)
        back.join()
        with self._changed:
            self._ends -= {near, far}
            near.close()
            far.close()

    def _hang_up(self) -> None:
        for end in self._ends:
            _shut(end)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(_CHUNK_BYTES):
            sink.sendall(chunk)
    _shut(source)
    _shut(sink)


def _shut(end: socket.socket) -> None:
    with suppress(OSError):  # The other side was faster.
        end.shutdown(socket.SHUT_RDWR)
