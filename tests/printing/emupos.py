"""Runs emupos, a receipt printer that this project did not write, in an environment of its own (`.venv-emupos`).

It listens on a serial pty and in the network, has a person's hands behind an HTTP interface, and keeps every receipt as
text and as a picture. The environment is separate because it needs a newer Python than the box, and other packages.
"""

import json
import os
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import wait_until

ENVIRONMENT = Path(__file__).parents[2] / ".venv-emupos"
DEVICE = "front"


class EmuPos:
    """One printer, started by entering the context. folder: for its receipts, its log and its serial link.

    profile: epson-tm-t20iii, xprinter-xp80t or rongta-rp326.
    """

    def __init__(self, folder: Path, profile: str = "epson-tm-t20iii") -> None:
        self._folder = folder
        self._profile = profile
        self._api_port, self.port = free_ports(2)
        self.link = folder / "emupos" / "printer"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "EmuPos":
        program = ENVIRONMENT / "bin" / "emupos"
        if not program.exists():
            pytest.fail(f"{program} is missing: run scripts/setup, which needs Python 3.13 for it")
        settings = self._folder / "emupos.yaml"
        settings.write_text(json.dumps(self._settings()))  # JSON is YAML
        with (self._folder / "emupos.log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, "run", "--config", settings],
                cwd=self._folder,
                env={**os.environ, "TMPDIR": str(self._folder)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_until(self._is_up)
        return self

    def __exit__(self, *exception: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(timeout=30)

    def set_fault(self, fault: str, is_active: bool) -> None:
        """Make or mend paper-near-end, paper-out, cover-open or offline."""
        self._ask("PUT" if is_active else "DELETE", f"/devices/{DEVICE}/faults/{fault}")

    def texts(self) -> list[str]:
        """Return the texts of the receipts that came out, oldest first."""
        receipts: list[dict[str, Any]] = json.loads(self._ask("GET", f"/devices/{DEVICE}/receipts"))
        path = f"/devices/{DEVICE}/receipts"
        return [self._ask("GET", f"{path}/{receipt['id']}/text").decode() for receipt in reversed(receipts)]

    def picture(self) -> bytes:
        """Return the PNG of the last receipt."""
        return self._ask("GET", f"/devices/{DEVICE}/receipts/latest/image")

    def _settings(self) -> dict[str, object]:
        connections = [
            {"serial": {"pty": True, "link": self.link.name}},
            {"tcp": {"host": "127.0.0.1", "port": self.port}},
        ]
        printer = {"id": DEVICE, "type": "printer", "profile": self._profile, "connections": connections}
        return {"schema": 1, "api": {"host": "127.0.0.1", "port": self._api_port}, "devices": [printer]}

    def _is_up(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            log = (self._folder / "emupos.log").read_text()
            pytest.fail(f"emupos ended with code {self._process.returncode}:\n{log}")
        try:
            self._ask("GET", "/health")
        except (urllib.error.URLError, ConnectionError):
            return False
        return True

    def _ask(self, method: str, path: str) -> bytes:
        url = f"http://127.0.0.1:{self._api_port}/api/v1{path}"
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=30) as answer:
            body: bytes = answer.read()
        return body


def free_ports(count: int) -> list[int]:
    """Return TCP ports of 127.0.0.1 that nobody listens on, all different."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports
