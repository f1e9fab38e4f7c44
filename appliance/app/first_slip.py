"""The first slip of a new box: printed when nobody can come in yet, so that a printer and a power plug start a shop.

It holds a password that the box has thought up for the shop, for where its own output goes nobody would see one. It is
kept once a device has come in with it; until then every start makes another, for a shopkeeper without paper or scissors
has only the plug to pull.
"""

import logging
import threading
from collections.abc import Sequence

from appliance.access.password import make_password
from appliance.app.entrance import Entrance
from appliance.app.slips import InDoubt, NotPrinted, SlipPrinter, Slips, printed
from appliance.settings import variable

log = logging.getLogger(__name__)

FIRST_DEVICE = "A1"
"""The till of the first slip; with the same password every other one comes in by a name of its own."""

_RETRY_S = 5.0
"""How soon a printer is tried again that was not ready: somebody has just put the paper in."""

_RESTS_S = (5.0, 60.0, 600.0)
"""How long after a sheet in doubt, two, more: a printer that spoils each must not spend the roll."""


class FirstSlip:
    """The thread that prints it, and ends when somebody can come in."""

    def __init__(self, entrance: Entrance, slips: Slips, printers: Sequence[SlipPrinter]) -> None:
        self._entrance = entrance
        self._slips = slips
        self._printers = printers
        self._stopping = threading.Event()
        self._doubts = 0
        self.is_sheet_at_stake = False
        """Whether a password that is set now makes a sheet worthless: one is under way, or such a one is out."""

    def run(self) -> None:
        log.error(
            "nobody can come in yet printers=%d remedy=%r",
            len(self._printers),
            f"read the slip that is printed; or stock-coordinator device add {FIRST_DEVICE}; or set "
            f"{variable('password')}",
        )
        while self._printers and self._entrance.wants_first_slip:
            if self._stopping.wait(self._try()):
                break

    def stop(self) -> None:
        self._stopping.set()

    def _try(self) -> float:
        """Print it on the first printer that is ready; return for how many seconds to wait if none was."""
        assert self._entrance.password is not None, "else no first slip is wanted"
        for printer in self._printers:
            password = make_password()
            self.is_sheet_at_stake = True
            try:
                level = printed(printer, self._slips.make(FIRST_DEVICE, password), is_shops=True)
            except InDoubt as why:
                log.warning("first slip printer=%s reason=%r", printer.name, str(why))
                self._doubts += 1
                self.is_sheet_at_stake = False
                return _RESTS_S[min(self._doubts, len(_RESTS_S)) - 1]
            except NotPrinted:
                self.is_sheet_at_stake = False
                continue
            if self._entrance.password.propose(password):
                self.is_sheet_at_stake = False
                log.info("first slip printed printer=%s level=%s", printer.name, level)
            else:
                log.warning(
                    "first slip is worthless printer=%s reason=%r", printer.name, "a password was set meanwhile"
                )
            return 0
        return _RETRY_S
