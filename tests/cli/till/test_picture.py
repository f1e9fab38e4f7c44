"""The till that README.md shows is the till as it is."""

from tests.cli.till.picture import PATH, picture


def test_the_picture_is_of_this_till() -> None:
    assert picture() == PATH.read_text(encoding="utf-8"), "make it anew: python -m tests.cli.till.picture"
