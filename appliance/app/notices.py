"""Notices on paper while no coordinator runs: that it does not stay up, or that the card's file cannot be used.

There is no ledger here and no queue. A notice is tried on each printer once, and what came of it is told: whoever reads
the paper can act, and nobody else is meant.
"""

import secrets
from collections.abc import Iterator, Sequence

from appliance.app.printers import capabilities, shop_on_paper
from appliance.app.setups import printers_in_force
from appliance.printing.driver import Doubtful, Driver, NotReady
from appliance.printing.encode import encode
from appliance.printing.layout.notice import Notice, notice
from appliance.printing.layout.sheet import Paper
from appliance.printing.template import load_template
from appliance.settings import Settings


def print_notice(kind: Notice, settings: Settings, faults: Sequence[str] = ()) -> Iterator[tuple[str, str]]:
    """Print on every printer; yield each one's name and how far it is known to be out, or why not.

    Raises WrongFile, WrongTemplate, BadUrl or CannotPrint where the printers cannot be as they are set up.
    """
    for name, printer in printers_in_force(settings).items():
        paper = Paper(printer.width, printer.codepage)
        language = load_template(settings.precheck.template, paper).language
        sheet = notice(kind, shop_on_paper(settings).name, faults, language)
        driver = Driver(printer.url, capabilities=capabilities(printer))
        try:
            sent = driver.send(
                encode(sheet, paper, model=printer.profile, table=printer.table),
                f"{secrets.randbelow(10_000):04}".encode(),
                began=lambda: None,
            )
            yield name, sent.level
        except (NotReady, Doubtful) as why:
            yield name, str(why)
        finally:
            driver.close()
