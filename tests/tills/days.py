"""Scenes of a day: a till sells, its network, its box and what it hears go wrong, and what must come of it.

The box is the real one. What it says by itself is what a till hears, but where it cannot be brought to say something
(a tick of another run on a connection that lives on, CONNACK 3) the tap says it. A gap, or the ack of another epoch, is
the box's own answer to another device of the till's name, which the shop's password allows.
"""

import time
from collections.abc import Sequence
from secrets import token_hex
from typing import Any

import orjson

from tests.broker import wire
from tests.broker.wire import Packet
from tests.tills.habits import FRESH_S
from tests.tills.said import Operation, leaf, read, states
from tests.tills.scene import PATIENCE_S, TOPICS, Scene, swallow
from tests.tills.tap import with_payload

LATE_ACK_S = 30
BACKLOG = 600
"""More than one message may carry."""

# --- a sale -----------------------------------------------------------------------------------------------------------


def ordinary_sales(scene: Scene) -> None:
    """Nothing goes wrong but what a person enters."""
    scene.till.start()
    scene.greeted()
    scene.sold()
    scene.sold("2")
    scene.counts("counted-once", "-3")
    scene.shows("shows-balance")
    _stamps_by_the_tick(scene)
    for sku, qty in (("x" * 129, "1"), ("", "1"), (scene.sku, "0.0001"), (scene.sku, "1000000000"), (scene.sku, "-1")):
        answer = scene.till.ask("sell", sku=sku, qty=qty)
        scene.judge("checked-before-seq", not answer.get("done"), f"sell {qty} of {sku[:20]!r}: {answer}")
    odd = f"{scene.sku} Cafe\u0301 5 % a/b#+ Ё"
    scene.sell("1", odd)
    scene.drained("sku-verbatim")
    scene.counts("sku-verbatim", "-1", odd)
    weighed = f"{scene.sku}-kg"
    for qty in ("0.1", "0.2", "0.35"):
        scene.sell(qty, weighed)
    scene.drained("exact-quantity")
    scene.counts("exact-quantity", "-0.65", weighed)
    rejected = [ack for ack in scene.heard("ack") if ack.get("rejected_total")]
    scene.judge("well-formed", not rejected, rejected or f"{len(scene.operations())} operations, none rejected")


def _stamps_by_the_tick(scene: Scene) -> None:
    """A sale after a tick is not older than the tick: an ack that the till has taken came behind it."""
    tick = scene.heard("tick")[-1]
    before = len(scene.operations())
    scene.sold()
    made = scene.operations()[before]
    if made.fields.get("run") == tick["run"]:
        scene.judge("stamp-time", made.fields["shop_ms"] >= tick["shop_ms"], f"{made.bytes} after the tick {tick}")


def receipts_and_counts(scene: Scene) -> None:
    """Two receipts, a restart, a third one; then a count between two sales that nobody hears at once."""
    scene.till.start()
    scene.greeted()
    other = f"{scene.sku}-2"
    lines = [{"sku": scene.sku, "qty": "2"}, {"sku": other, "qty": "1"}]
    if not scene.till.ask("receipt", lines=lines).get("unknown"):
        scene.till.ask("receipt", lines=lines)
        scene.restart()
        scene.till.ask("receipt", lines=lines)
        scene.drained("receipt-whole")
        scene.counts("receipt-whole", "-6")
        scene.counts("receipt-whole", "-3", other)
        made = {one.seq: one for one in scene.operations() if one.fields.get("type") == "receipt"}
        whole = [[line.get("sku") for line in one.fields.get("lines", [])] for one in made.values()]
        scene.judge("receipt-whole", whole == [[scene.sku, other]] * 3, [one.bytes for one in made.values()])
        names = [one.fields.get("receipt") for one in made.values()]
        scene.judge("receipt-identity", len(set(names)) == len(names), names)
    if scene.till.ask("count", sku=scene.sku, counted="7").get("unknown"):
        return
    scene.drained("count")
    scene.counts("count", "7")
    scene.tap.pull()
    scene.sell()
    scene.till.ask("count", sku=scene.sku, counted="5")
    scene.sell()
    scene.tap.plug()
    scene.drained("count")
    scene.counts("count", "4")


