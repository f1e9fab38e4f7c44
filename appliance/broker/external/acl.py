"""Who may publish and read what at the shop's mosquitto: its ACL file, made of the contract's "Topics".

The counterpart of `embedded/acl`, for `stock-coordinator broker acl`. The invariant: no device reads another one's
`op`, `query`, `answer`, `ack` or `print`, or writes under another's name. mosquitto denies what no line allows, so the
file names what a device may read, where the embedded broker names what it may not.
"""

from appliance.contract.delivery import Channel
from appliance.contract.topics import HOME_ASSISTANT, Topics

_USER = "%u"
"""In a pattern mosquitto puts the user's name here; a user with a wildcard in its name is denied everything."""

_NOT_AT_HOME = ("tick", "changes", "balance/#", "item/#", "alert/#", "printer/#", "device/#")
"""What Home Assistant's user does not get of what a device may: the stock, and who sells it. Denials go before all."""


def acl_file(topics: Topics, user: str) -> str:
    """Return the text of the file. user: the coordinator's, which may do everything in its shop."""
    lines = [f"user {user}", f"topic readwrite {topics.root}#"]
    lines += [f"topic write {topics.home_assistant(leaf)}" for leaf in ("config", "health")]
    lines += ["", f"user {HOME_ASSISTANT}", "topic readwrite homeassistant/#"]
    lines += [f"topic deny {topics.root}{kind}" for kind in _NOT_AT_HOME]
    lines += [""]
    lines += [f"pattern write {topics.device(_USER, channel)}" for channel in Channel]
    readable = [topics.device(_USER, "#"), topics.device("+", Channel.STATE)]
    readable += [topics.coordinator, topics.tick, topics.changes]
    readable += [f"{topics.root}{kind}/+" for kind in ("balance", "item", "alert", "printer")]
    lines += [f"pattern read {topic}" for topic in readable]
    return "\n".join(lines) + "\n"
