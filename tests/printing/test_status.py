"""The printer's replies: each kind, cut anywhere, among rubbish; and what their bits mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.printing.status import (
    CAUSE,
    FAULT,
    PAPER,
    PRINTER,
    Answered,
    Automatic,
    Flow,
    Identity,
    Marked,
    PrinterState,
    RealTime,
    Reply,
    StatusReader,
    asking,
    marking,
    status_of,
    status_of_automatic,
)

REPLIES: list[tuple[bytes, Reply]] = [
    (b"\x12", RealTime(0x12)),
    (b"\x1a", RealTime(0x1A)),
    (b"\x7e", RealTime(0x7E)),
    (b"\x10\x00\x00\x00", Automatic(0x10, 0, 0, 0)),
    (b"\x38\x00\x0f\x0f", Automatic(0x38, 0, 0x0F, 0x0F)),
    (b"\x37\x22A001\x00", Marked(b"A001")),
    (b"\x37\x22?FFF\x00", Marked(b"?FFF")),
    (b"\x37\x300\x00", Identity("00")),
    (b"\x5fEPSON\x00", Identity("EPSON")),
    (b"\x5f\x00", Identity("")),
    (b"\x00", Answered(0)),
    (b"\x0c", Answered(0x0C)),
    (b"\x11", Flow(may_send=True)),
    (b"\x13", Flow(may_send=False)),
]


@pytest.mark.parametrize(("said", "reply"), REPLIES)
def test_each_reply_is_known_by_its_form(said: bytes, reply: Reply) -> None:
    assert list(StatusReader().feed(said)) == [reply]


@given(st.lists(st.sampled_from(REPLIES)), st.lists(st.integers(1, 5), min_size=1))
def test_replies_come_out_whole_however_they_arrive(replies: list[tuple[bytes, Reply]], sizes: list[int]) -> None:
    stream = b"".join(said for said, _ in replies)
    reader = StatusReader()
    heard: list[Reply] = []
    at = place = 0
    while at < len(stream):
        size = sizes[place % len(sizes)]
        heard += reader.feed(stream[at : at + size])
        at, place = at + size, place + 1
    assert heard == [reply for _, reply in replies]


@given(st.binary(max_size=200))
def test_rubbish_costs_only_itself(rubbish: bytes) -> None:
    reader = StatusReader()
    list(reader.feed(rubbish))
    # What may still be open after the rubbish is one block or one automatic status, which a few bytes end. A byte that
    # has no form ends both at once.
    list(reader.feed(b"\xff"))
    assert list(reader.feed(b"\x37\x22A001\x00\x12")) == [Marked(b"A001"), RealTime(0x12)]


@given(st.binary(max_size=500))
def test_what_the_reader_keeps_is_bounded(rubbish: bytes) -> None:
    reader = StatusReader()
    list(reader.feed(rubbish))
    assert len(reader._pending) <= 82


def test_a_text_without_an_end_is_given_up() -> None:
    reader = StatusReader()
    heard = list(reader.feed(b"\x5f" + b"T" * 500))
    assert len(reader._pending) <= 82
    assert not [reply for reply in heard if isinstance(reply, Identity)]


def test_a_marker_that_a_status_breaks_is_not_taken_for_a_marker() -> None:
    heard = list(StatusReader().feed(b"\x37\x22A0\x16"))
    assert RealTime(0x16) in heard
    assert not [reply for reply in heard if isinstance(reply, Marked)]


@pytest.mark.parametrize(
    ("answers", "state", "paper_low"),
    [
        ({PRINTER: 0x12, CAUSE: 0x12, FAULT: 0x12, PAPER: 0x12}, PrinterState.READY, False),
        ({PRINTER: 0x16, CAUSE: 0x12, FAULT: 0x12, PAPER: 0x12}, PrinterState.READY, False),  # the drawer's pin
        ({PRINTER: 0x12, CAUSE: 0x12, FAULT: 0x12, PAPER: 0x1E}, PrinterState.READY, True),
        ({PRINTER: 0x1A, CAUSE: 0x32, FAULT: 0x12, PAPER: 0x7E}, PrinterState.PAPER_OUT, True),
        ({PRINTER: 0x1A, CAUSE: 0x12, FAULT: 0x12, PAPER: 0x72}, PrinterState.PAPER_OUT, True),
        ({PRINTER: 0x1A, CAUSE: 0x16, FAULT: 0x12, PAPER: 0x12}, PrinterState.COVER_OPEN, False),
        ({PRINTER: 0x1A, CAUSE: 0x36, FAULT: 0x12, PAPER: 0x7E}, PrinterState.COVER_OPEN, True),
        ({PRINTER: 0x1A, CAUSE: 0x52, FAULT: 0x1A, PAPER: 0x12}, PrinterState.OFFLINE, False),
        ({PRINTER: 0x1A, CAUSE: 0x52, FAULT: 0x32, PAPER: 0x12}, PrinterState.OFFLINE, False),
        ({PRINTER: 0x1A, CAUSE: 0x12, FAULT: 0x12, PAPER: 0x12}, PrinterState.OFFLINE, False),
        ({PRINTER: 0x1A}, PrinterState.OFFLINE, False),
    ],
)
def test_the_bits_become_a_state(answers: dict[int, int], state: PrinterState, paper_low: bool) -> None:
    status = status_of({subject: RealTime(bits) for subject, bits in answers.items()})
    assert (status.state, status.paper_low) == (state, paper_low)
    assert bool(status.reason) == (state != PrinterState.READY)


@pytest.mark.parametrize(
    ("said", "state", "paper_low"),
    [
        (Automatic(0x10, 0, 0, 0), PrinterState.READY, False),
        (Automatic(0x10, 0, 0x03, 0), PrinterState.READY, True),
        (Automatic(0x18, 0, 0x0F, 0), PrinterState.PAPER_OUT, True),
        (Automatic(0x38, 0, 0x00, 0), PrinterState.COVER_OPEN, False),
        (Automatic(0x18, 0x08, 0x00, 0), PrinterState.OFFLINE, False),
        (Automatic(0x18, 0x20, 0x00, 0), PrinterState.OFFLINE, False),
        (Automatic(0x18, 0x00, 0x00, 0), PrinterState.OFFLINE, False),
    ],
)
def test_a_status_that_came_unasked_says_the_same(said: Automatic, state: PrinterState, paper_low: bool) -> None:
    status = status_of_automatic(said)
    assert (status.state, status.paper_low) == (state, paper_low)


def test_the_commands_are_as_the_reference_has_them() -> None:
    assert marking(b"A001") == b"\x1d\x28\x48\x06\x00\x30\x30A001"
    assert asking(PAPER) == b"\x10\x04\x04"


@pytest.mark.parametrize("marker", [b"", b"A01", b"A0001", b"A 01", b"A\x0001", "Ж0".encode()])
def test_a_marker_that_could_not_be_read_on_paper_is_refused(marker: bytes) -> None:
    with pytest.raises(ValueError, match="visible characters"):
        marking(marker)
