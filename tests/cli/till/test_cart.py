"""The cart does what the keys ask, and never makes a receipt that the box would reject."""

from dataclasses import replace

import orjson
import pytest

from appliance.cli.till import cart as carts
from appliance.cli.till.cart import Cart, Refused, Why, brought_back, read_qty
from appliance.till import CatalogueItem

MILK = CatalogueItem("4607001234562", "Молоко", "pcs", (), 8990, (), 1)
CHEESE = CatalogueItem("cheese", "Сыр", "kg", (), 79900, (), 2)
KIT = CatalogueItem("breakfast", "Завтрак", "pcs", (), 25000, ({"sku": "egg", "qty": "2"},), 3)
UNPRICED = CatalogueItem("4600000000008", "", "", (), None, (), 0)
MARK = "0104607001234562215FBC'm,t;2%Qz\x1d91EE06\x1d92q7Jc/1+Vd3mXy0ZtK9sW4bR8uN2hL6gTfPoAiEeQwYk="


def test_a_second_piece_joins_the_line_that_is_there_and_the_line_is_chosen() -> None:
    cart = Cart("R1").add(MILK).add(CHEESE, 350).add(MILK)
    assert [(line.sku, line.qty) for line in cart.lines] == [(MILK.sku, "2"), ("cheese", "0.35")]
    assert cart.line is cart.lines[0]
    assert cart.qty_milli(MILK.sku) == 2000


def test_the_total_is_exact_and_says_when_a_price_is_missing() -> None:
    cart = Cart("R1").add(MILK).add(CHEESE, 355)
    assert (cart.lines[1].amount_minor, cart.total_minor) == (28365, 37355), "355 g of 799.00 a kg are 283.645"
    assert cart.is_priced
    assert not cart.add(UNPRICED).is_priced
    assert cart.add(UNPRICED).total_minor == cart.total_minor


def test_what_was_scanned_before_the_catalogue_came_gets_its_name_and_price() -> None:
    unknown = CatalogueItem(MILK.sku, "", "", (), None, (), 0)
    cart = Cart("R1").add(unknown).add(unknown).add(UNPRICED)
    assert cart.told({}) == cart
    told = cart.told({MILK.sku: MILK, CHEESE.sku: CHEESE})
    assert (told.lines[0].title, told.lines[0].qty, told.total_minor) == ("Молоко", "2", 17980)
    assert told.lines[1] == cart.lines[1]
    dearer = replace(MILK, price_minor=9990)
    assert told.told({MILK.sku: dearer}) == told, "what the customer was told stays"


def test_minus_leaves_one_piece_and_remove_takes_the_line() -> None:
    cart = Cart("R1").add(MILK).add(KIT).changed(1000)
    assert cart.lines[1].qty == "2"
    assert cart.changed(-1000).changed(-1000).lines[1].qty == "1"
    assert [line.sku for line in cart.without().lines] == [MILK.sku]
    assert cart.without().without().lines == ()
    assert cart.without().without().line is None
    assert Cart("R1").without() == Cart("R1").changed(1000) == Cart("R1").moved(1) == Cart("R1")


def test_arrows_stop_at_both_ends() -> None:
    cart = Cart("R1").add(MILK).add(CHEESE, 1000).add(KIT)
    assert [cart.moved(by).chosen for by in (-1, -5, 1)] == [1, 0, 2]


def test_a_line_says_what_the_contract_wants_of_it() -> None:
    [milk, kit, bare] = Cart("R1").add(MILK, mark=MARK).add(KIT).add(UNPRICED).said()
    assert milk == {
        "sku": MILK.sku,
        "name": "Молоко",
        "qty": "1",
        "unit": "pcs",
        "price_minor": 8990,
        "amount_minor": 8990,
        "marks": [MARK],
    }
    assert kit["components"] == [{"sku": "egg", "qty": "2"}]
    assert bare == {"sku": UNPRICED.sku, "qty": "1", "amount_minor": 0}


def test_one_marked_piece_is_sold_once_and_its_line_shrinks_only_as_a_whole() -> None:
    cart = Cart("R1").add(MILK, mark=MARK)
    again = MARK.replace("\x1d", "")  # The same piece, by a scanner that drops the separators.
    with pytest.raises(Refused) as twice:
        cart.add(MILK, mark=again)
    assert twice.value.why is Why.MARK_TWICE
    two = cart.add(MILK, mark=MARK.replace("FBC'm", "FBC'n"))
    with pytest.raises(Refused) as shrunk:
        two.changed(-1000)
    assert shrunk.value.why is Why.MARKED
    assert two.changed(1000).lines[0].qty == "3"


@pytest.mark.parametrize(
    ("text", "unit", "result"),
    [
        ("2", "pcs", 2000),
        (" 0,350 ", "kg", 350),
        ("0.35", "kg", 350),
        ("0", "pcs", 0),
        ("1.5", "", 1500),
        ("1,5", "pcs", Why.WHOLE_PIECES),
        ("-1", "pcs", Why.NOT_POSITIVE),
        ("", "pcs", Why.NO_NUMBER),
        ("4607001234562", "pcs", Why.NO_NUMBER),
        ("0,3505", "kg", Why.NO_NUMBER),
    ],
)
def test_a_quantity_is_read_as_a_person_types_it(text: str, unit: str, result: int | Why) -> None:
    if isinstance(result, int):
        assert read_qty(text, unit) == result
        return
    with pytest.raises(Refused) as refused:
        read_qty(text, unit)
    assert refused.value.why is result


def test_a_return_has_all_lines_of_its_sale_and_names_it() -> None:
    sold = Cart("R1").add(MILK).add(MILK).add(KIT).add(UNPRICED)
    back = brought_back("R2", {"receipt": "R1", "lines": sold.said()})
    assert (back.receipt, back.of, back.is_return) == ("R2", "R1", True)
    assert back.said() == sold.said()
    assert back.total_minor == sold.total_minor


def test_a_cart_comes_back_from_the_disk_as_it_was() -> None:
    cart = Cart("R1", is_return=True, of="R0").add(MILK, mark=MARK).add(KIT).add(UNPRICED).moved(-1)
    assert carts.load(orjson.loads(orjson.dumps(cart))) == cart


@pytest.mark.parametrize("broken", [{}, {"receipt": "R1", "lines": [{}]}, {"receipt": "R1", "lines": [], "x": 1}])
def test_what_is_no_cart_is_not_taken_for_one(broken: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        carts.load(broken)
