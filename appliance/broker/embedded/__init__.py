"""The broker inside this process: amqtt with its handling of connections replaced.

A message's way through this folder:

    socket ─▶ framing ─▶ protocol ──take──▶ coordinator
                 (login)   │   ▲ settled
                           │   └── ../unsettled ─PUBACK─▶ outgoing ─▶ socket
    publish ─▶ doorway ─▶ shop_broker ─▶ publication ─────▲
                                └─▶ feed (SUBSCRIBE) ─────┘

`server` is the public face. README.md one folder up says which parts of amqtt are overridden, and why.
"""

from appliance.broker.embedded.descriptors import TooFewDescriptors
from appliance.broker.embedded.limits import Limits
from appliance.broker.embedded.listeners import CannotListen, Listener
from appliance.broker.embedded.server import EmbeddedBroker, WrongVersion
from appliance.broker.embedded.traffic import Traffic

__all__ = ["CannotListen", "EmbeddedBroker", "Limits", "Listener", "TooFewDescriptors", "Traffic", "WrongVersion"]
