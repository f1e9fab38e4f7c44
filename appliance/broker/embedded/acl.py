"""Who may publish and read what: the contract's "What a device may do" as two pure functions.

`login` (the will) and `protocol` ask here. The invariant: no device reads another one's `op`, `query`, `answer`, `ack`
or `print`, whatever wildcards it uses; a filter that can match one of them is refused whole. Home Assistant reads
whether the box is there and what is said for it alone, and publishes nothing.
"""

from appliance.contract.delivery import Channel
from appliance.contract.topics import HOME_ASSISTANT, Topics

_PRIVATE = {"op", "query", "answer", "ack", "print"}


def may_publish(topics: Topics, device: str) -> dict[str, Channel]:
    """Return every topic that a device may publish to, and the channel that each is."""
    return {} if device == HOME_ASSISTANT else {topics.device(device, channel): channel for channel in Channel}


def may_subscribe(topic_filter: str, shop: str, device: str) -> bool:
    """Return whether a filter is well formed, stays inside the shop, and can match nothing forbidden."""
    levels = topic_filter.split("/")
    if device == HOME_ASSISTANT:
        return _well_formed(levels) and (topic_filter == Topics(shop).coordinator or levels[0] == "homeassistant")
    if not _well_formed(levels) or levels[:3] != ["stock", "v1", shop] or len(levels) < 4:
        return False
    return not _can_match_private(levels[3:], device)


def _well_formed(levels: list[str]) -> bool:
    if "#" in levels[:-1] or any("\0" in level for level in levels):
        return False
    return all(level in ("+", "#") or not ("+" in level or "#" in level) for level in levels)


def _can_match_private(levels: list[str], device: str) -> bool:
    """levels: those below the shop. A private topic has three: `device`, another device's name, a private leaf."""
    if levels[0] == "#":
        return True
    if levels[0] not in ("device", "+") or len(levels) < 2:
        return False
    if levels[1] == "#":
        return True
    if levels[1] == device or len(levels) < 3:
        return False
    if levels[2] == "#":
        return True
    # "ack/#" matches "ack" itself, too.
    return (levels[2] == "+" or levels[2] in _PRIVATE) and levels[3:] in ([], ["#"])
