"""The client of a broker that the shop already has: one coordinator's way to its devices through paho-mqtt.

A message's way through this folder:

    broker ─▶ connection ─▶ link ──take──▶ coordinator
                  │ ▲ settled
                  │ └── ../unsettled: the PUBACKs held back
    broker ◀─ connection ◀─ link ◀──publish──┘

`link` is the public face: it looks for another coordinator, has the projection rewritten, and comes back after every
loss. `connection` is one connection from CONNECT to its end, and the only module that calls paho. Each lives in a
thread of its own (`threads`).
"""

from appliance.broker.external.limits import Limits
from appliance.broker.external.link import ExternalBroker, ForeignRun

__all__ = ["ExternalBroker", "ForeignRun", "Limits"]
