"""The settings of one box: the environment first, then systemd's credentials, then `stock-coordinator.toml`.

This is the only reader of the environment, and of the credentials that it names. A wrong value stops the start with the
variable's name, the value and the remedy, so every field's description is written to follow "write …". Nothing changes
after the start: it is all frozen.
"""

import codecs
import os
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import reduce
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Annotated, Any, get_args
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from appliance.contract.paper import PrintOn
from appliance.contract.slip import HOST_MAX, HOSTS_MAX, is_host

PREFIX = "STOCK_"
FILE_NAME = "stock-coordinator.toml"
_CONFIG = f"{PREFIX}CONFIG"

TopicName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,64}$")]
_SSH_KEY = r"^(ssh|ecdsa|sk)-[a-z0-9@.-]+ [A-Za-z0-9+/=]+( [^\n]*)?$"
Port = Annotated[int, Field(ge=1, le=65535)]
PortOrNone = Annotated[int, Field(ge=0, le=65535)]


class Mode(StrEnum):
    EMBEDDED = "embedded"
    EXTERNAL = "external"


class Plain(StrEnum):
    LOOPBACK = "loopback"
    LAN = "lan"


def _host(text: str) -> str:
    if not is_host(host := text.lower()):
        raise ValueError(
            f"{text!r} is no address: write a host name or an IP address, of at most {HOST_MAX} characters"
        )
    return host


class BrokerSettings(BaseModel):
    """The broker: our own, or one that the shop already has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Mode = Field(default=Mode.EMBEDDED, description="embedded (the box is it) or external (another one is)")
    port: Port = Field(default=1883, description="a TCP port, 1 to 65535")
    plain: Plain = Field(default=Plain.LOOPBACK, description="loopback, or lan to let tills in without TLS")
    tls_port: PortOrNone = Field(default=8883, description="a TCP port, 1 to 65535, or 0 for no TLS")
    websocket_port: PortOrNone = Field(default=0, description="a TCP port, 1 to 65535, or 0 for no WebSocket")
    certificate: Path | None = Field(default=None, description="the path of the shop's own certificate, PEM")
    key: Path | None = Field(default=None, description="the path of its key, PEM")
    addresses: tuple[Annotated[str, AfterValidator(_host)], ...] = Field(
        default=(), max_length=HOSTS_MAX, description=f"a list of at most {HOSTS_MAX} addresses for the slips"
    )
    host: str = Field(default="127.0.0.1", min_length=1, description="the external broker's host name or address")
    user: str | None = Field(default=None, description="the external broker's user name for the coordinator")
    password: SecretStr | None = Field(default=None, description="the external broker's password for that user")

    @model_validator(mode="after")
    def _external_is_never_anonymous(self) -> "BrokerSettings":
        if self.mode is Mode.EXTERNAL and not (self.user and self.password and self.password.get_secret_value()):
            raise ValueError(
                f"mode external needs {PREFIX}BROKER__USER and {PREFIX}BROKER__PASSWORD: set both, "
                "or the mode to embedded"
            )
        return self

    @model_validator(mode="after")
    def _a_certificate_has_its_key(self) -> "BrokerSettings":
        if (self.certificate is None) is not (self.key is None):
            raise ValueError(
                f"{PREFIX}BROKER__CERTIFICATE and {PREFIX}BROKER__KEY belong together: set both, or neither"
            )
        return self

    @model_validator(mode="after")
    def _a_browser_trusts_what_it_is_shown(self) -> "BrokerSettings":
        if self.websocket_port and self.certificate is None:
            raise ValueError(
                f"{PREFIX}BROKER__WEBSOCKET_PORT is for browsers, which cannot pin the box's own certificate: set "
                f"{PREFIX}BROKER__CERTIFICATE and {PREFIX}BROKER__KEY to one that they trust, or the port to 0"
            )
        return self


class DevicesSettings(BaseModel):
    """Who may come in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tokens_only: bool = Field(default=False, description="true to let in nobody without a token of its own, or false")


