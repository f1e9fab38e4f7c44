"""Redis, whose append-only file is synced before any reply, and a script that deduplicates and adds (redis.lua)."""

import os
import random
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from subprocess import Popen
from typing import Any

import hiredis
import orjson

from scripts.benchmark.contenders import Kept, Running
from scripts.benchmark.load import tills
from scripts.benchmark.load.tills import AT, STALLED_S
from scripts.processes import Failed, free_port, installed, kill, log_of, start, wait_until

_OPERATIONS, _BALANCES = "operations", "balances"
_SCRIPT = Path(__file__).with_name("redis.lua")
_CHUNK = 256 * 1024


class Redis:
    name = "redis"

    @contextmanager
    def running(self, directory: Path, environment: Mapping[str, str] = os.environ) -> Iterator[Running]:
        with _server(directory, environment) as (port, process):
            with _Connection(port) as connection:
                script = connection.ask("SCRIPT", "LOAD", _SCRIPT.read_text())
            yield Running(partial(_Till, port, script), partial(_Screen, port), (process,))

    def kept(self, directory: Path) -> Kept:
        with _server(directory, os.environ) as (port, _), _Connection(port) as connection:
            balances = _pairs(connection.ask("HGETALL", _BALANCES))
            return Kept(connection.ask("HLEN", _OPERATIONS), {sku: int(milli) for sku, milli in balances.items()})


@contextmanager
def _server(directory: Path, environment: Mapping[str, str]) -> Iterator[tuple[int, Popen[bytes]]]:
    """Give the port of a server that has loaded what is in the directory, and its process."""
    port = free_port()
    command = [installed("redis-server", "redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    process = start([*command, "--appendonly", "yes", "--appendfsync", "always"], directory, environment)
    try:
        log = log_of(command, directory)
        wait_until(lambda: "Ready to accept connections" in log.read_text(), process)
        yield port, process
    finally:
        kill([process])


class _Connection:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=STALLED_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = hiredis.Reader(encoding="utf-8")

    def __enter__(self) -> "_Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def ask(self, *words: str) -> Any:
        """Return the answer to one command: a number, a text or a list, whatever Redis answers to it."""
        self.socket.sendall(_packed(words))
        while not (answers := self.read()):
            pass
        return answers[0]

    def read(self) -> list[Any]:
        try:
            chunk = self.socket.recv(_CHUNK)
        except OSError as error:
            raise Failed(f"Redis said no more: {error}") from None
        if not chunk:
            raise Failed("Redis closed a connection")
        self._reader.feed(chunk)
        answers = []
        while (answer := self._reader.gets()) is not False:
            if isinstance(answer, hiredis.ReplyError):
                raise Failed(f"Redis refused: {answer}")
            answers.append(answer)
        return answers


class _Till(tills.Till):
    def __init__(self, port: int, script: str, name: str) -> None:
        super().__init__()
        self._connection = _Connection(port)
        self._head = ("EVALSHA", script, 2, _OPERATIONS, _BALANCES, name, f"{random.getrandbits(128):032x}")

    def fileno(self) -> int:
        return self._connection.socket.fileno()

    def read(self) -> None:
        for seq in self._connection.read():
            self.durable = seq

    def close(self) -> None:
        self._connection.socket.close()

    def _send(self, first: int, messages: list[list[tuple[str, int, str]]]) -> None:
        packed = []
        for message in messages:
            words: list[str | int] = [*self._head, first, message[0][2], AT]
            for sku, pieces, _ in message:
                words += (sku, pieces * 1000)
            packed.append(_packed(words))
            first += len(message)
        self._connection.socket.sendall(b"".join(packed))


class _Screen:
    shows_balances = True

    def __init__(self, port: int, name: str) -> None:
        self._connection = _Connection(port)
        with _Connection(port) as asking:
            balances = _pairs(asking.ask("HGETALL", _BALANCES))
        self.on_hand = {sku: str(int(milli) // 1000) for sku, milli in balances.items()}
        self._connection.ask("SUBSCRIBE", _BALANCES)

    def fileno(self) -> int:
        return self._connection.socket.fileno()

    def read(self) -> list[str]:
        told = [orjson.loads(payload) for _, _, payload in self._connection.read()]
        self.on_hand.update((said["sku"], str(said["on_hand_milli"] // 1000)) for said in told)
        return [said["sku"] for said in told]

    def close(self) -> None:
        self._connection.socket.close()


def _packed(words: Iterable[str | int]) -> bytes:
    packed: bytes = hiredis.pack_command(tuple(words))  # type: ignore[arg-type]  # The stub allows one word only.
    return packed


def _pairs(flat: list[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))
