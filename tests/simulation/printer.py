"""A receipt printer behind the spool's own port: it takes its time, is in trouble, and may lose what it has been sent.

What its driver would say of all this is drawn by chance within what a driver may say: an ending is certain only when
the sheet is whole on the paper, and everything else is doubt. `tests.printing` holds the driver itself against that.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from appliance.printing.driver import Doubtful, Level, NotReady, Printed
from appliance.printing.status import PrinterState, PrinterStatus

PRINTS_MS = 3_000
"""A pre-check of twenty lines."""

LOOK_MS = 10_000
"""How often a printer that is in trouble is looked at, with a job in it."""

_PATIENCE_MS = 120_000
"""After so long a printer that takes nothing, without saying why, is given up."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """What hangs out of the printer. job: what it was sent. is_whole: it was printed to its end."""

    job: bytes
    is_whole: bool


class Printer:
    """pass_ms: lets time pass, and raises when the box is killed meanwhile. level: the proof that it can give."""

    def __init__(self, chance: random.Random, level: Level, pass_ms: Callable[[float], None]) -> None:
        self._chance = chance
        self._level = level
        self._pass_ms = pass_ms
        self._trouble: PrinterState | None = None
        self._losses = 0
        self.sheets: list[Sheet] = []
        self.changed: Callable[[PrinterStatus], None] = lambda status: None

    # --- what befalls it --------------------------------------------------------------------------------------------

    def be(self, trouble: PrinterState | None) -> None:
        """Be in trouble, or out of it."""
        self._trouble = trouble

    def lose(self) -> None:
        """Power or plug is gone for a moment: what is in the buffer is lost, or the answer to it is."""
        self._losses += 1

    # --- what the spool asks of it ----------------------------------------------------------------------------------

    def status(self) -> PrinterStatus:
        return PrinterStatus(self._trouble or PrinterState.READY, str(self._trouble or ""))

    def send(self, job: bytes, marker: bytes, *, began: Callable[[], None]) -> Printed:
        if self._trouble is not None:
            raise NotReady(self.status())
        began()
        losses = self._losses
        is_out = False
        try:
            self._pass_ms(PRINTS_MS)
            waited_ms = 0
            while self._trouble is not None:
                self.changed(self.status())
                if self._trouble is PrinterState.STALLED and waited_ms >= _PATIENCE_MS:
                    raise Doubtful("it takes nothing any more")
                self._pass_ms(LOOK_MS)
                waited_ms += LOOK_MS
            if self._losses != losses:
                raise Doubtful("the connection was lost")
            is_out = True
            self._print(job, is_whole=True)
        finally:
            if not is_out:
                # Nobody saw how far it came; perhaps it prints on when the box has long stopped to listen.
                self._print(job, is_whole=self._chance.random() < 0.5)
        return Printed(self._level)

    def _print(self, job: bytes, *, is_whole: bool) -> None:
        self.sheets.append(Sheet(job, is_whole))
