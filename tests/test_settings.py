"""Where settings come from, the environment, systemd's credentials, the file; and whose the file must be."""

from pathlib import Path

import pytest

from appliance.settings import WrongSettings, files_with_secrets, load_settings
from tests.box import Box


@pytest.fixture
def credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory as systemd makes it of a unit's LoadCredential=."""
    (directory := tmp_path / "credentials").mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(directory))
    monkeypatch.chdir(tmp_path)
    return directory


def test_a_credential_is_a_setting_of_its_name(credentials: Path) -> None:
    (credentials / "stock_password").write_text("sesame\n")
    (credentials / "STOCK_BROKER__PASSWORD").write_text("open\n")
    (credentials / "stock_shop_name").write_text("Кафе «Берёзка»")
    settings = load_settings()
    assert settings.password is not None
    assert settings.broker.password is not None
    assert settings.password.get_secret_value() == "sesame"
    assert settings.broker.password.get_secret_value() == "open"
    assert settings.shop_name == "Кафе «Берёзка»"


def test_the_environment_comes_before_credentials_and_these_before_the_file(
    credentials: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stock-coordinator.toml").write_text('shop = "file"\nshop_inn = "7701234567"\nshop_name = "file"\n')
    (credentials / "stock_shop").write_text("credential")
    (credentials / "stock_shop_name").write_text("credential")
    monkeypatch.setenv("STOCK_SHOP_NAME", "environment")
    settings = load_settings()
    assert (settings.shop_inn, settings.shop, settings.shop_name) == ("7701234567", "credential", "environment")


def test_what_else_stands_among_the_credentials_is_not_ours(credentials: Path) -> None:
    (credentials / "tls.der").write_bytes(b"\x30\x82\xff")
    (credentials / "settings.toml").write_text("shop = 1")
    assert load_settings().shop == "shop"


def test_a_credential_that_is_no_setting_is_named(credentials: Path) -> None:
    (credentials / "stock_pasword").write_text("sesame")
    with pytest.raises(WrongSettings, match="STOCK_PASWORD is set, but there is no such setting") as caught:
        load_settings()
    assert "sesame" not in str(caught.value)


def test_a_credential_that_cannot_be_read_is_named_and_not_shown(credentials: Path) -> None:
    (credentials / "stock_password").write_bytes(b"sesam\xe9")
    with pytest.raises(WrongSettings, match="stock_password is no UTF-8 text") as caught:
        load_settings()
    assert "sesam" not in str(caught.value)
    (credentials / "stock_password").unlink()
    (credentials / "stock_password").mkdir()
    with pytest.raises(WrongSettings, match="stock_password cannot be read"):
        load_settings()


def test_a_directory_of_credentials_that_is_gone_is_none(credentials: Path) -> None:
    credentials.rmdir()
    assert load_settings().password is None


@pytest.mark.parametrize(
    ("text", "is_secret"),
    [("", False), ('shop = "a"', False), ('password = "a"', True), ('[broker]\npassword = "a"', True)],
)
def test_a_settings_file_with_a_secret_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, is_secret: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stock-coordinator.toml").write_text(text)
    assert files_with_secrets() == ([Path("stock-coordinator.toml")] if is_secret else [])
    assert files_with_secrets(tmp_path / "another.toml") == []


def test_a_settings_file_with_a_secret_that_others_may_read_is_named_at_the_start(tmp_path: Path) -> None:
    config = tmp_path / "stock-coordinator.toml"
    config.write_text('password = "sesame"\n')
    config.chmod(0o644)
    with Box(tmp_path / "data", STOCK_CONFIG=str(config), STOCK_PASSWORD="") as box:
        assert f"chmod 600 {config}" in box.log.read_text()
        box.stop()
        config.chmod(0o600)
        before = len(box.log.read_text())
        box.start()
        assert "chmod" not in box.log.read_text()[before:]
