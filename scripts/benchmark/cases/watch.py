"""Sales at an even pace, timed from a till's publish to the last of some screens that show it."""

import statistics
import time
from collections import Counter
from functools import partial

from scripts.benchmark.contenders import Running
from scripts.benchmark.load.tills import RECEIVED, Screen, Tills
from scripts.processes import Failed


class Watch:
    """Screens that watch tills sell.

    took_ms: from each sale to the last screen, so far; whoever reads it may clear it.
    """

    def __init__(self, running: Running, tills: Tills, screens: int = 1) -> None:
        self.took_ms: list[float] = []
        self._tills = tills
        self._sent_s: dict[str, float] = {}
        self._shown: Counter[str] = Counter()
        self._screens = [running.screen(f"screen-{n}") for n in range(screens)]
        for screen in self._screens:
            tills.hear(screen, partial(self._heard, screen))
            # What is retained is fed first, maybe a while after the subscription, and must not be taken for news.
            while screen.shows_balances and len(screen.on_hand) < len(tills.skus):
                screen.read()

    def sell(self, count: int, per_s: float) -> None:
        """Sell so many pieces at an even pace, and wait until every screen has shown them."""
        self._tills.sell_paced(count, per_s, self._sold)
        self._tills.listen_while(lambda: bool(self._sent_s))
        self._tills.drain()

    def percentiles_ms(self) -> tuple[float, float]:
        """Return within how many milliseconds half, and 99 of a hundred, were shown."""
        percentiles = statistics.quantiles(self.took_ms, n=100, method="inclusive")
        return percentiles[49], percentiles[98]

    def close(self) -> None:
        """Raises Failed when a screen shows other balances than what was sold."""
        for screen in self._screens:
            self._tills.hear_no_more(screen)
            screen.close()
            wanted = {sku: str(RECEIVED - self._tills.sold[sku]) for sku in self._tills.skus}
            if screen.shows_balances and screen.on_hand != wanted:
                raise Failed("a screen shows other balances than what was sold")

    def _sold(self, sku: str) -> None:
        if sku in self._sent_s:
            raise Failed(f"the screens did not show the last sale of {sku}, and now comes the next")
        self._sent_s[sku] = time.perf_counter()

    def _heard(self, screen: Screen) -> None:
        skus = screen.read()
        now_s = time.perf_counter()
        for sku in skus:
            if sku not in self._sent_s:
                continue
            self._shown[sku] += 1
            if self._shown[sku] == len(self._screens):
                del self._shown[sku]
                self.took_ms.append((now_s - self._sent_s.pop(sku)) * 1000)
