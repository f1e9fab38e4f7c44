"""Room for the connections: each takes a file descriptor, and a process has only so many.

`server` asks before it listens. A process that runs out of them can accept nobody, nor open a file: the broker's own
limits must be reached first.
"""

import resource

from appliance.broker.embedded.limits import Limits
from appliance.broker.embedded.listeners import ACCEPTS

_OTHERS = 128
"""Descriptors of the rest of the process: the ledger's readers, the control socket, libraries; 40 were counted."""


class TooFewDescriptors(Exception):
    """This process may not open as many files as it has connections; the message says how to allow it."""


def make_room(limits: Limits) -> None:
    """Have the system allow as many descriptors as the limits need. Raises TooFewDescriptors."""
    # So many are accepted before a stranger that must go for them is closed.
    needed = limits.connections_max + limits.strangers_max + ACCEPTS + _OTHERS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise TooFewDescriptors(
            f"this process may open {hard} files, and {limits.connections_max} connections need {needed}: allow more,"
            f" with LimitNOFILE={needed} in the systemd unit or `ulimit -Hn {needed}` in the shell"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
