"""Rules that are judged of everything that a till says, in whatever scene it says it.

Each habit reads one scene's log and yields, for what it finds, whether its rule is kept there and the bytes that show
it. A log begins with a till that has just been made, so nothing that it refers to was said before.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

from appliance.contract.limits import OPERATION_BYTES_MAX, OPERATIONS_MAX, PAYLOAD_MAX
from appliance.contract.topics import Topics
from tests.broker import wire
from tests.tills.said import Operation, leaf, operations, read
from tests.tills.tap import Seen

Judged = Iterator[tuple[bool, str]]
Habit = Callable[[Sequence[Seen], str], Judged]
"""Given a log and the device's name."""

FRESH_S = 2.5
KEEP_ALIVE_MAX_S = 60

CLOCK_MS = 20
"""A till's clock may count in hundredths of a second, as /proc/uptime does; it is seconds that decide a count."""

_EPOCH = re.compile(r"[A-Za-z0-9-]{16,64}", re.ASCII)
_TAG = re.compile(r"[0-9a-f]{16}", re.ASCII)
_CLEAN, _WILL_RETAIN, _WILL = 0x02, 0x20, 0x04


def judge(log: Sequence[Seen], device: str) -> Iterator[tuple[str, bool, str]]:
    """Yield a rule, whether it is kept, and what was seen: one of each rule, the first that breaks it if any does."""
    for rule, habit in HABITS.items():
        found = list(habit(log, device))
        broken = [one for one in found if not one[0]]
        for is_kept, seen in (broken or found)[:1]:
            yield rule, is_kept, seen


# --- CONNECT ----------------------------------------------------------------------------------------------------------


def _connects(log: Sequence[Seen]) -> Iterator[tuple[int, int, bytes]]:
    """Yield the flags, the keep-alive and the rest of each CONNECT."""
    for seen in log:
        if seen.is_said and seen.packet.kind == wire.CONNECT:
            at = 2 + int.from_bytes(seen.packet.body[:2]) + 1
            yield seen.packet.body[at], int.from_bytes(seen.packet.body[at + 1 : at + 3]), seen.packet.body[at + 3 :]


def _clean_session(log: Sequence[Seen], _device: str) -> Judged:
    for flags, _, _ in _connects(log):
        yield bool(flags & _CLEAN), f"CONNECT with the flags {flags:#04x}"


def _keep_alive(log: Sequence[Seen], _device: str) -> Judged:
    for _, keep_alive_s, _ in _connects(log):
        yield 0 < keep_alive_s <= KEEP_ALIVE_MAX_S, f"CONNECT with a keep-alive of {keep_alive_s} s"


def _last_will(log: Sequence[Seen], device: str) -> Judged:
    for flags, _, rest in _connects(log):
        if not flags & _WILL:
            yield False, "CONNECT without a will"
            continue
        _, topic, message = _texts(rest, 3)
        is_right = topic.decode() == Topics("shop").device(device, "state") and flags & _WILL_RETAIN
        yield (
            bool(is_right and read(message).get("state") == "offline"),
            f"a will on {topic.decode()}, retained {bool(flags & _WILL_RETAIN)}: {message.decode(errors='replace')}",
        )


def _texts(data: bytes, count: int) -> list[bytes]:
    found = []
    for _ in range(count):
        length = int.from_bytes(data[:2])
        found.append(data[2 : 2 + length])
        data = data[2 + length :]
    return found


# --- what is published ------------------------------------------------------------------------------------------------


def _published(log: Sequence[Seen]) -> Iterator[Seen]:
    return (seen for seen in log if seen.is_said and seen.packet.kind == wire.PUBLISH)


def _no_qos_2(log: Sequence[Seen], _device: str) -> Judged:
    for seen in _published(log):
        yield seen.packet.qos < 2, f"{seen.packet.topic} with QoS {seen.packet.qos}"


def _own_topics(log: Sequence[Seen], device: str) -> Judged:
    own = {Topics("shop").device(device, name) for name in ("state", "op", "query")}
    for seen in _published(log):
        yield seen.packet.topic in own, f"a publish on {seen.packet.topic}"


def _allowed_filters(log: Sequence[Seen], _device: str) -> Judged:
    for seen in log:
        if not seen.is_said and seen.packet.kind == wire.SUBACK:
            yield 0x80 not in seen.packet.body[2:], f"SUBACK {seen.packet.body[2:].hex(' ')}"


