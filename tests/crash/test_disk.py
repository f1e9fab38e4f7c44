"""A disk that is full, read-only or broken: the box says so, acks nothing, loses nothing, and goes on by itself."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import apsw
import orjson
import pytest

from appliance.app import turns as turns_module
from appliance.app.turns import Turns
from appliance.coordinator import ROOM_MIN_BYTES
from appliance.ledger.verify import verify
from appliance.ledger.writer import KEEP_TIME_MS, Writer
from appliance.stock.alerts import disk_fails, disk_fills
from tests.box import PASSWORD, Box
from tests.broker import wire
from tests.crash.disk import Fault, Faulty
from tests.crash.mounts import as_root, mounted, mounted_ext4
from tests.shop import Shop, message, operation, tag
from tests.waiting import wait_until

ALERT = f"alert/{disk_fails('').alert}"
FILLS = f"alert/{disk_fills(0).alert}"

FULL = Fault(apsw.FullError("ENOSPC"), frozenset({"write"}))
READ_ONLY = Fault(apsw.ReadOnlyError("EROFS"), frozenset({"write", "sync"}))
BROKEN = Fault(apsw.IOError("EIO"), frozenset({"read", "write", "sync"}))
BROKEN_SYNC = Fault(apsw.IOError("EIO"), frozenset({"sync"}))


@pytest.fixture
def disk() -> Iterator[Faulty]:
    disk = Faulty("faulty")
    yield disk
    disk.unregister()


@pytest.fixture
def shop(tmp_path: Path, disk: Faulty) -> Iterator[Shop]:
    shop = Shop(tmp_path, vfs=disk.name)
    yield shop
    shop.stop()


@contextmanager
def _running(shop: Shop) -> Iterator[None]:
    """Let the box's own thread take the turns, as in a box."""
    turns = Turns(shop.coordinator, shop.writer, shop.clock)  # type: ignore[arg-type]
    thread = threading.Thread(target=turns.run, daemon=True)
    thread.start()
    yield
    turns.stop()
    thread.join(timeout=20)
    assert not thread.is_alive()


@pytest.mark.parametrize("fault", [FULL, READ_ONLY, BROKEN, BROKEN_SYNC], ids=["full", "ro", "broken", "sync"])
def test_disk_that_fails_is_told_stops_every_ack_and_loses_nothing(
    shop: Shop, disk: Faulty, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns_module, "_DISK_RETRY_S", (0.01,))
    shop.say("A1", message(operation(1)))
    with _running(shop):
        disk.fault = fault
        shop.hand("A1", orjson.dumps(message(operation(2))))
        wait_until(lambda: shop.retained(ALERT))
        assert shop.retained(ALERT)["facts"]["reason"]
        told = len(shop.link.log)
        shop.hand("A2", orjson.dumps(message(operation(1, sku="B"), epoch="epoch-of-another-one")))
        shop.hand("A1", orjson.dumps(message(operation(2))))
        assert [payload for topic, payload in shop.link.log[told:] if topic.endswith("/ack")] == []
        assert shop.settled == 1
        disk.fault = None
        wait_until(lambda: shop.settled == 4)
        wait_until(lambda: shop.retained(ALERT) is None)
    assert (shop.on_hand("A"), shop.on_hand("B")) == ("-2", "-1")
    assert shop.retained("device/A1/ack")["seq"] == 2
    verify(shop.directory)


def test_who_subscribes_while_the_disk_fails_is_told_too(shop: Shop) -> None:
    shop.coordinator.disk_fails("full")
    since = shop.retained(ALERT)["since"]
    shop.clock.now_ms += 60_000
    shop.coordinator.disk_fails("full")
    shop.coordinator.rewrite([shop.topics.root + ALERT])
    assert shop.retained(ALERT)["since"] == since
    shop.coordinator.disk_works()
    shop.coordinator.rewrite([shop.topics.root + ALERT])
    assert shop.retained(ALERT) is None


