"""Every limit of the embedded broker, in one place, each with where its number comes from.

The sum is chosen for a box with 1 GiB of memory: what a peer can make the broker hold is bounded before it has logged
in (`control_bytes_max`), per connection (`outgoing_bytes_max`, `unsettled_bytes_max`), all of them together
(`held_bytes_max`) and per shop (`retained_max`, `retained_bytes_max`).
"""

from dataclasses import dataclass

from appliance.contract.limits import HEAD_BYTES, PAYLOAD_MAX


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes, counts and seconds; a test passes small ones."""

    # Coming in. 500 tills of a large shop come back at once after a power cut, and screens with them.
    connections_max: int = 640
    # One address may be a router with that whole shop behind it, but must leave room for the others.
    connections_per_address_max: int = 512
    # A till and its tools, and what is half open after an hour of bad Wi-Fi: whoever has stolen one token must not fill
    # the house with it.
    connections_per_device_max: int = 32
    # Connections that have not logged in. 500 tills that come at once may all wait for the first check of the shop's
    # password. Each holds at most what is read at a time, and 100 KiB for TLS.
    strangers_max: int = 640
    # A client sends its CONNECT as soon as it is connected; 5 s covers three lost packets of a bad Wi-Fi.
    connect_s: float = 5.0
    # One argon2 check takes 0.2 s of CPU on the box: 100 tills at once are through 4 cores in 5 s, 2 in 10 s.
    authenticate_s: float = 30.0
    # Mistypes of one device that cost nothing; then 1 s, doubling to a minute for each further one. A person corrects a
    # typing error in a minute, and a till that never stops trying an old password costs one check in each.
    tries_free: int = 5
    try_first_s: float = 1.0
    try_most_s: float = 60.0
    try_forgiven_s: float = 120.0
    # Different wrong passwords of one address, whatever names they were for; a till with an old one makes one. 20 are
    # a whole shop's typing errors after a change of password. A guesser gets 27 in the first 20 minutes, and then one
    # in ten: 170 on the first day, 144 on each further one. Who stops is forgiven all in 9 hours.
    guesses_free: int = 20
    guess_first_s: float = 10.0
    guess_most_s: float = 600.0
    guess_forgiven_s: float = 1200.0
    # Devices, addresses and wrong passwords that are remembered for all this, about 200 bytes each; the longest quiet
    # one is forgotten first.
    remembered_max: int = 4096
    # Client ids are remembered with them, four of a device. Those that libraries make up have at most 64 characters.
    client_id_max: int = 256

    # Reading. The contract says that keep-alive is at most 60 s; MQTT allows half of it again.
    keepalive_max_s: int = 60
    keepalive_factor: float = 1.5
    payload_bytes_max: int = PAYLOAD_MAX
    head_bytes: int = HEAD_BYTES
    # The longest topic is a SKU of 128 bytes, percent-encoded, below a shop and two names of 64: under 512 bytes.
    topic_bytes_max: int = 512
    # A CONNECT carries a will of `will_bytes_max`, a SUBSCRIBE at most `subscriptions_max` filters of 300 bytes.
    control_bytes_max: int = 20 * 1024
    # One message of a WebSocket, which is held until it is whole: the largest payload with its packet, or one that is
    # twice too large, to be skipped and noted as on any other connection. What is larger closes the connection.
    websocket_message_bytes_max: int = 2 * PAYLOAD_MAX
    # Frames of a WebSocket with no MQTT in them, before the log-in. A browser sends none; 8 connections that sent
    # nothing else, 2,700 in each read, kept a selling till waiting for 0.6 s.
    idle_frames_max: int = 16
    # A will is about 200 bytes of JSON, and it stays in memory.
    will_bytes_max: int = 16 * 1024
    # Publishes of one connection that are taken and not yet on disk. 4 tills × 8 filled the disk in the measurements;
    # a backlog of 20,000 operations is sent faster with more.
    unsettled_max: int = 64
    # Four of the largest messages: reading stops when this many bytes wait for the disk.
    unsettled_bytes_max: int = 1024 * 1024

    # How long one connection's packets are handled before the others get their turn: some 200 of the smallest, where
    # 64 KiB of them in one go kept a selling till waiting for 1.4 s.
    turn_s: float = 0.001

    # Writing. Four of the largest parts of `changes`; a reader that is further behind reconnects and catches up by
    # query.
    outgoing_bytes_max: int = 1024 * 1024
    # What was sent with QoS 1 and never acknowledged; MQTT has only 65,535 identifiers.
    unacked_max: int = 10_000
    unacked_bytes_max: int = 4 * 1024 * 1024
    # What all connections may hold together; beyond it whoever holds most is closed. 640 slow readers that hold what
    # each may would need more than the box has. The process grew by 170 MiB, as freed memory is reused badly.
    held_bytes_max: int = 64 * 1024 * 1024
    held_look_s: float = 0.25
    # What an unacknowledged message costs beside its payload: 181 bytes measured, for amqtt's object and its table.
    message_bytes: int = 200
    # A closed connection may still write what it holds for this long.
    linger_s: float = 2.0
    # Announcements on their way into the event loop. A day's catalogue of 20,000 balances is 4 MiB.
    announcements_bytes_max: int = 32 * 1024 * 1024

    # Subscribing. A till needs about ten filters.
    subscriptions_max: int = 64
    # SUBSCRIBEs whose retained messages are still being fed to one connection.
    feeds_max: int = 64
    # Retained messages read from the ledger at a time: about 5 ms of the event loop.
    feed_chunk: int = 500
    # Fed messages that the subscriber has not acknowledged.
    feed_unacked_max: int = 1000
    # Topics that went out live while a feed runs. A feed slower than this many has a reader that will not catch up.
    feed_live_max: int = 100_000
    # Topics kept here: `coordinator`, one per printer and one state per device name, which any device may choose.
    retained_max: int = 4096
    # Bytes of them: all 4,096 with 1 KiB each, where a state is about 200.
    retained_bytes_max: int = 4 * 1024 * 1024

    # Sessions that outlive their connection. Tills use clean ones; this is for tools that insist.
    offline_sessions_max: int = 32
    offline_messages_max: int = 1000
    offline_bytes_max: int = 512 * 1024
    session_expiry_s: int = 3600

    # The same complaint about the same peer is written once in this time.
    repeat_s: float = 60.0

    def __post_init__(self) -> None:
        # A resumed session's backlog is sent in one go and must not count as a slow reader.
        assert self.offline_bytes_max < self.outgoing_bytes_max
        assert self.payload_bytes_max < self.outgoing_bytes_max
