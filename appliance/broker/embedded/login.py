"""The log-in: a CONNECT is read in time and judged before any session is touched.

Between `framing` and `shop_broker`. The invariant: whoever cannot prove to be a device changes nothing here (in stock
amqtt a wrong password kicked the till whose client id it named), and costs no more than one password check.
"""

import asyncio
from collections.abc import Callable, Hashable
from weakref import WeakValueDictionary

from amqtt.mqtt.connack import (
    BAD_USERNAME_PASSWORD,
    IDENTIFIER_REJECTED,
    NOT_AUTHORIZED,
    SERVER_UNAVAILABLE,
    UNACCEPTABLE_PROTOCOL_VERSION,
)
from amqtt.mqtt.connect import ConnectPacket

from appliance.broker.embedded import packets
from appliance.broker.embedded.acl import may_publish
from appliance.broker.embedded.framing import Control, Framer
from appliance.broker.embedded.guard import Guard
from appliance.broker.embedded.limits import Limits
from appliance.broker.ports import Authenticator
from appliance.contract.delivery import Channel
from appliance.contract.topics import Topics, is_name

_CHUNK = 4096
_MQTT_3_1_1 = ("MQTT", 4)


class Refused(Exception):
    """A CONNECT is answered with this CONNACK code, and the connection closed."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


async def read_connect(reader: asyncio.StreamReader, framer: Framer) -> ConnectPacket:
    """Return the first packet. Raises Malformed, or ConnectionError when the peer went away."""
    while (packet := framer.next()) is None:
        data = await reader.read(_CHUNK)
        if not data:
            raise ConnectionResetError("closed before its CONNECT")
        framer.feed(data)
    # The framer lets nothing else through first.
    assert isinstance(packet, Control)
    return await packets.connect(packet)


class Login:
    def __init__(self, topics: Topics, authenticator: Authenticator, guard: Guard, limits: Limits) -> None:
        self._topics = topics
        self._authenticator = authenticator
        self._guard = guard
        self._limits = limits
        self._turns: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()

    async def check(self, connect: ConnectPacket, address: str, is_gone: Callable[[], bool]) -> str:
        """Return the device that a CONNECT has proved to be. Raises Refused, or ConnectionError when the peer is gone.

        is_gone: asked before a password is looked at, so that who does not wait for the answer costs no hashing.
        """
        if (connect.proto_name, connect.proto_level) != _MQTT_3_1_1:
            raise Refused(UNACCEPTABLE_PROTOCOL_VERSION, "only MQTT 3.1.1 is spoken here")
        # A name with "_" is the coordinator's own; an anonymous client has none. Neither is a guess at anything.
        if connect.username is None or not is_name(connect.username) or connect.password is None:
            raise Refused(BAD_USERNAME_PASSWORD, "the user name is no device's, or there is no password")
        if connect.client_id_is_random and not connect.clean_session_flag:
            raise Refused(IDENTIFIER_REJECTED, "a session without a client id cannot be kept")
        if len(connect.client_id or "") > self._limits.client_id_max:
            raise Refused(IDENTIFIER_REJECTED, f"a client id has at most {self._limits.client_id_max} characters")
        password = connect.password.encode()
        # Nobody guesses a token, and so whoever has one does not wait behind those who guess.
        if not self._authenticator.is_token(connect.username, password):
            await self._check_in_turn(connect, connect.username, password, address, is_gone)
        if connect.will_flag:
            self._check_will(connect, connect.username)
        return connect.username

    async def _check_in_turn(
        self, connect: ConnectPacket, device: str, password: bytes, address: str, is_gone: Callable[[], bool]
    ) -> None:
        client_id = None if connect.client_id_is_random else connect.client_id
        turn = self._turns.setdefault(self._guard.queue(address, device, client_id), asyncio.Lock())
        try:
            # One at a time: a hundred guesses that came at once would all be looked at before the first one has failed.
            async with asyncio.timeout(self._limits.authenticate_s), turn:
                if is_gone():
                    raise ConnectionResetError("closed before its password was looked at")
                await self._check_password(address, device, client_id, password)
        except TimeoutError as error:
            raise Refused(SERVER_UNAVAILABLE, "the password could not be checked in time") from error

    async def _check_password(self, address: str, device: str, client_id: str | None, password: bytes) -> None:
        if self._guard.is_throttled(address, device, client_id):
            raise Refused(SERVER_UNAVAILABLE, "too many failed log-ins from this address")
        try:
            is_right = await self._authenticator.authenticate(device, password)
        except OSError as error:
            raise Refused(SERVER_UNAVAILABLE, f"the password could not be kept: {error.strerror}") from error
        if not is_right:
            self._guard.failed(address, device, client_id, password)
            raise Refused(BAD_USERNAME_PASSWORD, "the password is wrong")
        self._guard.succeeded(address, device, client_id)

    def _check_will(self, connect: ConnectPacket, device: str) -> None:
        if may_publish(self._topics, device).get(connect.will_topic or "") is not Channel.STATE:
            raise Refused(NOT_AUTHORIZED, "a last will goes to the device's own state, and nowhere else")
        if connect.will_qos > 1:
            raise Refused(NOT_AUTHORIZED, "QoS 2 is not served")
        if len(connect.will_message or b"") > self._limits.will_bytes_max:
            raise Refused(NOT_AUTHORIZED, f"a last will has at most {self._limits.will_bytes_max} bytes")
