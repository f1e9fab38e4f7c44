"""What a till keeps in its directory, so that a restart goes on where it was left.

    till.json       which box is its own, and how it comes in: a secret, for its owner alone
    outbox          every operation from before it is sent (the SDK's)
    cart.json       the cart, and how many receipts there were
    catalogue.json  names and prices, for a start without the box
    till.log        why the box was not heard

Each file is replaced whole. Two tills on one machine have two directories.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

import orjson

from appliance import durable
from appliance.cli.till import cart as carts
from appliance.cli.till.cart import Cart
from appliance.till import Made


def new_cart(*, is_return: bool = False, of: str = "") -> Cart:
    """Return an empty cart, whose receipt has an identity that no other has."""
    return Cart(token_hex(16), is_return, of)


@dataclass(frozen=True, slots=True)
class Sheet:
    """The cart, and the number of the receipt that it will be."""

    cart: Cart
    number: int = 1

    def next(self) -> "Sheet":
        """Return the sheet of the next customer."""
        return Sheet(new_cart(), self.number + 1)


class Directory:
    """The directory of one till; it is made when it is missing. Raises OSError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.enrolment = path / "till.json"
        self.outbox = path / "outbox"
        self.catalogue = path / "catalogue.json"
        self.log = path / "till.log"
        self._cart = path / "cart.json"

    def keep(self, sheet: Sheet) -> None:
        """Put the cart on the disk. Raises OSError."""
        durable.replace(self._cart, orjson.dumps(sheet))

    def sheet(self, made: Iterable[Made]) -> Sheet:
        """Return the cart that was left. made: what this till did last; a receipt among it is a cart no more."""
        try:
            kept = orjson.loads(self._cart.read_bytes())
            sheet = Sheet(carts.load(kept["cart"]), int(kept["number"]))
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            return Sheet(new_cart())  # There was none, or an older version has kept it.
        done = {one.operation.get("receipt") for one in made}
        return sheet.next() if sheet.cart.receipt in done else sheet
