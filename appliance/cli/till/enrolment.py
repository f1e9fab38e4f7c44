"""How a till learns which box is its own: by its slip, or by an address and the shop's password.

Both hold a secret. So neither is ever an argument of the command, which every user of the machine can read: they are
typed or pasted where nothing shows them, or read from a file, and kept for their owner alone.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from appliance import durable
from appliance.contract.slip import SCHEME, parse_slip
from appliance.till import Till

_SLIP = re.compile(rf'{SCHEME}://[^\s"]+')


@dataclass(frozen=True, slots=True)
class Enrolment:
    """Who the till is, and where its box. hosts: tried in turn. password: the slip's token, or the shop's.

    sha256: of the certificate that the box shows, in hex; "" is no TLS.
    """

    hosts: tuple[str, ...]
    port: int
    shop: str
    device: str
    password: str = field(repr=False)
    sha256: str = ""

    @classmethod
    def from_slip(cls, text: str) -> "Enrolment":
        """Return what a slip says. text: also with what stands around it, as in `device add --json`. Raises BadSlip."""
        found = _SLIP.search(text)
        says = parse_slip(text if found is None else found[0])
        return cls(says.hosts, says.port, says.shop, says.device, says.token, says.sha256.hex())

    @classmethod
    def load(cls, path: Path) -> "Enrolment | None":
        """Return what is kept, None when it is nothing. Raises ValueError for a file that is none of these."""
        try:
            kept = orjson.loads(path.read_bytes())
            return cls(**{**kept, "hosts": tuple(kept["hosts"])})
        except FileNotFoundError:
            return None
        except (TypeError, KeyError) as error:
            raise ValueError(str(error)) from None

    def save(self, path: Path) -> None:
        """Raises OSError."""
        durable.replace(path, orjson.dumps(self))

    def till(self, outbox: Path, on_change: Callable[[], None]) -> Till:
        """Return the till, which is not open yet. Raises ValueError and OutboxError."""
        return Till(
            host=self.hosts,
            port=self.port,
            shop=self.shop,
            device=self.device,
            password=self.password,
            sha256=bytes.fromhex(self.sha256) or None,
            path=outbox,
            on_change=on_change,
        )
