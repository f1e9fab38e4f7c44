"""Beside the coordinator's connection to a broker that others run: whether it could log in, and a word on the side."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from appliance.broker.external.connection import Broker, Connection, Lost, Refused
from appliance.broker.external.limits import Limits
from appliance.contract.topics import SHOP_DEVICE, Topics

__all__ = ["Lost", "Refused", "say_beside", "try_log_in"]


def try_log_in(topics: Topics, host: str, port: int, user: str, password: str, limits: Limits | None = None) -> None:
    """Log in, and go again. Raises Refused when a person must change something, Lost when nobody answers."""
    with _beside(topics, Broker(host, port, user, password), limits) as connection:
        connection.drain()


def say_beside(topics: Topics, broker: Broker, retained: Mapping[str, bytes], limits: Limits | None = None) -> None:
    """Have the broker retain what the shop can do without. Raises Lost when it has not.

    mosquitto closes the connection of whoever publishes what its ACL does not allow: this one, and not the one by which
    the shop sells.
    """
    with _beside(topics, broker, limits) as connection:
        for topic, payload in retained.items():
            connection.publish(topic, payload, retain=True)
        connection.drain()


@contextmanager
def _beside(topics: Topics, broker: Broker, limits: Limits | None) -> Iterator[Connection]:
    # A client id of its own: with the coordinator's it would put that one off.
    client_id = f"coordinator-{topics.shop}_{secrets.token_hex(4)}"
    marker = topics.device(SHOP_DEVICE, "query")
    with Connection(broker, client_id, marker, None, lambda heard: heard.settled(), limits or Limits()) as connection:
        connection.open()
        yield connection
