"""A restore gives back what the backup holds, refuses what would lose more, and deletes nothing."""

import os
import shutil
from collections.abc import Callable
from contextlib import closing, suppress
from itertools import count
from pathlib import Path
from typing import Any

import apsw
import pytest

from appliance.ledger.backup import BackupError, make_backup
from appliance.ledger.database import FILE_NAME
from appliance.ledger.restore import Restored, restore_backup
from appliance.ledger.verify import verify, verify_file
from appliance.printing.jobs import PrintRules, Station
from tests.ledger.test_backup import HASH, back_up, cover, sell
from tests.shop import Shop, message, operation, rows, tag

NOTES = ("crash", "in-hand")
"""What a shop notes of its own dying, beside the ledger; a restore leaves it."""

BESIDE = {f"{FILE_NAME}-wal", f"{FILE_NAME}-shm", "backup.lock"}
PASSWORD = "shop-password.argon2"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A shop whose tills sold three, were backed up in `copy`, and sold two more."""
    (tmp_path / "data").mkdir()
    shop = Shop(tmp_path / "data")
    sell(shop, 1, 3)
    back_up(shop, "copy")
    sell(shop, 4, 5)
    return shop


def restore(shop: Shop, name: str = "copy", **how: Any) -> Restored:
    return restore_into(shop.directory, name, **how)


def restore_into(
    directory: Path, name: str, *, of_shop: str = "shop", force: bool = False, now: str = "now"
) -> Restored:
    source = directory.parent / name
    return restore_backup(source, directory, shop=of_shop, carried=[PASSWORD, "../out"], force=force, now=now)


def test_restored_ledger_is_the_backups_and_the_former_one_is_kept(shop: Shop) -> None:
    shop.stop()
    restored = restore(shop)
    assert (restored.aside, restored.has_digest, restored.warning) == (shop.directory / "replaced-now", True, "")
    assert {path.name for path in shop.directory.iterdir()} == {FILE_NAME, "replaced-now", "backup.lock", *NOTES}
    assert verify(shop.directory).operations == 3
    assert verify(shop.directory / "replaced-now").operations == 5
    shop.start()
    assert shop.on_hand() == "-3"
    assert sell(shop, 4, 4)["seq"] == 4
    shop.stop()


def test_till_is_acked_up_to_the_backup_and_sends_the_rest_again(shop: Shop) -> None:
    shop.stop()
    restore(shop)
    shop.start()
    assert sell(shop, 6, 6)["gap"]
    assert sell(shop, 1, 5)["seq"] == 5
    assert shop.on_hand() == "-5"
    shop.stop()


def test_log_of_a_box_that_was_killed_goes_with_its_ledger(shop: Shop) -> None:
    """Read into the restored file, the former one's log would tear it apart; left behind, five sales would be lost."""
    killed = shutil.copytree(shop.directory, shop.directory.parent / "killed")
    shop.stop()
    assert (killed / f"{FILE_NAME}-wal").stat().st_size > 0
    restore_into(killed, "copy")
    assert verify(killed).operations == 3
    assert verify(killed / "replaced-now").operations == 5


def test_backup_of_another_shop_is_refused(shop: Shop) -> None:
    shop.stop()
    with pytest.raises(BackupError, match="STOCK_SHOP"):
        restore(shop, of_shop="corner", force=True)


def test_backup_of_another_ledger_needs_force(shop: Shop) -> None:
    shop.stop()
    with closing(apsw.Connection(str(shop.directory / FILE_NAME))) as connection:
        connection.execute("UPDATE ledger SET ledger = 'ledger-2'")
    with pytest.raises(BackupError, match=r"ledger-2.*--force"):
        restore(shop)
    assert "tills would ask" in restore(shop, force=True).warning


def test_ledger_that_a_new_card_has_begun_by_itself_is_replaced_without_a_word(shop: Shop, tmp_path: Path) -> None:
    """Whoever puts a new card in starts the box before anybody thinks of the backup."""
    shop.stop()
    (tmp_path / "card").mkdir()
    card = Shop(tmp_path / "card", run="the first run of the card")
    card.stop()
    with closing(apsw.Connection(str(card.directory / FILE_NAME))) as connection:
        connection.execute("UPDATE ledger SET ledger = 'ledger-2'")
    restored = restore_into(card.directory, "copy")
    assert (restored.warning, restored.carried) == ("", (PASSWORD,))
    assert verify(card.directory).operations == 3


def test_backup_that_is_older_than_safe_needs_force(shop: Shop) -> None:
    cover(shop, back_up(shop, "newer"))
    shop.stop()
    with pytest.raises(BackupError, match=r"too old.*A1.*through 5.*--force"):
        restore(shop)
    assert verify(shop.directory).operations == 5
    assert restore(shop, "newer").warning == ""
    shop.start()
    shop.stop()
    assert "too old" in restore(shop, force=True, now="later").warning


def test_backup_of_a_newer_program_is_refused(shop: Shop) -> None:
    shop.stop()
    with closing(apsw.Connection(str(shop.directory.parent / "copy"))) as connection:
        connection.pragma("user_version", 999)
    with pytest.raises(BackupError, match="999"):
        restore(shop)


def test_damaged_backup_is_refused_and_nothing_has_changed(shop: Shop) -> None:
    shop.stop()
    copy = shop.directory.parent / "copy"
    with closing(apsw.Connection(str(copy))) as connection:
        connection.execute("UPDATE sku SET on_hand_milli = 1")
    with pytest.raises(BackupError, match="SHA-256"):
        restore(shop)
    copy.with_name("copy.sha256").unlink()
    with pytest.raises(BackupError, match="contradicts itself"):
        restore(shop)
    assert verify(shop.directory).operations == 5
    assert [path.name for path in shop.directory.iterdir() if path.name not in {*BESIDE, *NOTES}] == [FILE_NAME]


