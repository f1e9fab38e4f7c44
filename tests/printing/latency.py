"""Measures how soon paper follows a sale, and that no sale waits for paper: python -m tests.printing.latency

A real box on 127.0.0.1, its own broker, a raw MQTT client, and the emulated printer on a pty. On a busy machine the
figures are noisy; nothing is asserted about them.
"""

import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from appliance.printing.encode import LEAVE_CHINESE
from tests.box import PASSWORD, Box
from tests.printing.emulator import Printer, PtyPrinter
from tests.printing.test_paper_path import LINES, queue
from tests.shop import message, tag
from tests.waiting import wait_until

SHEETS, JOBS, RATE = 50, 500, 100
"""Sheets timed in each state; jobs that wait at the stalled printer; operations a second beside them."""


class Timed(Printer):
    """began_s: when the first byte of each job came."""

    def __init__(self) -> None:
        super().__init__(bytes_per_s=200_000)
        self.began_s: list[float] = []
        self._last = b""

    def feed(self, data: bytes) -> int:
        taken = super().feed(data)
        if LEAVE_CHINESE in self._last + data[:taken]:
            self.began_s.append(time.monotonic())
        self._last = data[:taken][-1:]
        return taken


class Device:
    """A till that sends one operation a message, and knows when each was acknowledged by the broker."""

    def __init__(self, box: Box, name: str) -> None:
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, name)
        self._client.username_pw_set(name, PASSWORD)
        self._client.connect(*box.address)
        self._client.loop_start()
        wait_until(self._client.is_connected)
        self._topic = f"stock/v1/shop/device/{name}/op"
        self._epoch = f"epoch-of-the-latency-{name}"
        self._seq = 0

    def say(self, **operation: object) -> float:
        """Send an operation and return seconds until its PUBACK."""
        self._seq += 1
        sent_s = time.monotonic()
        said = message({"seq": self._seq, "tag": tag(self._seq), **operation}, epoch=self._epoch)
        self._client.publish(self._topic, orjson.dumps(said), qos=1).wait_for_publish(30)
        return time.monotonic() - sent_s

    def open(self) -> float:
        receipt = f"{self._epoch}-{self._seq + 1}"
        return self.say(
            type="receipt", receipt=receipt, kind="sale", status="open", edit=1, number=receipt[-6:], lines=LINES
        )

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@contextmanager
def selling(box: Box) -> Iterator[None]:
    """Beside whatever is measured, another till sells RATE times a second."""
    device, ended = Device(box, "B1"), threading.Event()

    def sell() -> None:
        next_s = time.monotonic()
        while not ended.is_set():
            device.say(type="move", sku="bread", qty="-1", reason="sale")
            next_s += 1 / RATE
            ended.wait(max(0.0, next_s - time.monotonic()))

    thread = threading.Thread(target=sell)
    thread.start()
    yield
    ended.set()
    thread.join()
    device.close()


def first_bytes(device: Device, printer: Timed, box: Box) -> list[float]:
    """Return the seconds from each publish to its sheet's first byte; the queue is empty before each."""
    taken = []
    for _ in range(SHEETS):
        count, sent_s = len(printer.began_s), time.monotonic()
        device.open()
        wait_until(lambda count=count: len(printer.began_s) > count)  # type: ignore[misc]
        taken.append(printer.began_s[count] - sent_s)
        wait_until(lambda: queue(box) == [])
    return taken


def told(what: str, seconds: list[float]) -> None:
    ordered = sorted(seconds)
    shown = {"median": statistics.median(ordered), "p99": ordered[int(len(ordered) * 0.99)], "worst": ordered[-1]}
    print(what, *(f"{name}_ms={value * 1000:.1f}" for name, value in shown.items()), f"n={len(seconds)}", flush=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        printer = Timed()
        with PtyPrinter(printer, Path(folder) / "printer") as pty:
            url = f"serial://{pty.link}?baud=115200"
            with Box(Path(folder) / "data", STOCK_PRINTER__URL=url, STOCK_PRINTER__ANSWERS="marker") as box:
                device = Device(box, "A1")
                device.open()  # The first sheet reads the printers' models.
                wait_until(lambda: queue(box) == [])
                told("publish to first byte, idle", first_bytes(device, printer, box))
                with selling(box):
                    told(f"publish to first byte, beside {RATE} operations a second", first_bytes(device, printer, box))
                told("PUBACK, printer ready", [device.open() for _ in range(SHEETS)])
                wait_until(lambda: queue(box) == [])
                pty.do(Printer.stall)
                told(f"PUBACK, printer stalled, 0 to {JOBS} jobs wait", [device.open() for _ in range(JOBS)])
                told(f"PUBACK, {len(queue(box))} jobs wait", [device.open() for _ in range(SHEETS)])
                device.close()


if __name__ == "__main__":
    main()
