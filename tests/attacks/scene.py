"""A box under attack: its process, a till that sells on it from beginning to end, and what both show meanwhile.

The attack runs in a process of its own, so that what it computes takes nothing from the till but the machine's time.
"""

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from appliance.control import ask
from scripts.benchmark.load.mqtt import Broker, Till
from scripts.benchmark.load.tills import RECEIVED
from scripts.processes import another_process, free_port, run_of
from tests.access.authority import Authority
from tests.box import PASSWORD, Box

SKU = "sold-by-the-till"
DEVICE = "A1"

_PACE_S = 0.02
"""Between a till's sales: a cashier who never sleeps, and some hundred sales in each part of an attack."""

_LOOK_S = 0.02
"""Between two looks at the gauges."""


@dataclass(frozen=True, slots=True)
class Target:
    """What an attacker knows of the box."""

    port: int
    tls_port: int
    websocket_port: int
    password: str

    @property
    def address(self) -> tuple[str, int]:
        return ("127.0.0.1", self.port)

    @property
    def tls_address(self) -> tuple[str, int]:
        return ("127.0.0.1", self.tls_port)

    @property
    def websocket_address(self) -> tuple[str, int]:
        return ("127.0.0.1", self.websocket_port)


@dataclass(frozen=True, slots=True)
class Gauge:
    """What the box's process holds: open descriptors, and resident memory in MiB."""

    descriptors: int
    memory_mib: float


@dataclass(frozen=True, slots=True)
class Part:
    """One part of an attack's time. most: the highest of each gauge. took_ms: from each sale to its ack."""

    most: Gauge
    took_ms: tuple[float, ...]

    @property
    def p99_ms(self) -> float:
        return statistics.quantiles(self.took_ms, n=100, method="inclusive")[98]


@dataclass(frozen=True, slots=True)
class Report:
    """before, during, after: the parts. sold: how many pieces the till sold, every one of them acknowledged."""

    before: Part
    during: Part
    after: Part
    sold: int


class Scene:
    def __init__(self, box: Box, tls_port: int, websocket_port: int) -> None:
        assert box.process is not None
        self.box = box
        self._ports = tls_port, websocket_port
        self._process = Path("/proc") / str(box.process.pid)
        self._till = Till(Broker(box.port, PASSWORD, run_of(box.directory) or ""), DEVICE)
        self._sell(RECEIVED, "receive")

    @property
    def target(self) -> Target:
        return Target(self.box.port, *self._ports, PASSWORD)

    def gauge(self) -> Gauge:
        resident_kib = int((self._process / "status").read_text().split("VmRSS:")[1].split()[0])
        return Gauge(len(list((self._process / "fd").iterdir())), resident_kib / 1024)

    def under(self, attack: Callable[[Target, int], None], count: int, calm_s: float) -> Report:
        """Have an attack made, with a calm time before and after it, and the till selling all the time.

        Raises what the attack raises, and Failed when the till is put off or loses anything.
        """
        sold = self._till.seq
        with another_process(attack) as pool:
            before = self._watch(_calm(calm_s))
            made = pool.submit(attack, self.target, count)
            during = self._watch(made.done)
            made.result()
            after = self._watch(_calm(calm_s))
        return Report(before, during, after, self._till.seq - sold)

    def on_hand(self) -> int:
        """Return what the box has left of what the till sells."""
        [row] = ask(self.box.directory, "balance", sku=SKU)
        return int(row["on_hand"])

    def left(self) -> int:
        """Return what must be left: the till received first, and sold one piece with each operation after that."""
        return RECEIVED - (self._till.seq - 1)

    def close(self) -> None:
        self._till.close()

    def _watch(self, is_over: Callable[[], bool]) -> Part:
        took_ms: list[float] = []
        gauges = [self.gauge()]
        enough = threading.Event()

        def look() -> None:
            while not enough.wait(_LOOK_S):
                gauges.append(self.gauge())

        looking = threading.Thread(target=look)
        looking.start()
        try:
            while not is_over() or len(took_ms) < 2:
                took_ms.append(self._sell(-1, "sale"))
                enough.wait(_PACE_S)
        finally:
            enough.set()
            looking.join()
        most = Gauge(max(one.descriptors for one in gauges), max(one.memory_mib for one in gauges))
        return Part(most, tuple(took_ms))

    def _sell(self, pieces: int, reason: str) -> float:
        """Return after how many milliseconds the operation was acknowledged."""
        began_s = time.perf_counter()
        self._till.move(SKU, pieces, reason)
        self._till.flush()
        while self._till.in_flight:
            self._till.read()
        return (time.perf_counter() - began_s) * 1000


@contextmanager
def scene(directory: Path) -> Iterator[Scene]:
    """A box with its ledger in a directory to be made, and a till that is about to sell."""
    ports = free_port(), free_port()
    with TemporaryDirectory() as folder:
        certificate, key = Authority().issue(Path(folder), "127.0.0.1")
        listening = {
            "STOCK_BROKER__TLS_PORT": str(ports[0]),
            "STOCK_BROKER__WEBSOCKET_PORT": str(ports[1]),
            "STOCK_BROKER__CERTIFICATE": str(certificate),
            "STOCK_BROKER__KEY": str(key),
        }
        with Box(directory, **listening) as box, closing(Scene(box, *ports)) as made:
            yield made


def _calm(seconds: float) -> Callable[[], bool]:
    until_s = time.monotonic() + seconds
    return lambda: time.monotonic() >= until_s
