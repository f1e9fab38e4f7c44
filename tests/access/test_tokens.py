"""Devices' tokens and the door: a device with one comes in with it alone, and the disk holds nothing that lets in."""

import asyncio
import stat
import threading
from pathlib import Path

import pytest

from appliance.access.door import Door
from appliance.access.files import open_to_others
from appliance.access.password import ShopPassword
from appliance.access.tokens import FILE_NAME, KEY_FILE_NAME, Tokens, WrongTokens, make_token


def _lets_in(door: Door, device: str, password: str) -> bool:
    return asyncio.run(door.authenticate(device, password.encode()))


@pytest.fixture
def password(tmp_path: Path) -> ShopPassword:
    password = ShopPassword(tmp_path)
    password.set("sesame")
    return password


def test_a_token_is_as_long_as_it_must_be_and_never_the_same() -> None:
    made = {make_token() for _ in range(100)}
    assert len(made) == 100
    assert all(len(token) == 52 and not set(token) & set("0O1lI-") for token in made)


def test_a_device_comes_in_with_its_own_token_however_it_was_typed(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path)
    tokens.put("A1", "abcd2345")
    for typed in ("abcd2345", "ABCD-2345", "abcd 2345"):
        assert tokens.is_right("A1", typed.encode())
    for wrong in ("", "abcd234", "abcd2346"):
        assert not tokens.is_right("A1", wrong.encode())
    assert not tokens.is_right("A2", b"abcd2345")


def test_tokens_outlive_a_restart_and_only_keyed_hashes_are_kept(tmp_path: Path) -> None:
    token = make_token()
    Tokens(tmp_path).put("A1", token)
    assert Tokens(tmp_path).is_right("A1", token.encode())
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert token.encode() not in path.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {FILE_NAME, KEY_FILE_NAME}


def test_a_hash_is_of_no_use_under_another_devices_name_or_another_key(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path)
    tokens.put("A1", "abcd2345")
    path = tmp_path / FILE_NAME
    path.write_text(path.read_text().replace("A1", "A2"))
    assert not Tokens(tmp_path).is_right("A2", b"abcd2345")
    tokens.put("A1", "abcd2345")
    (tmp_path / KEY_FILE_NAME).write_bytes(bytes(32))
    assert not Tokens(tmp_path).is_right("A1", b"abcd2345")


def test_a_token_that_was_replaced_or_removed_lets_nobody_in(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path)
    tokens.put("A1", "first")
    tokens.put("A1", "second")
    assert not tokens.is_right("A1", b"first")
    assert tokens.is_right("A1", b"second")
    assert [one.device for one in tokens.enrolled()] == ["A1"]
    tokens.remove("A1")
    assert not tokens.is_right("A1", b"second")
    assert not tokens.has("A1")
    with pytest.raises(KeyError):
        tokens.remove("A1")
    assert Tokens(tmp_path).enrolled() == []


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"devices":{"A1":1}}', b'{"devices":{"A1":{"hash":"x"}}}'])
def test_a_damaged_file_is_named_and_lets_nobody_in(tmp_path: Path, content: bytes) -> None:
    Tokens(tmp_path).put("A1", "abcd2345")
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(WrongTokens, match=FILE_NAME):
        Tokens(tmp_path)


def test_a_key_that_is_lost_is_not_made_anew_in_silence(tmp_path: Path) -> None:
    Tokens(tmp_path).put("A1", "abcd2345")
    (tmp_path / KEY_FILE_NAME).unlink()
    with pytest.raises(WrongTokens, match=KEY_FILE_NAME):
        Tokens(tmp_path)


def test_a_damaged_key_is_named(tmp_path: Path) -> None:
    Tokens(tmp_path).put("A1", "abcd2345")
    (tmp_path / KEY_FILE_NAME).write_bytes(b"")
    with pytest.raises(WrongTokens, match=f"{KEY_FILE_NAME} is damaged"):
        Tokens(tmp_path)


def test_the_shops_password_is_for_devices_without_a_token(tmp_path: Path, password: ShopPassword) -> None:
    tokens = Tokens(tmp_path)
    tokens.put("A1", "abcd2345")
    door = Door(tokens, password)
    assert [_lets_in(door, *who) for who in (("A1", "abcd2345"), ("A2", "sesame"))] == [True, True]
    assert [_lets_in(door, *who) for who in (("A1", "sesame"), ("A2", "abcd2345"))] == [False, False]
    tokens.remove("A1")
    assert _lets_in(door, "A1", "sesame")


def test_where_only_tokens_count_the_shops_password_lets_nobody_in(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path)
    tokens.put("A1", "abcd2345")
    door = Door(tokens, None)
    assert _lets_in(door, "A1", "abcd2345")
    assert not _lets_in(door, "A2", "sesame")


def test_a_device_that_gets_its_token_while_its_password_is_hashed_stays_out(
    tmp_path: Path, password: ShopPassword, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = Tokens(tmp_path)
    is_hashing, has_token = threading.Event(), threading.Event()
    check = ShopPassword._is_right

    def slowly(shop: ShopPassword, kept: str, word: bytes) -> bool:
        is_hashing.set()
        assert has_token.wait(30)
        return check(shop, kept, word)

    monkeypatch.setattr(ShopPassword, "_is_right", slowly)

    def enrol() -> None:
        assert is_hashing.wait(30)
        tokens.put("A1", "abcd2345")
        has_token.set()

    enrolling = threading.Thread(target=enrol)
    enrolling.start()
    assert not _lets_in(Door(tokens, password), "A1", "sesame")
    enrolling.join()


def test_a_file_that_others_may_read_is_found(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("closed", "group", "others", "missing")]
    for path, mode in zip(paths, (0o600, 0o640, 0o604), strict=False):
        path.touch()
        path.chmod(mode)
    assert open_to_others(paths) == paths[1:3]


def test_a_visitor_comes_in_is_in_no_file_and_is_no_device(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path)
    tokens.admit("visitor", "t0ken")
    assert tokens.has("visitor")
    assert tokens.is_right("visitor", b"t0ken")
    assert not tokens.is_right("visitor", b"another")
    assert tokens.enrolled() == []
    assert not (tmp_path / FILE_NAME).exists()
    tokens.remove("visitor")
    assert not tokens.has("visitor")
    assert not tokens.is_right("visitor", b"t0ken")
