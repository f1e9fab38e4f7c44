"""From starting a full ledger to the first ack, and the memory that it takes."""

import time

from scripts.benchmark.cases import Goal, Measure, Site, empty_directory
from scripts.benchmark.cases.usage import memory_mb
from scripts.benchmark.contenders.all import CONTENDERS
from scripts.benchmark.load.tills import Tills
from scripts.processes import Failed

SKUS = 100_000


class Start:
    name = "start"
    title = f"a start with {SKUS:,} SKUs"
    contenders = ("ours", "naive", "redis", "postgresql")
    measures = (
        Measure("first_ack_s", "from the start to the first ack, s"),
        Measure("empty_mb", "memory without any SKU, MB"),
        Measure("full_mb", "memory with all of them, MB"),
    )
    goals = (Goal("first_ack_s", 2), Goal("empty_mb", 80), Goal("full_mb", 150))

    def run(self, contender: str, site: Site) -> dict[str, float]:
        one = CONTENDERS[contender]
        skus = [str(4_600_000_000_000 + n) for n in range(round(SKUS * site.scale))]
        with empty_directory(contender, site) as directory:
            with one.running(directory) as running:
                empty_mb = memory_mb(running)
                tills = Tills([running.till("till")], skus)
                tills.receive()
                tills.close()
            began_s = time.perf_counter()
            with one.running(directory) as running:
                tills = Tills([running.till("another")], skus)
                tills.sell(tills.all[0])
                tills.all[0].flush()
                tills.drain()
                first_ack_s = time.perf_counter() - began_s
                full_mb = memory_mb(running)
                tills.close()
            if (kept := one.kept(directory)) is not None and kept.operations != len(skus) + 1:
                raise Failed(f"{len(skus) + 1} operations were called durable, {kept.operations} are in the database")
        return {"first_ack_s": first_ack_s, "empty_mb": empty_mb, "full_mb": full_mb}
