"""The shop's password: made, kept as a hash, and checked without stopping the shop.

A person thought it up, so it is hashed with argon2; that costs tens of milliseconds of CPU, and 500 tills that come
back after a power cut would stop the event loop for minutes. So a check runs in a thread, one at a time, and the
password that was right is known by a keyed digest from then on: behind those who guess from many addresses at once it
would have to wait for half a minute.
"""

import asyncio
import hashlib
import hmac
import secrets
import threading
from pathlib import Path

from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from appliance import durable

FILE_NAME = "shop-password.argon2"

ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
"""Letters and digits that nobody mistakes for one another on a slip of paper."""

_GROUPS, _GROUP = 4, 4
"""16 of 31 symbols are 79 bits: beyond guessing, and still typed in one go."""

_NOT_RIGHT = (VerificationError, InvalidHashError)
"""What argon2 says: a wrong password is a kind of the first, and a hash that is not whole is either."""


def make_password() -> str:
    """Return a new random password for people to type, such as `k7mq-wx9d-3htn-f4pz`."""
    return "-".join("".join(secrets.choice(ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS))


class ShopPassword:
    """The shop's password, kept as an argon2 hash in a file of the data directory (0600). Any thread may change it."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE_NAME
        # OWASP's smallest argon2id setting: 19 MiB and about 60 ms on a Pi 4, which has better use for its memory.
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
        self._hash = self._path.read_text(encoding="ascii", errors="backslashreplace") if self._path.exists() else None
        self._is_kept = self._hash is not None
        self._changing = threading.Lock()
        self._key = secrets.token_bytes(32)
        # A right password's digest, and the hash that it was right for.
        self._remembered: tuple[bytes, str] | None = None
        self._one_at_a_time = asyncio.Lock()

    @property
    def is_set(self) -> bool:
        return self._hash is not None

    @property
    def is_damaged(self) -> bool:
        """Whether what is kept is no hash: nobody comes in by it, and setting a password mends it."""
        try:
            if self._hash is None:
                return False
            # One hash of sixteen that were cut short can still be read, as a shorter one that fits no password.
            return extract_parameters(self._hash).hash_len != self._hasher.hash_len or not self._hasher.verify(
                self._hash, b""
            )
        except VerifyMismatchError:
            return False
        except _NOT_RIGHT:
            return True

    def set(self, password: str) -> None:
        """Replace the password, durably; it counts from the next log-in on. The same again leaves the file as it is."""
        with self._changing:
            if self._is_kept and self._hash is not None and self._is_right(self._hash, password.encode()):
                return
            hashed = self._hasher.hash(password)
            self._keep(hashed)
            self._hash = hashed

    def propose(self, password: str) -> bool:
        """Put a first password in force, which is kept once somebody has come in with it.

        It is on a sheet that nobody may have read: until then the next start can make another. Returns whether it is in
        force: one that is set stays.
        """
        with self._changing:
            if self._hash is not None:
                return False
            self._hash = self._hasher.hash(password)
            return True

    async def authenticate(self, user: str, password: bytes) -> bool:
        """Return whether a device may log in. Any device may, with the shop's password; `user` decides nothing.

        Raises OSError when the disk does not take a proposed password, which has just been right.
        """
        del user
        hashed = self._hash
        if hashed is None:
            return False
        digest = hashlib.blake2b(password, key=self._key).digest()
        if self._is_remembered(digest):
            return True
        async with self._one_at_a_time:
            if self._is_remembered(digest):
                return True
            if not await asyncio.to_thread(self._is_in_force, hashed, password):
                return False
            self._remembered = (digest, hashed)
            return True

    def _is_remembered(self, digest: bytes) -> bool:
        if self._remembered is None:
            return False
        known, hashed = self._remembered
        return hashed == self._hash and hmac.compare_digest(known, digest)

    def _is_in_force(self, hashed: str, password: bytes) -> bool:
        """Whether this is the password, and still is when that is known."""
        if not self._is_right(hashed, password):
            return False
        with self._changing:
            if self._hash != hashed:
                return False
            if not self._is_kept:
                self._keep(hashed)
            return True

    def _keep(self, hashed: str) -> None:
        durable.replace(self._path, hashed.encode("ascii"))
        self._is_kept = True

    def _is_right(self, hashed: str, password: bytes) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except _NOT_RIGHT:
            return False
