"""The file on the boot partition: taken when it has changed, its secrets blanked, its faults told beside it."""

import hashlib
from pathlib import Path

import pytest

from appliance.access.password import FILE_NAME as PASSWORD_FILE
from appliance.app.card import ERRORS_NAME, FLASHED_NAME, Card, WrongCard
from appliance.app.system import AUTHORIZED_KEYS, apply, system_files
from appliance.settings import FILE_NAME, Settings, load_settings
from tests.box import Box
from tests.broker import wire

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJustSomeBytes owner@desk"


class Desk:
    """A card as it lies at a person's desk, and what the box keeps of it."""

    def __init__(self, directory: Path) -> None:
        self.boot, self.etc, self.data = (directory / name for name in ("boot", "etc", "data"))
        for path in (self.boot, self.etc / "secrets", self.data):
            path.mkdir(parents=True)
        self.file = self.boot / FILE_NAME
        self.card = Card(self.boot, self.etc)

    def write(self, text: str) -> None:
        self.file.write_text(f'data_dir = "{self.data}"\n{text}', "utf-8")

    def flash(self) -> None:
        """Write the image once more, as deploy/image/build makes its boot partition."""
        self.write("# Every line may stay as it is.\n")
        (self.boot / FLASHED_NAME).write_text(f"{hashlib.sha256(self.file.read_bytes()).hexdigest()}  -\n")

    @property
    def errors(self) -> str:
        path = self.boot / ERRORS_NAME
        return path.read_text("utf-8") if path.exists() else ""

    @property
    def kept_text(self) -> str:
        return (self.etc / FILE_NAME).read_text("utf-8")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_changed_file_is_taken_once(desk: Desk) -> None:
    desk.write('shop_name = "Молоко"\n')
    taken = desk.card.take()
    assert taken is not None
    assert taken.shop_name == desk.card.kept().shop_name == "Молоко"
    assert desk.card.take() is None
    desk.write('shop_name = "Хлеб"\n')
    assert desk.card.take() is not None
    assert desk.card.kept().shop_name == "Хлеб"


def test_what_was_set_on_the_box_is_not_undone_by_a_file_that_has_not_changed(desk: Desk) -> None:
    desk.write('shop_name = "from the card"\n')
    desk.card.take()
    (desk.etc / FILE_NAME).write_text('shop_name = "by deploy"\n')
    assert desk.card.take() is None
    assert desk.card.kept().shop_name == "by deploy"


def test_a_card_without_the_file_changes_nothing(desk: Desk) -> None:
    assert desk.card.take() is None
    assert desk.card.kept() == Settings()


@pytest.mark.parametrize("quoted", ['"sesame"', "'sesame'", r'"se\u0073ame"'])
def test_a_password_is_taken_and_blanked_on_the_card_and_no_copy_holds_it(desk: Desk, quoted: str) -> None:
    text = f'# Ours.\npassword = {quoted}  # the tills\'\nshop = "corner"\n'
    desk.write(text)
    size = desk.file.stat().st_size
    desk.card.take()
    for path in (path for place in (desk.boot, desk.etc, desk.data) for path in place.rglob("*") if path.is_file()):
        assert b"ame" not in path.read_bytes(), path
    assert desk.file.stat().st_size == size, "it is overwritten in its place"
    assert "# Ours." in desk.kept_text
    assert load_settings(desk.etc / FILE_NAME).shop == "corner"
    with Box(desk.data, STOCK_PASSWORD="") as box, wire.Client(box.address) as client:
        client.send(wire.connect(user="A1", password="sesame"))
        assert client.expect(wire.CONNACK).body[1] == 0


def test_a_blank_password_keeps_the_one_that_the_box_has(desk: Desk) -> None:
    desk.write('password = "sesame"\n')
    desk.card.take()
    kept = (desk.data / PASSWORD_FILE).read_text()
    desk.write('password = ""\nshop = "corner"\n')
    assert desk.card.take() is not None
    assert (desk.data / PASSWORD_FILE).read_text() == kept


def test_a_secret_that_is_hard_to_blank_is_refused_before_it_is_kept(desk: Desk) -> None:
    desk.write('password = """\nsesame"""\n')
    with pytest.raises(WrongCard, match="a line of its own"):
        desk.card.take()
    assert "a line of its own" in desk.errors
    assert not (desk.data / PASSWORD_FILE).exists()


def test_a_broken_file_is_named_beside_it_and_the_box_goes_on_as_it_was(desk: Desk) -> None:
    desk.write('shop = "corner"\n')
    desk.card.take()
    for text, word in (("shop = ]\n", "line 2"), ("[broker]\nport = 0\n", "broker.port"), ("tills = 3\n", "tills")):
        desk.write(text)
        for _ in range(2):  # It is told at every start.
            with pytest.raises(WrongCard, match=word):
                desk.card.take()
        assert word in desk.errors
        assert desk.card.kept().shop == "corner"
    desk.write('shop = "mended"\n')
    assert desk.card.take() is not None
    assert desk.errors == ""


