"""A shop that starts from an image, a printer and a power plug: the story that deploy/image/test plays and writes down.

    first start    nothing is set: the slip comes out of the printer, a till enrols by it and sells
    the plug       is pulled in the middle of selling: nothing that was acknowledged is lost
    second start   another stock-coordinator.toml: it takes effect, and its password is blanked
    third start    a broken one: it is named on the card and on paper, and the shop sells on
    fourth start   a factory reset: everything is gone, and another slip comes out

Each start is a power cut's: QEMU is killed.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from appliance.contract.slip import Slip
from appliance.till import Till
from tests.deploy.digest import write_results
from tests.deploy.machine import Card, Machine
from tests.printing.emulator import Printer, PtyPrinter
from tests.waiting import wait_until

CHECKOUT = Path(__file__).parents[2]
IMAGES = CHECKOUT / "dist" / "image"

START_S = 900
"""The emulated machine needs two minutes to its first slip on an idle desk, and five on a busy one."""

SALES = 200
"""Sold before the plug is pulled; the last of them are not acknowledged yet."""

NEW_PASSWORD = "hush-hush"
"""Set on the card before the second start: the one of the slip ends with it."""


@dataclass(slots=True)
class Story:
    """One run, and what was measured in it."""

    image: Path
    folder: Path
    measured: dict[str, str] = field(default_factory=dict)
    began_s: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        print(f"image: {time.monotonic() - self.began_s:4.0f} s  {text}", flush=True)

    def run(self) -> None:
        self.say(f"{self.image.name} is written to a card")
        card = Card(self.image, self.folder)
        sample = card.read("stock-coordinator.toml").decode()
        with PtyPrinter(Printer(bytes_per_s=50_000), self.folder / "printer") as printer:
            with self._start(card, printer) as machine:
                till, sold = self._first_start(machine, printer)
            card.write("stock-coordinator.toml", self._changed(sample).encode())
            with self._start(card, printer) as machine:
                self._second_start(machine, till, sold, card)
            card.write(
                "stock-coordinator.toml", sample.replace("#hostname", "hostnam").replace("#[box]", "[box]").encode()
            )
            with self._start(card, printer) as machine:
                self._third_start(machine, till, printer)
            assert "box.hostnam" in card.read("stock-coordinator.errors.txt").decode()
            card.write("factory-reset", b"")
            with self._start(card, printer) as machine:
                self._fourth_start(machine, printer)
            assert "factory-reset" not in card.names()

    @contextmanager
    def _start(self, card: Card, printer: PtyPrinter) -> Iterator[Machine]:
        self.say("the plug is put in")
        with Machine(card, self.folder, printer.link) as machine:
            try:
                yield machine
            except AssertionError:
                print(machine.last_words(), file=sys.stderr)
                raise
            self.say("the plug is pulled")

    def _first_start(self, machine: Machine, printer: PtyPrinter) -> tuple["Shopkeeper", int]:
        power_s = time.monotonic()
        _until(lambda: _slips(printer), machine)
        self.measured["power to the first slip"] = f"{time.monotonic() - power_s:.0f} s"
        self.say("the slip is out")
        till = Shopkeeper(self.folder / "A1.outbox", _slip_on(_slips(printer)[0]))
        with till.at(machine) as counter:
            counter.receive("milk", "1000")
            counter.sell("milk", "1")
            assert counter.wait_acked(START_S)
            self.measured["power to the first sale"] = f"{time.monotonic() - power_s:.0f} s"
            self.say("the first sale is acknowledged")
            for _ in range(SALES):
                counter.sell("milk", "1")
            _until(lambda: counter.pending <= SALES // 2, machine)
            machine.pull_the_plug()
            self.say(f"the plug was pulled with {counter.pending} of {SALES} sales on their way")
        return till, SALES + 1

    def _changed(self, sample: str) -> str:
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / "key"],
            check=True,
            stdin=subprocess.DEVNULL,
        )
        key = (self.folder / "key.pub").read_text().strip()
        lines = {
            "#hostname": 'hostname = "bakery"',
            "#authorized_keys": f'authorized_keys = ["{key}"]',
            "#time_zone": 'time_zone = "Asia/Vladivostok"',
            "#password": f'password = "{NEW_PASSWORD}"',
            "#[box]": "[box]",
        }
        found = []
        for line in sample.splitlines():
            wanted = next((new for old, new in lines.items() if line.startswith(old)), line)
            found.append(wanted)
        return "\n".join(found) + "\n"

    def _second_start(self, machine: Machine, till: "Shopkeeper", sold: int, card: Card) -> None:
        till.password = NEW_PASSWORD
        with till.at(machine) as counter:
            assert counter.wait_acked(START_S), machine.last_words()
            _until(lambda: _on_hand(counter, "milk") == str(1000 - sold), machine)
        self.say("nothing is lost, and what was on its way came again")
        assert NEW_PASSWORD.encode() not in card.read("stock-coordinator.toml")

        def told(command: str) -> str:
            answer = self._ssh(machine, command)
            assert answer is not None, f"{command}:\n{machine.last_words()}"
            return answer

        _until(lambda: self._ssh(machine, "true") is not None, machine)
        assert told("hostname") == "bakery"
        assert told("readlink /etc/localtime").endswith("Asia/Vladivostok")
        assert "stock-coordinator.service" not in told("systemctl --failed --plain --no-legend")
        failed = told("systemctl --failed --plain --no-legend").split("\n")[0]
        self.measured["failed units"] = failed or "none"
        used_kib, all_kib = told("awk '/MemTotal/{t=$2} /MemAvailable/{a=$2} END{print t-a, t}' /proc/meminfo").split()
        self.measured["memory in use"] = f"{int(used_kib) // 1024} of {int(all_kib) // 1024} MiB"
        pid = told("systemctl show -p MainPID --value stock-coordinator")
        rss = told(f"awk '/VmRSS/{{print $2}}' /proc/{pid}/status")
        self.measured["of it the coordinator"] = f"{int(rss) // 1024} MiB"
        size = int(told("df --output=size -k /data | tail -1"))
        assert size > 1_500_000, f"the data partition has grown: {size} KiB"
        self.measured["data partition on a card of 4 GiB"] = f"{size // 1024} MiB"
        assert told("findmnt -no FSTYPE /") == "overlay"
        self.say("the changed settings are in force")

    def _third_start(self, machine: Machine, till: "Shopkeeper", printer: PtyPrinter) -> None:
        _until(lambda: [sheet for sheet in printer.sheets() if "НАСТРОЙКИ НЕ ПРИНЯТЫ" in sheet], machine)
        with till.at(machine) as counter:
            counter.sell("milk", "1")
            assert counter.wait_acked(START_S), machine.last_words()
        assert self._ssh(machine, "hostname") == "bakery", "it goes on with what it had"
        self.say("the broken settings are named, and the shop sells on")

    def _fourth_start(self, machine: Machine, printer: PtyPrinter) -> None:
        before = len(_slips(printer))
        _until(lambda: len(_slips(printer)) > before, machine)
        till = Shopkeeper(self.folder / "new.outbox", _slip_on(_slips(printer)[-1]))
        with till.at(machine) as counter:
            counter.sell("bread", "1")
            assert counter.wait_acked(START_S), machine.last_words()
            _until(lambda: _on_hand(counter, "bread") == "-1", machine)
            assert _on_hand(counter, "milk") is None
        self.say("after the factory reset another slip came out")

    def _ssh(self, machine: Machine, command: str) -> str | None:
        done = subprocess.run(
            [
                *("ssh", "-q", "-i", self.folder / "key", "-p", str(machine.ssh_port)),
                *("-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={self.folder / 'hosts'}"),
                *("-o", "ConnectTimeout=30", "root@127.0.0.1", command),
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.stdout.strip() if done.returncode == 0 else None


class Shopkeeper:
    """A till at whatever port the machine is forwarded to. password: the slip's, until the shop gets another."""

    def __init__(self, outbox: Path, slip: Slip) -> None:
        self._outbox = outbox
        self._slip = slip
        self.password = slip.token

    def at(self, machine: Machine) -> Till:
        says = self._slip
        return Till(
            host="127.0.0.1",
            port=machine.tls_port,
            shop=says.shop,
            device=says.device,
            password=self.password,
            sha256=says.sha256,
            path=self._outbox,
        )


