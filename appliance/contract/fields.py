"""Reading a JSON object field by field, with an error that names the field, its value and the remedy.

Used by `operations` and `messages`. Unknown keys are ignored, so that version 1 of the contract can grow.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import TypeVar

import orjson

from appliance.contract.limits import MONEY_MAX, TEXT_MAX
from appliance.stock.errors import Rejected

W = TypeVar("W", bound=StrEnum)
T = TypeVar("T")


def read_object(payload: bytes) -> dict[str, object]:
    """Return the JSON object that a payload is. Raises ValueError, which says what is wrong with it.

    JSON nested deeper than orjson writes (254 levels; it reads 1024) is refused here, once for all: it could be neither
    kept nor quoted, and the error would meet the first writer long after its sender was gone.
    """
    raw = orjson.loads(payload)
    if not isinstance(raw, dict):
        raise ValueError(f"JSON, but no object: {type(raw).__name__}")
    try:
        orjson.dumps(raw)
    except orjson.JSONEncodeError as error:
        raise ValueError(f"nested too deeply: {error}") from None
    return raw


class Fields:
    """One JSON object as it came from a device. Every reader raises Rejected("bad-field") unless another code is named.

    A key that is absent and one that is null are the same thing.
    """

    def __init__(self, raw: dict[str, object], where: str = "") -> None:
        self.raw = raw
        self._where = where

    def text(self, key: str, *, default: str | None = None, longest: int = TEXT_MAX) -> str:
        value = self.raw.get(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or len(value) > longest:
            raise self.wrong(key, f"a text of at most {longest} characters")
        return value

    def word(self, key: str, words: type[W], *, code: str = "bad-field") -> W:
        value = self.raw.get(key)
        if not isinstance(value, str) or value not in list(words):
            raise self.wrong(key, f"one of {', '.join(words)}", code=code)
        return words(value)

    def integer(self, key: str, *, low: int, high: int, default: int | None = None, code: str = "bad-field") -> int:
        value = self.raw.get(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.wrong(key, f"a whole number from {low} to {high}", code=code)
        return value

    def money(self, key: str, *, default: int | None = 0) -> int:
        return self.integer(key, low=-MONEY_MAX, high=MONEY_MAX, default=default)

    def flag(self, key: str, *, default: bool) -> bool:
        value = self.raw.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false")
        return value

    def objects(self, key: str, *, longest: int, required: bool = False) -> "list[Fields]":
        """Return the objects of a list, each knowing its place for its own errors."""
        value = self.raw.get(key)
        if value is None and not required:
            return []
        if not isinstance(value, list) or len(value) > longest or not all(isinstance(item, dict) for item in value):
            raise self.wrong(key, f"a list of at most {longest} objects")
        return [Fields(item, f"{self._where}{key}[{place}].") for place, item in enumerate(value)]

    def texts(self, key: str, *, longest: int) -> tuple[str, ...]:
        value = self.raw.get(key)
        if value is None:
            return ()
        if not isinstance(value, list) or len(value) > longest or not all(isinstance(item, str) for item in value):
            raise self.wrong(key, f"a list of at most {longest} texts")
        return tuple(value)

    def checked(self, key: str, check: Callable[[object], T]) -> T:
        """Return what another rule makes of a value, with this field's name put before the rule's own words."""
        try:
            return check(self.raw.get(key))
        except Rejected as error:
            raise Rejected(error.code, f"{self._where}{key}: {error.detail}") from None

    def wrong(self, key: str, wanted: str, *, code: str = "bad-field") -> Rejected:
        """Return the error for a field; the value is cut short, for it may be as long as a message."""
        value = repr(self.raw[key])[:80] if key in self.raw else "absent"
        return Rejected(code, f"{self._where}{key} is {value}: write {wanted}")
