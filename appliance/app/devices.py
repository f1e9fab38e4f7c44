"""Devices and their slips, as a person commands them: a change is on the disk, and in force, when its command returns.

It is no operation of the ledger. Who may come in is not the shop's history, and a ledger that is put back from a backup
must neither carry credentials nor let in again whom a person has sent away.
"""

import logging
from typing import Any, Protocol

from appliance.access.tokens import make_token
from appliance.app.addresses import slip_hosts
from appliance.app.entrance import Entrance
from appliance.contract.slip import Slip, format_slip
from appliance.contract.topics import Topics, is_name
from appliance.control import ControlError, Handler, Rows
from appliance.settings import Settings, variable

log = logging.getLogger(__name__)


class Broker(Protocol):
    """The embedded broker; `brokers.Embedded` satisfies it."""

    def disconnect(self, device: str) -> None: ...
    def publish(self, topic: str, payload: bytes, retain: bool) -> None: ...


class Devices:
    """Answers the control socket, from its thread."""

    def __init__(self, settings: Settings, entrance: Entrance, broker: Broker) -> None:
        self._settings = settings.broker
        self._shop = settings.shop
        self._certificate = entrance.certificate
        self._tokens = entrance.tokens
        self._broker = broker

    def handlers(self) -> dict[str, Handler]:
        return {
            "devices": self._list,
            "device-add": self._add,
            "device-slip": self._slip,
            "device-remove": self._remove,
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
        yield from self._enrol(device)

    def _slip(self, request: dict[str, Any]) -> Rows:
        if self._tokens.has(device := str(request["device"])):
            yield from self._enrol(device)

    def _enrol(self, device: str) -> Rows:
        slip = self._new_slip(device)
        self._tokens.put(device, slip.token)
        log.info("device enrolled device=%s", device)
        # Whoever is in by its old token, or by the shop's password, is not the one with the slip.
        self._broker.disconnect(device)
        yield {"device": device, "slip": format_slip(slip)}

    def _remove(self, request: dict[str, Any]) -> Rows:
        if not self._tokens.has(device := str(request["device"])):
            return
        self._tokens.remove(device)
        log.info("device removed device=%s", device)
        self._broker.disconnect(device)
        # The others need not wait for it any more (the till's rule 28).
        self._broker.publish(Topics(self._shop).device(device, "state"), b"", True)
        yield {"device": device}

    def _show_certificate(self, _: dict[str, Any]) -> Rows:
        if self._certificate is None:
            raise ControlError(_NO_TLS)
        yield {"pem": self._certificate.pem}

    def _new_slip(self, device: str) -> Slip:
        if self._certificate is None or not self._settings.tls_port:
            raise ControlError(_NO_TLS)
        return Slip(
            self._settings.addresses or slip_hosts(),
            self._settings.tls_port,
            self._shop,
            device,
            make_token(),
            self._certificate.sha256,
        )


_NO_TLS = f"devices with a slip come in by TLS, and there is none: set {variable('broker', 'tls_port')}"


def refusals() -> dict[str, Handler]:
    """The same commands where another broker decides who comes in."""

    def refuse(_: dict[str, Any]) -> Rows:
        raise ControlError("the shop's own broker decides who logs in: give the device a user of its name there")

    return dict.fromkeys(("devices", "device-add", "device-slip", "device-remove", "certificate"), refuse)
