"""One client's session: amqtt's, with the device it belongs to and a count of what it holds.

`shop_broker` keeps sessions by `key`, and `protocol` notes there what its client has not acknowledged. The key is made
of the device and its client id, so that nobody can take over, or wipe, the session of another device.
"""

import time
from collections.abc import Callable

from amqtt.mqtt.connect import ConnectPacket
from amqtt.session import ApplicationMessage, OutgoingApplicationMessage, Session

from appliance.broker.embedded.publication import Publication


class DeviceSession(Session):
    def __init__(self, device: str, key: str) -> None:
        super().__init__()
        self.device = device
        self.key = self.client_id = key
        self.filters: set[str] = set()
        self.deliver: Callable[[Publication, int], None] | None = None
        """Sends a publication to the live connection; None while there is none."""
        self.unacked_bytes = 0
        """Payload bytes in `inflight_out` and in `retained_messages`, amqtt's queue of what came while offline."""

    def adopt(self, connect: ConnectPacket) -> None:
        """Take over what the newest CONNECT says. The will's topic and retain flag are known: `login` saw to the first,
        and a state is always kept."""
        self.clean_session = connect.clean_session_flag
        self.will_flag = connect.will_flag
        self.will_message = connect.will_message
        self.will_qos = connect.will_qos
        self.keep_alive = connect.keep_alive

    def _init_states(self) -> None:
        self._connectedness = _Connectedness()
        self.transitions = self._connectedness  # type: ignore[assignment]

    def begin(self) -> None:
        """A connection has it now."""
        self._connectedness.state = "connected"

    def end(self) -> None:
        """Its connection has ended."""
        self._connectedness.state = "disconnected"
        self.last_disconnect_time = int(time.time())

    @property
    def unacked_count(self) -> int:
        return len(self.inflight_out) + self.retained_messages.qsize()

    def remember(self, publication: Publication) -> int:
        """Keep a QoS 1 message until it is acknowledged. Returns its packet identifier."""
        packet_id = self.next_packet_id
        self.inflight_out[packet_id] = OutgoingApplicationMessage(
            packet_id, publication.topic, publication.qos, publication.payload, False
        )
        self.unacked_bytes += len(publication.payload)
        return packet_id

    def acknowledge(self, packet_id: int) -> None:
        """Forget a message; an identifier that was never sent, or twice acknowledged, says nothing."""
        message = self.inflight_out.pop(packet_id, None)
        if message is not None:
            self.unacked_bytes -= len(message.data)

    def queue(self, publication: Publication) -> None:
        """Keep a message for when the client is back."""
        self.retained_messages.put_nowait(
            ApplicationMessage(None, publication.topic, publication.qos, publication.payload, False)
        )
        self.unacked_bytes += len(publication.payload)

    def take_queued(self) -> list[Publication]:
        """Return what was queued, oldest first, and forget it."""
        queued: list[Publication] = []
        while not self.retained_messages.empty():
            message = self.retained_messages.get_nowait()
            self.unacked_bytes -= len(message.data)
            queued.append(Publication(message.topic, bytes(message.data), 1))
        return queued


class _Connectedness:
    """In place of amqtt's state machine, of which it reads this: building one took half of the time of a log-in."""

    def __init__(self) -> None:
        self.state = "new"
