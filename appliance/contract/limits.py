"""The numbers of the wire contract (README.md, "Values", "Operations"): promises to other people's tills."""

PAYLOAD_MAX = 256 * 1024
"""Bytes of one MQTT payload, in either direction."""

OPERATIONS_MAX = 500
"""Operations in one message."""

OPERATION_BYTES_MAX = 64 * 1024
"""Bytes of one operation as JSON."""

LINES_MAX = 500
"""Lines of one receipt, components of one item or line, and SKUs that one receipt names with all its components."""

SKU_BYTES_MAX = 128
"""Bytes of UTF-8 of a SKU."""

TEXT_MAX = 1000
"""Characters of any text for people: a name, a cashier, a reason. Longer ones are no name but an accident."""

SEQ_MAX = 2**53 - 1
"""The largest integer that every JSON reader keeps exact; at one operation a millisecond it lasts 285,000 years."""

MONEY_MAX = 10**15
"""Minor units; far beyond any receipt, far inside 64 bits when 500 lines are summed."""

TOOK_MS_MAX = 7 * 24 * 3600 * 1000
"""Milliseconds that one SKU's counting may last: a week, far beyond any stocktake."""

PARENTS_MAX = 64
"""Epochs that a fork may name. Each restore or clone of a device adds one; 20,000 kept operations span far fewer."""

REJECTED_WINDOW = 32
"""An ack lists the rejections among the newest this many sequence numbers."""

QUERY_ID_MAX = 64
"""Characters of a query's `id`, which its answer repeats: a UUID and more, and in JSON at most 384 bytes."""

QUERY_LIMIT_MAX = 5000
"""Rows of one answer page; a device that asks for more gets this many and `more`."""

HEAD_BYTES = 4096
"""Bytes kept of a message that is too large or cannot be read: enough to recognise its sender's fault."""