def test_damage_is_told_as_such_wherever_it_is(shop: Shop) -> None:
    """Without a digest some of it once ended in a traceback, and some was said to be the former ledger's."""
    shop.stop()
    copy = shop.directory.parent / "copy"
    copy.with_name("copy.sha256").unlink()
    content = copy.read_bytes()
    for first in range(0, len(content), 4096):
        for damage in (bytes(4096), b"\xff" * 4096, content[first : first + 4096].replace(b"A", b"\xf2")):
            copy.write_bytes(content[:first] + damage + content[first + 4096 :])
            directory = shutil.copytree(shop.directory, shop.directory.parent / "before", dirs_exist_ok=True)
            with suppress(BackupError):
                assert restore_into(directory, "copy").warning == ""
            shutil.rmtree(directory)


def test_ledger_with_a_damaged_name_is_replaced(shop: Shop) -> None:
    shop.stop()
    with closing(apsw.Connection(str(shop.directory / FILE_NAME))) as connection:
        connection.execute("UPDATE ledger SET ledger = CAST(x'f2f2' AS TEXT)")
    assert "history-gap" in restore(shop).warning
    assert verify(shop.directory).operations == 3


def test_what_root_restores_is_the_services(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the box could not open its own ledger. Whoever runs this need not be root: it is asked for, and noted."""
    shop.stop()
    (shop.directory / PASSWORD).write_text("of another box")
    with closing(apsw.Connection(str(shop.directory / FILE_NAME))) as connection:
        connection.execute("UPDATE ledger SET ledger = 'ledger-2'")
    service = shop.directory.stat()
    given: dict[str, tuple[int, int]] = {}

    def give(path: Path, uid: int, gid: int, **how: Any) -> None:
        assert how == {"follow_symlinks": False}
        given[path.name] = uid, gid

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", give)
    restore(shop, force=True)
    assert given.keys() == {"restore.part", "replaced-now", "shop-password.new"}
    assert set(given.values()) == {(service.st_uid, service.st_gid)}


def test_damaged_ledger_is_replaced_with_a_warning_and_kept(shop: Shop) -> None:
    shop.stop()
    (shop.directory / FILE_NAME).write_bytes(b"\xff" * 8192)
    (shop.directory / f"{FILE_NAME}-wal").unlink(missing_ok=True)
    assert "history-gap" in restore(shop).warning
    assert verify(shop.directory).operations == 3
    assert (shop.directory / "replaced-now" / FILE_NAME).read_bytes() == b"\xff" * 8192


def test_new_card_becomes_the_box_of_the_backup(shop: Shop, tmp_path: Path) -> None:
    shop.stop()
    card = tmp_path / "card"
    card.mkdir()
    restored = restore_into(card, "copy")
    assert (restored.aside, restored.carried) == (None, (PASSWORD,))
    assert (card / PASSWORD).read_bytes() == HASH[PASSWORD]
    assert (card / PASSWORD).stat().st_mode & 0o777 == 0o600
    assert verify(card) == verify_file(tmp_path / "copy")


def test_box_keeps_the_password_that_it_has(shop: Shop) -> None:
    shop.stop()
    (shop.directory / PASSWORD).write_text("set since then")
    assert restore(shop).carried == ()
    assert (shop.directory / PASSWORD).read_text() == "set since then"


def test_what_waited_for_a_printer_is_not_printed_again(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    shop = Shop(tmp_path / "data", printing=PrintRules((Station("main", frozenset()),)))
    receipt = {"type": "receipt", "receipt": "r-1", "kind": "sale", "status": "open", "sku": ..., "qty": ...}
    said = operation(1, **receipt, reason=..., lines=[{"sku": "A", "qty": "1"}], tag=tag(1))
    shop.say("A1", message(said))
    assert rows(shop.directory, "SELECT state FROM print_job") == [("queued",)]
    make_backup(shop.directory, tmp_path / "copy", carried={}, made_ms=0, version="0")
    shop.stop()
    restore(shop)
    assert rows(shop.directory, "SELECT state FROM print_job") == [("skipped-stale",)]


class _PowerCut(Exception):
    """Nothing more happens in this process."""


def test_restore_that_is_cut_anywhere_leaves_one_whole_ledger(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every change of a name in the directory is a place to be cut at."""
    shop.stop()
    balances = set()
    for step in count():
        directory = shop.directory.parent / f"cut at {step}"
        shutil.copytree(shop.directory, directory)
        with monkeypatch.context() as power:
            left = _cut_after(step, power)
            with suppress(_PowerCut):
                restore_into(directory, "copy")
        balances |= _what_is_there(directory)
        if left():
            break
    assert step > 5
    assert balances == {("A", "-5"), ("A", "-3")}


def _cut_after(steps: int, power: pytest.MonkeyPatch) -> Callable[[], bool]:
    """Cut the power at the change of a name that follows so many; return what tells whether there were fewer."""
    left = steps

    def cut(change: Callable[..., Any]) -> Callable[..., Any]:
        def changed(*args: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise _PowerCut
            return change(*args, **options)

        return changed

    for owner, name in ((os, "link"), (Path, "unlink"), (Path, "replace"), (Path, "mkdir")):
        power.setattr(owner, name, cut(getattr(owner, name)))
    return lambda: left >= 0


def _what_is_there(directory: Path) -> set[tuple[str, str | None]]:
    """The balance that a box finds; it must sell on, and its ledger be whole."""
    shop = Shop(directory, run="the run after the cut")
    found = shop.on_hand()
    assert sell(shop, 1, 5)["seq"] == 5
    assert shop.on_hand() == "-5"
    shop.stop()
    verify(directory)
    return {("A", found)}
