"""Devices and their slips, as a person commands them: a change is on the disk, and in force, when its command returns.

It is no operation of the ledger. Who may come in is not the shop's history, and a ledger that is put back from a backup
must neither carry credentials nor let in again whom a person has sent away.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from appliance.access.tokens import make_token
from appliance.app.entrance import Entrance
from appliance.app.roster import Roster
from appliance.app.slips import NO_TLS, NotPrinted, SlipPrinter, Slips, printed
from appliance.contract.slip import Slip, format_slip
from appliance.contract.topics import Topics, is_name
from appliance.control import ControlError, Handler, Rows

log = logging.getLogger(__name__)

VISITOR = "health-check"
"""The device that `health` is for a moment. It is nobody's till, and that it may come in counts for nothing."""


class Broker(Protocol):
    """The embedded broker; `brokers.Embedded` satisfies it."""

    def disconnect(self, device: str) -> None: ...
    def publish(self, topic: str, payload: bytes, retain: bool) -> None: ...


class Devices:
    """Answers the control socket, one caller at a time."""

    def __init__(
        self,
        shop: str,
        slips: Slips,
        entrance: Entrance,
        broker: Broker,
        printers: Sequence[SlipPrinter],
        roster: Roster,
    ) -> None:
        self._shop = shop
        self._slips = slips
        self._certificate = entrance.certificate
        self._tokens = entrance.tokens
        self._broker = broker
        self._printers = {printer.name: printer for printer in printers}
        self._roster = roster

    def handlers(self) -> dict[str, Handler]:
        return {
            "devices": self._list,
            "device-add": self._add,
            "device-slip": self._slip,
            "device-remove": self._remove,
            "device-visit": self._visit,
            "certificate": self._show_certificate,
        }

    def _list(self, _: dict[str, Any]) -> Rows:
        for enrolled in self._tokens.enrolled():
            yield {"device": enrolled.device, "since": enrolled.since}

    def _add(self, request: dict[str, Any]) -> Rows:
        device = str(request["device"])
        if not is_name(device):
            raise ControlError(f"{device!r} cannot name a device: use 1 to 64 of A-Z, a-z, 0-9 and -")
        if self._tokens.has(device):
            raise ControlError(f"{device} has a token already: `device slip {device}` makes another in its place")
        yield from self._enrol(device, request)

    def _slip(self, request: dict[str, Any]) -> Rows:
        if self._tokens.has(device := str(request["device"])):
            yield from self._enrol(device, request)

    def _visit(self, _: dict[str, Any]) -> Rows:
        slip = self._slips.make(VISITOR, make_token())
        self._tokens.admit(VISITOR, slip.token)
        yield {"device": VISITOR, "slip": format_slip(slip)}

    def _enrol(self, device: str, request: dict[str, Any]) -> Rows:
        slip = self._slips.make(device, make_token())
        # On paper first: until it is out, whoever is in by an older slip goes on selling.
        shown = self._on_paper(slip, request["printer"]) if "printer" in request else {"slip": format_slip(slip)}
        with _kept():
            self._tokens.put(device, slip.token)
        log.info("device enrolled device=%s", device)
        # Whoever is in by its old token, or by the shop's password, is not the one with the slip.
        self._broker.disconnect(device)
        yield {"device": device, **shown}

    def _on_paper(self, slip: Slip, wanted: str | None) -> dict[str, Any]:
        printer = self._printer(wanted)
        log.info("slip to print device=%s printer=%s", slip.device, printer.name)
        try:
            return {"printer": printer.name, "printed": printed(printer, slip)}
        except NotPrinted as error:
            raise ControlError(f"{error}. Who comes in has not changed: see to the printer, and repeat this") from error

    def _printer(self, wanted: str | None) -> SlipPrinter:
        """wanted: its name; None is the only one that there is."""
        names = ", ".join(self._printers)
        if not names:
            raise ControlError("there is no printer: leave --print out, or see `printer setup`")
        if wanted is None and len(self._printers) > 1:
            raise ControlError(f"there are several printers: name one of {names} by --printer")
        printer = next(iter(self._printers.values())) if wanted is None else self._printers.get(wanted)
        if printer is None:
            raise ControlError(f"there is no printer {wanted!r}: name one of {names}")
        return printer

    def _remove(self, request: dict[str, Any]) -> Rows:
        if not self._tokens.has(device := str(request["device"])):
            return
        with _kept():
            self._tokens.remove(device)
        log.info("device removed device=%s", device)
        self._broker.disconnect(device)
        # The others need not wait for it any more (the till's rule 28).
        self._broker.publish(Topics(self._shop).device(device, "state"), b"", True)
        self._roster.remove(device)
        yield {"device": device}

    def _show_certificate(self, _: dict[str, Any]) -> Rows:
        if self._certificate is None:
            raise ControlError(NO_TLS)
        yield {"pem": self._certificate.pem}


@contextmanager
def _kept() -> Iterator[None]:
    """A disk's fault is told to who typed the command; what was in force before still is."""
    try:
        yield
    except OSError as error:
        raise ControlError(
            f"the devices' file cannot be written ({error.strerror}): make room on the disk, or replace it"
        ) from error


def refusals() -> dict[str, Handler]:
    """The same commands where another broker decides who comes in."""

    def refuse(_: dict[str, Any]) -> Rows:
        raise ControlError("the shop's own broker decides who logs in: give the device a user of its name there")

    return dict.fromkeys(
        ("devices", "device-add", "device-slip", "device-remove", "device-visit", "certificate", "password"), refuse
    )
