"""Quantities: exact from the wire to the ledger and back, whatever a till writes."""

from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from appliance.stock.errors import Rejected
from appliance.stock.quantity import LIMIT_MILLI, format_qty, multiply, parse_qty

MILLI = st.integers(-LIMIT_MILLI + 1, LIMIT_MILLI - 1)


@given(MILLI)
@example(0)
@example(LIMIT_MILLI - 1)
@example(1 - LIMIT_MILLI)
def test_a_quantity_comes_back_from_its_text(milli: int) -> None:
    assert parse_qty(format_qty(milli)) == milli


@given(MILLI)
def test_a_text_is_the_shortest_plain_decimal(milli: int) -> None:
    text = format_qty(milli)
    assert Decimal(text) * 1000 == milli
    assert set(text) <= set("-0123456789.")
    assert not text.startswith(("+", "-0.000", "00"))
    assert "." not in text or not text.endswith(("0", "."))


@given(st.integers(-(10**11), 10**11))
def test_a_json_number_that_is_such_a_decimal_is_exact(milli: int) -> None:
    # 10^11 thousandths have 12 significant digits at most; a float keeps 15.
    assert parse_qty(milli / 1000) == milli


@pytest.mark.parametrize(
    ("value", "milli"),
    [
        ("0", 0),
        ("-0", 0),
        ("-0.35", -350),
        ("0.350", 350),
        ("007", 7000),
        ("999999999.999", 999_999_999_999),
        (12, 12_000),
        (-3, -3000),
        (0.35, 350),
        (-0.0, 0),
        (1e3, 1_000_000),
        (1.5e-2, 15),
        (999999999.999, 999_999_999_999),
    ],
)
def test_a_decimal_is_taken_as_it_is(value: object, milli: int) -> None:
    assert parse_qty(value) == milli


@pytest.mark.parametrize(
    "value",
    [
        *("", " ", "1 ", " 1", "1\n", "+1", "1.", ".5", "-", "--1", "1,5", "1e3", "1_000", "0x10", "1.0000", "1.2345"),
        *("NaN", "Infinity", "1000000000", "-1000000000", "0000000001", "1.5.5", "\x001"),
        # Digits elsewhere in Unicode, which int() would take.
        *("٣", "१२", "１", "1.５", "²"),
        *(True, False, None, [], ["1"], {}, {"qty": "1"}),
        *(float("nan"), float("inf"), float("-inf"), 1e9, -1e9, 1e300, 5e-324, 0.1 + 0.2, 0.0001, 1.00000001),
        *(10**9, -(10**9), 10**400),
    ],
)
def test_anything_else_is_rejected(value: object) -> None:
    with pytest.raises(Rejected) as raised:
        parse_qty(value)
    assert raised.value.code == "bad-quantity"


@pytest.mark.parametrize("value", ["9" * 100_000, ["1"] * 100_000, {"x" * 100_000: 1}])
def test_a_rejection_of_something_long_is_short(value: object) -> None:
    with pytest.raises(Rejected) as raised:
        parse_qty(value)
    assert len(raised.value.detail) < 200


@given(st.one_of(st.text(), st.floats(), st.integers(), st.booleans(), st.none(), st.lists(st.integers())))
def test_any_json_value_is_a_quantity_below_the_limit_or_rejected(value: object) -> None:
    try:
        milli = parse_qty(value)
    except Rejected:
        return
    assert abs(milli) < LIMIT_MILLI


@pytest.mark.parametrize(
    ("qty_milli", "factor_milli", "product_milli"),
    [
        (2000, 150, 300),
        (-2000, 150, -300),
        (2000, -150, -300),
        (1, 500, 1),
        (-1, 500, -1),
        (1, 499, 0),
        (-1, 499, 0),
        (0, 1000, 0),
        (LIMIT_MILLI - 1, 1000, LIMIT_MILLI - 1),
    ],
)
def test_a_product_is_rounded_half_away_from_zero(qty_milli: int, factor_milli: int, product_milli: int) -> None:
    assert multiply(qty_milli, factor_milli) == product_milli


@given(MILLI, MILLI)
@example(LIMIT_MILLI - 1, LIMIT_MILLI - 1)
@example(LIMIT_MILLI - 1, 1001)
def test_a_product_is_within_half_a_thousandth_or_rejected(qty_milli: int, factor_milli: int) -> None:
    exact = Decimal(qty_milli) * factor_milli / 1000
    try:
        product = multiply(qty_milli, factor_milli)
    except Rejected:
        assert abs(exact) >= LIMIT_MILLI - 1
        return
    assert abs(product - exact) <= Decimal("0.5")
    assert abs(product) < LIMIT_MILLI


def test_a_product_that_is_no_quantity_is_rejected() -> None:
    with pytest.raises(Rejected, match="bad-quantity: 1000000 × -1000 is not a quantity"):
        multiply(10**9, -(10**6))