class StockSettings(BaseModel):
    """The rules' own settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reserve_hours: int = Field(default=12, ge=1, le=744, description="hours, 1 to 744, that an open receipt reserves")


class Answers(StrEnum):
    """What a printer says back, from the most that can be known of a sheet to the least."""

    MARKER = "marker"
    FENCE = "fence"
    STATUS = "status"
    NOTHING = "nothing"


WIDTHS = (32, 42, 48)
"""Columns of the papers that there are: 58 mm, and 80 mm with a narrower or the whole print head."""


def _width(columns: int) -> int:
    if columns not in WIDTHS:
        raise ValueError(f"{columns} columns: write 32 (58 mm paper), 42 or 48 (80 mm)")
    return columns


def _code_page(name: str) -> str:
    """A printer's page has ASCII, and one byte a character. Python has codecs of other kinds too, utf-16 and rot13."""
    ascii_text = bytes(range(0x20, 0x7F)).decode("ascii")
    try:
        if ascii_text.encode(name) == ascii_text.encode("ascii") and len("漢".encode(name, "replace")) == 1:
            return codecs.lookup(name).name
    except (LookupError, UnicodeError):
        pass
    raise ValueError(f"{name!r} is no code page of a printer: write cp866, or cp437, cp1251, ...")


class PrinterSettings(BaseModel):
    """One printer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(default="", description="serial:…, usb:…, tcp:…, file:… or terminal:, or nothing for no printer")
    width: Annotated[int, AfterValidator(_width)] = Field(default=48, description="columns: 32, 42 or 48")
    codepage: Annotated[str, AfterValidator(_code_page)] = Field(default="cp866", description="the printer's code page")
    profile: str = Field(default="default", description="the printer's profile in python-escpos")
    table: int | None = Field(default=None, ge=0, le=255, description="the number of the code page (ESC t), 0 to 255")
    answers: Answers = Field(default=Answers.NOTHING, description="marker, fence, status or nothing")
    groups: tuple[str, ...] = Field(default=(), description="a list of item groups, or none to print whole receipts")


class PreCheckSettings(BaseModel):
    """Pre-checks: when they are printed, and how they look."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    print_on: PrintOn = Field(default=PrintOn.OPEN, description="open, paid, all or none")
    stale_s: int = Field(default=600, ge=1, le=7 * 24 * 3600, description="seconds, 1 to 604800")
    template: Path | None = Field(default=None, description="the path of a TOML file")


class LedgerSettings(BaseModel):
    """How much history is kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keep_months: int | None = Field(
        default=None, ge=1, le=1200, description="months, 1 to 1200, of which every entry and receipt is kept"
    )


class BackupSettings(BaseModel):
    """Copies of the ledger on a second medium."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dir: Path | None = Field(default=None, description="a directory on another disk than the ledger's")
    keep: int = Field(default=7, ge=1, le=1000, description="how many copies are kept, 1 to 1000")


def _nothing(value: object) -> object:
    """A key that is there and blank asks for nothing, as one that is not there."""
    return None if value == "" else value


