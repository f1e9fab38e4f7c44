"""How it goes at the door of the embedded broker, for whoever watches the box: told when asked, and nothing is decided
by it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

REFUSALS = ("protocol", "client-id", "busy", "credentials", "will", "malformed", "late", "tls", "crowded")
"""Why a connection is refused: five by a CONNACK, whose code is the place in this row, and the others without one.

`busy` is throttled, full, or a password that was not looked at in time; `late` did not say who it is; `crowded` had to
go for another stranger.
"""


@dataclass(frozen=True, slots=True)
class Traffic:
    """As of one moment. refused: how many connections since the start, for each of REFUSALS."""

    devices: int
    strangers: int
    throttled_devices: int
    throttled_addresses: int
    refused: Mapping[str, int]
