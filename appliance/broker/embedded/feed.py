"""Retained messages for one SUBSCRIBE: those kept in memory, then those that the ledger answers.

Between `shop_broker`, which starts a feed after the SUBACK, and the subscriber's `protocol`. The invariants: a feed
goes only as fast as its subscriber takes it, stalls nobody else, holds one chunk in memory, and never sends a value
after a newer one went out live.
"""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Protocol

from appliance.broker.embedded.limits import Limits
from appliance.broker.embedded.publication import Publication
from appliance.broker.ports import RetainedSource


class Feed:
    """One SUBSCRIBE's filters with their granted QoS, and the topics that went out live since it came."""

    __slots__ = ("filters", "live")

    def __init__(self, filters: list[tuple[str, int]]) -> None:
        self.filters = filters
        self.live: set[str] = set()


class Subscriber(Protocol):
    async def keeps_up(self) -> None:
        """Return when the client has taken most of what it was sent. Raises ConnectionError when it is gone."""
        ...

    def send_retained(self, publication: Publication, qos: int) -> None: ...


class Feeder:
    """in_memory: the retained messages kept in memory that match a filter."""

    def __init__(self, source: RetainedSource, in_memory: Callable[[str], list[Publication]], limits: Limits) -> None:
        self._source = source
        self._in_memory = in_memory
        self._limits = limits
        # One thread serves all feeds in turn: a box has little to gain from more, and the ledger's reader need not be
        # shared.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="retained")

    async def run(self, feed: Feed, subscriber: Subscriber) -> None:
        for topic_filter, qos in feed.filters:
            for publication in self._in_memory(topic_filter):
                await self._send(feed, publication, qos, subscriber)
            await self._run_ledger(feed, topic_filter, qos, subscriber)

    async def _run_ledger(self, feed: Feed, topic_filter: str, qos: int, subscriber: Subscriber) -> None:
        loop = asyncio.get_running_loop()
        found = _Found(self._source, topic_filter, self._limits.feed_chunk)
        try:
            while chunk := await loop.run_in_executor(self._thread, found.next_chunk):
                for topic, payload in chunk:
                    await self._send(feed, Publication(topic, payload, 1), qos, subscriber)
        finally:
            # Not awaited: it runs behind a chunk that is still being read, also when this task was cancelled.
            self._thread.submit(found.close)

    @staticmethod
    async def _send(feed: Feed, publication: Publication, qos: int, subscriber: Subscriber) -> None:
        await subscriber.keeps_up()
        # Looked at after the wait, in which a newer value may have gone out.
        if publication.topic not in feed.live:
            subscriber.send_retained(publication, min(qos, publication.qos))

    async def stop(self) -> None:
        """Wait until the thread has left the ledger. Every feed must have been cancelled before."""
        await asyncio.to_thread(self._thread.shutdown)


class _Found:
    """What the ledger answers to one filter; used in the feeds' thread only."""

    def __init__(self, source: RetainedSource, topic_filter: str, chunk: int) -> None:
        self._source = source
        self._topic_filter = topic_filter
        self._chunk = chunk
        self._rows: Iterator[tuple[str, bytes]] | None = None

    def next_chunk(self) -> list[tuple[str, bytes]]:
        if self._rows is None:
            self._rows = self._source.matching(self._topic_filter)
        return list(islice(self._rows, self._chunk))

    def close(self) -> None:
        # A generator may hold a read transaction; it ends here, and not whenever the garbage is collected.
        close = getattr(self._rows, "close", None)
        if close is not None:
            close()
