"""The file on the image's boot partition, `stock-coordinator.toml`: read, judged, kept, and its secrets taken from it.

    card ──read──▶ settings ──▶ kept copy, root's alone ──▶ the system and the service
      ▲                │
      ├── secrets blanked, once they are kept
      └── stock-coordinator.errors.txt, when it cannot be used: the box goes on with the kept copy

Whoever holds the card may change it, at a desk and with any editor, so each start looks whether it is another. The
invariants: a file that cannot be used changes nothing; a secret is blanked only when it is kept; a blank one keeps what
the box has, so what is left on the card can be taken again and again; a card that was flashed anew sets nothing back.
"""

import hashlib
import logging
import re
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from os import ST_RDONLY, fsync, statvfs
from pathlib import Path
from typing import Any

from appliance import durable
from appliance.access.password import ShopPassword
from appliance.settings import FILE_NAME, SECRETS, Settings, WrongSettings, load_settings

log = logging.getLogger(__name__)

ERRORS_NAME = "stock-coordinator.errors.txt"

_TAKEN_NAME = "card.sha256"
"""What was taken last, so that a file which has not changed since does not undo what was set on the box itself."""

FLASHED_NAME = "stock-coordinator.flashed"
"""Lies on a card that has not started since it was flashed, and holds the digest of the file that came with it."""

_SECRET_LINE = re.compile(r"""^(\s*password\s*=\s*)("(?:[^"\\]|\\.)*"|'[^']*')""", re.MULTILINE)


class WrongCard(Exception):
    """The file cannot be used. The text has a line for each fault."""


class Card:
    """boot: where the boot partition is mounted. etc: where root keeps the settings of the service."""

    def __init__(self, boot: Path, etc: Path) -> None:
        self._file = boot / FILE_NAME
        self._errors = boot / ERRORS_NAME
        self._boot = boot
        self._etc = etc

    def in_force(self) -> tuple[Settings, list[str]]:
        """Take what is new on the card; return the settings that are in force, and what is wrong. Raises OSError."""
        settings, faults = None, []
        # What is kept may be wrong as well, and what is new on the card mends it.
        for source in (self.take, self.kept):
            try:
                settings = source() if settings is None else settings
            except WrongCard as error:
                faults += str(error).splitlines()
        return settings or Settings(), faults

    def take(self) -> Settings | None:
        """Keep what is new on the card, and return it; None when nothing is. Raises WrongCard, OSError."""
        self._put_back()
        try:
            content = self._file.read_bytes()
        except FileNotFoundError:
            return None
        taken = self._etc / _TAKEN_NAME
        if taken.exists() and taken.read_text("ascii") == _digest(content):
            return None
        try:
            settings, secrets, blanked = _read(self._file, content)
        except WrongCard as error:
            self._say(f"{error}\n")
            raise
        self._keep(secrets, settings)
        durable.replace(self._etc / FILE_NAME, blanked)
        self._blank(content, blanked)
        durable.replace(taken, _digest(blanked).encode("ascii"))
        self._say("")
        log.info("settings are taken from the card")
        return settings

    def kept(self) -> Settings:
        """Return the settings that are kept, or the defaults. Raises WrongCard."""
        path = self._etc / FILE_NAME
        try:
            return load_settings(path) if path.exists() else Settings()
        except WrongSettings as error:
            raise WrongCard(str(error)) from error

    def _put_back(self) -> None:
        """Give a card that was flashed anew the settings that outlived it, but where a person has changed its file.

        Else every new image would take the shop its name, its address and its ssh keys, with a file that asks nothing.
        """
        flashed = self._boot / FLASHED_NAME
        if not flashed.exists():
            return
        with writable(self._boot):
            taken = self._etc / _TAKEN_NAME
            if taken.exists() and self._is_untouched(flashed):
                with suppress(WrongCard):  # What cannot be put on the card is in force all the same.
                    kept = self._etc / FILE_NAME
                    *_, blanked = _read(kept, kept.read_bytes())
                    durable.replace(self._file, blanked)
                durable.replace(taken, _digest(self._file.read_bytes()).encode("ascii"))
            flashed.unlink()
            durable.sync(self._boot)

    def _is_untouched(self, flashed: Path) -> bool:
        return self._file.exists() and flashed.read_text("ascii").startswith(_digest(self._file.read_bytes()))

    def _keep(self, secrets: Mapping[str, str], settings: Settings) -> None:
        for name, secret in secrets.items():
            if name == "password":
                # Its hash is enough: the service need never see it.
                ShopPassword(settings.data_dir).set(secret)
            else:
                durable.replace(self._etc / "secrets" / name, secret.encode())

    def _blank(self, content: bytes, blanked: bytes) -> None:
        if content != blanked:
            with writable(self._boot):
                overwrite(self._file, blanked)

    def _say(self, faults: str) -> None:
        """Write the faults beside the file, or take away those that are mended."""
        known = self._errors.read_bytes() if self._errors.exists() else b""
        if faults.encode() != known:
            with writable(self._boot):
                self._errors.unlink(missing_ok=True)
                if faults:
                    self._errors.write_text(faults, "utf-8")
                durable.sync(self._boot)


@contextmanager
def writable(boot: Path) -> Iterator[None]:
    """Let the boot partition be written for a moment: at all other times a power cut finds nothing to break there."""
    is_read_only = bool(statvfs(boot).f_flag & ST_RDONLY)
    if is_read_only:
        _remount(boot, "rw")
    try:
        yield
    finally:
        if is_read_only:
            _remount(boot, "ro")


def overwrite(path: Path, content: bytes) -> None:
    """Overwrite a file that holds a secret where it stands: a new file would leave it in what the old one had."""
    with path.open("r+b") as file:
        file.write(content)
        file.flush()
        fsync(file.fileno())


def _remount(boot: Path, how: str) -> None:
    subprocess.run(["/usr/bin/mount", "-o", f"remount,{how}", str(boot)], check=True)  # noqa: S603  our own words


def _read(path: Path, content: bytes) -> tuple[Settings, dict[str, str], bytes]:
    """Return the settings of a file, its secrets by name, and the same file without them. Raises WrongCard."""
    try:
        text = content.decode("utf-8")
        if text.startswith("\ufeff"):
            raise WrongCard(f"{path.name}: it begins with a byte order mark: save the file as UTF-8 without one")
        settings = load_settings(path)
    except UnicodeDecodeError as error:
        raise WrongCard(f"{path.name}: byte {error.start} is no UTF-8: save the file as UTF-8") from error
    except WrongSettings as error:
        raise WrongCard(str(error)) from error
    secrets = _secrets(tomllib.loads(text))
    blanked = _SECRET_LINE.sub(_spaced, text)
    with suppress(tomllib.TOMLDecodeError):
        if not _secrets(tomllib.loads(blanked)):
            return settings, secrets, blanked.encode()
    raise WrongCard(f'{path.name}: write each password on a line of its own, as: password = "…"')


def _spaced(line: re.Match[str]) -> str:
    """Blank a secret with as many bytes as it has, so that the file is overwritten in its place."""
    return f'{line[1]}""{" " * (len(line[2].encode()) - 2)}'


def _secrets(tree: Mapping[str, Any]) -> dict[str, str]:
    """Return the secrets that a file sets, by the names under which they are kept; those that are blank ask nothing."""
    found = {}
    for path in SECRETS:
        value: Any = tree
        for key in path:
            value = value.get(key, {}) if isinstance(value, Mapping) else {}
        if value:
            found["__".join(path)] = str(value)
    return found


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
