"""Scenes of another past: a clone of the till has sold, the box is older than it was, or is another box.

Another device of the till's own name, which answers to the shop's password as well, plays the clone. The boxes are real
ones, stopped and started on the till's port.
"""

from collections.abc import Callable
from secrets import token_hex
from typing import Any

import orjson

from scripts.processes import free_port
from tests.box import Box
from tests.tills.said import operations, read, states
from tests.tills.scene import PATIENCE_S, TOPICS, Scene, Shop, copy_of, put_back
from tests.tills.tap import with_payload

# --- forks ------------------------------------------------------------------------------------------------------------


def a_clone_sells(scene: Scene) -> None:
    """Another device of its name goes on in its epoch; the till hears of it by the ack."""
    scene.till.start()
    scene.greeted()
    scene.sold()
    scene.sold()
    epoch, last = scene.epoch, scene.operations()[-1]
    sale = {"seq": 3, "tag": token_hex(8), "type": "move", "sku": scene.sku, "qty": "-1", "reason": "sale"}
    scene.shop.say(scene.device, sale, epoch=epoch, after=last.tag)
    scene.waited("fork-foreign-tag", lambda: scene.epoch != epoch, f"no new epoch after the ack of {sale}")
    scene.judge("fork-foreign-tag", True, states(scene.log)[-1])
    scene.sell()
    _fork_is_whole(scene, epoch, made=2)
    scene.counts("counted-once", "-4")


def a_clone_forks(scene: Scene) -> None:
    """Another device of its name has forked, and so closed the epoch in which the till sells on."""
    scene.till.start()
    scene.greeted()
    scene.sold()
    scene.sold()
    epoch = scene.epoch
    sale = {"seq": 1, "tag": token_hex(8), "type": "move", "sku": scene.sku, "qty": "-1", "reason": "sale"}
    scene.shop.say(scene.device, {**sale, "parents": [epoch]})
    scene.sell()
    scene.waited("fork-refused", lambda: scene.epoch != epoch, "no new epoch after the refusal epoch-closed")
    scene.judge("fork-refused", True, [ack for ack in scene.heard("ack") if ack.get("refused")][-1:])
    _fork_is_whole(scene, epoch, made=3)
    scene.counts("counted-once", "-4")


def _fork_is_whole(scene: Scene, parent: str, made: int) -> None:
    """A fork of a till that nothing allowed to trim has all that was made in its parent, and says so."""
    scene.drained("fork-keeps-all")
    said = scene.operations()
    old = {one.seq: one for one in said if one.epoch == parent and one.seq <= made}
    new = {one.seq: one for one in said if one.epoch == scene.epoch}
    shown = [one.bytes for one in new.values()]
    pairs = [(old[seq].fields, new[seq].fields) for seq in old if seq in new]
    scene.judge("fork-keeps-all", len(pairs) == made and all(_body(a) == _body(b) for a, b in pairs), shown)
    named = ("tag", "run", "shop_ms", "seen", "uncertain")
    is_kept = all(a.get(key) == b.get(key) for a, b in pairs for key in named)
    scene.judge("fork-keeps-tags", is_kept, shown)
    scene.judge("fork-marks-again", all(b.get("again") is True for _, b in pairs), shown)
    parents = new[1].fields.get("parents")
    scene.judge("fork-names-parents", isinstance(parents, list) and parents[:1] == [parent], new[1].bytes)


def _body(fields: dict[str, Any]) -> dict[str, Any]:
    """Return what an operation says happened."""
    about = ("seq", "tag", "run", "shop_ms", "seen", "uncertain", "again", "parents", "why", "at")
    return {key: value for key, value in fields.items() if key not in about}


def lost_history(scene: Scene) -> None:
    """Backups cover everything, and then the box is older than they were: it asks for what the till could forget.

    The real box covers nothing before its first nightly copies, and those would be restored: the tap says it instead.
    """
    scene.till.start()
    scene.greeted()
    scene.on_acks(lambda ack: (with_payload(ack, orjson.dumps({**(said := read(ack.payload)), "safe": said["seq"]})),))
    for _ in range(3):
        scene.sold()
    epoch, [first, *_] = scene.epoch, scene.operations()
    before = len(scene.log)
    restored = {**scene.heard("ack")[-1], "seq": 1, "tag": first.tag, "safe": 0}
    scene.tap.tell(TOPICS.device(scene.device, "ack"), orjson.dumps(restored))
    scene.waited(
        "fork-history-gap",
        lambda: scene.epoch != epoch or operations(scene.log[before:]),
        f"neither a fork nor what it kept after {restored}",
    )
    scene.sold()
    scene.counts("counted-once", "-4")
    forked = [one for one in scene.operations() if one.epoch != epoch]
    if forked:  # A till that has forgotten nothing sends it again.
        scene.judge("fork-history-gap", forked[0].fields.get("why") == "history-gap", forked[0].bytes)


