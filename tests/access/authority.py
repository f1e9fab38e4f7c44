"""A certificate authority of a test's own, such as a shop may have."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_DAYS = timedelta(days=30)


class Authority:
    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("Authority of a test")
        self.certificate = _signed(self._name, self._name, self._key.public_key(), self._key, is_authority=True)

    @property
    def pem(self) -> str:
        return _pem(self.certificate)

    def issue(self, folder: Path, *hosts: str, with_intermediate: bool = False) -> tuple[Path, Path]:
        """Write certificate.pem, with its chain, and key.pem for these hosts; return both paths."""
        issuer, issuer_key, chain = self._name, self._key, ""
        if with_intermediate:
            between_key = ec.generate_private_key(ec.SECP256R1())
            between = _name("Intermediate of a test")
            chain = _pem(_signed(between, self._name, between_key.public_key(), self._key, is_authority=True))
            issuer, issuer_key = between, between_key
        key = ec.generate_private_key(ec.SECP256R1())
        signed = _signed(_name(hosts[0]), issuer, key.public_key(), issuer_key, hosts=hosts)
        certificate_path, key_path = folder / "certificate.pem", folder / "key.pem"
        certificate_path.write_text(_pem(signed) + chain)
        key_path.touch(0o600)
        key_path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return certificate_path, key_path


def _signed(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    key: ec.EllipticCurvePrivateKey,
    *,
    hosts: tuple[str, ...] = (),
    is_authority: bool = False,
) -> x509.Certificate:
    now = datetime.now(UTC)
    usage = dict.fromkeys(
        (
            *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
            *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
        ),
        False,
    )
    usage |= dict.fromkeys(("key_cert_sign", "crl_sign") if is_authority else ("digital_signature",), True)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAYS)
        .not_valid_after(now + _DAYS)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
    )
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName([_general(host) for host in hosts]), critical=False)
    return builder.sign(key, hashes.SHA256())


def _general(host: str) -> x509.GeneralName:
    return x509.IPAddress(ip_address(host)) if host[0].isdigit() else x509.DNSName(host)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
