"""A job's words on standard output, for a shop without a printer and for a first look."""

import sys
from typing import TextIO

from appliance.printing.commands import Splitter
from appliance.printing.transport.port import Lost

_LINE_ENDS = (b"\n", b"\x1bd", b"\x1bJ")
_CUT = b"\x1dV"
_TEAR = "- - - 8< - - -"


class TerminalWriter:
    """codepage: in which the job's text is written (a Python codec's name)."""

    answers = False
    is_shared = False

    def __init__(self, codepage: str, out: TextIO | None = None) -> None:
        self._codepage = codepage
        self._out = sys.stdout if out is None else out
        self._splitter = Splitter()

    def write(self, data: bytes) -> int:
        try:
            for command in self._splitter.feed(data):
                if command[0] >= 0x20:
                    self._out.write(command.decode(self._codepage, errors="replace"))
                elif command[:2].startswith(_LINE_ENDS):
                    self._out.write("\n")
                elif command[:2] == _CUT:
                    self._out.write(f"{_TEAR}\n")
            self._out.flush()
        except OSError as error:
            raise Lost("nobody looks at this terminal any more") from error
        return len(data)

    def read(self) -> bytes:
        return b""

    def wait(self, timeout_s: float, *, to_write: bool) -> bool:
        return to_write

    def unsent(self) -> int:
        return 0

    def close(self) -> None:
        """Standard output is not ours to close."""
