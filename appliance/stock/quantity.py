"""Quantities: decimal text outside, integer thousandths inside.

A float never takes part, so that a thousand sales of 0.1 kg are exactly 100 kg. Every quantity enters through
`parse_qty` and leaves through `format_qty`; the wire contract's section "Values" is the source of both.
"""

import re
from decimal import Decimal

from appliance.stock.errors import Rejected

LIMIT_MILLI = 10**9 * 1000
"""One quantity of the wire is smaller than this in size (wire contract: |q| < 10^9)."""

TOTAL_MAX_MILLI = 9 * 10**15
"""What a balance may come to in size: exact in every JSON reader, and far inside the ledger's 64 bits."""

_DECIMAL = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,3})?", re.ASCII)


def parse_qty(value: object) -> int:
    """Return a quantity of the wire in thousandths.

    value: decimal text with at most 3 fraction digits, or a JSON number that is exactly such a decimal.
    Raises Rejected("bad-quantity") for anything else.
    """
    text = _plain(value)
    if _DECIMAL.fullmatch(text) is None:
        raise Rejected(
            "bad-quantity",
            f"{value!r:.80} is not a quantity: write a decimal below 1000000000 with at most 3 fraction digits",
        )
    whole, _, fraction = text.partition(".")
    milli = abs(int(whole)) * 1000 + int(fraction.ljust(3, "0"))
    return -milli if text.startswith("-") else milli


def format_qty(milli: int) -> str:
    """Return thousandths as the wire's decimal text: no trailing zeros, no plus sign, no exponent."""
    whole, fraction = divmod(abs(milli), 1000)
    text = f"{whole}.{fraction:03d}".rstrip("0").rstrip(".") if fraction else str(whole)
    return f"-{text}" if milli < 0 else text


def multiply(qty_milli: int, factor_milli: int) -> int:
    """Return the product of two quantities in thousandths, halves rounded away from zero.

    A kit's component is a quantity per piece: two kits (2000) of 0.150 kg (150) are 300.
    Raises Rejected("bad-quantity") when the product is no quantity, for the ledger's integers have 64 bits.
    """
    product = qty_milli * factor_milli
    rounded = (abs(product) + 500) // 1000
    if rounded >= LIMIT_MILLI:
        raise Rejected(
            "bad-quantity",
            f"{format_qty(qty_milli)} × {format_qty(factor_milli)} is not a quantity: it must stay below 1000000000",
        )
    return -rounded if product < 0 else rounded


def _plain(value: object) -> str:
    """Decimal text of a JSON value; what is no number and no text comes back in a form that cannot match."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    # The shortest text that reads back as this float is what the sender wrote, so 0.35 is exact and 0.1 + 0.2 is not.
    decimal = Decimal(repr(value))
    return format(decimal.normalize(), "f") if decimal.is_finite() else ""
