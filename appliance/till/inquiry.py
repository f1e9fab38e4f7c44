"""One question of a person to the coordinator: a receipt that another device opened, or a SKU's history.

    Session.find_receipt ─▶ query ─▶ coordinator ─▶ answer ─▶ Inquiry.answered ─▶ the next page, or complete

Nothing is asked twice: a person waits for it, and asks again. The invariant: an inquiry that is complete holds one
ledger's whole answer, and one that failed says why.
"""

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

import orjson

from appliance.contract.fields import Fields
from appliance.contract.messages import What
from appliance.stock.errors import Rejected
from appliance.till.heard import Page
from appliance.till.view import PAGE_ROWS

T = TypeVar("T")


class NoAnswer(Exception):
    """The coordinator could not be asked, or has not answered. It says nothing about what was asked for."""


class Inquiry(Generic[T]):
    """A question under way.

    what, keys: as the wire has them, `{"receipt": …}` or `{"sku": …}`. read: of `heard`, for a row of the answer.
    """

    def __init__(
        self, what: What, keys: Mapping[str, object], read: Callable[[Fields], T], new_id: Callable[[], str]
    ) -> None:
        self._what = what
        self._keys = keys
        self._read = read
        self._new_id = new_id
        self._run: str | None = None
        self._since = 0
        self.id = ""
        self.rows: list[T] = []
        self.is_complete = False
        self.failure: str | None = None

    @property
    def is_over(self) -> bool:
        return self.is_complete or self.failure is not None

    def question(self) -> bytes:
        """Return the query to publish next."""
        self.id = self._new_id()
        said = {"id": self.id, "what": self._what, **self._keys, "since": self._since, "limit": PAGE_ROWS}
        return orjson.dumps(said if self._run is None else {**said, "run": self._run})

    def answered(self, page: Page) -> bytes | None:
        """Take the page that was asked for. Returns the next query to publish, if there is one."""
        if page.since != self._since:
            self.rows.clear()  # Of another run, which begins anew.
        try:
            self.rows += [self._read(fields) for fields in page.items]
        except Rejected as error:
            self.failure = f"its answer cannot be read here ({error})"
            return None
        self._run, self._since = page.run, page.to
        self.is_complete = not page.more
        return self.question() if page.more else None
