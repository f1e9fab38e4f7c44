"""Which filters match a topic: all that there could be, and not all that anybody has subscribed to.

`shop_broker` looks each of them up when it routes a message. A topic of the shop has at most three levels below the
root, so there are at most 23, however many filters a shop's tills, or somebody hostile, have made.
"""

from collections.abc import Iterator


def filters_matching(topic: str, root: str) -> Iterator[str]:
    """Yield every filter that begins with the shop's root, as `acl` sees to, and matches one of its topics."""
    heads = [root]
    for level in topic.removeprefix(root).split("/"):
        yield from (f"{head}#" for head in heads)
        heads = [f"{head}{one}/" for head in heads for one in (level, "+")]
    yield from (f"{head}#" for head in heads)  # "A/#" matches "A", too.
    yield from (head.removesuffix("/") for head in heads)
