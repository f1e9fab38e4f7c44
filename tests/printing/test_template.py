"""A shop's template: what it may say, and that a mistake is named with its key, its value and the remedy."""

import os
from pathlib import Path

import pytest
from PIL import Image

from appliance.printing.layout.blocks import Picture
from appliance.printing.layout.sheet import Paper
from appliance.printing.layout.template import Field, ShopField
from appliance.printing.template import LOGO_HEIGHT_MAX, WrongTemplate, load_template

PAPER = Paper(32)

WRONG = [
    ("footr = []", "footr is no key of a template: write one of language, logo, shop, header, footer, fields, qr"),
    ('language = "de"', "language is 'de': write one of ru, en"),
    ("language = []", "language is []: write one of ru, en"),
    ('header = "Hello"', "header is 'Hello': write a list of at most 20 texts"),
    ("footer = [1]", 'footer is [1]: write a list of at most 20 texts or "thanks"'),
    (f"footer = {['x'] * 21}", "write a list of at most 20 texts"),
    (
        'fields = ["colour"]',
        "fields is ['colour']: write a list of number, time, device, cashier, table, each at most once",
    ),
    ('shop = ["inn", "inn"]', "shop is ['inn', 'inn']: write a list of name, inn, address, each at most once"),
    ('qr = "yes"', "qr is 'yes': write true or false"),
    ("logo = 1", 'logo is 1: write the path of a picture, or ""'),
    ('logo = "gone.png"', "logo is 'gone.png': write the path of a PNG, JPEG or GIF, seen from this file"),
    ('logo = "shop.toml"', "logo is 'shop.toml': write the path of a PNG, JPEG or GIF, seen from this file"),
    ("qr = ", "mend the file"),
    ("qr = " + "[" * 5000, "mend the file"),
]


def test_without_a_file_of_its_own_a_shop_has_the_default() -> None:
    template = load_template(None, PAPER)
    assert (template.language, template.logo, template.qr) == ("ru", None, True)
    assert (template.shop, template.fields) == (tuple(ShopField), tuple(Field))


def test_a_shops_file_replaces_only_what_it_names(tmp_path: Path) -> None:
    own = written(tmp_path, 'language = "en"\nfields = ["table"]\nheader = ["Hello", ""]')
    template = load_template(own, PAPER)
    assert (template.language, template.fields, template.header) == ("en", (Field.TABLE,), ("Hello", ""))
    assert template.footer == load_template(None, PAPER).footer


@pytest.mark.parametrize(("text", "complaint"), WRONG)
def test_a_mistake_is_named_with_the_file_the_key_the_value_and_the_remedy(
    tmp_path: Path, text: str, complaint: str
) -> None:
    own = written(tmp_path, text)
    with pytest.raises(WrongTemplate) as caught:
        load_template(own, PAPER)
    assert str(caught.value).startswith(f"{own}: ")
    assert complaint in str(caught.value)


def test_a_file_that_is_not_there_or_is_no_text_is_said(tmp_path: Path) -> None:
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    for name in ("gone.toml", "binary.toml"):
        with pytest.raises(WrongTemplate, match=rf"{name}: it cannot be read .*: name a TOML file in UTF-8"):
            load_template(tmp_path / name, PAPER)


def test_a_pipe_is_no_template_and_no_logo(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(WrongTemplate, match="no regular file"):
        load_template(tmp_path / "pipe", PAPER)
    with pytest.raises(WrongTemplate, match=r"logo is 'pipe': .*no regular file"):
        load_template(written(tmp_path, 'logo = "pipe"'), PAPER)


def test_a_picture_too_large_to_be_made_smaller_on_a_small_box_is_refused_unread(tmp_path: Path) -> None:
    Image.new("1", (12_000, 12_000)).save(tmp_path / "wall.png")
    with pytest.raises(WrongTemplate, match="at most 4000000 pixels"):
        load_template(written(tmp_path, 'logo = "wall.png"'), PAPER)


def test_a_logo_is_black_dots_on_white_whatever_its_transparency(tmp_path: Path) -> None:
    image = Image.new("RGBA", (10, 2), (0, 0, 0, 0))
    image.putpixel((0, 0), (0, 0, 0, 255))
    image.putpixel((9, 1), (0, 0, 0, 255))
    image.save(tmp_path / "logo.png")
    assert load_template(written(tmp_path, 'logo = "logo.png"'), PAPER).logo == Picture(10, 2, b"\x80\x00\x00\x40")


@pytest.mark.parametrize(("size", "shrunk"), [((768, 100), (384, 50)), ((100, 800), (30, 240)), ((20, 20), (20, 20))])
def test_a_logo_is_shrunk_to_the_paper_and_never_enlarged(
    tmp_path: Path, size: tuple[int, int], shrunk: tuple[int, int]
) -> None:
    Image.new("L", size, 0).save(tmp_path / "logo.png")
    logo = load_template(written(tmp_path, 'logo = "logo.png"'), PAPER).logo
    assert logo is not None
    assert (logo.width, logo.height) == shrunk
    assert logo.height <= LOGO_HEIGHT_MAX


def written(folder: Path, text: str) -> Path:
    own = folder / "shop.toml"
    own.write_text(text, "utf-8")
    return own