# --- another box ------------------------------------------------------------------------------------------------------


def a_restored_box(scene: Scene) -> None:
    """The box is older than what it has acked."""
    box = scene.shop.box
    other = f"{scene.sku}-other"
    scene.till.start()
    scene.greeted()
    scene.sold()
    scene.shop.receive((other, "4"))
    _while_stopped(scene, lambda: copy_of(box, scene.home / "copy"))
    scene.greeted()
    scene.sold()
    scene.sold()
    scene.shop.receive((other, "10"))
    scene.shows("shows-balance", other)
    _while_stopped(scene, lambda: put_back(box, scene.home / "copy"))
    scene.waited("keeps-beyond-safe", lambda: scene.shop.on_hand(scene.sku) == "-3", "a restored box is not healed")
    scene.judge("keeps-beyond-safe", True, [one.bytes for one in scene.operations()[-2:]])
    scene.shows("replaces-copy", other)
    scene.sold()
    scene.counts("counted-once", "-4")


def _while_stopped(scene: Scene, change: Callable[[], None]) -> None:
    """Stop the box, do something to its data, and start it; the till's network is away meanwhile."""
    scene.tap.pull()
    scene.shop.box.stop()
    change()
    scene.shop.box.start()
    scene.tap.plug()


def another_ledger(scene: Scene) -> None:
    """A new box stands in the old one's place, is accepted, and then the old one returns."""
    first = scene.shop.box
    scene.till.start()
    scene.greeted()
    scene.sold()
    scene.sold()
    epoch = scene.epoch
    acked = {one.tag for one in scene.operations()}
    own = {ack["ledger"] for ack in scene.heard("ack")}
    scene.tap.pull()
    scene.sell()
    first.stop()
    with Box(scene.home / "other", STOCK_BROKER__PORT=str(first.port)) as second:
        scene.shop = Shop(second)
        since = len(scene.log)
        scene.tap.plug()
        heard = scene.waited("other-ledger-silent", lambda: _ledgers(scene) - own, "it does not listen")
        scene.no_operation("other-ledger-silent", f"the ledger is {heard}, and nobody agreed", since=since)
        if not scene.till.ask("accept", ledger=heard.pop()).get("unknown"):
            _sells_to_the_other(scene, epoch, acked)
        scene.tap.pull()
    first.start()
    scene.shop = Shop(first)
    scene.tap.plug()
    scene.waited(
        "ledger-returns", lambda: scene.shop.on_hand(scene.sku) == "-3", "its own ledger lacks what was parked"
    )
    scene.judge("ledger-returns", True, scene.operations()[-1].bytes)


def _sells_to_the_other(scene: Scene, epoch: str, acked: set[Any]) -> None:
    scene.waited(
        "other-ledger-accepted", lambda: scene.shop.on_hand(scene.sku) == "-1", "what was never acked does not come"
    )
    new = [one for one in scene.operations() if one.epoch != epoch]
    is_right = all(one.fields.get("again") is True and one.tag not in acked for one in new)
    scene.judge("other-ledger-accepted", is_right, [one.bytes for one in new])
    scene.sold()
    scene.counts("counted-once", "-2")


def _ledgers(scene: Scene) -> set[str]:
    names = ("coordinator", "ack", "tick")
    return {said["ledger"] for name in names for said in scene.heard(name) if "ledger" in said}


def another_device(scene: Scene) -> None:
    """Its outbox is taken to a device of another name."""
    scene.till.start(TILL_PORT=str(free_port()))
    scene.sell()
    scene.device = f"{scene.device}-other"
    scene.restart(TILL_DEVICE=scene.device)
    over = lambda: scene.till.has_ended or scene.has_greeted()  # noqa: E731
    scene.waited("bound-to-device", over, "neither a state nor an end", patience_s=PATIENCE_S)
    scene.no_operation("bound-to-device", "its device has another name than the outbox")