def test_a_new_file_on_the_card_mends_what_is_kept(desk: Desk) -> None:
    """A release that was gone back to may not know a setting that the newer one has kept."""
    desk.write('shop = "corner"\n')
    desk.card.take()
    (desk.etc / FILE_NAME).write_text("from_a_later_release = 1\n")
    settings, [fault] = desk.card.in_force()
    assert (settings, "from_a_later_release" in fault) == (Settings(), True)
    desk.write('shop = "mended"\n')
    settings, faults = desk.card.in_force()
    assert (settings.shop, faults) == ("mended", [])


def test_a_card_that_was_flashed_anew_gets_back_the_settings_that_outlived_it(desk: Desk) -> None:
    desk.flash()
    assert desk.card.take() is not None, "the first time there is nothing to give back"
    desk.write('shop = "corner"\npassword = "sesame"\n')
    desk.card.take()
    on_card = desk.file.read_bytes()
    desk.flash()
    settings, faults = desk.card.in_force()
    assert (settings.shop, faults) == ("corner", [])
    assert desk.file.read_bytes() == on_card, "what stands on the card is what is in force"
    assert [path.name for path in desk.boot.iterdir()] == [FILE_NAME]
    desk.flash()
    desk.write('shop = "edited"\n')
    assert desk.card.in_force()[0].shop == "edited", "before its first start"


def test_settings_that_came_by_deploy_outlive_a_new_image_and_show_the_card_no_secret(desk: Desk) -> None:
    desk.flash()
    desk.card.take()
    for secret in ('"sesame"', '"""\nsesame"""'):
        deployed = f'shop = "corner"\npassword = {secret}\n'
        (desk.etc / FILE_NAME).write_text(deployed)
        desk.flash()
        assert desk.card.take() is None
        assert desk.kept_text == deployed
        assert "sesame" not in desk.file.read_text()


@pytest.mark.parametrize(
    ("content", "word"), [(b"\xff\xfes\0h\0", "UTF-8"), (b'\xef\xbb\xbfshop = "x"\n', "byte order")]
)
def test_a_file_that_an_editor_saved_in_its_own_way_is_named(desk: Desk, content: bytes, word: str) -> None:
    desk.file.write_bytes(content)
    with pytest.raises(WrongCard, match=word):
        desk.card.take()
    assert word in desk.errors


def test_the_system_is_as_the_settings_say(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    path.write_text(
        f"""time_zone = "Europe/Moscow"
        [broker]
        plain = "lan"
        tls_port = 8884
        websocket_port = 8443
        certificate = "/etc/shop.pem"
        key = "/etc/shop.key"
        [box]
        hostname = "bakery"
        address = "192.168.7.5/24"
        gateway = "192.168.7.1"
        dns = ["192.168.7.1", "192.168.7.2"]
        authorized_keys = ["{KEY}"]
        """
    )
    root = tmp_path / "root"
    for _ in range(2):
        apply(load_settings(path), root)
    assert (root / "etc/hostname").read_text() == "bakery\n"
    assert "127.0.1.1 bakery\n" in (root / "etc/hosts").read_text()
    assert str((root / "etc/localtime").readlink()) == "/usr/share/zoneinfo/Europe/Moscow"
    assert (root / "run/box/ports.nft").read_text() == "add element inet box open { 1883, 8884, 8443 }\n"
    assert (root / AUTHORIZED_KEYS).read_text() == f"{KEY}\n"
    assert (root / AUTHORIZED_KEYS).stat().st_mode & 0o777 == 0o600
    network = (root / "run/systemd/network/10-card.network").read_text().splitlines()
    assert {"Address=192.168.7.5/24", "Gateway=192.168.7.1", "DNS=192.168.7.1", "DNS=192.168.7.2"} <= set(network)


def test_without_a_word_nobody_logs_in_and_the_router_is_asked() -> None:
    files = system_files(Settings())
    assert "run/systemd/network/10-card.network" not in files
    assert AUTHORIZED_KEYS not in files
    assert files["etc/hostname"] == "stock\n"


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ('authorized_keys = ["-----BEGIN OPENSSH PRIVATE KEY-----"]', "public ssh keys"),
        ('address = "192.168.7.5/33"', "192.168.1.5/24"),
        ('hostname = "My Box"', "a-z"),
    ],
)
def test_a_wrong_word_about_the_box_is_named(desk: Desk, line: str, word: str) -> None:
    desk.write(f"[box]\n{line}\n")
    with pytest.raises(WrongCard, match=word):
        desk.card.take()
