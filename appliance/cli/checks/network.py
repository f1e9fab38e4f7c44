"""The box in its network: its address, its name, its ports, its certificate, and the broker that others run."""

import hashlib
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from appliance.access.certificate import FILE_NAME, Certificate, WrongCertificate, given_certificate, own_certificate
from appliance.app.addresses import own_addresses, own_name
from appliance.broker.external.beside import Lost, Refused, try_log_in
from appliance.cli.checks.finding import Finding, failed, ok, warning
from appliance.cli.checks.mdns import resolve
from appliance.contract.topics import Topics
from appliance.settings import BrokerSettings, Mode, Plain, Settings, variable

_CONNECT_S = 3.0
_NAME_S = 2.0
"""A box answers to its name within milliseconds; a second one is for a busy Wi-Fi."""

_ENDS_SOON = timedelta(days=30)

_LINK_LOCAL = "169.254."
_LOOPBACK = "127.0.0.1"


def check_address(settings: Settings) -> Iterator[Finding]:
    """Whether tills can find the box at all: by its address, and by its name."""
    broker = settings.broker
    if broker.mode is Mode.EMBEDDED and broker.plain is Plain.LOOPBACK and not broker.tls_port:
        only = f"only programs on this box may connect, by {variable('broker', 'tls_port')}=0"
        yield ok("address", only)
        return
    addresses = own_addresses()
    if not addresses:
        remedy = "plug the network cable in, or see that the Wi-Fi is on and its password right"
        yield failed("address", "the box has no address in any network", remedy)
        return
    shown = ", ".join(addresses)
    if all(address.startswith(_LINK_LOCAL) for address in addresses):
        remedy = "see that the router is on, and gives addresses (DHCP)"
        yield warning("address", f"{shown}: the box gave it to itself, for nobody else did", remedy)
    else:
        yield ok("address", shown)
    if broker.mode is Mode.EMBEDDED:
        yield _name(addresses)


def _name(addresses: list[str]) -> Finding:
    name = own_name()
    found = resolve(name, addresses, wait_s=_NAME_S)
    if not found:
        remedy = "start the name service: sudo systemctl start avahi-daemon (sudo apt-get install avahi-daemon)"
        return warning("name", f"nobody answers to {name}, so tills find the box only by its address", remedy)
    if not found & set(addresses):
        remedy = "give one of the two another name, and make its tills new slips"
        return failed("name", f"{name} is another device, at {', '.join(sorted(found))}", remedy)
    return ok("name", name)


def check_ports(settings: Settings, *, is_running: bool) -> Iterator[Finding]:
    """Whether somebody answers where the tills knock, and is it this box."""
    if settings.broker.mode is Mode.EXTERNAL:
        yield _external(settings)
        return
    for key in ("port", "tls_port", "websocket_port"):
        if not (port := getattr(settings.broker, key)):
            continue
        why = _knock(port)
        if is_running and why:
            remedy = "restart the service; if that does not help, a firewall on this box stands in the way"
            yield failed("ports", f"port {port} does not answer: {why}", remedy)
        elif is_running:
            yield ok("ports", f"port {port} answers")
        elif not why:
            remedy = f"stop it (sudo ss -ltnp 'sport = :{port}' names it), or set {variable('broker', key)}"
            yield failed("ports", f"another program has port {port}, so the service cannot start", remedy)


def _knock(port: int) -> str:
    """Return why nobody answers at a port of this machine, "" when somebody does."""
    try:
        socket.create_connection((_LOOPBACK, port), timeout=_CONNECT_S).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _external(settings: Settings) -> Finding:
    broker = settings.broker
    assert broker.user is not None, "the settings were checked"
    assert broker.password is not None, "the settings were checked"
    where = f"{broker.host}:{broker.port}"
    try:
        try_log_in(Topics(settings.shop), broker.host, broker.port, broker.user, broker.password.get_secret_value())
    except Refused as error:
        found, _, remedy = str(error).partition("; ")
        return failed(
            "broker", f"{where}: {found}", remedy or "let it in there: stock-coordinator broker acl prints its rules"
        )
    except Lost as error:
        host, port = variable("broker", "host"), variable("broker", "port")
        remedy = f"see that the broker runs and can be reached from here, or correct {host} and {port}"
        return failed("broker", f"{where} does not answer: {error}", remedy)
    return ok("broker", f"{where} lets {broker.user} in")


def check_certificate(settings: Settings, *, is_running: bool) -> Iterator[Finding]:
    """Whether tills can trust the box: the certificate is there, is valid, and is the one that is shown."""
    broker = settings.broker
    port = broker.tls_port or broker.websocket_port
    if broker.mode is Mode.EXTERNAL or not port:
        return
    if broker.certificate is None and not (settings.data_dir / FILE_NAME).exists():
        yield ok("certificate", "the first start makes it")
        return
    try:
        certificate = _certificate(settings, broker)
    except WrongCertificate as error:
        found, _, remedy = str(error).rpartition(": ")
        yield failed("certificate", found, remedy)
        return
    begins, ends = certificate.valid()
    now = datetime.now(UTC)
    renew = f"have it renewed, put it at {broker.certificate}, and restart the service"
    if not begins <= now < ends:
        remedy = f"{renew}; if it should be valid, the box's clock is wrong"
        yield failed("certificate", f"it is valid from {begins:%Y-%m-%d} until {ends:%Y-%m-%d}, and not now", remedy)
    elif ends - now < _ENDS_SOON:
        yield warning("certificate", f"it ends on {ends:%Y-%m-%d}", renew)
    elif is_running and _shown(port) not in (None, certificate.sha256):
        yield warning("certificate", "the box still shows the one from before it was replaced", "restart the service")
    else:
        yield ok("certificate", f"valid until {ends:%Y-%m-%d}")


def _certificate(settings: Settings, broker: BrokerSettings) -> Certificate:
    if broker.certificate is not None and broker.key is not None:
        return given_certificate(broker.certificate, broker.key)
    return own_certificate(settings.data_dir, ())


def _shown(port: int) -> bytes | None:
    """Return the SHA-256 of the certificate that the box shows, None when it does not."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # It is looked at, and nothing is said to whoever shows it.
    try:
        with (
            socket.create_connection((_LOOPBACK, port), timeout=_CONNECT_S) as plain,
            context.wrap_socket(plain) as tls,
        ):
            return hashlib.sha256(tls.getpeercert(binary_form=True) or b"").digest()
    except OSError:
        return None
