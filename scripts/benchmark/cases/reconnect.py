"""How long a large shop takes to be back after a power cut, and how long who is in waits for an answer meanwhile."""

import statistics

from scripts.benchmark.cases import Goal, Measure, Site, selling
from scripts.benchmark.contenders.all import CONTENDERS
from scripts.benchmark.load.crowd import CROWD, seconds_until_all_are_in, waiting_for_answers


class Reconnect:
    """The wait is the contender's longest stall, with the machine's own in it."""

    name = "reconnect"
    title = f"{len(CROWD)} further tills come at once, log in and subscribe"
    contenders = ("ours", "tokens", "mosquitto")
    measures = (
        Measure("all_in_s", "until all are in, s"),
        Measure("stall_ms", "longest answer to who is in, ms"),
    )
    goals: tuple[Goal, ...] = ()

    def run(self, contender: str, site: Site) -> dict[str, float]:
        with selling(CONTENDERS[contender], site) as (running, _):
            assert running.broker is not None
            took_s: list[float] = []
            with waiting_for_answers(running.broker, site.seconds) as longest:
                while not longest.done() or not took_s:
                    took_s.append(seconds_until_all_are_in(running.broker))
                return {"all_in_s": statistics.median(took_s), "stall_ms": longest.result()}
