"""A stream of ESC/POS bytes is cut between its commands, wherever the pieces of it end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.printing.commands import Splitter

COMMANDS = [
    b"\x1c.",
    b"\x1b@",
    b"\x1bt\x11",
    "ИТОГО".encode("cp866"),
    b"\n",
    b"\x1b!\x30",
    b"\x1bD\x08\x10\x00",
    b"\x1bp\x00\x19\xfa",
    b"\x1b*\x21\x02\x00" + b"\n" * 6,
    b"\x1dv0\x00\x02\x00\x03\x00" + b"\n\x1b@\n\n\n",
    b"\x1d(k\x04\x001A2\x00",
    b"\x1d(H\x06\x0000A001",
    b"\x1d8L\x03\x00\x00\x000p0",
    b"\x1dk\x04123\x00",
    b"\x1dk\x49\x03{B\n",
    b"\x1dr\x01",
    b"\x10\x04\x01",
    b"\x10\x14\x08\x01\x03\x14\x01\x06\x02\x08",
    b"\x1dV\x42\x00",
    b"\x1dV\x00",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_never_cut(command: bytes) -> None:
    assert list(Splitter().feed(command + b"\n")) == [command, b"\n"]


@given(st.lists(st.sampled_from([command for command in COMMANDS if command[0] < 0x20])), st.data())
def test_it_does_not_matter_where_the_pieces_end(commands: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(commands)
    cut = data.draw(st.integers(0, len(stream)))
    splitter = Splitter()
    assert [*splitter.feed(stream[:cut]), *splitter.feed(stream[cut:])] == commands


@given(st.binary())
def test_no_byte_is_lost_or_added(stream: bytes) -> None:
    assert stream.startswith(b"".join(Splitter().feed(stream)))
