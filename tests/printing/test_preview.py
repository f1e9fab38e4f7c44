"""`stock-coordinator printer preview`: a pre-check without any printer."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from scripts import processes

CHECKOUT = Path(__file__).parent.parent.parent


def test_the_terminal_shows_a_pre_check_at_the_width_asked_for() -> None:
    code, shown, errors = preview("--width", "32")
    assert (code, errors) == (0, "")
    assert "НЕ ЯВЛЯЕТСЯ" in shown
    assert max(len(line) for line in shown.splitlines()) == 32


def test_an_english_sheet_has_english_goods(tmp_path: Path) -> None:
    (tmp_path / "shop.toml").write_text('language = "en"', "utf-8")
    code, shown, errors = preview("--language", "en")
    assert (code, errors) == (0, "")
    assert "NOT A FISCAL DOCUMENT" in shown
    assert "Chicken Kiev" in shown
    assert "Thank you for your visit!" in shown
    assert "Борщ" not in shown
    assert "Chicken Kiev" in preview("--template", str(tmp_path / "shop.toml"))[1]
    assert "Борщ" in preview("--template", str(tmp_path / "shop.toml"), "--language", "ru")[1]


def test_the_settings_say_whose_sheet_it_is_and_on_what_paper(tmp_path: Path) -> None:
    (tmp_path / "words.toml").write_text('footer = ["До завтра!"]', "utf-8")
    settings = {
        "STOCK_SHOP_NAME": "Чайная «Самовар»",
        "STOCK_PRINTER__WIDTH": "32",
        "STOCK_PRINTER__CODEPAGE": "cp437",
        "STOCK_PRECHECK__TEMPLATE": str(tmp_path / "words.toml"),
    }
    code, shown, errors = preview(**settings)
    assert (code, errors) == (0, "")
    assert max(len(line) for line in shown.splitlines()) == 32
    assert "?????? «???????»" in shown, "cp437 has no Cyrillic"
    code, shown, errors = preview("--width", "42", **settings | {"STOCK_PRINTER__CODEPAGE": "cp866"})
    assert ('Чайная "Самовар"' in shown, "До завтра!" in shown, "Берёзка" in shown) == (True, True, False)
    assert max(len(line) for line in shown.splitlines()) == 42


def test_a_picture_is_written_of_the_shops_own_template(tmp_path: Path) -> None:
    (tmp_path / "shop.toml").write_text('language = "en"', "utf-8")
    picture = tmp_path / "pre-check.png"
    assert preview("--template", str(tmp_path / "shop.toml"), "--png", str(picture)) == (0, "", "")
    with Image.open(picture) as image:
        assert image.format == "PNG"


@pytest.mark.parametrize("width", ["32", "48"])
def test_the_readmes_pictures_are_what_the_preview_draws(tmp_path: Path, width: str) -> None:
    kept, now = CHECKOUT / "appliance" / "printing" / f"precheck-{width}.png", tmp_path / "now.png"
    assert preview("--width", width, "--png", str(now)) == (0, "", "")
    with Image.open(kept) as shown, Image.open(now) as drawn:
        is_same = shown.size == drawn.size and ImageChops.difference(shown, drawn).getbbox() is None
    assert is_same, f"look at it, then: stock-coordinator printer preview --width {width} --png {kept}"


def test_a_terminal_without_cyrillic_shows_what_it_can() -> None:
    done = subprocess.run(
        [*processes.COORDINATOR, "printer", "preview"],
        env=processes.environment(PYTHONIOENCODING="ascii"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "??? 7701234567" in done.stdout


def test_what_is_wrong_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "shop.toml").write_text("qr = 1", "utf-8")
    code, shown, errors = preview("--template", str(tmp_path / "shop.toml"))
    assert (code, shown) == (1, "")
    assert errors == f"stock-coordinator: {tmp_path / 'shop.toml'}: qr is 1: write true or false\n"
    code, shown, errors = preview("--png", str(tmp_path / "gone" / "x.png"))
    assert (code, shown) == (1, "")
    assert errors.endswith(": name another file\n")


def preview(*arguments: str, **settings: str) -> tuple[int, str, str]:
    """Return the exit code, the output and the errors of the command."""
    command = [sys.executable, "-m", "appliance", "printer", "preview", *arguments]
    result = subprocess.run(
        command, cwd=CHECKOUT, env=processes.environment(**settings), capture_output=True, text=True, check=False
    )
    return result.returncode, result.stdout, result.stderr
