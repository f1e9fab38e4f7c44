"""What the retained topics show of the ledger: balances, items, acks and alerts.

The broker keeps none of them. The embedded one asks here when a device subscribes (100,000 retained SKUs inside it took
90 to 875 MB), and for an external one the whole projection is written anew at each connection.
"""

from collections.abc import Iterator

from appliance.contract import messages
from appliance.contract.topics import Topics, decode_sku
from appliance.ledger.reader import Reader


class Projection:
    """The retained topics of one shop, read from its ledger. Only one thread at a time may use it."""

    def __init__(self, topics: Topics, reader: Reader) -> None:
        self._topics = topics
        self._reader = reader

    def matching(self, topic_filter: str) -> Iterator[tuple[str, bytes]]:
        """Walk the retained messages whose topics an MQTT filter matches, as (topic, payload)."""
        if not topic_filter.startswith(self._topics.root):
            return
        match topic_filter.removeprefix(self._topics.root).split("/"):
            case ["balance", "+"] | ["balance", "#"]:
                for balance in self._reader.all_balances():
                    yield self._topics.balance(balance.sku), messages.balance(balance)
            case ["balance", level] if (found := self._reader.balance(_sku(level))) is not None:
                yield topic_filter, messages.balance(found)
            case ["item", "+"] | ["item", "#"]:
                for sku, message in self._reader.all_items():
                    yield self._topics.item(sku), message
            case ["item", level] if (item := self._reader.item(_sku(level))) is not None:
                yield topic_filter, item
            case ["device", device, "ack" | "+" | "#"] if (ack := self._reader.ack(device)) is not None:
                yield self._topics.device(device, "ack"), messages.ack(ack)
            case ["alert", level]:
                for alert in self._reader.alerts():
                    if level in ("+", "#", alert.alert):
                        yield self._topics.alert(alert.alert), messages.alert(alert)

    def everything(self) -> Iterator[tuple[str, bytes]]:
        """Walk all retained messages that the ledger answers for."""
        for topic_filter in ("balance/+", "item/+", "alert/+"):
            yield from self.matching(self._topics.root + topic_filter)
        for device, ack in self._reader.all_acks():
            yield self._topics.device(device, "ack"), messages.ack(ack)


def _sku(level: str) -> str:
    """The SKU of a topic level; a level that names none matches nothing, as the empty SKU does."""
    try:
        return decode_sku(level)
    except ValueError:
        return ""