# --- the network ------------------------------------------------------------------------------------------------------


def lost_acks(scene: Scene) -> None:
    """The box commits and PUBACKs, and its acks are lost; then so is the connection."""
    scene.till.start()
    scene.greeted()
    scene.on_acks(swallow)
    for _ in range(3):
        scene.sell()
    scene.waited("only-ack-confirms", scene.operations, "no operation")
    scene.held("only-ack-confirms", lambda: _not_pending(scene, 3), "three operations wait for an ack")
    scene.heal()
    scene.tap.cut()
    scene.drained("cumulative-ack")
    scene.judge("cumulative-ack", True, scene.heard("ack")[-1])
    scene.counts("counted-once", "-3")


def lost_operations(scene: Scene) -> None:
    """A broker says PUBACK and loses the operation, as one that is not the box may."""
    scene.till.start()
    scene.greeted()
    scene.sold()

    def lie(packet: Packet) -> Sequence[Packet] | None:
        scene.tap.give(Packet(wire.PUBACK, 0, packet.packet_id.to_bytes(2)))
        return ()

    scene.on_ops(lie)
    scene.sell()
    scene.waited("only-ack-confirms", lambda: len(scene.operations()) > 1, "no operation")
    scene.held("only-ack-confirms", lambda: _not_pending(scene, 1), "its operation had a PUBACK and no ack")
    scene.heal()
    scene.tap.cut()
    scene.drained("counted-once")
    scene.counts("counted-once", "-2")


def lost_connections(scene: Scene) -> None:
    """The connection ends between the publish and its ack; and once more, before the publish is through."""
    scene.till.start()
    scene.greeted()

    def cut_once(_packet: Packet) -> Sequence[Packet] | None:
        scene.heal()
        return None

    scene.on_acks(cut_once)
    scene.sell()
    scene.sell()
    scene.drained("counted-once")
    scene.on_ops(cut_once)
    scene.sell()
    scene.drained("counted-once")
    scene.counts("counted-once", "-3")


def _not_pending(scene: Scene, number: int) -> str | None:
    pending = scene.pending()
    return None if pending == number else f"pending is {pending}"


def restarts(scene: Scene) -> None:
    """Without a network it sells and is killed; then it is killed while an operation is on its way."""
    scene.till.start()
    scene.greeted()
    scene.sold()
    scene.tap.pull()
    scene.sell()
    scene.judge("sells-offline", True, "sold without a network")
    scene.restart()
    scene.sell()
    scene.tap.plug()
    scene.drained("survives-restart")
    scene.counts("survives-restart", "-3")
    made = scene.operations()[-1].fields
    is_honest = made.get("run") is None or made.get("uncertain") is True
    scene.judge("uncertain", is_honest, f"{made}, made since a start without a tick")
    said = states(scene.log)
    if any(state.get("pending") for state in said):
        told = scene.waited("says-drained", lambda: _is_told(scene), "no state with pending 0")
        scene.judge("says-drained", True, told)
    scene.on_ops(swallow)
    before = len(scene.operations())
    scene.sell()
    scene.waited("survives-restart", lambda: len(scene.operations()) > before, "no operation")
    scene.till.kill()
    scene.heal()
    scene.till.start()
    scene.drained("survives-restart")
    scene.counts("survives-restart", "-4")


def _is_told(scene: Scene) -> dict[str, Any] | None:
    last = states(scene.log)[-1]
    return last if last.get("pending") == 0 else None


def turned_away(scene: Scene) -> None:
    """The broker says that it is full, twice."""
    away = 0

    def full(packet: Packet, is_said: bool) -> Sequence[Packet] | None:
        nonlocal away
        if is_said and packet.kind == wire.CONNECT and away < 2:
            away += 1
            scene.tap.give(Packet(wire.CONNACK, 0, b"\0\3"))
            return None
        return (packet,)

    scene.tap.fault = full
    scene.till.start()
    scene.waited("comes-back", scene.has_greeted, "no state after two CONNACK 3")
    scene.judge("comes-back", True, "connected after two CONNACK 3")


