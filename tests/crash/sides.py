"""Two sides of a network that loses packets: the tills' and the box's, each in a network namespace of its own.

    tills' side (10.9.0.1) ──veth── box's side (10.9.0.2)
         └─ nftables drop what a fault says, in each direction

Who uses it is on the tills' side already: `within` starts a command there. The namespaces have no names and belong to
processes, so that they are gone with them, however a run ends. Root is not needed where the kernel lets users have
namespaces.
"""

import os
import subprocess
import sys
from types import TracebackType
from typing import Self

TILLS, BOX = "10.9.0.1", "10.9.0.2"

LOSS_PERCENT = 30

_LOSE = f"numgen random mod 100 < {LOSS_PERCENT} drop"

FAULTS = {
    "loss": (_LOSE, _LOSE),
    "cut": ("drop", "drop"),
    "deaf": ("drop", ""),
    "mute": ("", "drop"),
    "half": ("tcp sport & 1 == 1 drop", "tcp dport & 1 == 1 drop"),
}
"""What happens to packets towards the box, and to those from it: `half` cuts off every other connection."""


def within(*module: str) -> list[str]:
    """Return the command that runs a module of ours on the tills' side of a new network."""
    # Who is not root is root in there alone, which is enough.
    rights = [] if os.geteuid() == 0 else ["--map-root-user"]
    return ["unshare", *rights, "--net", sys.executable, "-m", *module]


class Side:
    """A network namespace beside this one, at the other end of a line, for as long as the block lasts.

    line: this side's end of it. here, there: the addresses of both ends.
    """

    def __init__(self, line: str, here: str, there: str) -> None:
        self.line = line
        self._here = here
        self._there = there

    def __enter__(self) -> Self:
        # It lives until its input ends, so no longer than this process.
        self._holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; cat"], stdin=-1, stdout=-1)
        assert self._holder.stdout is not None
        self._holder.stdout.readline()  # Before that it may still be on this side.
        run("ip", "link", "add", self.line, "type", "veth", "peer", "name", "line", "netns", str(self._holder.pid))
        for inside, end, address in (((), self.line, self._here), (self.inside, "line", self._there)):
            run(*inside, "ip", "link", "set", "lo", "up")
            run(*inside, "ip", "address", "add", f"{address}/24", "dev", end)
            run(*inside, "ip", "link", "set", end, "up")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._holder.communicate()

    @property
    def inside(self) -> tuple[str, ...]:
        """The words that put a command there."""
        return ("nsenter", "--target", str(self._holder.pid), "--net")


class Sides:
    """The line between the tills' side, which is this one, and the box's; and what is wrong with it."""

    def __init__(self) -> None:
        self._box = Side("tills", TILLS, BOX)

    def __enter__(self) -> Self:
        self._box.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.heal()
        self._box.__exit__(kind, error, trace)

    @property
    def at_box(self) -> tuple[str, ...]:
        """The words that put a command on the box's side."""
        return self._box.inside

    def break_(self, fault: str) -> None:
        """Let one of FAULTS begin, in the place of what was wrong before."""
        there, back = FAULTS[fault]
        run("nft", "-f", "-", text=_RULES.format(there=there, back=back))

    def heal(self) -> None:
        run("nft", "flush", "ruleset")


_RULES = """\
flush ruleset
table inet faults {{
    chain there {{
        type filter hook output priority 0
        oifname tills {there}
    }}
    chain back {{
        type filter hook input priority 0
        iifname tills {back}
    }}
}}
"""


def run(*command: str, text: str = "") -> None:
    """Run a command of the network's; it must succeed."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
