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


class Sides:
    """The line between the two sides, and what is wrong with it."""

    def __enter__(self) -> Self:
        # It lives until its input ends, so no longer than this process.
        self._holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; cat"], stdin=-1, stdout=-1)
        assert self._holder.stdout is not None
        self._holder.stdout.readline()  # Before that it may still be on this side.
        _run("ip", "link", "set", "lo", "up")
        _run("ip", "link", "add", "tills", "type", "veth", "peer", "name", "box", "netns", str(self._holder.pid))
        _run("ip", "address", "add", f"{TILLS}/24", "dev", "tills")
        _run("ip", "link", "set", "tills", "up")
        _run(*self.at_box, "ip", "link", "set", "lo", "up")
        _run(*self.at_box, "ip", "address", "add", f"{BOX}/24", "dev", "box")
        _run(*self.at_box, "ip", "link", "set", "box", "up")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.heal()
        self._holder.communicate()

    @property
    def at_box(self) -> tuple[str, ...]:
        """The words that put a command on the box's side."""
        return ("nsenter", "--target", str(self._holder.pid), "--net")

    def break_(self, fault: str) -> None:
        """Let one of FAULTS begin, in the place of what was wrong before."""
        there, back = FAULTS[fault]
        _run("nft", "-f", "-", text=_RULES.format(there=there, back=back))

    def heal(self) -> None:
        _run("nft", "flush", "ruleset")


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


def _run(*command: str, text: str = "") -> None:
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