def a_backlog(scene: Scene) -> None:
    """More is sold without a network than one message may carry."""
    scene.till.start()
    scene.greeted()
    scene.tap.pull()
    for _ in range(BACKLOG):
        scene.sell()
    scene.tap.plug()
    scene.drained("counted-once")
    scene.counts("counted-once", f"-{BACKLOG}")


# --- handshake and acks -----------------------------------------------------------------------------------------------


def handshake(scene: Scene) -> None:
    """The ack that answers its state is long in coming; meanwhile come those of another epoch of its device."""
    scene.on_acks(swallow)
    scene.till.start()
    scene.sell()
    said = lambda: states(scene.log) or scene.operations()  # noqa: E731
    scene.waited("state-first", said, "no state", patience_s=PATIENCE_S)
    scene.no_operation("waits-for-ack", "no ack has answered its state")
    own = scene.epoch
    scene.on_acks(lambda packet: () if read(packet.payload).get("epoch") == own else (packet,))
    _another_epoch(scene)
    scene.no_operation("other-epoch", f"the ack was another epoch's: {scene.heard('ack')[-1]}")
    scene.heal()
    scene.tap.cut()
    scene.drained("waits-for-ack")
    scene.on_acks(lambda packet: () if read(packet.payload).get("epoch") == own else (packet,))
    scene.sell()
    scene.waited("only-ack-confirms", lambda: len(scene.operations()) > 1, "no operation")
    _another_epoch(scene)
    scene.held("other-epoch", lambda: _not_pending(scene, 1), f"another epoch was acked: {scene.heard('ack')[-1]}")
    scene.heal()
    scene.tap.cut()
    scene.drained("other-epoch")
    scene.counts("counted-once", "-2")


def _another_epoch(scene: Scene) -> None:
    """The device's name commits two operations in an epoch that is not the till's, and the till hears the ack."""
    before = len(scene.heard("ack"))
    goods: dict[str, object] = {"type": "move", "sku": f"{scene.sku}-other", "qty": "1", "reason": "receive"}
    scene.shop.say(scene.device, *({"seq": seq, "tag": token_hex(8), **goods} for seq in (1, 2)))
    scene.waited("other-epoch", lambda: len(scene.heard("ack")) > before, "the other epoch's ack was not heard")


def a_new_run(scene: Scene) -> None:
    """A tick shows another run while the connection lives on, as it does behind an external broker."""
    scene.till.start()
    scene.greeted()
    scene.sold()
    scene.on_acks(swallow)
    before, since = len(states(scene.log)), len(scene.log)
    tick = {**scene.heard("tick")[-1], "run": token_hex(8)}
    scene.tap.tell(TOPICS.tick, orjson.dumps(tick))
    scene.waited("new-run", lambda: len(states(scene.log)) > before, f"no state after {tick}")
    scene.sell()
    scene.no_operation("new-run", f"no ack has answered the state that followed {tick}", since=since)
    scene.heal()
    scene.tap.cut()
    scene.drained("new-run")
    scene.counts("counted-once", "-2")


def a_late_ack(scene: Scene) -> None:
    """No ack comes for 30 s."""
    scene.till.start()
    scene.greeted()
    scene.on_acks(swallow)
    scene.sell()
    scene.waited("late-ack", scene.operations, "no operation")
    before, since_s = len(states(scene.log)), time.monotonic()
    scene.waited("late-ack", lambda: len(states(scene.log)) > before, f"no state after {LATE_ACK_S} s without an ack")
    waited_s = time.monotonic() - since_s
    # A till asks its clock now and then: half as long again is no longer what the contract says.
    scene.judge("late-ack", waited_s < 1.5 * LATE_ACK_S, f"a state after {waited_s:.0f} s without an ack")
    scene.heal()
    scene.drained("late-ack")
    scene.counts("counted-once", "-1")


