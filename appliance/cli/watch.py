"""`watch`: the box live on one screen, what is sold as it is sold, and how much there is of what a person looks for."""

import sys

from appliance.cli.config import Config, settings_from
from appliance.cli.failure import Failure


def watch(config: Config = None) -> None:
    """Show the box live, with what is sold, and look for a SKU. Press / to search, q to leave.

    Example: stock-coordinator watch
    """
    settings = settings_from(config)
    if not sys.stdout.isatty():
        raise Failure("watch needs a terminal; stock-coordinator status shows the same once")
    # Imported here: it takes 8 MB and a second of a Pi, and the box itself has no screen.
    from appliance.cli.live import Live

    Live(settings).run()
