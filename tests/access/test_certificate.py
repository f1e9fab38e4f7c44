"""The box's certificate: made once, true at any clock, and the shop's own where it has one."""

import hashlib
import ssl
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from appliance.access.certificate import FILE_NAME, WrongCertificate, given_certificate, own_certificate
from tests.access.authority import Authority


def test_it_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    made = own_certificate(tmp_path, ["stock.local"])
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600
    assert own_certificate(tmp_path, ["other.local"]).pem == made.pem
    (tmp_path / FILE_NAME).unlink()
    assert own_certificate(tmp_path, ["stock.local"]).sha256 != made.sha256


def test_it_is_valid_at_any_clock_and_for_the_names_that_the_box_has(tmp_path: Path) -> None:
    made = own_certificate(tmp_path, ["stock.local", "192.0.2.7"])
    parsed = x509.load_pem_x509_certificate(made.pem.encode())
    assert parsed.not_valid_before_utc == datetime(1970, 1, 1, tzinfo=UTC)
    assert parsed.not_valid_after_utc.year == 9999
    names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == ["stock.local", "192.0.2.7"]
    der = parsed.public_bytes(serialization.Encoding.DER)
    assert made.sha256 == hashlib.sha256(der).digest()
    assert "PRIVATE KEY" not in made.pem


def test_a_strict_client_takes_it_as_its_only_authority(tmp_path: Path) -> None:
    made = own_certificate(tmp_path, ["stock.local"])
    client = ssl.create_default_context(cadata=made.pem)
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    shake_hands(made.context, client, "stock.local")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(own_certificate(_folder(tmp_path), ["stock.local"]).context, client, "stock.local")


def test_the_shops_own_is_shown_with_the_chain_behind_it(tmp_path: Path) -> None:
    authority = Authority()
    certificate, key = authority.issue(tmp_path, "stock.example", with_intermediate=True)
    given = given_certificate(certificate, key)
    assert given.pem == certificate.read_text()[: len(given.pem)]
    shake_hands(given.context, ssl.create_default_context(cadata=authority.pem), "stock.example")


def test_what_cannot_be_used_is_named_with_the_remedy(tmp_path: Path) -> None:
    certificate, key = Authority().issue(tmp_path, "stock.example")
    _, other_key = Authority().issue(_folder(tmp_path), "stock.example")
    (locked := tmp_path / "locked.pem").write_text(_encrypted(key))
    (empty := tmp_path / "empty.pem").touch()
    for pair, words in (
        ((tmp_path / "none.pem", key), ("none.pem", "No such file")),
        ((certificate, tmp_path / "none.pem"), ("none.pem", "No such file")),
        ((empty, key), ("empty.pem", "no certificate")),
        ((key, key), ("key.pem", "no certificate")),
        ((certificate, empty), ("empty.pem", "OpenSSL")),
        ((certificate, other_key), (str(other_key), "another certificate")),
        ((certificate, locked), ("locked.pem", "encrypted")),
    ):
        with pytest.raises(WrongCertificate) as caught:
            given_certificate(*pair)
        for word in words:
            assert word in str(caught.value)


def test_a_damaged_own_one_is_not_replaced_in_silence(tmp_path: Path) -> None:
    own_certificate(tmp_path, ["stock.local"])
    (tmp_path / FILE_NAME).write_text("nothing")
    with pytest.raises(WrongCertificate, match="new slip"):
        own_certificate(tmp_path, ["stock.local"])


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> None:
    """Let both sides meet in memory. Raises what the client says of the server."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = server.wrap_bio(to_server, to_client, server_side=True)
    theirs = client.wrap_bio(to_client, to_server, server_hostname=name)
    waiting = [theirs, ours]
    for _ in range(20):
        for side in list(waiting):
            try:
                side.do_handshake()
                waiting.remove(side)
            except ssl.SSLWantReadError:
                continue
        if not waiting:
            return
    raise AssertionError("the handshake did not end")


def _folder(parent: Path) -> Path:
    folder = parent / "other"
    folder.mkdir()
    return folder


def _encrypted(key: Path) -> str:
    loaded = serialization.load_pem_private_key(key.read_bytes(), None)
    locked = serialization.BestAvailableEncryption(b"secret")
    return loaded.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked).decode()
