"""One connection's words, with a line on which everything comes late, in pieces, or not at all."""

from appliance.printing.conversation import Conversation
from appliance.printing.status import PrinterState, PrinterStatus


class Line:
    """A transport whose answers come at set times; each wait takes a hundredth of a second."""

    answers = True
    is_shared = False

    def __init__(self, bytes_per_write: int = 4096) -> None:
        self.now_s = 0.0
        self.sent = bytearray()
        self.coming: list[tuple[float, bytes]] = []
        self._bytes_per_write = bytes_per_write

    def clock(self) -> float:
        return self.now_s

    def write(self, data: bytes) -> int:
        self.sent += data[: self._bytes_per_write]
        return min(len(data), self._bytes_per_write)

    def read(self) -> bytes:
        due = [entry for entry in self.coming if entry[0] <= self.now_s]
        self.coming = [entry for entry in self.coming if entry[0] > self.now_s]
        return b"".join(data for _, data in due)

    def wait(self, timeout_s: float, *, to_write: bool) -> bool:
        self.now_s += min(timeout_s, 0.01)
        return to_write

    def unsent(self) -> int:
        return 0

    def close(self) -> None:
        """There is nothing to give back."""


def conversation_on(line: Line) -> Conversation:
    return Conversation(line, line.clock, answer_s=1.0, quiet_s=0.5)


def test_a_silent_line_has_no_status() -> None:
    line = Line()
    assert conversation_on(line).status() is None
    assert line.sent == b"\x10\x04\x01"
    assert 1.0 <= line.now_s < 1.1


def test_answers_that_were_owed_are_let_pass_before_the_next_question() -> None:
    line = Line()
    conversation = conversation_on(line)
    assert conversation.status() is None
    assert conversation.status() is None
    # Both old answers and the new one come; the drawer's pin in them would be an open cover in another answer.
    line.coming = [(line.now_s + after_s, b"\x16") for after_s in (0.1, 0.2, 0.3)]
    answers_s = line.now_s + 0.7
    line.coming += [(answers_s + after_s, b"\x12") for after_s in (0.0, 0.1, 0.2)]
    assert conversation.status() == PrinterStatus(PrinterState.READY, "")


def test_a_question_is_asked_whole_on_a_line_that_takes_single_bytes() -> None:
    line = Line(bytes_per_write=1)
    assert conversation_on(line).say(b"\x10\x04\x01")
    assert line.sent == b"\x10\x04\x01"


def test_a_full_line_takes_no_question() -> None:
    line = Line(bytes_per_write=0)
    conversation = conversation_on(line)
    assert not conversation.say(b"\x10\x04\x01")
    assert conversation.status() is None


def test_what_is_not_asked_for_is_kept_apart() -> None:
    line = Line()
    conversation = conversation_on(line)
    line.coming = [(0.0, b"\x00\x37\x22A001\x00\x18\x00\x0f\x00\x13\x11\x5fEPSON\x00")]
    conversation.linger(0.1)
    assert conversation.answered == 1
    assert conversation.marked == [b"A001"]
    assert conversation.automatic is not None
    assert conversation.automatic.state == PrinterState.PAPER_OUT
