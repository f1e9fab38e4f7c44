"""What a subscriber is shown of the ledger: every retained message that its filter matches, and no other."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.ledger.projection import Projection
from tests.broker.running import matches
from tests.shop import Shop, message, operation

LEVELS = ("balance", "item", "alert", "device", "ack", "A", "%2B", "till", "missing", "%zz", "", "+")


@pytest.fixture
def projection(tmp_path: Path) -> Iterator[Projection]:
    """Of a shop with an item, a SKU whose topic is encoded, a device of a SKU's name, and an alert."""
    shop = Shop(tmp_path)
    item = operation(2, type="item", qty=..., reason=..., name="Milk", unit="pcs", low="5")
    shop.say("till", message(operation(1, qty="1", reason="receive"), item))
    shop.say("A", message(operation(1, sku="+"), epoch="epoch-of-the-device-A"))
    yield Projection(shop.topics, shop.reader, shop.coordinator.standing_alerts)
    shop.stop()


def test_every_filter_is_answered_with_what_it_matches(projection: Projection) -> None:
    everything = dict(projection.everything())
    root = "stock/v1/shop/"
    kinds = [topic.removeprefix(root).split("/")[0] for topic in everything]
    assert sorted(kinds) == ["alert", "balance", "balance", "device", "device", "item"]
    named = [topic.split("/")[-1] for topic in everything if "/alert/" in topic]
    filters = [
        "/".join((*levels, *tail))
        for depth in range(4)
        for levels in itertools.product((*LEVELS, *named), repeat=depth)
        for tail in ((), ("#",))
    ]
    for topic_filter in filters:
        found = list(projection.matching(root + topic_filter))
        expected = {topic: payload for topic, payload in everything.items() if matches(root + topic_filter, topic)}
        assert sorted(found) == sorted(expected.items()), topic_filter


@pytest.mark.parametrize("topic_filter", ["#", "+/v1/shop/balance/A", "stock/v1/corner/balance/A", "stock/v1/shop"])
def test_a_filter_of_another_root_matches_nothing(projection: Projection, topic_filter: str) -> None:
    assert not list(projection.matching(topic_filter))
