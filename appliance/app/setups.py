"""The printers as they are in force: what a person has set, then what a set-up has learned, then the defaults."""

from typing import Any

from pydantic import ValidationError

from appliance.printing.learned import FILE_NAME, Learned, Unit, WrongFile, keep, load
from appliance.printing.transport.address import BadUrl, parse_url
from appliance.printing.units import find_units, identity
from appliance.settings import Answers, PrinterSettings, Settings


def printers_in_force(settings: Settings) -> dict[str, PrinterSettings]:
    """Return the printers that there are, by name. Raises WrongFile."""
    learned = load(settings.data_dir)
    found = {name: _in_force(name, printer, learned) for name, printer in settings.named_printers.items()}
    return {name: printer for name, printer in found.items() if printer.url}


def adopt_printer(settings: Settings) -> str | None:
    """Where nobody has named or set up a printer, take the only one that is plugged in; return its URL.

    A USB printer says that it is one, and goes before a serial adapter, behind which there may be a scale. What it can
    is not known yet, so it is printed on as on any. Raises WrongFile or OSError.
    """
    if settings.printers or printers_in_force(settings):
        return None
    found = find_units()
    printers = [one for one in found if one.url.startswith("usb:")] or found
    if len(printers) != 1:
        return None
    [name] = settings.named_printers
    keep(settings.data_dir, name, printers[0].url, None, Unit(Answers.NOTHING, settings.named_printers[name].width))
    return printers[0].url


def owner(settings: Settings, url: str, but: str) -> str | None:
    """Return the name of the printer, other than `but`, whose unit is at an address already. Raises WrongFile."""
    unit = _identity(url)
    for name, printer in printers_in_force(settings).items():
        if name != but and (printer.url == url or (unit is not None and _identity(printer.url) == unit)):
            return name
    return None


def _in_force(name: str, printer: PrinterSettings, learned: Learned) -> PrinterSettings:
    url = printer.url or learned.urls.get(name, "")
    unit = learned.units.get(_identity(url) or "")
    try:
        return PrinterSettings(
            **{**({} if unit is None else unset(printer, unit)), **printer.model_dump(exclude_unset=True), "url": url}
        )
    except ValidationError as error:
        raise WrongFile(f"{FILE_NAME} in the data directory cannot be used ({error}): remove it") from None


def unset(printer: PrinterSettings, unit: Unit) -> dict[str, Any]:
    """Return what was learned of a unit and is not set by a person, as settings.

    A number belongs to its code page: it is not taken for another page, nor a page for a number that is set.
    """
    learned: dict[str, Any] = {"answers": unit.answers, "width": unit.width}
    is_page_free = not {"codepage", "table"} & printer.model_fields_set
    if unit.codepage is not None and (is_page_free or unit.codepage == printer.codepage):
        learned |= {"codepage": unit.codepage, "table": unit.table}
    return {name: value for name, value in learned.items() if name not in printer.model_fields_set}


def _identity(url: str) -> str | None:
    try:
        address = parse_url(url)
    except BadUrl:
        return None  # Whoever opens it says what is wrong.
    return None if address is None else identity(address)
