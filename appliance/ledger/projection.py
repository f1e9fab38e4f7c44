"""What the retained topics show of the ledger: balances, items, acks and alerts.

The broker keeps none of them. The embedded one asks here when a device subscribes (100,000 retained SKUs inside it took
90 to 875 MB), and for an external one the whole projection is written anew at each connection.

One alert no ledger can hold: that its own disk takes nothing. Who tells it keeps it, and it is shown beside the rest.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from appliance.contract import messages
from appliance.contract.messages import Alert
from appliance.contract.topics import Topics, decode_sku
from appliance.ledger.reader import Reader


class Projection:
    """The retained topics of one shop, read from its ledger. Only one thread at a time may use it."""

    def __init__(self, topics: Topics, reader: Reader, standing: Callable[[], Iterable[Alert]]) -> None:
        """standing: returns the alerts that stand and are in no ledger."""
        self._topics = topics
        self._reader = reader
        self._standing = standing

    def matching(self, topic_filter: str) -> Iterator[tuple[str, bytes]]:
        """Walk the retained messages whose topics an MQTT filter matches, as (topic, payload).

        Only a wildcard where the name stands makes it a walk through a table.
        """
        if not topic_filter.startswith(self._topics.root):
            return
        levels = topic_filter.removeprefix(self._topics.root).split("/")
        match _spread(levels, 2):
            case [kind, name]:
                if kind in ("balance", "+"):
                    yield from self._balances(name)
                if kind in ("item", "+"):
                    yield from self._items(name)
                if kind in ("alert", "+"):
                    yield from self._alerts(name)
        match _spread(levels, 3):
            case ["device" | "+", name, "ack" | "+"]:
                yield from self._acks(name)

    def everything(self) -> Iterator[tuple[str, bytes]]:
        """Walk all retained messages that the ledger answers for."""
        return self.matching(f"{self._topics.root}#")

    def _balances(self, level: str) -> Iterator[tuple[str, bytes]]:
        found = self._reader.all_balances() if level == "+" else [self._reader.balance(_sku(level))]
        for balance in found:
            if balance is not None:
                yield self._topics.balance(balance.sku), messages.balance(balance)

    def _items(self, level: str) -> Iterator[tuple[str, bytes]]:
        if level == "+":
            for sku, message in self._reader.all_items():
                yield self._topics.item(sku), message
        elif (item := self._reader.item(_sku(level))) is not None:
            yield self._topics.item(_sku(level)), item

    def _alerts(self, level: str) -> Iterator[tuple[str, bytes]]:
        for alert in chain(self._standing(), self._reader.alerts()):
            if level in ("+", alert.alert):
                yield self._topics.alert(alert.alert), messages.alert(alert)

    def _acks(self, level: str) -> Iterator[tuple[str, bytes]]:
        found = self._reader.all_acks() if level == "+" else [(level, self._reader.ack(level))]
        for device, ack in found:
            if ack is not None:
                yield self._topics.device(device, "ack"), messages.ack(ack)


def _spread(levels: list[str], depth: int) -> list[str] | None:
    """Return a filter's levels as far as it matches topics of this many, with "+" for what its "#" leaves open."""
    if levels[-1] == "#":
        levels = [*levels[:-1], *["+"] * (depth - len(levels) + 1)]  # "A/#" matches "A", too.
    return levels if len(levels) == depth else None


def _sku(level: str) -> str:
    """The SKU of a topic level; a level that names none matches nothing, as the empty SKU does."""
    try:
        return decode_sku(level)
    except ValueError:
        return ""
