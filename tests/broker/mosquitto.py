"""A real mosquitto for a test: on a free port of 127.0.0.1, with passwords and the ACL that the wire contract asks for.

Unless it is told to, it keeps nothing on disk, so that one that is started again has lost every retained topic.
"""

import os
import signal
import subprocess
from pathlib import Path

from appliance.broker.external.acl import acl_file
from appliance.contract.topics import HOME_ASSISTANT, Topics
from scripts.processes import installed, is_listening
from tests.broker.running import ROOT, SHOP
from tests.broker.wire import PUBLISH, Client, Packet, publish, subscribe
from tests.waiting import wait_until

COORDINATOR = "coordinator"
DEVICES = ("A1", "A2", "A3", "A4", "D", "H", "screen", HOME_ASSISTANT)
PASSWORD = "secret"

_FENCE = f"{ROOT}device/_shop/print"


def configuration(folder: Path, port: int, inflight_max: int, *, host: str = "127.0.0.1", keeps: bool = False) -> str:
    """Return mosquitto's configuration.

    By default it drops what a reader has not taken fast enough, operations and most of a retained burst, and it takes
    messages of any size.
    """
    return f"""\
listener {port} {host}
allow_anonymous false
password_file {folder / "passwords"}
acl_file {folder / "acl"}
persistence {"true" if keeps else "false"}
persistence_location {folder}/
max_queued_messages 0
max_inflight_messages {inflight_max}
message_size_limit 1048576
set_tcp_nodelay true
log_dest file {folder / "log"}
# Only root needs this: it would become a user who cannot read a test's folder.
user root
"""


class Mosquitto:
    """inflight_max: messages that it sends a client before it waits for a PUBACK; 0 is no limit. acl: its ACL file.

    keeps: whether what it knows outlives `stop`. host: where it listens. inside: the words that put a command there.
    """

    def __init__(
        self,
        folder: Path,
        port: int,
        *,
        inflight_max: int = 0,
        acl: str = acl_file(Topics(SHOP), COORDINATOR),
        keeps: bool = False,
        host: str = "127.0.0.1",
        inside: tuple[str, ...] = (),
    ) -> None:
        self.address = (host, port)
        self._inside = inside
        self._configuration = folder / "conf"
        self._configuration.write_text(configuration(folder, port, inflight_max, host=host, keeps=keeps))
        (folder / "acl").write_text(acl)
        passwords = folder / "passwords"
        passwords.write_text("".join(f"{user}:{PASSWORD}\n" for user in (COORDINATOR, *DEVICES)))
        subprocess.run([installed("mosquitto_passwd", "mosquitto"), "-U", str(passwords)], check=True)
        self.start()

    @property
    def box_settings(self) -> dict[str, str]:
        """The settings of a box whose broker this is."""
        _, port = self.address
        return {
            "STOCK_BROKER__MODE": "external",
            "STOCK_BROKER__PORT": str(port),
            "STOCK_BROKER__USER": COORDINATOR,
            "STOCK_BROKER__PASSWORD": PASSWORD,
        }

    def start(self) -> None:
        # It warns of being root before it opens its log.
        self._process = subprocess.Popen(
            [*self._inside, installed("mosquitto", "mosquitto"), "-c", str(self._configuration)],
            stderr=subprocess.DEVNULL,
        )
        wait_until(self._is_listening)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it as a system that shuts down does."""
        self._process.terminate()
        self._process.wait()

    def freeze(self) -> None:
        """Make it a broker that is there and takes nothing; `close` or `kill` still end it."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    close = kill

    def _is_listening(self) -> bool:
        assert self._process.poll() is None, "mosquitto has ended"
        return is_listening(self.address[1], self.address[0])

    def client(self, user: str) -> Client:
        """Return a client that has logged in under this name."""
        return Client(self.address).log_in(user=user, password=PASSWORD, client_id=f"{user}-{os.urandom(4).hex()}")

    def publish(self, user: str, leaf: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish one message under the shop's root, and return when the broker has it."""
        with self.client(user) as client:
            client.send(publish(ROOT + leaf, payload, retain=retain))
            client.until_ping()

    def retained(self, leaf: str = "#") -> dict[str, bytes]:
        """Return the retained topics of the shop that match, without the root, as the coordinator's user sees them."""
        with self.client(COORDINATOR) as client:
            client.subscribe((_FENCE, 0))
            client.send(subscribe((ROOT + leaf, 0), packet_id=2), publish(_FENCE, b"fence"))
            found: dict[str, bytes] = {}
            while (one := _next_publish(client)).topic != _FENCE:
                if one.retain:
                    found[one.topic.removeprefix(ROOT)] = one.payload
            return found


def _next_publish(client: Client) -> Packet:
    while True:
        one = client.read()
        assert one is not None, "the broker closed"
        if one.kind == PUBLISH:
            return one
