"""Write a complaint once and count its repeats: a peer in a loop must not fill the disk with log lines."""

import logging
import time
from collections import OrderedDict

_KEYS_MAX = 1024
"""Complaints remembered; beyond it the oldest is forgotten and may be written again."""


class Repeats:
    """interval_s: how long a complaint is silent after it was written."""

    def __init__(self, logger: logging.Logger, interval_s: float) -> None:
        self._logger = logger
        self._interval_s = interval_s
        self._written: OrderedDict[tuple[str, str], tuple[float, int]] = OrderedDict()  # When, and repeats since then.

    def write(self, level: int, event: str, about: str, details: str) -> None:
        """Write `event about details` unless this event about the same peer was written just now.

        level: one of logging's. about and details: `key=value` pairs that are safe to print; what a peer made up is
        passed through `%r` first.
        """
        key, now = (event, about), time.monotonic()
        written_s, repeats = self._written.get(key, (float("-inf"), 0))
        if now - written_s < self._interval_s:
            self._written[key] = (written_s, repeats + 1)
            return
        self._written[key] = (now, 0)
        self._written.move_to_end(key)
        if len(self._written) > _KEYS_MAX:
            self._written.popitem(last=False)
        self._logger.log(level, "%s %s %s repeats=%d", event, about, details, repeats)
