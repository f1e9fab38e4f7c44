"""PostgreSQL, with a function that deduplicates, adds and notifies (postgresql.sql): one transaction a message.

A till sends through libpq's pipeline, with a sync after each message, so that each is a transaction of its own and up
to ten tills share a commit.
"""

import os
import random
import select
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from subprocess import Popen

import orjson
import psycopg
from psycopg import pq

from scripts.benchmark.contenders import PASSWORD, Kept, Running, family
from scripts.benchmark.load import tills
from scripts.benchmark.load.tills import AT
from scripts.processes import Failed, free_port, installed, log_of, start, wait_until

_SQL = Path(__file__).with_name("postgresql.sql")
_USER = "postgres"
"""Debian's user for it: PostgreSQL refuses to run as root."""

_RECORD = b"SELECT record($1, $2, $3, $4, $5, $6, $7)"


class Postgresql:
    name = "postgresql"

    @contextmanager
    def running(self, directory: Path, environment: Mapping[str, str] = os.environ) -> Iterator[Running]:
        with _running(directory, environment) as (address, process):
            yield Running(partial(_Till, address), partial(_Screen, address), (process,))

    def kept(self, directory: Path) -> Kept:
        with _running(directory, os.environ) as (address, _), psycopg.connect(address) as connection:
            [(operations,)] = connection.execute("SELECT count(*) FROM operation")
            return Kept(operations, dict(connection.execute("SELECT sku, on_hand_milli FROM balance").fetchall()))


@contextmanager
def _running(directory: Path, environment: Mapping[str, str]) -> Iterator[tuple[str, Popen[bytes]]]:
    """Give the address of a server, made anew in an empty directory, and its first process."""
    database = directory / "database"
    if is_new := not database.exists():
        _initialise(directory, database)
    port = free_port()
    settings = ("listen_addresses=127.0.0.1", f"port={port}", f"unix_socket_directories={directory}")
    command = _as_its_user(installed("postgres", "postgresql"), "-D", str(database), *(f"--{one}" for one in settings))
    process = start(command, directory, environment)
    try:
        log = log_of(command, directory)
        wait_until(lambda: "ready to accept connections" in log.read_text(), process)
        address = f"host=127.0.0.1 port={port} user={_USER} password={PASSWORD} dbname=postgres"
        if is_new:
            with psycopg.connect(address, autocommit=True) as connection:
                connection.execute(_SQL.read_bytes())
        yield address, process
    finally:
        _kill_whole(process)


def _kill_whole(process: Popen[bytes]) -> None:
    """Kill a server with all that it started, and return when they are gone: one that lingers holds the database."""
    process.send_signal(signal.SIGSTOP)  # It starts nobody else meanwhile.
    with ExitStack() as handles:
        ending = []
        for pid in family([process.pid]):
            with suppress(ProcessLookupError):  # It has ended by itself.
                ending.append(os.pidfd_open(pid))
                handles.callback(os.close, ending[-1])
                signal.pidfd_send_signal(ending[-1], signal.SIGKILL)
        for handle in ending:
            select.select([handle], [], [])
    process.wait()


def _initialise(directory: Path, database: Path) -> None:
    if os.geteuid() == 0:
        shutil.chown(directory, _USER, _USER)
    secret = directory / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)
    command = _as_its_user(installed("initdb", "postgresql"), "-D", str(database), "-U", _USER, "--no-sync")
    result = subprocess.run(  # noqa: S603  our own command line
        [*command, "-A", "scram-sha-256", f"--pwfile={secret}"], capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise Failed(f"initdb failed: {result.stderr}")


def _as_its_user(*command: str) -> tuple[str, ...]:
    if os.geteuid():
        return command
    return (installed("setpriv", "util-linux"), f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups", *command)


class _Till(tills.Till):
    def __init__(self, address: str, name: str) -> None:
        super().__init__()
        self._connection = psycopg.connect(address, autocommit=True)
        self._server = self._connection.pgconn
        self._server.prepare(b"record", _RECORD)
        self._server.enter_pipeline_mode()
        self._server.nonblocking = 1
        self._head = (name.encode(), f"{random.getrandbits(128):032x}".encode())

    def fileno(self) -> int:
        return self._connection.fileno()

    def read(self) -> None:
        self._server.consume_input()
        self._server.flush()
        is_end = False
        while not self._server.is_busy():
            result = self._server.get_result()
            if result is None:  # It stands between the results of two queries, and after the last one.
                if is_end:
                    return
                is_end = True
                continue
            is_end = False
            if result.status == pq.ExecStatus.TUPLES_OK:
                self.durable = int(result.get_value(0, 0) or 0)
            elif result.status != pq.ExecStatus.PIPELINE_SYNC:
                raise Failed(f"PostgreSQL refused: {result.error_message.decode()}")

    def close(self) -> None:
        self._connection.close()

    def _send(self, first: int, messages: list[list[tuple[str, int, str]]]) -> None:
        for message in messages:
            skus = "{" + ",".join(sku for sku, _, _ in message) + "}"
            qtys_milli = "{" + ",".join(str(pieces * 1000) for _, pieces, _ in message) + "}"
            values = (str(first), message[0][2], AT, skus, qtys_milli)
            self._server.send_query_prepared(b"record", [*self._head, *(value.encode() for value in values)])
            self._server.pipeline_sync()
            first += len(message)
        self._server.flush()


class _Screen:
    shows_balances = True

    def __init__(self, address: str, name: str) -> None:
        self._connection = psycopg.connect(address, autocommit=True)
        self._connection.execute("LISTEN balances")
        balances = self._connection.execute("SELECT sku, on_hand_milli FROM balance").fetchall()
        self.on_hand = {sku: str(milli // 1000) for sku, milli in balances}

    def fileno(self) -> int:
        return self._connection.fileno()

    def read(self) -> list[str]:
        server = self._connection.pgconn
        server.consume_input()
        told = []
        while (notify := server.notifies()) is not None:
            told.append(orjson.loads(notify.extra))
        self.on_hand.update((said["sku"], str(said["on_hand_milli"] // 1000)) for said in told)
        return [said["sku"] for said in told]

    def close(self) -> None:
        self._connection.close()
