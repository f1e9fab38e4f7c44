"""How the box writes its log: one line a business event, to standard error, where the journal or a person reads it.

Repeats are held back. A broken till that sends a thousand bad messages a second must not wear the card out, nor hide
what else happens; what was held back is counted in the next line of its kind.
"""

import logging
from collections import defaultdict
from dataclasses import dataclass

BURST = 20
"""Lines of one kind within a window: enough to see what it is about."""

WINDOW_S = 10.0


@dataclass(slots=True)
class _Kind:
    since: float = 0.0
    lines: int = 0
    held_back: int = 0


class Repeats(logging.Filter):
    """Lets through the first BURST lines of a kind in each window; a kind is a logger and its format."""

    def __init__(self) -> None:
        super().__init__()
        self._kinds: defaultdict[tuple[str, str], _Kind] = defaultdict(_Kind)

    def filter(self, record: logging.LogRecord) -> bool:
        kind = self._kinds[record.name, record.msg]
        if record.created - kind.since >= WINDOW_S:
            if kind.held_back:
                record.msg, record.args = f"{record.getMessage()} held_back={kind.held_back}", None
            kind.since, kind.lines, kind.held_back = record.created, 0, 0
        kind.lines += 1
        if kind.lines > BURST:
            kind.held_back += 1
            return False
        return True


def set_up() -> None:
    """Write the log of this process."""
    handler = logging.StreamHandler()
    handler.addFilter(Repeats())
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for inside in ("amqtt", "transitions"):  # Their INFO is about themselves, not about the shop.
        logging.getLogger(inside).setLevel(logging.WARNING)