def _on_hand(till: Till, sku: str) -> str | None:
    balance = till.balance(sku)
    return None if balance is None else str(balance.on_hand)


def _slips(printer: PtyPrinter) -> list[str]:
    return [sheet for sheet in printer.sheets() if "Пароль" in sheet]


def _slip_on(sheet: str) -> Slip:
    """Return a slip as a person reads it off the paper."""
    words = " ".join(sheet.split())

    def after(label: str, until: str) -> str:
        return words.split(label)[1].split(until)[0].replace(" ", "").strip("─")

    sha256 = bytes.fromhex(after("SHA-256 сертификата:", "──"))
    return Slip(("127.0.0.1",), 8883, after("Магазин:", "Касса"), "A1", after("Пароль:", "──"), sha256)


def _until(condition: Callable[[], object], machine: Machine) -> None:
    def is_so() -> object:
        machine.check()
        return condition()

    try:
        wait_until(is_so, START_S)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{machine.last_words()}") from None


def main() -> None:
    images = sorted(IMAGES.glob("*.img.xz"))
    if len(images) != 1:
        sys.exit(f"image: there must be one image in {IMAGES}: make it by deploy/image/build")
    with tempfile.TemporaryDirectory(prefix="stock-image-") as folder:
        image = Path(folder) / images[0].name.removesuffix(".xz")
        with image.open("wb") as unpacked:
            subprocess.run(["xz", "--decompress", "--stdout", images[0]], stdout=unpacked, check=True)
        story = Story(image, Path(folder))
        story.measured["image, compressed"] = f"{images[0].stat().st_size / 1e6:.0f} MB"
        story.run()
    write_results(story.measured, datetime.now(UTC).date())


if __name__ == "__main__":
    main()
