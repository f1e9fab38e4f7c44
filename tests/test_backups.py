"""The second medium: copied to when a copy is due, never written to when it is not there, and told of either way.

The medium is a directory in the machine's shared memory: another file system than the ledger's, as a stick is.
"""

import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import apsw
import orjson
import pytest

from appliance.app.backups import AGAIN_MS, EVERY_MS, EVERY_REVISIONS, Backups, Command
from appliance.clock import ShopClock
from appliance.ledger.backup import read_backup, remove_backup
from appliance.ledger.medium import Medium
from tests.box import Box
from tests.ledger.test_backup import sell
from tests.shop import Shop, rows
from tests.waiting import wait_until

ANOTHER_DISK = "/dev/shm"


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "appliance", *words]


@pytest.fixture
def stick() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=ANOTHER_DISK) as directory:
        yield Path(directory)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setenv("STOCK_DATA_DIR", str(tmp_path))
    shop = Shop(tmp_path)
    yield shop
    shop.stop()


def backups(shop: Shop, stick: Path, *, keep: int = 7, command: Command = command) -> Backups:
    return Backups(
        Medium(stick, "shop", shop.directory),
        keep=keep,
        command=command,
        coordinator=shop.coordinator,
        reader=shop.reader,
        clock=cast("ShopClock", shop.clock),
    )


def look(backups: Backups, shop: Shop) -> str:
    """Look once; return why no copy is made."""
    backups.look()
    shop.coordinator.turn()
    return backups.kept.fault


def copies(stick: Path) -> dict[str, int]:
    return {path.name: read_backup(path).rev for path in sorted(stick.glob("*.backup"))}


def test_first_copy_is_made_when_there_is_something_to_copy_and_the_next_a_day_later(shop: Shop, stick: Path) -> None:
    looking = backups(shop, stick)
    look(looking, shop)
    assert copies(stick) == {}
    sell(shop, 1, 2)
    look(looking, shop)
    sell(shop, 3, 3)
    shop.clock.now_ms += EVERY_MS - 1
    look(looking, shop)
    assert copies(stick) == {"shop-000001.backup": 2}
    shop.clock.now_ms += 1
    shop.writer.keep_time(shop.clock.now_ms, None)
    look(looking, shop)
    assert copies(stick) == {"shop-000001.backup": 2, "shop-000002.backup": 3}
    made = looking.row()["made"]
    assert looking.row() == {"kept": 2, "made": made, "rev": 3, "age_s": 0, "fault": ""}


def test_shop_that_is_closed_does_not_push_its_older_copies_out(shop: Shop, stick: Path) -> None:
    looking = backups(shop, stick, keep=2)
    for seq in (1, 2):
        sell(shop, seq, seq)
        shop.clock.now_ms += EVERY_MS
        look(looking, shop)
    shop.clock.now_ms += 10 * EVERY_MS
    look(looking, shop)
    assert list(copies(stick).values()) == [1, 2]


def test_busy_shop_is_copied_before_its_tills_forget(shop: Shop, stick: Path) -> None:
    looking = backups(shop, stick)
    sell(shop, 1, 1)
    look(looking, shop)
    for first in range(2, EVERY_REVISIONS + 2, 500):
        sell(shop, first, first + 499)
    look(looking, shop)
    assert list(copies(stick).values()) == [1, EVERY_REVISIONS + 1]


def test_oldest_copies_go_and_safe_follows_the_oldest_that_is_kept(shop: Shop, stick: Path) -> None:
    looking = backups(shop, stick, keep=2)
    safe = []
    for seq in range(1, 5):
        safe.append(sell(shop, seq, seq)["safe"])
        shop.clock.now_ms += EVERY_MS
        look(looking, shop)
    assert list(copies(stick).values()) == [3, 4]
    assert {path.suffix for path in stick.iterdir()} == {".backup", ".sha256"}
    assert len(list(stick.iterdir())) == 4
    assert safe == [0, 1, 1, 2]


def test_copy_of_a_future_that_a_restore_has_undone_is_followed_by_one_of_what_is(shop: Shop, stick: Path) -> None:
    looking = backups(shop, stick)
    sell(shop, 1, 5)
    shop.stop()
    before = shutil.copytree(shop.directory, shop.directory.parent / "before")
    shop.start()
    sell(shop, 6, 9)
    look(looking := backups(shop, stick), shop)
    shop.stop()
    shutil.rmtree(shop.directory)
    shutil.copytree(before, shop.directory)
    shop.start()
    assert sell(shop, 6, 6)["safe"] == 0
    look(looking := backups(shop, stick), shop)
    assert copies(stick) == {"shop-000001.backup": 9, "shop-000002.backup": 6}
    assert looking.kept.fault == ""
    assert sell(shop, 7, 7)["safe"] == 6