def test_disk_that_fails_while_nothing_is_sold_is_told_until_shop_time_is_kept(
    shop: Shop, disk: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was once taken for kept, and the box went on to its next minute."""
    monkeypatch.setattr(turns_module, "_DISK_RETRY_S", (0.01,))
    with _running(shop):
        disk.fault = FULL
        shop.clock.now_ms += KEEP_TIME_MS
        shop.coordinator.has_inbox.set()
        wait_until(lambda: shop.retained(ALERT))
        disk.fault = None
        wait_until(lambda: shop.retained(ALERT) is None)
        assert shop.writer.may_announce(shop.clock.now_ms + KEEP_TIME_MS)


def test_disk_that_fills_up_is_told_before_it_is_full(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def look(free_bytes: int) -> Any:
        monkeypatch.setattr(Writer, "free_bytes", lambda self: free_bytes)
        shop.coordinator.look_at_disk()
        shop.coordinator.turn()
        return shop.retained(FILLS)

    assert look(ROOM_MIN_BYTES) is None
    assert look(ROOM_MIN_BYTES - 1)["facts"] == {"bytes": ROOM_MIN_BYTES}
    assert look(ROOM_MIN_BYTES) is not None
    shop.restart()
    assert look(2 * ROOM_MIN_BYTES) is None
    assert shop.alerts() == set()


# --- a real one -------------------------------------------------------------------------------------------------------


def test_box_on_a_disk_that_is_really_full_goes_on_when_there_is_room(tmp_path: Path) -> None:
    """A few MiB of memory are the disk; another program fills it while a till sells."""
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=4m", "tmpfs") as disk:
        with (
            Box(disk / "data") as box,
            _logged_in(box, "A1", "device/A1/ack") as till,
            _logged_in(box, "screen", ALERT) as screen,
        ):
            _sell(till, 1)
            assert _heard(till)["seq"] == 1
            rubbish = disk / "rubbish"
            _fill(rubbish)
            sold = 1
            while "disk fault" not in box.log.read_text():
                sold += 1
                _sell(till, sold)
                wait_until(partial(_has_answered, box, sold))
            assert _heard(screen)["kind"] == "disk"
            with _logged_in(box, "late", ALERT) as late:
                assert _heard(late)["kind"] == "disk"
            assert "can write nothing down" in box.command("alert", "list").stdout.replace("\n", " ")
            rubbish.unlink()
            while _heard(till)["seq"] < sold:
                pass
            assert _heard(screen) is None
            assert box.stop() == 0
        verify(disk / "data")


def test_box_whose_kernel_has_made_its_disk_read_only_says_so_and_has_lost_nothing_when_it_is_mended(
    tmp_path: Path,
) -> None:
    """ext4 does that by itself when it finds itself damaged; here it is told that it is."""
    image, where = tmp_path / "disk.img", tmp_path / "disk"
    with mounted_ext4(image, 32, where), Box(where) as box, _logged_in(box, "A1", "device/A1/ack") as till:
        _sell(till, 1)
        assert _heard(till)["seq"] == 1
        with _logged_in(box, "screen", ALERT) as screen:
            _damage(where)
            _sell(till, 2)
            assert _heard(screen)["kind"] == "disk"
        assert box.stop() == 0
    as_root("e2fsck", "-fy", image, succeeds=(0, 1))
    where.rmdir()
    with mounted(where, "-o", "loop", image):
        with Box(where) as box, _logged_in(box, "A1", "device/A1/ack") as till:
            assert _heard(till)["seq"] == 1
            _sell(till, 2)
            assert _heard(till)["seq"] == 2
            assert "disk" not in box.command("alert", "list").stdout
            assert box.stop() == 0
        verify(where)


def _damage(where: Path) -> None:
    """Let the kernel find an error in an ext4, upon which it takes no more writes."""
    as_root("mount", "-o", "remount,errors=remount-ro", where)
    device = Path(as_root("findmnt", "-no", "SOURCE", where)).name
    as_root("sh", "-c", f"echo injected > /sys/fs/ext4/{device}/trigger_fs_error")


def _logged_in(box: Box, user: str, topic: str) -> wire.Client:
    client = wire.Client(box.address).log_in(user=user, password=PASSWORD, client_id=user)
    client.subscribe((f"stock/v1/shop/{topic}", 0))
    return client


def _has_answered(box: Box, seq: int) -> bool:
    log = box.log.read_text()
    return f"seq={seq} " in log or "disk fault" in log


def _sell(till: wire.Client, seq: int) -> None:
    payload = orjson.dumps(message(operation(seq, tag=tag(seq))))
    till.send(wire.publish("stock/v1/shop/device/A1/op", payload, qos=1, packet_id=seq))


def _fill(path: Path) -> None:
    """Write until nothing fits."""
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            return


def _heard(client: wire.Client) -> Any:
    """Return the next message that a subscriber hears; None for one that clears its topic."""
    while (packet := client.read()) is not None:
        if packet.kind == wire.PUBLISH:
            return orjson.loads(packet.payload) if packet.payload else None
    raise AssertionError("the box has hung up")
