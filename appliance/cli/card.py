"""`card`: the boot partition of the image, which is all that a shopkeeper sees of it. Its units call this, as root.

box-card.service   take   before the network and the coordinator
box-slip.service   slip   beside the coordinator, again and again until nothing is left to do
"""

import logging
from pathlib import Path
from typing import Annotated

import typer

from appliance.access.password import ShopPassword
from appliance.app import system
from appliance.app.card import Card, overwrite, writable
from appliance.app.first_slip import FIRST_DEVICE
from appliance.app.notices import print_notice
from appliance.app.setups import adopt_printer, printers_in_force
from appliance.cli import asking, journal
from appliance.cli.config import Config, settings_from
from appliance.cli.failure import Failure
from appliance.contract.slip import parse_slip
from appliance.printing import png, text
from appliance.printing.layout.blocks import Code, Cut
from appliance.printing.layout.notice import Notice
from appliance.printing.layout.sheet import Paper
from appliance.printing.slips import slip_sheet
from appliance.printing.template import load_template
from appliance.settings import Mode, Settings

app = typer.Typer(help="The boot partition of the image, and its one file.", no_args_is_help=True)

log = logging.getLogger(__name__)

_PAPER = Paper(48)

Boot = Annotated[Path, typer.Argument(help="Where the boot partition is mounted.")]
Etc = Annotated[Path, typer.Option(help="Where root keeps the settings of the service.")]


@app.command()
def take(boot: Boot, etc: Etc = Path("/etc/stock-coordinator")) -> None:
    """Take stock-coordinator.toml from the boot partition if it has changed, and set the system up by what is kept.

    Example: stock-coordinator card take /boot/firmware
    """
    journal.set_up()
    if not system.is_image():
        raise Failure("this system is not the image, and its own: nothing is set up here")
    settings, faults = Card(boot, etc).in_force()
    system.apply(settings)
    if (url := adopt_printer(settings)) is not None:
        log.info("printer found url=%s", url)
    if faults:
        for printer, outcome in print_notice(Notice.SETTINGS, settings, faults):
            log.info("notice printer=%s outcome=%r", printer, outcome)
        raise Failure("\n".join(("the settings cannot be used:", *faults)))


@app.command()
def slip(boot: Boot, config: Config = None) -> None:
    """Where nobody can come in and there is no printer, put the first slip on the boot partition, until it is used.

    It fails while it waits for its till, and is to be called again.

    Example: stock-coordinator card slip /boot/firmware
    """
    settings = settings_from(config)
    if settings.broker.mode is Mode.EXTERNAL:
        return  # The shop's own broker decides who comes in.
    devices = {row["device"] for row in asking.running(settings.data_dir, "devices")}
    on_card = _SlipOnCard(boot)
    if on_card.exists and not on_card.is_begun:
        [status] = asking.running(settings.data_dir, "status")
        if FIRST_DEVICE in {till["device"] for till in status["tills"]}:
            on_card.remove()
            return
    elif on_card.is_begun or not (devices or printers_in_force(settings) or ShopPassword(settings.data_dir).is_set):
        on_card.put(settings, "device-slip" if FIRST_DEVICE in devices else "device-add")
    else:
        return
    raise Failure(f"{FIRST_DEVICE}'s slip waits on the boot partition until the till has logged in")


class _SlipOnCard:
    """A slip where there is no printer: as text, and as a picture whose code a till reads off a screen."""

    def __init__(self, boot: Path) -> None:
        self._boot = boot
        self._text = boot / f"slip-{FIRST_DEVICE}.txt"
        self._picture = boot / f"slip-{FIRST_DEVICE}.png"

    @property
    def exists(self) -> bool:
        return self._text.exists()

    @property
    def is_begun(self) -> bool:
        """Whether the power went between its token and its text: nobody has that one, and another must be made."""
        return self.exists and not self._text.stat().st_size

    def put(self, settings: Settings, do: str) -> None:
        with writable(self._boot):
            self._text.write_bytes(b"")
            [row] = asking.running(settings.data_dir, do, device=FIRST_DEVICE)
            language = load_template(settings.precheck.template, _PAPER).language
            sheet = slip_sheet(parse_slip(row["slip"]), settings.shop_name or settings.shop, language)
            self._picture.write_bytes(png.render(sheet, _PAPER))
            lines = text.render([block for block in sheet if not isinstance(block, Code | Cut)], _PAPER)
            self._text.write_text(f"{lines}\n{row['slip']}\n", "utf-8")

    def remove(self) -> None:
        with writable(self._boot):
            for path in (self._text, self._picture):
                overwrite(path, bytes(path.stat().st_size))
                path.unlink()