class BoxSettings(BaseModel):
    """The machine itself. The image applies them at each start; where another system rules they are not looked at."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hostname: str = Field(
        default="stock",
        pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
        description="the name that .local follows: 1 to 63 of a-z, 0-9 and -",
    )
    address: Annotated[IPv4Interface | None, BeforeValidator(_nothing)] = Field(
        default=None, description="an address and its network's size, as 192.168.1.5/24, or nothing to ask the router"
    )
    gateway: Annotated[IPv4Address | None, BeforeValidator(_nothing)] = Field(
        default=None, description="the router's address, as 192.168.1.1"
    )
    dns: tuple[IPv4Address, ...] = Field(default=(), max_length=3, description="a list of at most 3 IPv4 addresses")
    authorized_keys: tuple[Annotated[str, StringConstraints(pattern=_SSH_KEY)], ...] = Field(
        default=(), description="a list of public ssh keys, a line each, as they stand in id_ed25519.pub"
    )


class Settings(BaseSettings):
    """All settings. `password` is the shop's; absent or blank keeps the hash that the box has."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", frozen=True, extra="forbid")

    shop: TopicName = Field(default="shop", description="the shop's name in topics: 1 to 64 of A-Z, a-z, 0-9 and -")
    shop_name: str = Field(default="", max_length=100, description="the shop's name on paper, at most 100 characters")
    shop_inn: str = Field(default="", pattern=r"^(\d{10}|\d{12})?$", description="the shop's INN, 10 or 12 digits")
    shop_address: str = Field(default="", max_length=200, description="the address on paper, at most 200 characters")
    time_zone: ZoneInfo | None = Field(default=None, description="a time zone by its IANA name, as Europe/Moscow")
    password: SecretStr | None = Field(default=None, description="the password that the shop's tills log in with")
    data_dir: Path = Field(default=Path("/var/lib/stock-coordinator"), description="the ledger's directory")
    broker: BrokerSettings = BrokerSettings()
    metrics_port: PortOrNone = Field(default=0, description="a TCP port, 1 to 65535, or 0 for no metrics")
    home_assistant: bool = Field(default=False, description="true to show the box's health there, or false")
    devices: DevicesSettings = DevicesSettings()
    stock: StockSettings = StockSettings()
    precheck: PreCheckSettings = PreCheckSettings()
    ledger: LedgerSettings = LedgerSettings()
    backup: BackupSettings = BackupSettings()
    box: BoxSettings = BoxSettings()
    printer: PrinterSettings | None = None
    printers: dict[TopicName, PrinterSettings] = Field(default={}, description="a table for each printer, by its name")

    @model_validator(mode="after")
    def _printers_are_set_in_one_way(self) -> "Settings":
        if self.printer is not None and self.printers:
            raise ValueError(
                f"{PREFIX}PRINTER__… is short for one printer, and there is a table of printers too: keep one of them"
            )
        return self

    @model_validator(mode="after")
    def _each_printer_is_another(self) -> "Settings":
        urls = [printer.url for printer in self.printers.values() if printer.url]
        if twice := sorted({url for url in urls if urls.count(url) > 1}):
            raise ValueError(f"two printers are at {twice[0]}, and only one of them could have it: keep one")
        return self

    @property
    def named_printers(self) -> dict[str, PrinterSettings]:
        """The printers by name. Without a URL there is one only if `printer setup` has found it."""
        return dict(self.printers) or {"main": self.printer or PrinterSettings()}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        credentials = _Credentials(file_secret_settings, secrets_dir=_credentials_directory(), secrets_dir_missing="ok")
        return env_settings, credentials, TomlConfigSettingsSource(settings_cls)


class _Credentials(NestedSecretsSettingsSource):
    """A setting for each credential that has its variable's name, in whatever case: `LoadCredential=stock_password:…`.

    Others in the same directory are not ours, and may be no text.
    """

    @classmethod
    def load_secrets(cls, path: Path) -> dict[str, str]:
        return {name: _text(path / name) for name in _credentials()}


def _secrets(model: type[BaseModel], *above: str) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        kinds = (field.annotation, *get_args(field.annotation))
        if SecretStr in kinds:
            yield (*above, name)
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from _secrets(kind, *above, name)


SECRETS = tuple(_secrets(Settings))
"""The keys that lead to each secret in the TOML file."""


class WrongSettings(Exception):
    """The settings cannot be used. Its text has a line for each fault."""


def load_settings(config: Path | None = None) -> Settings:
    """Return the settings from the environment and a TOML file.

    config: the file; None means what STOCK_CONFIG names, else `stock-coordinator.toml` here, if there is one.
    Raises WrongSettings, naming each variable, its value and the remedy.
    """
    config = _named(config)
    if config is not None and not config.is_file():
        raise WrongSettings(f"{config}: there is no such file: name another by --config or {_CONFIG}")
    if wrong := _groups_in_the_environment():
        raise WrongSettings("\n".join(wrong))
    faults = _unknown_variables()

    class Configured(Settings):
        model_config = SettingsConfigDict(toml_file=config or Path(FILE_NAME))

    try:
        settings = Configured()
    except tomllib.TOMLDecodeError as error:
        raise WrongSettings(f"{config or FILE_NAME}: {error}: mend the file") from error
    except ValidationError as error:
        # Only the faults are shown, never the model's own text, which would show a password.
        raise WrongSettings("\n".join(faults + [_fault(one) for one in error.errors()])) from None
    if faults:
        raise WrongSettings("\n".join(faults))
    return settings


def files_with_secrets(config: Path | None = None) -> list[Path]:
    """Return the settings file, as `load_settings` has found it, if a secret stands in it."""
    file = _named(config) or Path(FILE_NAME)
    if not file.is_file():
        return []
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    found = [key for *above, key in SECRETS if key in reduce(lambda at, name: at.get(name, {}), above, table)]
    return [file] if found else []


