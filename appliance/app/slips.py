"""Slips: made for a device, and printed between two sheets of a printer's queue.

    control's thread ──slip──▶ printer's thread ──▶ spool ──▶ paper
         ▲                                            │
         └── how that ended: only then it counts ◀────┘

A slip holds a secret, so it is no job: it goes to the printer from memory, and the ledger never sees it. The invariant:
what is on it comes into force only once it is known to be out. One in doubt lets nobody in, whoever picks it up.
"""

from concurrent.futures import Future
from contextlib import suppress
from typing import Protocol

from appliance.access.certificate import Certificate
from appliance.app.addresses import slip_hosts
from appliance.contract.slip import Slip
from appliance.control import ControlError
from appliance.printing.driver import Doubtful, Level, NotReady
from appliance.settings import BrokerSettings, Settings, variable

PRINT_S = 25
"""How long a slip may take: the longest is 13 kB of dots, 14 s at 9600 baud. A command waits 30 s for its answer."""

NO_TLS = f"devices with a slip come in by TLS, and there is none: set {variable('broker', 'tls_port')}"


class SlipPrinter(Protocol):
    """A printer's thread; `printers.Printer` satisfies it."""

    @property
    def name(self) -> str: ...

    def print_slip(self, slip: Slip, *, is_shops: bool = False) -> "Future[Level]":
        """Have a slip printed between two sheets. The future can be cancelled until its first byte leaves."""
        ...


class NotPrinted(Exception):
    """Nothing was printed. The text says why."""


class InDoubt(NotPrinted):
    """Nobody knows what came out. The text says why, and what to do with it."""


class Slips:
    """Makes the slips of this box, for the addresses that it has at that moment."""

    def __init__(self, settings: Settings, certificate: Certificate | None) -> None:
        self._shop = settings.shop
        self._broker: BrokerSettings = settings.broker
        self._certificate = certificate

    def make(self, device: str, token: str) -> Slip:
        """Return a device's slip. Raises ControlError where nobody comes in by TLS."""
        if self._certificate is None or not self._broker.tls_port:
            raise ControlError(NO_TLS)
        hosts = self._broker.addresses or slip_hosts()
        return Slip(hosts, self._broker.tls_port, self._shop, device, token, self._certificate.sha256)


def printed(printer: SlipPrinter, slip: Slip, *, is_shops: bool = False) -> Level:
    """Print a slip, and return how far it is known to be out. Raises NotPrinted, of which InDoubt is one."""
    outcome = printer.print_slip(slip, is_shops=is_shops)
    try:
        with suppress(TimeoutError):
            return outcome.result(PRINT_S)
        if outcome.cancel():
            raise NotPrinted(f"{printer.name} was busy with another sheet for {PRINT_S} s: nothing was printed")
        return outcome.result(0)
    except NotReady as why:
        raise NotPrinted(f"{printer.name} is {why.status.state} ({why.status.reason}): nothing was printed") from why
    except (Doubtful, TimeoutError) as why:
        reason = str(why) or f"it has not said so within {PRINT_S} s"
        raise InDoubt(
            f"nobody knows what came out of {printer.name} ({reason}): a slip that did lets nobody in, so destroy it"
        ) from why
