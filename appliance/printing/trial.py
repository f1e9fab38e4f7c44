"""One sheet by which a unit is learned: what it answers, which code page is readable on it, and how wide its paper is.

    --- 1 ---
    --- 2 ---                    between them stand a fence and a marker, which a unit that knows them does not print
     1: Молоко 3,2 % № 5         a line for each number that a Cyrillic code page may have
     2: …
    48 ---------…--------<       rulers: those that are wider than the paper are broken in two

What it answers is heard while it prints; the rest only a person can see. Nothing is concluded from silence but that a
unit cannot be asked.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from appliance.printing.commands import COMMAND_BYTES_MAX, HEADER_BYTES_MAX
from appliance.printing.conversation import Conversation
from appliance.printing.encode import INITIALISE, LEAVE_CHINESE, cut, select_table
from appliance.printing.models import Model
from appliance.printing.status import FENCE, PrinterStatus, marking
from appliance.printing.transport.port import Transport

SAMPLE = "Молоко 3,2 % № 5"

_ANSWER_S = 1.0
"""A status answer takes 1 to 50 ms."""

_QUIET_S = 0.3
"""What an older connection was still owed comes within this time."""

_PRINTED_S = 5.0
"""Two lines print within a second; one that is full of an older job takes some more."""

_NEXT_S = 2.0
"""The marker stands right behind the fence: its answer comes when one line's paper has moved."""

_TAKEN_S = 30.0
"""A sheet is 1 kB: a second at 9600 baud. A unit that takes it no faster than this is stalled."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What a unit has answered while it printed."""

    has_status: bool
    has_fence: bool
    has_marker: bool


class Stalled(Exception):
    """The unit takes no data."""


class Trial:
    """A unit that is open."""

    def __init__(self, transport: Transport) -> None:
        self._conversation = Conversation(transport, time.monotonic, _ANSWER_S, _QUIET_S)

    def status(self) -> PrinterStatus | None:
        """Ask how the unit is; None when it does not say. Raises Lost."""
        self._conversation.end_the_past(HEADER_BYTES_MAX)
        return self._conversation.status()

    def print(self, model: Model, tables: Iterable[tuple[str, int]], widths: Iterable[int], marker: bytes) -> Heard:
        """Print the sheet with these lines and rulers; return what was answered meanwhile. Raises Lost, Stalled.

        marker: four letters or digits that have not been sent to this unit lately.
        """
        conversation = self._conversation
        has_status = self.status() is not None
        conversation.end_the_past(COMMAND_BYTES_MAX)
        conversation.linger(_QUIET_S)
        conversation.answered = 0
        conversation.marked.clear()
        questions = b"--- 1 ---\n" + FENCE + marking(marker) + b"\n--- 2 ---\n"
        shown = b"".join((*_lines(tables), *map(_ruler, widths)))
        self._send(LEAVE_CHINESE + INITIALISE + questions + shown + cut(model))
        ends_s = time.monotonic() + _PRINTED_S
        while marker not in conversation.marked and (left_s := ends_s - time.monotonic()) > 0:
            is_fence_new = not conversation.answered
            conversation.listen(left_s)
            if is_fence_new and conversation.answered:
                ends_s = time.monotonic() + _NEXT_S
        return Heard(has_status, conversation.answered > 0, marker in conversation.marked)

    def close(self) -> None:
        self._conversation.transport.close()

    def _send(self, data: bytes) -> None:
        """Return when everything has left this machine."""
        transport = self._conversation.transport
        ends_s = time.monotonic() + _TAKEN_S
        while data or transport.unsent():
            if time.monotonic() > ends_s:
                raise Stalled
            data = data[transport.write(data) :]
            self._conversation.listen(0.1, to_write=bool(data))


def _lines(tables: Iterable[tuple[str, int]]) -> Iterable[bytes]:
    for number, (page, table) in enumerate(tables, 1):
        yield select_table(table) + f"{number:2}: {SAMPLE}\n".encode(page)


def _ruler(columns: int) -> bytes:
    return f"{columns} {'-' * (columns - 4)}<\n".encode("ascii")