def _op_not_retained(log: Sequence[Seen], _device: str) -> Judged:
    for seen in _published(log):
        if leaf(seen) == "op" and seen.packet.payload:
            yield not seen.packet.retain, f"op, retained {seen.packet.retain}"


# --- operations and their order ---------------------------------------------------------------------------------------


def _epoch(log: Sequence[Seen], _device: str) -> Judged:
    for seen in _published(log):
        if leaf(seen) == "op":
            epoch = read(seen.packet.payload).get("epoch")
            yield isinstance(epoch, str) and bool(_EPOCH.fullmatch(epoch)), _text(seen)


def _first_said(log: Sequence[Seen]) -> Iterator[Operation]:
    """Yield each operation when it is said for the first time."""
    known: set[tuple[str, int]] = set()
    for one in operations(log):
        if (one.epoch, one.seq) not in known:
            known.add((one.epoch, one.seq))
            yield one


def _made(log: Sequence[Seen]) -> dict[int, list[Operation]]:
    """Return the operations that were said for the first time, by the place of their message in the log."""
    return {place: list(batch) for place, batch in groupby(_first_said(log), lambda one: one.place)}


def _seq(log: Sequence[Seen], _device: str) -> Judged:
    last: dict[str, int] = {}
    for one in _first_said(log):
        before = last.get(one.epoch, 0)
        yield one.seq == before + 1, f"{one.bytes} after seq {before} of its epoch"
        last[one.epoch] = one.seq


def _tag(log: Sequence[Seen], _device: str) -> Judged:
    owners: dict[str, int] = {}
    for one in _first_said(log):
        if one.tag is None:
            yield one.seq == 1, one.bytes
            continue
        is_tag = isinstance(one.tag, str) and bool(_TAG.fullmatch(one.tag))
        # An operation that was sent in another epoch has the tag that it had there.
        yield is_tag and (one.fields.get("again") is True or one.tag not in owners), one.bytes
        owners[one.tag] = one.seq


def _after(log: Sequence[Seen], _device: str) -> Judged:
    tags = {(one.epoch, one.seq): one.tag for one in operations(log)}
    for one in operations(log):
        if one.is_first and one.seq > 1:
            yield one.after == tags.get((one.epoch, one.seq - 1), one.after) is not None, _text(one.seen)


def _message_size(log: Sequence[Seen], _device: str) -> Judged:
    by_message = groupby(operations(log), lambda one: one.place)
    for _, batch in by_message:
        ops = list(batch)
        size = len(ops[0].seen.packet.payload)
        largest = max(len(one.bytes.encode()) for one in ops)
        is_small = len(ops) <= OPERATIONS_MAX and size <= PAYLOAD_MAX and largest <= OPERATION_BYTES_MAX
        yield is_small, f"a message of {len(ops)} operations and {size} bytes, the largest operation {largest}"


def _identical_resend(log: Sequence[Seen], _device: str) -> Judged:
    first: dict[tuple[str, int], Operation] = {}
    for one in operations(log):
        before = first.setdefault((one.epoch, one.seq), one)
        if before is not one:
            yield one.repeats(before), f"{before.bytes} and again {one.bytes}"


# --- shop time --------------------------------------------------------------------------------------------------------


def _stamp_both(log: Sequence[Seen], _device: str) -> Judged:
    for one in _first_said(log):
        run, shop_ms = one.fields.get("run"), one.fields.get("shop_ms")
        yield (run is None) == (shop_ms is None), one.bytes


def _stamp_time(log: Sequence[Seen], _device: str) -> Judged:
    """No certain stamp is ahead of the box's clock: of all ticks so far, of the one that was least late."""
    offsets: dict[Any, float] = {}
    made = _made(log)
    for place, seen in enumerate(log):
        if not seen.is_said and leaf(seen) == "tick":
            tick = read(seen.packet.payload)
            offset_ms = tick["shop_ms"] - seen.at_s * 1000
            offsets[tick["run"]] = max(offsets.get(tick["run"], offset_ms), offset_ms)
        for one in made.get(place, ()):
            if one.fields.get("run") in offsets and not one.fields.get("uncertain"):
                ahead_ms = one.fields["shop_ms"] - (offsets[one.fields["run"]] + seen.at_s * 1000)
                yield ahead_ms <= CLOCK_MS, f"{one.bytes}, {ahead_ms:.0f} ms ahead of the box"


