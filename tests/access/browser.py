"""A web page in a real browser, headless Chromium: the test serves it, gives it an order, and hears what became of it.

The browser checks certificates as on anybody's desk: what it is to trust stands in the user's own store of authorities,
in a home that the test has made.
"""

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from scripts.processes import START_S

_FOLDER = Path(__file__).parent / "mqttjs"
_FILES = {
    "/": (_FOLDER / "page.html", "text/html"),
    "/sell.js": (_FOLDER / "sell.js", "text/javascript"),
    "/mqtt.min.js": (_FOLDER / "node_modules" / "mqtt" / "dist" / "mqtt.min.js", "text/javascript"),
}


def program(name: str) -> str:
    found = shutil.which(name)
    assert found is not None, f"{name} is missing: run scripts/setup"
    return found


def trust(home: Path, authority: Path) -> None:
    """Have whoever lives in `home` trust the certificates of an authority, as a shop's administrator would."""
    store = home / ".pki" / "nssdb"
    store.mkdir(parents=True)
    certutil = [program("certutil"), "-d", f"sql:{store}"]
    subprocess.run([*certutil, "-N", "--empty-password"], check=True, timeout=START_S)
    named = ["-A", "-n", "the shop", "-t", "C,,", "-i", str(authority)]
    subprocess.run([*certutil, *named], check=True, timeout=START_S)


def heard_by_page(home: Path, order: dict[str, Any]) -> dict[str, Any]:
    """Return what the page hears of its order: the ack and the balance, or an error."""
    for file, _ in _FILES.values():
        assert file.exists(), f"{file.name} is missing: run scripts/setup"
    with _served(order) as (url, heard), _browsing(home, url):
        found: dict[str, Any] = heard.get(timeout=START_S)
        return found


@contextmanager
def _served(order: dict[str, Any]) -> Iterator[tuple[str, "SimpleQueue[dict[str, Any]]"]]:
    heard: SimpleQueue[dict[str, Any]] = SimpleQueue()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/order":
                self._answer(json.dumps(order).encode(), "application/json")
            elif self.path in _FILES:
                path, kind = _FILES[self.path]
                self._answer(path.read_bytes(), kind)
            else:
                self.send_error(404)

        def do_POST(self) -> None:
            heard.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self._answer(b"", "text/plain")

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

        def _answer(self, body: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", heard
        finally:
            server.shutdown()
            serving.join()


@contextmanager
def _browsing(home: Path, url: str) -> Iterator[None]:
    home.mkdir(exist_ok=True)
    command = [program("chromium"), "--headless=new", "--disable-gpu", f"--user-data-dir={home / 'profile'}"]
    if os.geteuid() == 0:
        # Chromium's sandbox, which keeps hostile pages in, cannot be root's. It has no part in certificates.
        command.append("--no-sandbox")
    with (home / "browser.log").open("wb") as log:
        browser = subprocess.Popen([*command, url], env={**os.environ, "HOME": str(home)}, stdout=log, stderr=log)
        try:
            yield
        finally:
            browser.terminate()
            browser.wait(START_S)
