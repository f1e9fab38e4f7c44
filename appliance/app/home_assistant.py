"""How the box is, for Home Assistant: discovered there by itself, as one device with its sensors.

    overview, machine ──▶ a thread ──▶ broker ──▶ Home Assistant, or the broker that it has

What it shows is health and alerts, and never stock or money; the kinds of alerts are told, and not their words. The
invariants: it is beside the shop, and whatever fails here stops no sale; and what was once announced is taken back when
it is switched off, for a broker between us keeps it for ever. A file remembers that.
"""

import logging
import threading
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import orjson

from appliance import __version__, durable
from appliance.app import machine
from appliance.app.machine import Machine
from appliance.app.overview import Running
from appliance.contract.topics import Topics
from appliance.ledger.database import DISK_FAULTS
from appliance.ledger.reader import Reader
from appliance.settings import Settings

log = logging.getLogger(__name__)

FILE_NAME = "home-assistant"

LOOK_S = 60.0
"""How often the box is looked at. To a broker that others run each change is a connection of its own."""

_GB = 10**9

Row = dict[str, Any]


class Broker(Protocol):
    """The way out; both of `brokers` satisfy it."""

    def retain_beside(self, retained: Mapping[str, bytes]) -> bool: ...
    def reaches(self, topics: Iterable[str]) -> bool: ...


class HomeAssistant:
    """The thread that tells, or takes back what was told."""

    def __init__(self, running: Running, broker: Broker, reader: Reader) -> None:
        self._running = running
        self._broker = broker
        self._reader = reader
        topics = Topics(running.settings.shop)
        self._config, self._health = (topics.home_assistant(leaf) for leaf in ("config", "health"))
        self._file = running.settings.data_dir / FILE_NAME
        self._said: dict[str, bytes] = {}
        self._say_anew = threading.Event()
        self._wake = threading.Event()
        self._is_stopping = False

    @staticmethod
    def is_wanted(settings: Settings) -> bool:
        """Whether there is anything to tell, or to take back."""
        return settings.home_assistant or (settings.data_dir / FILE_NAME).exists()

    def run(self) -> None:
        """Tell what changes until `stop`; where it is switched off, until what was told is taken back."""
        while not self._is_stopping:
            self._wake.clear()
            if self._running.settings.home_assistant:
                self.tell()
            elif self.take_back():
                break
            self._wake.wait(LOOK_S)

    def say_anew(self) -> None:
        """The broker may have forgotten everything. May be called from any thread."""
        self._say_anew.set()
        self._wake.set()

    def stop(self) -> None:
        self._is_stopping = True
        self._wake.set()

    def tell(self) -> None:
        """Say what has changed since it was said last."""
        if self._say_anew.is_set():
            self._say_anew.clear()
            self._said = {}
        health = self._look()
        wanted = {
            self._config: orjson.dumps(discovery(self._running.settings, health)),
            self._health: orjson.dumps(health),
        }
        news = {topic: payload for topic, payload in wanted.items() if self._said.get(topic) != payload}
        if news and self._remembers() and self._broker.retain_beside(news):
            self._said |= news

    def take_back(self) -> bool:
        """Return whether whoever was told knows that it is over."""
        told = (self._config, self._health)
        if not (self._broker.retain_beside(dict.fromkeys(told, b"")) and self._broker.reaches([self._config])):
            return False
        try:
            self._file.unlink(missing_ok=True)
        except OSError:
            return False  # Told again when it can be written down that it is over.
        log.info("taken back from Home Assistant")
        return True

    def _remembers(self) -> bool:
        """Have it written down, before it is told, that it must be taken back some day."""
        try:
            if not self._file.exists():
                durable.replace(self._file, b"")
        except OSError as error:
            log.warning("nothing is told to Home Assistant reason=%r", str(error))
            return False
        return True

    def _look(self) -> Row:
        found = machine.look(self._running.settings.data_dir)
        try:
            return _health(self._running.row(self._reader), found)
        except DISK_FAULTS:
            return _health(None, found)


def _health(row: Row | None, found: Machine) -> Row:
    """Return what is shown; null is what nobody knows. row: the overview's, None when the ledger cannot be read."""
    disk = found.disk
    return {
        "alerts": None if row is None else len(row["alerts"]),
        "kinds": [] if row is None else sorted({alert["kind"] for alert in row["alerts"]}),
        "printers_not_ready": [] if row is None else [one["printer"] for one in row["printers"] if not _is_well(one)],
        "is_backup_failing": bool(row["backup"]["fault"]) if row and row["backup"] else None,
        "is_disk_failing": row is None or disk is None or disk.is_read_only,
        "is_power_low": found.is_power_low,
        "temperature_c": None if found.temperature_c is None else round(found.temperature_c),
        "disk_free_gb": None if disk is None else round(disk.free_bytes / _GB, 1),
    }


def _is_well(printer: Row) -> bool:
    # One that says nothing of itself is always `unknown`.
    return printer["state"] in ("ready", "unknown") and not printer["paper_low"]


def discovery(settings: Settings, health: Row) -> Row:
    """Return what Home Assistant must know to show a box of this health (MQTT device discovery, since 2024.11)."""
    topics = Topics(settings.shop)
    box = f"stock-{settings.shop}"
    return {
        "device": {
            "identifiers": [box],
            "name": f"Stock Coordinator {settings.shop_name or settings.shop}",
            "manufacturer": "Stock Coordinator",
            "model": "Stock Coordinator",
            "sw_version": __version__,
        },
        "origin": {"name": "Stock Coordinator", "sw_version": __version__},
        "availability": [{"topic": topics.coordinator, "value_template": "{{ value_json.state }}"}],
        "state_topic": topics.home_assistant("health"),
        "components": {
            key: {"unique_id": f"{box}-{key}", **entity}
            for key, (field, entity) in _ENTITIES.items()
            if field not in _MAY_BE_ABSENT or health[field] is not None
        },
    }


def _number(name: str, field: str, **more: str) -> tuple[str, Row]:
    template = f"{{{{ value_json.{field} }}}}"
    return field, {"platform": "sensor", "name": name, "value_template": template, "state_class": "measurement", **more}


def _problem(name: str, field: str) -> tuple[str, Row]:
    template = f"{{{{ 'ON' if value_json.{field} else 'OFF' }}}}"
    return field, {"platform": "binary_sensor", "name": name, "value_template": template, "device_class": "problem"}


# A state of Home Assistant's has at most 255 characters.
_WORDS = "{{ value_json.kinds | join(', ') | truncate(255) }}"

_ENTITIES: dict[str, tuple[str, Row]] = {
    "alerts": _number("Alerts", "alerts"),
    "kinds": ("kinds", {"platform": "sensor", "name": "Kinds of alerts", "value_template": _WORDS}),
    "disk": _problem("Disk", "is_disk_failing"),
    "backup": _problem("Backup", "is_backup_failing"),
    "printers": _problem("Printers", "printers_not_ready"),
    "power": _problem("Power supply", "is_power_low"),
    "temperature": _number("Temperature", "temperature_c", device_class="temperature", unit_of_measurement="°C"),
    "disk_free": _number("Disk free", "disk_free_gb", device_class="data_size", unit_of_measurement="GB"),
}
"""Each with what of the health it shows."""

_MAY_BE_ABSENT = {"is_backup_failing", "is_power_low", "temperature_c", "disk_free_gb"}
"""What a box need not have: a second medium, or a sensor."""