def a_late_tick(scene: Scene) -> None:
    """The tick that answers its state comes too late to be trusted."""
    late: list[bytes] = []

    def hold(packet: Packet, _is_said: bool) -> Sequence[Packet] | None:
        if _is_tick(packet):
            late.append(packet.payload)
            return ()
        return (packet,)

    scene.tap.fault = hold
    scene.till.start()
    scene.greeted()
    scene.waited("uncertain", lambda: late, "no tick")
    asked_s = max(seen.at_s for seen in scene.log if seen.is_said and leaf(seen) == "state")
    scene.waited("uncertain", lambda: time.monotonic() > asked_s + FRESH_S + 0.5, "time stands still")
    scene.tap.tell(TOPICS.tick, late[0])
    scene.sold()
    made = scene.operations()[-1].fields
    is_honest = made.get("run") is None or made.get("uncertain") is True
    scene.judge("uncertain", is_honest, f"{made}, made after a tick that came {FRESH_S} s late")


def a_gap(scene: Scene) -> None:
    """An operation is lost on its way, and the box says gap: once, and once more."""
    scene.till.start()
    scene.greeted()
    scene.sold()
    acked = scene.operations()[-1]
    scene.on_ops(swallow)
    scene.sell()
    lost = scene.waited("gap-resend", lambda: _of_seq(scene, 2), "no operation")[0]
    _say_too_early(scene)
    handshakes = len(states(scene.log))
    missing = f"{lost.bytes} is not sent again after a gap"
    again = scene.waited("gap-resend", lambda: _of_seq(scene, 2)[1:], missing)
    # A till that waits for 30 s and shakes hands sends it again as well, and has not heard the gap.
    is_heard = again[0].epoch == acked.epoch and len(states(scene.log[: again[0].place])) == handshakes
    scene.judge("gap-resend", is_heard, again[0].bytes if is_heard else f"{missing} before the next handshake")
    since = len(scene.log)
    _say_too_early(scene)
    scene.no_operation("gap-once", f"a second gap said the same seq: {scene.heard('ack')[-1]}", since=since)
    scene.heal()
    scene.tap.cut()
    scene.drained("gap-resend")
    scene.counts("counted-once", "-2")


def _of_seq(scene: Scene, seq: int) -> list[Operation]:
    return [one for one in scene.operations() if one.seq == seq]


def _say_too_early(scene: Scene) -> None:
    """Another device of the till's name leaves a gap in its epoch, so that the box says so; wait until it is heard."""
    gaps = len([ack for ack in scene.heard("ack") if ack.get("gap")])
    early = {"seq": 9, "tag": token_hex(8), "type": "move", "sku": scene.sku, "qty": "-1", "reason": "sale"}
    scene.shop.say(scene.device, early, epoch=scene.epoch, after=token_hex(8))
    heard = lambda: len([ack for ack in scene.heard("ack") if ack.get("gap")]) > gaps  # noqa: E731
    scene.waited("gap-resend", heard, "the gap was not heard")


def everything_twice(scene: Scene) -> None:
    """Each message comes twice; then an ack of long ago comes again."""
    scene.tap.fault = lambda packet, is_said: (packet,) if is_said or packet.kind != wire.PUBLISH else (packet, packet)
    scene.till.start()
    scene.greeted()
    scene.shop.receive((scene.sku, "10"))
    scene.sold()
    scene.shop.receive((scene.sku, "5"))
    scene.sold("2")
    scene.counts("counted-once", "12")
    scene.shows("duplicates")
    scene.heal()
    epoch = scene.epoch
    [old, *_] = [ack for ack in scene.heard("ack") if ack.get("epoch") == epoch and ack["seq"] == 1]
    scene.tap.tell(TOPICS.device(scene.device, "ack"), orjson.dumps(old))
    scene.sold()
    scene.drained("old-ack")
    scene.counts("old-ack", "11")
    scene.judge("old-ack", scene.epoch == epoch, f"{old} again, and the till goes on in its epoch")


def rejection(scene: Scene) -> None:
    """An operation reaches the box as one that it must reject."""
    scene.till.start()
    scene.greeted()
    scene.sold()

    def spoil(packet: Packet) -> Sequence[Packet] | None:
        said = orjson.loads(packet.payload)
        for operation in said.get("ops", [said]):
            operation["type"] = "riddle"
        return (with_payload(packet, orjson.dumps(said)),)

    scene.on_ops(spoil)
    scene.sell()
    scene.drained("rejected-settled")
    scene.heal()
    scene.sold()
    scene.counts("rejected-settled", "-2")
    told = _of_seq(scene, 2)
    scene.judge("rejected-settled", len(told) == 1, [one.bytes for one in told])
    answer = scene.till.ask("rejected")
    if not answer.get("unknown"):
        scene.judge("shows-rejected", answer.get("rejected") == ["unknown-type"], answer)


