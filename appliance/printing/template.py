"""Reads a shop's template: a declarative TOML, no template language, so that no mistake in it can break a sheet.

`default.toml` beside this file is the one in force, and says of each key what it means; a shop's own file replaces the
keys that it names. It is read once, at the start; what is wrong with it stops the start.
"""

import tomllib
import warnings
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import TypeVar, get_args

from PIL import Image, UnidentifiedImageError

from appliance.printing.layout.blocks import Picture
from appliance.printing.layout.sheet import Paper
from appliance.printing.layout.template import Field, ShopField, Template
from appliance.printing.layout.words import Language

LINES_MAX = 20
"""Lines of a header or a footer: more is a leaflet, and the guest waits for it."""

THANKS = "thanks"
"""A footer in the sheet's own language, instead of lines."""

LOGO_HEIGHT_MAX = 240
"""Dots: 3 cm. On 58 mm paper that is 11.5 kB, 12 s of a serial line at 9600 baud, for every guest anew."""

LOGO_PIXELS_MAX = 4_000_000
"""Of the picture as it is given: ten times what fits on the paper, and 16 MB while it is made smaller."""

E = TypeVar("E", bound=StrEnum)


class WrongTemplate(Exception):
    """A template cannot be used. Its text names the file, the key, the value and the remedy."""


def load_template(path: Path | None, paper: Paper) -> Template:
    """Return a shop's template for a paper, or the default one. Raises WrongTemplate."""
    keys = tomllib.loads((resources.files(__package__) / "default.toml").read_text("utf-8"))
    if path is None:
        return _Keys(Path("default.toml"), keys).template(paper)
    try:
        own = tomllib.loads(_regular(path).read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise WrongTemplate(f"{path}: it cannot be read ({error}): name a TOML file in UTF-8") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise WrongTemplate(f"{path}: {error}: mend the file") from error
    if unknown := sorted(own.keys() - keys.keys()):
        raise WrongTemplate(f"{path}: {unknown[0]} is no key of a template: write one of {', '.join(keys)}")
    return _Keys(path, keys | own).template(paper)


class _Keys:
    """The keys of one file, each read with an error that names it."""

    def __init__(self, path: Path, keys: dict[str, object]) -> None:
        self._path = path
        self._keys = keys

    def template(self, paper: Paper) -> Template:
        return Template(
            language=self._language(),
            logo=self._logo(paper),
            shop=self._words("shop", ShopField),
            header=self._lines("header"),
            fields=self._words("fields", Field),
            footer=None if self._keys["footer"] == THANKS else self._lines("footer", f' or "{THANKS}"'),
            qr=self._flag("qr"),
        )

    def _language(self) -> Language:
        for language in get_args(Language):
            if self._keys["language"] == language:
                return language  # type: ignore[no-any-return]  # get_args has no types; this is the literal itself
        raise self._wrong("language", f"one of {', '.join(get_args(Language))}")

    def _lines(self, key: str, or_else: str = "") -> tuple[str, ...]:
        value = self._keys[key]
        if not isinstance(value, list) or len(value) > LINES_MAX or not all(isinstance(line, str) for line in value):
            raise self._wrong(key, f"a list of at most {LINES_MAX} texts{or_else}")
        return tuple(value)

    def _words(self, key: str, words: type[E]) -> tuple[E, ...]:
        value = self._keys[key]
        wanted = f"a list of {', '.join(words)}, each at most once"
        if not isinstance(value, list) or not all(isinstance(one, str) and one in list(words) for one in value):
            raise self._wrong(key, wanted)
        if len(set(value)) < len(value):
            raise self._wrong(key, wanted)
        return tuple(words(one) for one in value)

    def _flag(self, key: str) -> bool:
        value = self._keys[key]
        if not isinstance(value, bool):
            raise self._wrong(key, "true or false")
        return value

    def _logo(self, paper: Paper) -> Picture | None:
        value = self._keys["logo"]
        if not isinstance(value, str):
            raise self._wrong("logo", 'the path of a picture, or ""')
        if not value:
            return None
        path = self._path.parent / value
        try:
            with warnings.catch_warnings():  # Pillow warns of pictures that are refused here.
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)
                image = Image.open(_regular(path), formats=("PNG", "JPEG", "GIF"))
            with image:
                if image.width * image.height > LOGO_PIXELS_MAX:
                    raise self._wrong("logo", f"a picture of at most {LOGO_PIXELS_MAX} pixels, not {image.size}")
                return _picture(image, paper)
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
            raise self._wrong("logo", f"the path of a PNG, JPEG or GIF, seen from this file ({error})") from error

    def _wrong(self, key: str, wanted: str) -> WrongTemplate:
        return WrongTemplate(f"{self._path}: {key} is {self._keys[key]!r:.80}: write {wanted}")


def _regular(path: Path) -> Path:
    """Return the path. Raises OSError for a pipe or a device, which could be read for ever."""
    if path.exists() and not path.is_file():
        raise OSError("it is no regular file")
    return path


def _picture(image: Image.Image, paper: Paper) -> Picture:
    """An image in black dots on white paper, as large as it is or as the paper allows."""
    on_white = Image.new("RGBA", image.size, "white")
    on_white.alpha_composite(image.convert("RGBA"))
    on_white.thumbnail((paper.dots, LOGO_HEIGHT_MAX))
    dots = on_white.convert("1")
    # Pillow's 1 is white, a printer's is black; what fills the last byte of a row stays white.
    black = dots.point(lambda white: 0 if white else 255)
    return Picture(black.width, black.height, black.tobytes())
