"""A box to play with: a coordinator process of its own with a temporary ledger, and tills that stand before it.

    counter (till ──▶ cable) ──▶ box (one process, a free port of 127.0.0.1, a temporary directory)

`demo` and `replay` run on it. The invariant: it touches no real shop. It takes no settings from the environment or the
checkout, its directory is new and goes away with it, and its process ends with the `with` block, also on Ctrl-C.
"""

import logging
import secrets
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from appliance.control import ask
from appliance.till import Till
from scripts.cable import Cable
from scripts.processes import COORDINATOR, Failed, environment, free_port, last_words, run_of, start, wait_until

STOP_S = 20.0
"""How long a coordinator may take to commit what it has taken and to say goodbye, before it is killed."""

_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Counter:
    """One till and its cable."""

    device: str
    till: Till
    cable: Cable

    def wait_online(self, timeout_s: float) -> bool:
        """Wait until the coordinator has answered this till. Returns whether it did in time."""
        ends_s = time.monotonic() + timeout_s
        while not self.till.is_connected:
            if time.monotonic() >= ends_s:
                return False
            time.sleep(_POLL_S)
        return True


class Box:
    """A coordinator process. directory: its ledger's, which every command finds by STOCK_DATA_DIR."""

    def __init__(self, shop: str, home: Path) -> None:
        self.shop = shop
        self.password = secrets.token_hex(4)  # Guards a toy on loopback for minutes, and fits a line.
        self.port = free_port()
        self.directory = home / "data"
        self._home = home
        settings = environment(
            STOCK_SHOP=shop,
            STOCK_PASSWORD=self.password,
            STOCK_DATA_DIR=str(self.directory),
            STOCK_BROKER__PORT=str(self.port),
        )
        self._process = start([*COORDINATOR, "run"], home, settings)  # In `home` lies no stock-coordinator.toml.

    def wait_started(self) -> None:
        """Return when the coordinator answers. Raises Failed when it does not."""
        try:
            wait_until(lambda: run_of(self.directory) is not None, self._process)
        except Failed as failure:
            raise Failed(f"{failure}\n{last_words(self._home)}") from None

    def check(self) -> None:
        """Raise Failed when the coordinator has ended by itself."""
        if self._process.poll() is not None:
            raise Failed(f"the coordinator ended with {self._process.returncode}:\n{last_words(self._home)}")

    def balances(self) -> dict[str, str]:
        """Return `on_hand` by SKU, as `stock-coordinator balance` shows it."""
        return {row["sku"]: row["on_hand"] for row in ask(self.directory, "balance")}

    @contextmanager
    def counter(self, device: str) -> Iterator[Counter]:
        """Put up a till that keeps connected through a cable of its own, and take both down in the end."""
        cable = Cable(self.port)
        try:
            with Till(
                host="127.0.0.1",
                port=cable.port,
                shop=self.shop,
                device=device,
                password=self.password,
                path=self._home / f"{device}.outbox",
            ) as till:
                yield Counter(device, till, cable)
        finally:
            cable.close()

    def stop(self) -> None:
        """End the coordinator in order, and by force when that takes too long."""
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def running_box(shop: str) -> Iterator[Box]:
    """Run a coordinator for as long as the block lasts. Raises Failed when it does not start."""
    # Ended by a signal, this process must still end the coordinator: SIGTERM unwinds the stack as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix=f"stock-{shop}-") as name:
        home = Path(name)
        # A till that has lost its connection says so in the log; on the screen it would tear the tables.
        logging.basicConfig(filename=home / "tills.log", format="%(asctime)s %(message)s", force=True)
        box = Box(shop, home)
        try:
            box.wait_started()
            yield box
        finally:
            box.stop()
