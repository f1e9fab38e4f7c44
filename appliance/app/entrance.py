"""Who may come in at the embedded broker: tokens, the shop's password, a certificate; read or made at the start."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from appliance.access import certificate as certificates
from appliance.access import password as passwords
from appliance.access import tokens as device_tokens
from appliance.access.certificate import Certificate, WrongCertificate, given_certificate, own_certificate
from appliance.access.door import Door
from appliance.access.files import open_to_others
from appliance.access.password import ShopPassword, make_password
from appliance.access.tokens import Tokens, WrongTokens
from appliance.app.addresses import certificate_names
from appliance.app.refusal import CannotStart
from appliance.settings import Settings, variable

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Entrance:
    """password: the shop's; None when only tokens let a device in. certificate: None when nobody comes in by TLS.
    new_password: the shop's, if it was made just now.
    """

    door: Door
    tokens: Tokens
    password: ShopPassword | None
    certificate: Certificate | None
    new_password: str | None

    @property
    def wants_first_slip(self) -> bool:
        """Whether nobody can come in yet: there is neither a password nor a token."""
        return self.password is not None and not self.password.is_set and not self.tokens.enrolled()


def open_entrance(settings: Settings, *, may_show_password: bool) -> Entrance:
    """Return who may come in and how. Raises CannotStart."""
    new_password = None
    password = None if settings.devices.tokens_only else ShopPassword(settings.data_dir)
    if password is not None:
        new_password = _set_password(password, settings, may_show=may_show_password)
    try:
        tokens = Tokens(settings.data_dir)
        certificate = _certificate(settings)
    except (WrongTokens, WrongCertificate) as error:
        raise CannotStart(str(error)) from error
    complain_of_open_files(secret_files(settings))
    return Entrance(Door(tokens, password), tokens, password, certificate, new_password)


def _set_password(password: ShopPassword, settings: Settings, *, may_show: bool) -> str | None:
    """Make sure that the shop has a password, or will get one on its first slip; return its text if it was made now."""
    wanted = settings.password.get_secret_value() if settings.password else ""
    if wanted:
        password.set(wanted)
    if password.is_damaged:
        path = settings.data_dir / passwords.FILE_NAME
        raise CannotStart(f"{path} is damaged: remove it, and set {variable('password')}")
    if password.is_set:
        return None
    if not may_show:
        if settings.broker.tls_port:
            return None
        raise CannotStart(
            f"the shop has no password yet, and here nobody would see a new one: set {variable('password')}"
        )
    made = make_password()
    password.set(made)
    return made


def _certificate(settings: Settings) -> Certificate | None:
    broker = settings.broker
    if not (broker.tls_port or broker.websocket_port):
        return None
    if broker.certificate is not None and broker.key is not None:
        return given_certificate(broker.certificate, broker.key)
    return own_certificate(settings.data_dir, certificate_names())


def secret_files(settings: Settings) -> list[Path]:
    """Return where the secrets are that nobody but the box may read."""
    names = (passwords.FILE_NAME, device_tokens.FILE_NAME, device_tokens.KEY_FILE_NAME, certificates.FILE_NAME)
    return [settings.data_dir / name for name in names] + ([settings.broker.key] if settings.broker.key else [])


def complain_of_open_files(paths: Iterable[Path]) -> None:
    """Name each file with a secret that others can read or write."""
    for path in open_to_others(paths):
        log.error("a secret can be read by others path=%s remedy=%r", path, f"chmod 600 {path}")