def words_of_a_later_version(scene: Scene) -> None:
    """Whatever the box says has keys that no till knows, and some that are null."""

    def extend(packet: Packet, is_said: bool) -> Sequence[Packet] | None:
        said = read(packet.payload) if packet.kind == wire.PUBLISH and not is_said else {}
        if not said:
            return (packet,)
        more = {"gap": None, "refused": None} if packet.topic.endswith("/ack") else {}
        return (with_payload(packet, orjson.dumps({"later": {"a": [1]}, **more, **said, "more-later": None})),)

    scene.tap.fault = extend
    scene.till.start()
    scene.waited("unknown-keys", scene.has_greeted, "no state that the box has answered")
    scene.shop.receive((scene.sku, "10"))
    scene.sell()
    scene.drained("unknown-keys")
    scene.counts("unknown-keys", "9")
    scene.judge("unknown-keys", True, scene.heard("ack")[-1])
    scene.shows("unknown-keys")


# --- reading ----------------------------------------------------------------------------------------------------------


def changes_in_disorder(scene: Scene) -> None:
    """Two changes of the goods come in the wrong order, and a third one not at all.

    No tick comes either: it would show to a till that believes anything what it has lost, ten seconds later.
    """
    scene.till.start()
    scene.greeted()
    scene.shop.receive((scene.sku, "1"))
    scene.shows("reordered")
    early: dict[str, Packet] = {}
    swapped: set[str] = set()

    def swap(packet: Packet, is_said: bool) -> Sequence[Packet] | None:
        if _is_tick(packet):
            return ()
        if is_said or packet.kind != wire.PUBLISH or not _tells(scene, packet) or packet.topic in swapped:
            return (packet,)
        if packet.topic not in early:
            early[packet.topic] = packet
            return ()
        swapped.add(packet.topic)
        return (packet, early[packet.topic])

    scene.tap.fault = swap
    scene.shop.receive((scene.sku, "10"))
    scene.shop.receive((scene.sku, "5"))
    scene.shows("reordered")
    scene.tap.fault = lambda packet, is_said: (
        () if not is_said and (_tells(scene, packet) or _is_tick(packet)) else (packet,)
    )
    scene.shop.receive((scene.sku, "3"))
    scene.tap.fault = lambda packet, _is_said: () if _is_tick(packet) else (packet,)
    scene.shop.receive((f"{scene.sku}-other", "1"))
    scene.shows("reordered")


def _is_tick(packet: Packet) -> bool:
    return packet.kind == wire.PUBLISH and packet.topic == TOPICS.tick


def _tells(scene: Scene, packet: Packet) -> bool:
    """Whether a packet brings a balance of the scene's goods as news."""
    if packet.kind != wire.PUBLISH:
        return False
    rows = read(packet.payload).get("items", []) if packet.topic == TOPICS.changes else []
    return packet.topic == TOPICS.balance(scene.sku) or any(row.get("sku") == scene.sku for row in rows)


def absence(scene: Scene) -> None:
    """Others sell and receive while it is away, and what it asks then is answered two rows at a time."""
    scene.till.start()
    scene.greeted()
    scene.sold()
    scene.shows("shows-balance")
    scene.tap.pull()
    goods = [f"{scene.sku}-{number}" for number in range(5)]
    scene.shop.receive((scene.sku, "7"), *((sku, "3") for sku in goods))

    def few(packet: Packet, is_said: bool) -> Sequence[Packet] | None:
        if is_said and packet.kind == wire.PUBLISH and packet.topic.endswith("/query"):
            return (with_payload(packet, orjson.dumps({**read(packet.payload), "limit": 2})),)
        return (packet,)

    scene.tap.fault = few
    scene.tap.plug()
    for sku in (scene.sku, *goods):
        scene.shows("catches-up", sku)
