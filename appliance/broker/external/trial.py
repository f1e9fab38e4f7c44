"""Whether a coordinator could log in at a broker that others run, tried beside the one that may be there already."""

import secrets

from appliance.broker.external.connection import Broker, Connection, Lost, Refused
from appliance.broker.external.limits import Limits
from appliance.contract.topics import SHOP_DEVICE, Topics

__all__ = ["Lost", "Refused", "try_log_in"]


def try_log_in(topics: Topics, host: str, port: int, user: str, password: str, limits: Limits | None = None) -> None:
    """Log in, and go again. Raises Refused when a person must change something, Lost when nobody answers."""
    # A client id of its own: with the coordinator's it would put that one off.
    client_id = f"coordinator-{topics.shop}_{secrets.token_hex(4)}"
    broker = Broker(host, port, user, password)
    marker = topics.device(SHOP_DEVICE, "query")
    with Connection(broker, client_id, marker, None, lambda heard: heard.settled(), limits or Limits()) as connection:
        connection.open()
        connection.drain()
