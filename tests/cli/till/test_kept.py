"""A cart comes back as it was left, unless it is a receipt already: then nothing is paid twice."""

from pathlib import Path

import pytest

from appliance.cli.till.kept import Directory, Sheet, new_cart
from appliance.till import CatalogueItem, Made

MILK = CatalogueItem("4607001234562", "Молоко", "pcs", (), 8990, (), 1)


def made(receipt: str) -> Made:
    return Made(7, "0" * 16, False, {"type": "receipt", "receipt": receipt})


def test_a_cart_comes_back_as_it_was_left(tmp_path: Path) -> None:
    sheet = Sheet(new_cart().add(MILK).add(MILK), 12)
    Directory(tmp_path).keep(sheet)
    assert Directory(tmp_path).sheet([made("another")]) == sheet


def test_a_till_that_died_between_paying_and_remembering_it_goes_on_with_the_next_customer(tmp_path: Path) -> None:
    sheet = Sheet(new_cart().add(MILK), 12)
    Directory(tmp_path).keep(sheet)
    after = Directory(tmp_path).sheet([made("another"), made(sheet.cart.receipt)])
    assert (after.cart.lines, after.number) == ((), 13)
    assert after.cart.receipt != sheet.cart.receipt


@pytest.mark.parametrize("content", [None, b"", b"{}", b'{"cart":{},"number":1}', b'{"cart":1,"number":1}'])
def test_without_a_cart_that_can_be_read_it_begins_with_an_empty_one(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "cart.json").write_bytes(content)
    sheet = Directory(tmp_path).sheet([])
    assert (sheet.cart.lines, sheet.number) == ((), 1)