def _uncertain(log: Sequence[Seen], _device: str) -> Judged:
    """Behind a certain stamp stands a fresh tick of its run."""
    fresh: set[Any] = set()
    asked_s: float | None = None
    made = _made(log)
    for place, seen in enumerate(log):
        if seen.is_said and leaf(seen) == "state":
            asked_s = seen.at_s
        elif not seen.is_said and leaf(seen) == "tick" and asked_s is not None and seen.at_s - asked_s <= FRESH_S:
            fresh.add(read(seen.packet.payload).get("run"))
        for one in made.get(place, ()):
            if one.fields.get("run") is not None:
                yield one.fields.get("uncertain") is True or one.fields["run"] in fresh, one.bytes


def _seen(log: Sequence[Seen], _device: str) -> Judged:
    """No stamp has seen more than its till has heard."""
    highest: dict[Any, int] = {}
    run: Any = None
    made = _made(log)
    for place, seen in enumerate(log):
        if not seen.is_said and seen.packet.kind == wire.PUBLISH:
            message = read(seen.packet.payload)
            run = message.get("run", run)
            items = message.get("items")
            rows = [message, *(items if isinstance(items, list) else [])]
            revs = [row[key] for row in rows for key in ("rev", "to", "from") if isinstance(row.get(key), int)]
            highest[run] = max([highest.get(run, 0), *revs])
        for one in made.get(place, ()):
            if one.fields.get("run") in highest and "seen" in one.fields:
                most = highest[one.fields["run"]]
                yield one.fields["seen"] <= most, f"{one.bytes}, and it has heard of revision {most}"


# --- handshake --------------------------------------------------------------------------------------------------------


def _state_first(log: Sequence[Seen], _device: str) -> Judged:
    said: set[int] = set()
    for seen in _published(log):
        state = read(seen.packet.payload)
        if leaf(seen) == "state" and state.get("state") == "online":
            numbers = (state.get("seq"), state.get("pending"))
            is_whole = isinstance(state.get("epoch"), str) and all(isinstance(number, int) for number in numbers)
            yield is_whole and seen.packet.retain, f"{_text(seen)}, retained {seen.packet.retain}"
            said.add(seen.connection)
        elif leaf(seen) == "op":
            yield seen.connection in said, f"{_text(seen)} before any state on its connection"


def _waits_for_ack(log: Sequence[Seen], _device: str) -> Judged:
    answered: set[tuple[int, Any]] = set()
    for seen in log:
        if leaf(seen) == "ack" and not seen.is_said:
            # The retained one, too: a till that has said its state takes it for the answer, when it reads it late.
            answered.add((seen.connection, read(seen.packet.payload).get("epoch")))
        elif leaf(seen) == "op" and seen.is_said:
            epoch = read(seen.packet.payload).get("epoch")
            yield (seen.connection, epoch) in answered, f"{_text(seen)} on a connection without an ack of its epoch"


def _asks_on(log: Sequence[Seen], _device: str) -> Judged:
    asked: dict[Any, Any] = {}
    unfinished: dict[Any, tuple[Any, str]] = {}
    for seen in log:
        message = read(seen.packet.payload) if leaf(seen) in ("query", "answer") else {}
        if seen.is_said and leaf(seen) == "query":
            what = message.get("what")
            asked[message.get("id")] = what
            if what in unfinished:
                to, answer = unfinished.pop(what)
                yield message.get("since") == to, f"{answer}, then {_text(seen)}"
        elif not seen.is_said and leaf(seen) == "answer" and message.get("id") in asked:
            if message.get("more"):
                unfinished[asked[message["id"]]] = (message["to"], _text(seen)[:200])
        elif seen.packet.kind in (wire.CONNACK, wire.CONNECT):
            unfinished.clear()


def _text(seen: Seen) -> str:
    return seen.packet.payload.decode(errors="replace")


HABITS: dict[str, Habit] = {
    "clean-session": _clean_session,
    "keep-alive": _keep_alive,
    "last-will": _last_will,
    "no-qos-2": _no_qos_2,
    "own-topics": _own_topics,
    "allowed-filters": _allowed_filters,
    "op-not-retained": _op_not_retained,
    "epoch": _epoch,
    "seq": _seq,
    "tag": _tag,
    "after": _after,
    "message-size": _message_size,
    "identical-resend": _identical_resend,
    "stamp-both": _stamp_both,
    "stamp-time": _stamp_time,
    "uncertain": _uncertain,
    "seen": _seen,
    "state-first": _state_first,
    "waits-for-ack": _waits_for_ack,
    "asks-on": _asks_on,
}
