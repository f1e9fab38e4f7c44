"""The shop's password: only the right one lets in, and only its hash is kept."""

import asyncio
import errno
import os
import stat
from contextlib import closing
from pathlib import Path

import pytest

from appliance.access.password import FILE_NAME, ShopPassword, make_password
from tests.broker import wire
from tests.broker.running import Ours, Shop


def _lets_in(shop: ShopPassword, word: str, user: str = "A1") -> bool:
    return asyncio.run(shop.authenticate(user, word.encode()))


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The passwords for which a hash has been computed, in order."""
    checked: list[bytes] = []
    check = ShopPassword._is_right

    def watched(shop: ShopPassword, kept: str, word: bytes) -> bool:
        checked.append(word)
        return check(shop, kept, word)

    monkeypatch.setattr(ShopPassword, "_is_right", watched)
    return checked


def test_nobody_comes_in_before_a_password_is_set(tmp_path: Path) -> None:
    shop = ShopPassword(tmp_path)
    assert not shop.is_set
    assert not _lets_in(shop, "")


def test_any_device_comes_in_with_the_right_password_and_none_with_another(tmp_path: Path) -> None:
    shop = ShopPassword(tmp_path)
    shop.set("sesame")
    assert _lets_in(shop, "sesame", "A1")
    assert _lets_in(shop, "sesame", "screen")
    for wrong in ("", "Sesame", "sesame ", "sesam"):
        assert not _lets_in(shop, wrong)


def test_the_password_outlives_a_restart_and_only_its_hash_is_kept(tmp_path: Path) -> None:
    ShopPassword(tmp_path).set("sesame")
    [kept] = tmp_path.iterdir()
    assert kept.name == FILE_NAME
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert kept.read_text().startswith("$argon2id$")
    assert "sesame" not in kept.read_text()
    assert _lets_in(ShopPassword(tmp_path), "sesame")


def test_the_same_password_again_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    shop = ShopPassword(tmp_path)
    shop.set("sesame")
    kept = (tmp_path / FILE_NAME).read_text()
    shop.set("sesame")
    assert (tmp_path / FILE_NAME).read_text() == kept


def test_a_password_that_was_replaced_lets_nobody_in_even_right_after_it_did(tmp_path: Path) -> None:
    shop = ShopPassword(tmp_path)
    shop.set("first")
    assert _lets_in(shop, "first")
    shop.set("second")
    assert not _lets_in(shop, "first")
    assert _lets_in(shop, "second")


def test_a_proposed_password_is_kept_from_the_first_log_in_on(tmp_path: Path) -> None:
    shop = ShopPassword(tmp_path)
    shop.propose("sesame")
    assert shop.is_set
    assert not _lets_in(shop, "guess")
    assert not ShopPassword(tmp_path).is_set
    assert _lets_in(shop, "sesame")
    assert _lets_in(ShopPassword(tmp_path), "sesame")


def test_a_password_that_is_set_is_not_replaced_by_a_proposed_one_and_replaces_it(tmp_path: Path) -> None:
    shop = ShopPassword(tmp_path)
    shop.propose("proposed")
    shop.set("proposed")
    assert ShopPassword(tmp_path).is_set, "who sets the same has it kept"
    shop.set("sesame")
    shop.propose("another")
    assert [_lets_in(shop, word) for word in ("proposed", "another", "sesame")] == [False, False, True]


def test_a_password_that_is_replaced_while_it_is_looked_at_lets_nobody_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = ShopPassword(tmp_path)
    shop.set("first")
    check = ShopPassword._is_right

    def slow(shop: ShopPassword, kept: str, word: bytes) -> bool:
        is_right = check(shop, kept, word)
        monkeypatch.undo()
        shop.set("second")
        return is_right

    monkeypatch.setattr(ShopPassword, "_is_right", slow)
    assert not _lets_in(shop, "first")
    assert not _lets_in(shop, "first"), "nor is it remembered"
    assert _lets_in(ShopPassword(tmp_path), "second")


@pytest.mark.parametrize("content", [b"", b"no hash", b"\xff\xfe", b"half"])
def test_a_damaged_hash_lets_nobody_in_and_setting_a_password_mends_it(tmp_path: Path, content: bytes) -> None:
    ShopPassword(tmp_path).set("sesame")
    path = tmp_path / FILE_NAME
    path.write_bytes(path.read_bytes()[:-9] if content == b"half" else content)
    shop = ShopPassword(tmp_path)
    assert shop.is_damaged
    assert not any(_lets_in(shop, word) for word in ("", "sesame"))
    shop.set("sesame")
    assert not shop.is_damaged
    assert _lets_in(ShopPassword(tmp_path), "sesame")


def test_a_hash_that_was_cut_short_and_can_still_be_read_is_damaged(tmp_path: Path) -> None:
    ShopPassword(tmp_path).set("sesame")
    path = tmp_path / FILE_NAME
    # 34 of the 43 digits of the hash; the last of them says nothing beyond its 25 bytes.
    path.write_bytes(path.read_bytes()[:-10] + b"A")
    assert ShopPassword(tmp_path).is_damaged


def test_tills_that_come_back_together_cost_one_hash(tmp_path: Path, hashed: list[bytes]) -> None:
    shop = ShopPassword(tmp_path)
    shop.set("sesame")

    async def come_back() -> list[bool]:
        return await asyncio.gather(*(shop.authenticate(f"till-{n}", b"sesame") for n in range(20)))

    assert all(asyncio.run(come_back()))
    assert hashed == [b"sesame"]


def test_a_password_that_was_right_costs_no_further_hash(tmp_path: Path, hashed: list[bytes]) -> None:
    shop = ShopPassword(tmp_path)
    shop.set("sesame")
    assert [_lets_in(shop, "sesame") for _ in range(3)] == [True] * 3
    assert hashed == [b"sesame"]


def test_a_password_that_is_replaced_right_after_it_was_looked_at_is_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = ShopPassword(tmp_path)
    shop.set("first")
    check = ShopPassword._is_in_force

    def just_in_time(shop: ShopPassword, kept: str, word: bytes) -> bool:
        is_right = check(shop, kept, word)
        monkeypatch.undo()
        shop.set("second")
        return is_right

    monkeypatch.setattr(ShopPassword, "_is_in_force", just_in_time)
    assert _lets_in(shop, "first"), "it was right when it was looked at"
    assert not _lets_in(shop, "first")
    assert _lets_in(shop, "second")


def test_a_wrong_password_is_not_remembered_in_place_of_the_right_one(tmp_path: Path, hashed: list[bytes]) -> None:
    shop = ShopPassword(tmp_path)
    shop.set("sesame")
    assert [_lets_in(shop, word) for word in ("sesame", "guess", "sesame", "guess")] == [True, False, True, False]
    assert hashed == [b"sesame", b"guess", b"guess"]


def test_a_made_password_is_typed_without_a_mistake_and_never_the_same() -> None:
    made = {make_password() for _ in range(100)}
    assert len(made) == 100
    for word in made:
        assert [len(group) for group in word.split("-")] == [4, 4, 4, 4]
        assert not set(word) & set("0O1lI")


class Behind(Shop):
    """A shop whose devices come in by a password that is really kept."""

    def __init__(self, password: ShopPassword) -> None:
        super().__init__()
        self._password = password

    async def authenticate(self, user: str, password: bytes) -> bool:
        return await self._password.authenticate(user, password)


def test_a_full_disk_at_the_first_log_in_is_told_and_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def is_full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    password = ShopPassword(tmp_path)
    password.propose("proposed")
    with closing(Ours(Behind(password))) as broker:
        with monkeypatch.context() as disk, wire.Client(broker.address) as till:
            disk.setattr("appliance.durable.replace", is_full)
            till.send(wire.connect(password="proposed"))
            assert till.expect(wire.CONNACK).body[1] == 3
            assert till.is_closed()
        assert "the password could not be kept: No space left on device" in caplog.text
        with wire.Client(broker.address).log_in(password="proposed") as till:
            assert till.answers()
    assert _lets_in(ShopPassword(tmp_path), "proposed")
