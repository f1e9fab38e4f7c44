"""Every limit of the external broker's client, in one place, each with where its number comes from."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The defaults are for a box with 1 GiB of memory; tests use small ones."""

    unsettled_max: int = 1000
    """Messages taken and not settled; beyond it nothing is read. One turn of the coordinator commits as many."""

    unsettled_bytes_max: int = 16 * 1024 * 1024
    """Bytes of their payloads: 64 of the largest that the contract allows."""

    outgoing_bytes_max: int = 16 * 1024 * 1024
    """Bytes that may wait to be sent. A broker on the same network takes that in seconds; one that doesn't is stuck."""

    packet_bytes: int = 1024
    """What a waiting packet costs beside its payload: paho keeps a dictionary, a copy and an info object of each."""

    keep_alive_s: int = 15
    """Longer than the 10 s between ticks, so that a ping is rare; after 1.5 times this the broker says our will."""

    answer_s: float = 10
    """How long the broker may be silent when it is asked something. It answers in milliseconds when it is well."""

    tick_s: float = 12.5
    """How long to listen for another coordinator's tick, which comes every 10 s, on a busy network too."""

    retry_min_s: float = 0.5
    """The first wait before the next try: a broker that is restarted is back in about as much."""

    retry_max_s: float = 30
    """The longest wait between tries, and between log-ins that were refused: some brokers count those."""
