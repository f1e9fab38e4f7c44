"""What a till said and heard, read from a tap's log: operations, states, acks.

Of each operation the very bytes are kept, cut out of their message, because a resend must repeat them.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tests.broker import wire
from tests.tills.tap import Seen

_DECODE = json.JSONDecoder().raw_decode
_SPACE = re.compile(r"[ \t\r\n]*")


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation as a message carried it.

    seen: the packet, at place `place` of the log. own: its own bytes, None where it is the message itself. fields: its
    own, in their order. after: of its message, where this is the first operation of it.
    """

    place: int
    seen: Seen
    epoch: str
    after: object
    is_first: bool
    own: str | None
    fields: dict[str, Any]

    @property
    def seq(self) -> int:
        return int(self.fields["seq"])

    @property
    def tag(self) -> Any:
        return self.fields.get("tag")

    @property
    def bytes(self) -> str:
        return self.own or json.dumps(self.fields, ensure_ascii=False)

    def repeats(self, other: "Operation") -> bool:
        """Whether the two are the same to the byte; to the order of their fields where one stands alone."""
        if self.own is not None and other.own is not None:
            return self.own == other.own
        return list(self.fields.items()) == list(other.fields.items())


def leaf(seen: Seen) -> str:
    """Return the last part of a PUBLISH's topic, "" of any other packet."""
    return seen.packet.topic.rpartition("/")[2] if seen.packet.kind == wire.PUBLISH else ""


def read(payload: bytes) -> dict[str, Any]:
    """Return a payload's object, {} for what is none. It is shared: do not change it."""
    return _read(payload)


@lru_cache(maxsize=4096)
def _read(payload: bytes) -> dict[str, Any]:
    try:
        found = json.loads(payload)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def heard(log: Sequence[Seen], name: str) -> list[dict[str, Any]]:
    """Return the messages that the till was given on topics that end so."""
    return [read(seen.packet.payload) for seen in log if not seen.is_said and leaf(seen) == name]


def states(log: Sequence[Seen]) -> list[dict[str, Any]]:
    """Return every `state` that the till said."""
    return [read(seen.packet.payload) for seen in log if seen.is_said and leaf(seen) == "state"]


def operations(log: Sequence[Seen]) -> list[Operation]:
    """Return every operation that the till said, in order, resends included; each has a place in an epoch."""
    return [one for place, seen in enumerate(log) if seen.is_said and leaf(seen) == "op" for one in _of(place, seen)]


def _of(place: int, seen: Seen) -> Iterator[Operation]:
    payload = seen.packet.payload
    message = read(payload)
    epoch, after = message.get("epoch"), message.get("after")
    if not isinstance(epoch, str):
        return
    if "ops" not in message:
        fields = {key: value for key, value in message.items() if key not in ("epoch", "after")}
        found: list[tuple[str | None, Any]] = [(None, fields)]
    else:
        found = [(own, json.loads(own)) for own in _slices(payload)]
    for number, (own, fields) in enumerate(found):
        if isinstance(fields, dict) and isinstance(fields.get("seq"), int):
            yield Operation(place, seen, epoch, after, number == 0, own, fields)


@lru_cache(maxsize=4096)
def _slices(payload: bytes) -> tuple[str, ...]:
    """Return the text of each of a message's `ops`."""
    text = payload.decode()
    at = _skip(text, text.index("{") + 1)
    while text[at] != "}":
        key, at = _DECODE(text, at)
        at = _skip(text, _skip(text, at) + 1)
        if key == "ops" and text[at] == "[":
            return tuple(_elements(text, at))
        _, at = _DECODE(text, at)
        at = _skip(text, at)
        at = _skip(text, at + 1) if text[at] == "," else at
    return ()


def _elements(text: str, at: int) -> Iterator[str]:
    at = _skip(text, at + 1)
    while text[at] != "]":
        begins = at
        _, at = _DECODE(text, at)
        yield text[begins:at]
        at = _skip(text, at)
        at = _skip(text, at + 1) if text[at] == "," else at


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    assert found is not None
    return found.end()