def test_medium_that_is_missing_is_told_and_forgotten_when_it_is_back(shop: Shop, stick: Path) -> None:
    sell(shop, 1, 1)
    missing = stick / "not there"
    looking = backups(shop, missing)
    assert "put the medium in" in look(looking, shop)
    assert shop.alerts() == {"backup"}
    missing.mkdir()
    assert look(looking, shop) == ""
    assert shop.alerts() == set()
    assert list(copies(missing).values()) == [1]


def test_mount_point_without_its_medium_is_not_written_to(shop: Shop, tmp_path: Path) -> None:
    sell(shop, 1, 1)
    mount_point = tmp_path / "mount point"
    mount_point.mkdir()
    assert "own disk" in look(backups(shop, mount_point), shop)
    assert list(mount_point.iterdir()) == []


def test_mount_point_on_the_root_disk_is_not_written_to_although_the_ledger_is_on_another(
    shop: Shop, stick: Path, tmp_path: Path
) -> None:
    """As on our image: the ledger has a partition of its own, and the root is memory."""
    root = Path("/").stat().st_dev
    there = Path(next(place for place in ("/var/tmp", "/etc", "/usr") if Path(place).stat().st_dev == root))
    assert "own disk" in Medium(there, "shop", stick).fault()


def test_medium_that_is_too_small_is_not_filled(shop: Shop, stick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sell(shop, 1, 1)
    usage = shutil.disk_usage(stick)
    with monkeypatch.context() as full:
        full.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
        looking = backups(shop, stick)
        assert "STOCK_BACKUP__KEEP" in look(looking, shop)
        assert list(stick.iterdir()) == []
    assert look(looking, shop) == ""


def test_copy_that_failed_is_tried_again_in_an_hour_and_not_every_minute(shop: Shop, stick: Path) -> None:
    tried: list[str] = []

    def failing(*words: str) -> list[str]:
        tried.append(words[-2])
        return command("backup", "make", str(stick / "missing" / "copy"))

    sell(shop, 1, 1)
    looking = backups(shop, stick, command=failing)
    for elapsed_ms in (0, 60_000, AGAIN_MS - 60_000):
        shop.clock.now_ms += elapsed_ms
        assert "is its disk there" in look(looking, shop)
    assert len(tried) == 2
    assert shop.alerts() == {"backup"}


def test_box_that_stops_does_not_wait_for_its_copy(shop: Shop, stick: Path) -> None:
    sell(shop, 1, 1)
    begun = stick / "begun"
    os.mkfifo(begun)
    looking = backups(shop, stick, command=lambda *words: ["sh", "-c", f"echo > {begun}; exec sleep 1000"])
    thread = threading.Thread(target=looking.run)
    thread.start()
    begun.read_text()
    looking.stop()
    thread.join(30)
    assert not thread.is_alive()
    assert looking.kept.fault == ""


def test_damaged_copy_heals_nobody_and_is_not_counted(shop: Shop, stick: Path) -> None:
    looking = backups(shop, stick)
    sell(shop, 1, 1)
    look(looking, shop)
    sell(shop, 2, 2)
    (stick / "shop-000001.backup").write_bytes(b"\xff" * 8192)
    shop.clock.now_ms += EVERY_MS
    look(looking, shop)
    assert looking.kept.copies == 1
    assert sell(shop, 3, 3)["safe"] == 2


def test_copy_that_is_damaged_anywhere_does_not_stop_the_shop(shop: Shop, stick: Path) -> None:
    """A copy whose table of epochs was damaged once ended the box, at every start anew."""
    sell(shop, 1, 1)
    look(backups(shop, stick), shop)
    copy = stick / "shop-000001.backup"
    content = copy.read_bytes()
    [page] = rows(shop.directory, "SELECT rootpage FROM sqlite_schema WHERE name = 'epoch'")
    for first in ((page[0] - 1) * 4096, 0):
        for damage in (b"\xff" * 4096, bytes(4096), b"\xf2" + content[first + 1 : first + 4096]):
            copy.write_bytes(content[:first] + damage + content[first + 4096 :])
            look(backups(shop, stick), shop)
    assert sell(shop, 2, 2)["safe"] == 1


def test_medium_that_fails_while_it_is_read_does_not_stop_the_shop(
    shop: Shop, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sell(shop, 1, 1)
    looking = backups(shop, stick)

    def pulled_out(path: Path) -> Any:
        raise apsw.IOError("disk I/O error")

    with monkeypatch.context() as reading:
        reading.setattr("appliance.app.backups.stand", pulled_out)
        assert "I/O" in look(looking, shop)
    assert shop.alerts() == {"backup"}
    assert look(looking, shop) == ""
    assert sell(shop, 2, 2)["safe"] == 1


def test_box_that_has_replaced_another_leaves_its_copies_alone_and_says_so(shop: Shop, stick: Path) -> None:
    """A card died, and the box was started on a new one; its first copies must not push out those of the old one."""
    sell(shop, 1, 5)
    look(backups(shop, stick, keep=2), shop)
    shop.stop()
    for name in shop.directory.iterdir():
        name.unlink()
    shop.new_ledger = "ledger-2"
    shop.start()
    looking = backups(shop, stick, keep=2)
    for seq in range(1, 5):
        sell(shop, seq, seq)
        shop.clock.now_ms += EVERY_MS
        look(looking, shop)
    assert copies(stick) == {"shop-000001.backup": 5, "shop-000004.backup": 3, "shop-000005.backup": 4}
    assert looking.kept.copies == 2
    [alert] = shop.reader.alerts()
    assert f"backup restore {stick / 'shop-000001.backup'}" in alert.summary
    remove_backup(stick / "shop-000001.backup")
    look(looking, shop)
    assert shop.alerts() == set()


def test_copy_of_a_later_day_that_a_restore_has_undone_is_followed_by_one_of_today(shop: Shop, stick: Path) -> None:
    """By then the tills have brought more than that copy has, but shop time is where it was."""
    sell(shop, 1, 2)
    shop.stop()
    before = shutil.copytree(shop.directory, shop.directory.parent / "five days before")
    shop.start()
    shop.clock.now_ms += 5 * EVERY_MS
    shop.writer.keep_time(shop.clock.now_ms, None)
    look(backups(shop, stick), shop)
    shop.stop()
    shutil.rmtree(shop.directory)
    shutil.copytree(before, shop.directory)
    shop.clock.now_ms = 0
    shop.start()
    sell(shop, 3, 9)
    look(backups(shop, stick), shop)
    assert list(copies(stick).values()) == [2, 9]


def test_what_only_bears_a_copys_name_is_not_opened(shop: Shop, stick: Path, tmp_path: Path) -> None:
    os.mkfifo(stick / "shop-000001.backup")
    (stick / "shop-000002.backup").mkdir()
    precious = tmp_path / "precious"
    precious.write_text("a letter")
    for link in ("shop-000003.backup", "shop-000004.backup.sha256", ".shop-000004.backup.part"):
        (stick / link).symlink_to(precious)
    sell(shop, 1, 1)
    assert look(looking := backups(shop, stick), shop) == ""
    assert looking.kept.copies == 1
    assert read_backup(stick / "shop-000004.backup").rev == 1
    assert precious.read_text() == "a letter"


def test_medium_that_is_put_in_again_is_tried_at_once(shop: Shop, stick: Path) -> None:
    """For an hour it once was told to put it in, while it was in."""
    sell(shop, 1, 1)
    medium = stick / "medium"
    medium.mkdir(mode=0o700)
    is_broken = True

    def breaking(*words: str) -> list[str]:
        return ["sh", "-c", "echo broken >&2"] if is_broken else command(*words)

    looking = backups(shop, medium, command=breaking)
    assert look(looking, shop) == "broken"
    assert look(looking, shop) == "broken"
    medium.rmdir()
    assert "put the medium in" in look(looking, shop)
    medium.mkdir()
    is_broken = False
    assert look(looking, shop) == ""


def test_copy_is_made_where_a_sandbox_lets_nobody_be_nice(
    shop: Shop, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The unit on the image filters that system call: no copy was kept, and a process left behind each minute."""

    def forbidden(*arguments: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "setpriority", forbidden)
    sell(shop, 1, 1)
    assert look(backups(shop, stick), shop) == ""
    assert list(copies(stick).values()) == [1]


def test_box_copies_by_itself_and_its_owner_sees_it(tmp_path: Path, stick: Path) -> None:
    (tmp_path / "data").mkdir()
    shop = Shop(tmp_path / "data")
    sell(shop, 1, 3)
    shop.stop()
    with Box(tmp_path / "data", STOCK_BACKUP__DIR=str(stick)) as box:
        wait_until(lambda: orjson.loads(box.command("status", "--json").stdout)["backup"]["kept"] == 1)
        status = orjson.loads(box.command("status", "--json").stdout)["backup"]
        [row] = map(orjson.loads, box.command("backup", "list", "--json").stdout.splitlines())
        assert (status["rev"], status["fault"]) == (3, "")
        assert (row["rev"], row["shop"], row["file"]) == (3, "shop", str(stick / "shop-000001.backup"))
        assert box.stop() == 0
