"""Who may read and publish what, against every topic there can be: the rule is tried on all filters up to a length."""

from itertools import product

import pytest

from appliance.broker.embedded.acl import may_publish, may_subscribe
from appliance.contract.delivery import Channel
from appliance.contract.topics import HOME_ASSISTANT, Topics
from tests.broker.running import ROOT, matches

LEAVES = ["state", "op", "query", "answer", "ack", "print", "other"]
PRIVATE = ["op", "query", "answer", "ack", "print"]

# Any text may stand where a device's name does, so that a rule cannot be right by accident of the names.
DEVICES = ["A1", "B1", "_shop", "device", "op", "ack", "state", "balance", "x", ""]

TOPICS = [
    *(ROOT + rest for rest in ("coordinator", "tick", "changes", "balance/A", "item/A", "alert/low-1", "printer/main")),
    *(f"{ROOT}device/{device}/{leaf}" for device in DEVICES for leaf in LEAVES),
    *(f"{ROOT}device/{device}/{leaf}/deeper" for device in DEVICES for leaf in LEAVES),
    *("stock/v1/other/balance/A", "stock/v1/other/device/A1/ack", "stock/v2/shop/tick", "elsewhere", "$SYS/uptime"),
]

LEVELS = ["stock", "v1", "shop", "device", "A1", "B1", "ack", "state", "+", "#"]
BELOW = ["device", "A1", "B1", "+", "#", "op", "ack", "state", "balance", "", "x", "a+", "b#"]

FILTERS = [
    *("/".join(levels) for length in (1, 2, 3, 4) for levels in product(LEVELS, repeat=length)),
    *(ROOT + "/".join(levels) for length in (1, 2, 3, 4) for levels in product(BELOW, repeat=length)),
]


def is_forbidden(topic: str) -> bool:
    """The contract's sentence, as it is written: everything of its shop but other devices' private topics."""
    if not topic.startswith(ROOT):
        return True
    levels = topic.removeprefix(ROOT).split("/")
    return len(levels) == 3 and levels[0] == "device" and levels[1] != "A1" and levels[2] in PRIVATE


def test_no_granted_filter_matches_a_forbidden_topic() -> None:
    forbidden = [topic for topic in TOPICS if is_forbidden(topic)]
    granted = [name for name in FILTERS if may_subscribe(name, "shop", "A1")]
    assert len(granted) > 1000
    for name in granted:
        assert not [topic for topic in forbidden if matches(name, topic)], name


def test_every_well_formed_filter_inside_the_shop_that_matches_nothing_forbidden_is_granted() -> None:
    forbidden = [topic for topic in TOPICS if is_forbidden(topic)]
    for name in FILTERS:
        levels = name.split("/")
        well_formed = "#" not in levels[:-1] and not {"a+", "b#"} & set(levels)
        if well_formed and name.startswith(ROOT) and not [topic for topic in forbidden if matches(name, topic)]:
            assert may_subscribe(name, "shop", "A1"), name


@pytest.mark.parametrize(
    ("topic_filter", "granted"),
    [
        ("stock/v1/shop/#", False),
        ("stock/v1/shop", False),
        ("stock/v1/shop/", True),
        ("stock/v1/shop/device/A1/#", True),
        ("stock/v1/shop/device/+/state", True),
        ("stock/v1/shop/device/+/ack", False),
        ("stock/v1/shop/device/+/ack/#", False),
        ("stock/v1/shop/device/B1/#", False),
        ("stock/v1/shop/device/#", False),
        ("stock/v1/shop/+/+/ack", False),
        ("stock/v1/shop/balance/#", True),
        ("stock/v1/shop/balance/+", True),
        ("stock/v1/shop/balance/Молоко", True),
        ("stock/v1/+/balance/+", False),
        ("stock/+/shop/tick", False),
        ("#", False),
        ("+/v1/shop/tick", False),
        ("$SYS/#", False),
        ("$share/group/stock/v1/shop/tick", False),
        ("", False),
        ("stock/v1/shop/balance/\0", False),
        ("stock/v1/shop/#/x", False),
        ("stock/v1/shop/x+", False),
    ],
)
def test_a_filter_is_granted_or_refused_whole(topic_filter: str, granted: bool) -> None:
    assert may_subscribe(topic_filter, "shop", "A1") is granted


def test_home_assistant_reads_whether_the_box_is_there_and_what_is_said_for_it_and_says_nothing() -> None:
    granted = [name for name in (*FILTERS, *TOPICS) if may_subscribe(name, "shop", HOME_ASSISTANT)]
    assert set(granted) == {f"{ROOT}coordinator"}
    assert may_subscribe("homeassistant/#", "shop", HOME_ASSISTANT)
    assert not may_subscribe("homeassistant/#/config", "shop", HOME_ASSISTANT)
    assert not may_subscribe("homeassistant/#", "shop", "A1")
    assert may_publish(Topics("shop"), HOME_ASSISTANT) == {}


def test_a_device_publishes_to_three_topics_of_its_own_and_nowhere_else() -> None:
    allowed = may_publish(Topics("shop"), "A1")
    assert allowed == {
        f"{ROOT}device/A1/op": Channel.OP,
        f"{ROOT}device/A1/state": Channel.STATE,
        f"{ROOT}device/A1/query": Channel.QUERY,
    }
    assert [topic for topic in TOPICS if topic in allowed] == [
        f"{ROOT}device/A1/{leaf}" for leaf in ("state", "op", "query")
    ]
