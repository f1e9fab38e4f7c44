"""A large shop's tills that come back at once, and somebody who is in and waits for answers meanwhile.

Like the tills of the other cases they are raw sockets, so that the contender and not the load takes the time; who waits
for answers is a process of its own, which the crowd's work cannot delay.
"""

import selectors
import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager

from scripts.benchmark.load.mqtt import SHOP, Broker, Connection, login, subscription
from scripts.benchmark.load.tills import STALLED_S
from scripts.processes import Failed, another_process

CROWD = tuple(f"crowd-{number}" for number in range(500))
"""Tills of a large shop, all of them behind a power cut."""

_LET_IN = b"\x20\x02\x00\x00" + b"\x90\x03\x00\x01\x00"
"""A CONNACK and a SUBACK that refuse nothing."""

_PING, _GOODBYE = b"\xc0\x00", b"\xe0\x00"
_BETWEEN_PINGS_S = 0.001


def seconds_until_all_are_in(broker: Broker) -> float:
    """Have the crowd connect, log in and subscribe at once. Returns how long it took until the last one was in.

    Raises Failed when anybody is refused, or left waiting.
    """
    with ExitStack() as sockets, selectors.DefaultSelector() as selector:
        began_s = time.perf_counter()
        received: dict[socket.socket, bytes] = {}
        for device in CROWD:
            till = sockets.enter_context(socket.socket())
            till.setblocking(False)
            till.connect_ex(("127.0.0.1", broker.port))
            selector.register(till, selectors.EVENT_WRITE, device)
            received[till] = b""
        waiting = len(CROWD)
        while waiting:
            if not (ready := selector.select(STALLED_S)):
                raise Failed(f"{waiting} of {len(CROWD)} tills were not in after {STALLED_S:.0f} s")
            for key, event in ready:
                assert isinstance(key.fileobj, socket.socket)
                till = key.fileobj
                try:
                    if event & selectors.EVENT_WRITE:
                        till.send(login(broker, key.data) + subscription(SHOP.device(key.data, "ack")))
                        selector.modify(till, selectors.EVENT_READ)
                        continue
                    answer = till.recv(4096)
                except OSError as error:
                    raise Failed(f"a till was put off: {error}") from None
                received[till] += answer
                if received[till].startswith(_LET_IN):
                    selector.unregister(till)
                    waiting -= 1
                elif not answer or not _LET_IN.startswith(received[till]):
                    raise Failed(f"a till was refused with {received[till].hex() or 'a closed connection'}")
        took_s = time.perf_counter() - began_s
        for till in received:
            till.settimeout(STALLED_S)
            till.send(_GOODBYE)
        for till in received:
            while till.recv(4096):  # Until it is closed: the next time is a new one.
                pass
    return took_s


@contextmanager
def waiting_for_answers(broker: Broker, seconds: float) -> Iterator[Future[float]]:
    """Give what becomes the longest wait for an answer, in milliseconds, of one till that is in and asks on and on."""
    with another_process(_longest_answer_ms) as pool:
        yield pool.submit(_longest_answer_ms, broker, seconds)


def _longest_answer_ms(broker: Broker, seconds: float) -> float:
    connection = Connection(broker, "waiting", SHOP.device("waiting", "answer"))
    ends_s, longest_s = time.perf_counter() + seconds, 0.0
    while (asked_s := time.perf_counter()) < ends_s:
        connection.send(_PING)
        connection.read()
        longest_s = max(longest_s, time.perf_counter() - asked_s)
        time.sleep(_BETWEEN_PINGS_S)
    connection.close()
    return longest_s * 1000
