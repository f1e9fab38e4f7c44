"""Which filters match a topic: all that there could be, and not all that anybody has subscribed to.

`shop_broker` looks each of them up when it routes a message. A topic of the shop has at most three levels below the
root, so there are at most 23, however many filters a shop's tills, or somebody hostile, have made. Those that Home
Assistant prescribes have four and no root: 47, once a health that has changed.
"""

from collections.abc import Iterator


def filters_matching(topic: str, root: str) -> Iterator[str]:
    """Yield every filter that matches a topic; of the shop's those that begin with its root, as `acl` sees to."""
    heads = [root if topic.startswith(root) else ""]
    for level in topic.removeprefix(root).split("/"):
        yield from (f"{head}#" for head in heads)
        heads = [f"{head}{one}/" for head in heads for one in (level, "+")]
    yield from (f"{head}#" for head in heads)  # "A/#" matches "A", too.
    yield from (head.removesuffix("/") for head in heads)
