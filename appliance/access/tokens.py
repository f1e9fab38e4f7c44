"""Devices' tokens: made for a slip, kept as keyed hashes, and checked in a microsecond.

A token is 256 random bits, so a fast hash is as good as a slow one. Its key is in a file of its own, and without it
`devices.json` is of no use. The invariant: what is in the file is in force; a change is on the disk before
it counts, and counts from the next log-in on. A visitor is in no file: its token ends with the process.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson

from appliance import durable
from appliance.access.password import ALPHABET

FILE_NAME = "devices.json"
KEY_FILE_NAME = "devices.key"

TOKEN_SYMBOLS = 52
"""Of 31 symbols each: 257 bits."""

_KEY_BYTES = 32


class WrongTokens(Exception):
    """The devices' file cannot be used. The text names it and the remedy."""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A device that has a token. since: when it was made, RFC 3339, for people."""

    device: str
    since: str


def make_token() -> str:
    """Return a new token: letters and digits that nobody mistakes for one another."""
    return "".join(secrets.choice(ALPHABET) for _ in range(TOKEN_SYMBOLS))


class Tokens:
    """The tokens of a data directory. They are changed by one at a time; any thread may ask."""

    def __init__(self, directory: Path) -> None:
        """Raises WrongTokens when the file is damaged, or its key is gone."""
        self._path = directory / FILE_NAME
        key = directory / KEY_FILE_NAME
        if not key.exists():
            if self._path.exists():
                raise WrongTokens(
                    f"{key} is missing, and without it no token can be checked: remove {self._path} too"
                    " and make every device a new slip"
                )
            durable.replace(key, secrets.token_bytes(_KEY_BYTES))
        self._key = key.read_bytes()
        if len(self._key) != _KEY_BYTES:
            raise WrongTokens(f"{key} is damaged: remove it and {self._path}, and make every device a new slip")
        self._devices = self._read()
        self._visitors: dict[str, str] = {}

    def has(self, device: str) -> bool:
        return device in self._devices or device in self._visitors

    def is_right(self, device: str, token: bytes) -> bool:
        """Return whether this is the device's token. Its groups and capitals may differ: people type it."""
        known = self._devices[device]["hash"] if device in self._devices else self._visitors.get(device)
        return known is not None and hmac.compare_digest(known, self._hash(device, token))

    def enrolled(self) -> list[Enrolled]:
        """Return every device that has a token of its own to keep, by name."""
        return [Enrolled(device, known["since"]) for device, known in sorted(self._devices.items())]

    def put(self, device: str, token: str) -> None:
        """Give a device its token, in place of the one that it had."""
        since = datetime.now(UTC).isoformat(timespec="seconds")
        known = {"hash": self._hash(device, token.encode()), "since": since}
        self._replace({**self._devices, device: known})

    def admit(self, device: str, token: str) -> None:
        """Let a visitor in until it is removed, or until the next start at the latest."""
        self._visitors = {**self._visitors, device: self._hash(device, token.encode())}

    def remove(self, device: str) -> None:
        """Take a device's token from it. Raises KeyError when it has none."""
        if device in self._visitors:
            self._visitors = {other: known for other, known in self._visitors.items() if other != device}
            return
        rest = dict(self._devices)
        del rest[device]
        self._replace(rest)

    def _replace(self, devices: dict[str, dict[str, str]]) -> None:
        durable.replace(self._path, orjson.dumps({"devices": devices}, option=orjson.OPT_INDENT_2))
        self._devices = devices

    def _hash(self, device: str, token: bytes) -> str:
        plain = token.lower().translate(None, b"- ")
        # With its name in it, nobody gives one device another one's token by editing the file.
        return hashlib.blake2b(device.encode() + b"\0" + plain, key=self._key, digest_size=32).hexdigest()

    def _read(self) -> dict[str, dict[str, str]]:
        if not self._path.exists():
            return {}
        try:
            devices = orjson.loads(self._path.read_bytes())["devices"]
            return {
                str(device): {"hash": str(one["hash"]), "since": str(one["since"])} for device, one in devices.items()
            }
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise WrongTokens(
                f"{self._path} is damaged ({error!r}): remove it, and make every device a new slip"
            ) from error
