"""The runs that the table of evidence is made of: what each shows, how it is made, and what of it CI runs.

Each is a command of its own that writes a `Result`; whoever doubts a row runs its command.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Run:
    """title: what is counted. whole, quick: the words after `python -m`, of the long run and of a short one.
    in_ci: what of it the suite runs.
    """

    name: str
    title: str
    whole: tuple[str, ...]
    quick: tuple[str, ...]
    in_ci: str


RUNS = (
    Run(
        "simulation",
        "simulated shop-days",
        ("tests.simulation", "--seeds", "10000"),
        ("tests.simulation", "--seeds", "20"),
        "80",
    ),
    Run(
        "mutants",
        "protective rules taken away; lost are those that nothing missed",
        ("tests.simulation", "--mutants"),
        ("tests.simulation", "--mutants", "--seeds", "1"),
        "all, by their traces",
    ),
    Run(
        "power",
        "power cuts, on a disk that drops and tears sectors",
        ("tests.crash.power", "--cuts", "20000"),
        ("tests.crash.power", "--cuts", "100"),
        "about 1,000",
    ),
    Run(
        "ext4",
        "power cuts, under a real kernel",
        ("tests.crash.ext4", "cut", "--cuts", "200"),
        ("tests.crash.ext4", "cut", "--cuts", "2"),
        "5",
    ),
    Run(
        "kills",
        "kill -9 of the box while tills sell and a printer prints",
        ("tests.crash.kill", "--kills", "1000"),
        ("tests.crash.kill", "--kills", "5"),
        "40",
    ),
    *(
        Run(
            f"network-{where}",
            f"faults of the network between {between}",
            ("tests.crash.network", "--faults", "200", "--where", where),
            ("tests.crash.network", "--faults", "5", "--where", where),
            "5, one of each kind",
        )
        for where, between in (
            ("embedded", "tills and box"),
            ("far", "tills and mosquitto"),
            ("near", "mosquitto and box"),
        )
    ),
    Run(
        "malformed",
        "malformed packets, while a till sells",
        ("tests.attacks", "--only", "malformed packets"),
        ("tests.attacks", "--only", "subscribing to everything"),
        "2,000",
    ),
    Run(
        "attacks",
        "attacks of ten kinds, while a till sells",
        ("tests.attacks",),
        ("tests.attacks", "--only", "forged"),
        "a share of each kind",
    ),
    Run(
        "year",
        "days of a busy shop's year",
        ("tests.soak",),
        ("tests.soak", "--days", "3", "--receipts", "50"),
        "240 days, of 20 receipts",
    ),
)
