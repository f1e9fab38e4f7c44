"""A word finds goods by name, a scan by any form of their code, and the catalogue outlives the connection."""

from pathlib import Path

import pytest

from appliance.cli.till.goods import Goods, gtin_of_mark, is_code
from appliance.till import CatalogueItem

MILK = CatalogueItem("4607001234562", "Молоко 3,2 % 1 л", "pcs", (), 8990, (), 1)
WATER = CatalogueItem("water", "Вода «Тихая», 1 л", "pcs", ("012345678905", "2112345"), 4500, (), 2)
KIT = CatalogueItem("set", "Завтрак", "pcs", (), 25000, ({"sku": "egg", "qty": "2"},), 3)
MARK = "0104607001234562215FBC'm,t;2%Qz\x1d91EE06\x1d92q7Jc/1+Vd3mXy0ZtK9sW4bR8uN2hL6gTfPoAiEeQwYk="


@pytest.fixture
def goods() -> Goods:
    goods = Goods()
    assert goods.take([MILK, WATER, KIT], ["egg", "water"])
    return goods


def skus(found: list[CatalogueItem]) -> list[str]:
    return [item.sku for item in found]


def test_words_in_any_order_and_case_find_by_name_code_and_barcode(goods: Goods) -> None:
    assert skus(goods.search("1 л", 9)) == ["water", MILK.sku], "by name"
    assert skus(goods.search("л МОЛ", 9)) == [MILK.sku]
    assert skus(goods.search("21123", 9)) == ["water"]
    assert skus(goods.search("eg", 9)) == ["egg"], "no catalogue names it, but it has a balance"
    assert len(goods.search("", 2)) == 2


@pytest.mark.parametrize(
    ("code", "sku"),
    [
        (MILK.sku, MILK.sku),
        ("04607001234562", MILK.sku),
        ("012345678905", "water"),
        ("0012345678905", "water"),
        ("2112345", "water"),
        ("egg", "egg"),
        (MARK, MILK.sku),
        ("4600000000008", None),
        ("молоко", None),
        ("", None),
    ],
)
def test_a_code_names_its_item_in_any_of_its_forms(goods: Goods, code: str, sku: str | None) -> None:
    item = goods.named(code)
    assert (None if item is None else item.sku) == sku


def test_a_code_that_two_items_claim_is_the_one_whose_own_it_is() -> None:
    goods = Goods()
    other = CatalogueItem("x", "", "pcs", ("4607001234562",), None, (), 1)
    goods.take([other, MILK])
    assert goods.named("4607001234562") is MILK


def test_only_what_can_be_nothing_else_is_sold_unknown() -> None:
    assert is_code("4600000000008")
    assert is_code(MARK)
    assert not is_code("460000")
    assert not is_code("молоко")
    assert gtin_of_mark(MARK) == "04607001234562"
    assert gtin_of_mark("4607001234562") is None


def test_nothing_new_is_said_to_be_nothing_new_and_silence_takes_nothing_away(goods: Goods) -> None:
    assert not goods.take([MILK, WATER, KIT], ["egg", "water"])
    assert not goods.take([], ["egg"]), "the box has not told its catalogue yet"
    assert goods.named("egg") is not None
    assert goods.take([MILK])
    assert goods.named("water") is None


def test_the_catalogue_is_kept_for_a_start_without_the_box(goods: Goods, tmp_path: Path) -> None:
    goods.save(tmp_path / "catalogue.json")
    again = Goods()
    again.load(tmp_path / "catalogue.json")
    assert again.items == {item.sku: item for item in (MILK, WATER, KIT)}, "of the egg there was nothing to keep"


@pytest.mark.parametrize("content", [None, b"", b"{}", b'[{"sku":"a"}]', b'{"a":1}'])
def test_without_a_catalogue_that_can_be_read_it_begins_empty(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "catalogue.json").write_bytes(content)
    goods = Goods()
    goods.load(tmp_path / "catalogue.json")
    assert goods.items == {}
