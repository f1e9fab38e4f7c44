"""The image in a machine that QEMU plays: its own kernel, initramfs and partitions, a serial printer, forwarded ports.

It is no Pi: the firmware, the card's controller and the network are other ones. What starts from the initramfs on is
what a Pi would run.
"""

import signal
import struct
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from scripts import processes

CARD_BYTES = 4 * 1024**3
"""The card that the image is written to: the data partition has to grow."""

_TLS_PORT, _SSH_PORT = 8883, 22


class Card:
    """An image, written to a card. Its boot partition is read and written as at a person's desk."""

    def __init__(self, image: Path, folder: Path) -> None:
        self.path = folder / "card.img"
        subprocess.run(["cp", "--sparse=always", image, self.path], check=True)
        with self.path.open("r+b") as card:
            card.truncate(CARD_BYTES)

    def partition(self, number: int) -> tuple[int, int]:
        """Return where a partition of the MBR begins and how large it is, in bytes."""
        with self.path.open("rb") as card:
            table = card.read(512)[446:510]
        first, count = struct.unpack_from("<II", table, (number - 1) * 16 + 8)
        return first * 512, count * 512

    def read(self, name: str) -> bytes:
        """Return a file of the boot partition. Raises FileNotFoundError."""
        done = self._mtools("mcopy", f"::{name}", "-")
        if done.returncode:
            raise FileNotFoundError(name)
        return done.stdout

    def write(self, name: str, content: bytes) -> None:
        done = self._mtools("mcopy", "-o", "-", f"::{name}", content=content)
        assert done.returncode == 0, done.stderr

    def names(self) -> list[str]:
        return self._mtools("mdir", "-b", "::").stdout.decode().replace("::/", "").split()

    def _mtools(self, command: str, *words: str, content: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        at = f"{self.path}@@{self.partition(1)[0]}"
        return subprocess.run([command, "-i", at, *words], input=content, capture_output=True, check=False)


class Machine:
    """One run of the machine, from the plug to the plug. printer: the tty of one."""

    def __init__(self, card: Card, folder: Path, printer: Path) -> None:
        self.tls_port, self.ssh_port = processes.free_port(), processes.free_port()
        self.console = folder / "console.log"
        self._card = card
        self._folder = folder
        self._printer = printer

    def __enter__(self) -> Self:
        names = self._card.names()
        [kernel] = [name for name in names if name.startswith("vmlinuz")]
        [initramfs] = [name for name in names if name.startswith("initrd")]
        for name in (kernel, initramfs):
            (self._folder / name).write_bytes(self._card.read(name))
        words = self._card.read("cmdline.txt").decode().strip()
        forwards = ",".join(
            f"hostfwd=tcp:127.0.0.1:{here}-:{there}"
            for here, there in ((self.tls_port, _TLS_PORT), (self.ssh_port, _SSH_PORT))
        )
        with self.console.open("ab") as console:
            self._process = subprocess.Popen(
                [
                    *("qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a72", "-smp", "2", "-m", "1024"),
                    *("-display", "none", "-monitor", "none", "-serial", "stdio"),
                    *("-kernel", self._folder / kernel, "-initrd", self._folder / initramfs),
                    *("-append", f"{words} console=ttyAMA0 systemd.journald.forward_to_console=1"),
                    *("-drive", f"file={self._card.path},if=none,format=raw,id=card"),
                    *("-device", "virtio-blk-pci,drive=card", "-device", "virtio-rng-pci"),
                    *("-netdev", f"user,id=net,{forwards}", "-device", "virtio-net-pci,netdev=net"),
                    *("-chardev", f"serial,id=printer,path={self._printer.resolve()}"),
                    *("-device", "qemu-xhci", "-device", "usb-serial,chardev=printer"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.pull_the_plug()

    def pull_the_plug(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def check(self) -> None:
        """Raise AssertionError if it has ended by itself."""
        assert self._process.poll() is None, self.last_words()

    def last_words(self) -> str:
        return self.console.read_text(errors="replace")[-4000:]