def is_journal() -> bool:
    """Whether what is printed goes to the system's journal, where a secret must not stand.

    That the variable is set says nothing, for a desktop's terminal inherits it: it names the journal's own stream by
    device and inode, to be compared (systemd.exec(5), "$JOURNAL_STREAM").
    """
    return os.environ.get("JOURNAL_STREAM") in (_identity(1), _identity(2))


@dataclass(frozen=True, slots=True)
class ServiceManager:
    """Who has started this process. address: the socket that wants to be told how it goes, or "" (sd_notify(3)).

    watchdog_s: seconds of silence after which this process is ended, 0 for ever.
    """

    address: str = ""
    watchdog_s: float = 0.0


def service_manager() -> ServiceManager:
    """Return who has started this process, and forget it: what this process starts has nothing to say to it."""
    address = os.environ.pop("NOTIFY_SOCKET", "")
    watchdog_us = int(os.environ.pop("WATCHDOG_USEC", "0"))
    is_mine = os.environ.pop("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    if address.startswith("@"):
        address = "\0" + address[1:]  # The abstract namespace.
    return ServiceManager(address, watchdog_us / 1e6 if is_mine else 0.0)


def variable(*path: str) -> str:
    """Return the environment variable of a setting, given the keys that lead to it in the TOML file."""
    return PREFIX + "__".join(path).upper()


def _named(config: Path | None) -> Path | None:
    named = os.environ.get(_CONFIG)
    return Path(named) if config is None and named else config


def _credentials_directory() -> Path | None:
    """Where systemd has put what the unit's LoadCredential= names (systemd.exec(5))."""
    named = os.environ.get("CREDENTIALS_DIRECTORY")
    return Path(named) if named else None


def _credentials() -> list[str]:
    """Return the names of the credentials that are settings."""
    directory = _credentials_directory()
    if directory is None or not directory.is_dir():
        return []
    return [path.name for path in directory.iterdir() if path.name.upper().startswith(PREFIX)]


def _text(credential: Path) -> str:
    try:
        return credential.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        # Not the error's text, in which a byte of the secret stands.
        raise WrongSettings(f"{credential} is no UTF-8 text: write it as such") from None
    except OSError as error:
        raise WrongSettings(f"{credential} cannot be read ({error.strerror}): put a file there") from error


def _identity(descriptor: int) -> str:
    try:
        found = os.fstat(descriptor)
    except OSError:
        return "closed"
    return f"{found.st_dev}:{found.st_ino}"


def _groups_in_the_environment() -> list[str]:
    """A table as one variable would be read as JSON, past the names that are checked here; so there is none."""
    groups = {
        variable(name) for name, field in Settings.model_fields.items() if hasattr(field.annotation, "model_fields")
    }
    return [
        f"{name} is set, but it is a table of settings: unset it, and set each by its own name, {name.upper()}__…"
        for name in sorted(os.environ)
        if name.upper() in groups
    ]


def _unknown_variables() -> list[str]:
    known = {variable(name) for name in Settings.model_fields} | {_CONFIG}
    return [
        f"{name} is set, but there is no such setting: unset it, or correct its name"
        for name in sorted({*os.environ, *(name.upper() for name in _credentials())})
        if name.startswith(PREFIX) and name.split("__")[0] not in known
    ]


def _fault(error: Any) -> str:
    path = tuple(str(key) for key in error["loc"])
    name = f"{variable(*path)} ({'.'.join(path)} in the TOML file)"
    if error["type"] == "value_error":
        return f"{variable(*path)}: {error['ctx']['error']}" if path else str(error["ctx"]["error"])
    if error["type"] == "model_type":
        return f"{'.'.join(path)} in the TOML file is {error['input']!r}: write a table, [{'.'.join(path)}]"
    if error["type"] == "extra_forbidden":
        return f"{name} is set, but there is no such setting: remove it, or correct its name"
    value = "not shown here" if path[-1] == "password" else repr(error["input"])
    return f"{name} is {value}: write {_description(path)}"


def _description(path: tuple[str, ...]) -> str:
    fields: Any = Settings.model_fields
    field = None
    for key in path:
        if key not in fields:  # a printer's name
            continue
        field = fields[key]
        kinds = (field.annotation, *get_args(field.annotation))
        fields = next((kind.model_fields for kind in kinds if hasattr(kind, "model_fields")), {})
    return str(field.description if field else "another value")
