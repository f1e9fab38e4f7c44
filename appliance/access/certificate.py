"""The certificate by which a till knows the box: made on the first start, or the shop's own.

No authority vouches for the box's own certificate: a till has its SHA-256 from the slip, and trusts nothing else. So it
is dated from 1970 to 9999, for a box without a battery wakes up in any year, and a certificate that has expired would
close the shop. Key and certificate are one file (0600), which a power cut cannot tear apart.
"""

import hashlib
import re
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

from appliance import durable

FILE_NAME = "tls.pem"

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


class WrongCertificate(Exception):
    """A certificate cannot be used. The text names the file and the remedy."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """pem: for whoever must trust it. context: for the listeners."""

    pem: str
    context: ssl.SSLContext

    @property
    def sha256(self) -> bytes:
        """What a slip says of it: the SHA-256 of its DER form."""
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(self.pem)).digest()

    def valid(self) -> tuple[datetime, datetime]:
        """Return from when and until when it is valid."""
        from cryptography import x509  # Imported here: a start has no use for it.

        itself = x509.load_pem_x509_certificate(self.pem.encode())
        return itself.not_valid_before_utc, itself.not_valid_after_utc


def own_certificate(directory: Path, names: Iterable[str]) -> Certificate:
    """Return the box's own certificate from the data directory, made if there is none yet. Raises WrongCertificate.

    names: host names and addresses that it is made for. Whoever pins it need not mind them.
    """
    path = directory / FILE_NAME
    if not path.exists():
        durable.replace(path, _make(names))
    return _load(path, path, f"{path}: remove it, and every till gets a new slip")


def given_certificate(certificate: Path, key: Path) -> Certificate:
    """Return the shop's own certificate, with the chain behind it. Raises WrongCertificate."""
    return _load(certificate, key, f"{certificate} and {key}: name a certificate and its key, both PEM")


def _load(certificate: Path, key: Path, remedy: str) -> Certificate:
    for path in (certificate, key):
        try:
            path.read_bytes()
        except OSError as error:
            raise WrongCertificate(f"{path} cannot be read ({error.strerror}): name another file") from error
    found = _CERTIFICATE.search(certificate.read_text(encoding="ascii", errors="replace"))
    if found is None:
        raise WrongCertificate(f"there is no certificate in {remedy}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2

    def refuse_to_ask() -> str:
        # OpenSSL would ask for it on the terminal, and the box would wait for ever.
        raise WrongCertificate(f"the key is encrypted, and at a start nobody is there to be asked, in {remedy}")

    try:
        context.load_cert_chain(certificate, key, password=refuse_to_ask)
    except ssl.SSLError as error:
        is_foreign = error.reason == "KEY_VALUES_MISMATCH"
        reason = "the key is another certificate's" if is_foreign else f"OpenSSL says {error.reason or error}"
        raise WrongCertificate(f"{reason}, in {remedy}") from error
    return Certificate(found[0] + "\n", context)


def _make(names: Iterable[str]) -> bytes:
    # Imported here: it takes 0.1 s, once in a box's life.
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def named(name: str) -> x509.GeneralName:
        try:
            return x509.IPAddress(ip_address(name))
        except ValueError:
            return x509.DNSName(name)

    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key()
    itself = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Stock Coordinator")])
    identifier = x509.SubjectKeyIdentifier.from_public_key(public)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(itself)
        .issuer_name(itself)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(1970, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([named(name) for name in dict.fromkeys(names)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + certificate.public_bytes(serialization.Encoding.PEM)
