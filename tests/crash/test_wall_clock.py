"""A wall clock that is wrong, or jumps, under a real box: shop time runs on as if nothing had happened."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import orjson

from appliance.ledger.verify import verify
from tests.box import PASSWORD, Box
from tests.broker import wire
from tests.shop import EPOCH, message, operation

ROOT = "stock/v1/shop/"
YEARS = ("1970-01-02", "2026-11-24", "1999-12-31", "2038-01-20")
"""What the wall shows: no clock at all, the right time, and leaps to both sides."""

SLACK_MS = 60_000
"""What a step of the test may take on a busy machine; a leap of the wall clock is years."""


def _preload() -> dict[str, str]:
    """The environment by which libfaketime comes under a program, as its own command sets it."""
    faketime = shutil.which("faketime")
    assert faketime, "faketime is missing: sudo apt-get install faketime"
    done = subprocess.run([faketime, "2020-01-01", "env"], capture_output=True, text=True, check=True)
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if line.startswith("LD_PRELOAD="))


def _set(clock: Path, year: str) -> None:
    """Let the wall clock leap to the noon of a day, and run on."""
    new = clock.with_suffix(".new")
    new.write_text(f"@{year} 12:00:00\n")
    os.replace(new, clock)  # noqa: PTH105  half a file would be half a time


def _shop_ms(till: wire.Client, seq: int) -> int:
    """Sell one piece, shake hands, and return the shop time that the tick says."""
    sale = orjson.dumps(message(operation(seq)))
    till.send(wire.publish(f"{ROOT}device/A1/op", sale, qos=1, packet_id=1))
    while _heard(till, "ack")["seq"] < seq:
        pass
    state = orjson.dumps({"state": "online", "epoch": EPOCH, "seq": seq, "pending": 0})
    till.send(wire.publish(f"{ROOT}device/A1/state", state, qos=0, retain=True))
    return int(_heard(till, "tick")["shop_ms"])


def _heard(till: wire.Client, leaf: str) -> Any:
    while (packet := till.read()) is not None:
        if packet.kind == wire.PUBLISH and packet.topic.endswith(leaf):
            return orjson.loads(packet.payload)
    raise AssertionError("the box has hung up")


def test_shop_time_follows_no_leap_of_the_wall_clock(tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    _set(clock, YEARS[0])
    faked = {"FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    told_ms = 0
    seq = 0
    box = Box(tmp_path / "data", **_preload(), **faked)
    for _ in range(2):  # The second life begins where the wall clock has leapt back once more.
        with box, wire.Client(box.address) as till:
            till.log_in(user="A1", password=PASSWORD, client_id="A1")
            till.subscribe((f"{ROOT}tick", 0), (f"{ROOT}device/A1/ack", 0))
            for year in YEARS:
                _set(clock, year)
                seq += 1
                now_ms = _shop_ms(till, seq)
                assert told_ms <= now_ms <= told_ms + SLACK_MS
                told_ms = now_ms
            assert box.stop() == 0
    listed = box.command("explain", "A", "--json").stdout
    assert all(f'"at":"{year}' in listed for year in YEARS), "the box has not seen the wall clock leap"
    verify(box.directory)
