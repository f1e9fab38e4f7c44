"""Every filter that matches a topic is found, and no other one."""

from itertools import product

import pytest

from appliance.broker.embedded.matching import filters_matching
from tests.broker.running import ROOT, matches


@pytest.mark.parametrize("topic", ["tick", "balance/milk", "balance/", "device/A1/state"])
def test_a_topic_is_found_by_every_filter_that_matches_it_and_by_no_other(topic: str) -> None:
    levels = [*topic.split("/"), "", "+", "#", "other"]
    every = {ROOT + "/".join(some) for count in range(1, 5) for some in product(levels, repeat=count)}
    well_formed = {one for one in every if "#" not in one[:-1]}
    found = list(filters_matching(ROOT + topic, ROOT))
    assert set(found) == {one for one in well_formed if matches(one, ROOT + topic)}
    assert len(found) <= 23


def test_a_topic_that_home_assistant_prescribes_is_found_without_the_shops_root() -> None:
    topic = "homeassistant/device/stock-shop/health"
    found = list(filters_matching(topic, ROOT))
    assert all(matches(one, topic) for one in found)
    assert {"homeassistant/#", "homeassistant/device/+/health", topic} < set(found)
    assert len(found) == 47
