"""Tills that break one rule each: this checkout's own with one thing taken out of it, so that the checker is tested.

    scripts/conformance --only lost-acks -- .venv/bin/python -m tests.tills.broken confirms-at-puback

Each variant names the rule that it breaks and the scene that must find it.
"""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import orjson

from appliance.contract.messages import Ack, Refusal
from appliance.till.outbox import Fork, Kept, Outbox
from appliance.till.session import Phase, Session
from appliance.till.shoptime import ShopTime
from appliance.till.view import Feed
from tests.simulation.mutants import RULES
from tests.tills import sdk

Patch = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True, slots=True)
class Variant:
    rule: str
    scene: str
    patch: Patch


def _without(name: str) -> Patch:
    """One of the till's rules that the simulator takes away as well."""
    return lambda: RULES[name]()


def _put(owner: type, name: str, make: Callable[[Any], object]) -> Patch:
    """Put something in the place of a method. make: is given the method."""
    return lambda: patch.object(owner, name, make(getattr(owner, name)))


def _message_without_after(message: Callable[[Session, list[Kept]], bytes]) -> object:
    def made(self: Session, batch: list[Kept]) -> bytes:
        said = orjson.loads(message(self, batch))
        said.pop("after", None)
        return orjson.dumps(said)

    return made


def _operations_changed(change: Callable[[dict[str, Any], int], None]) -> Patch:
    """Change the fields of each operation whenever it is sent. change: is given how many messages were sent before."""

    def make(message: Callable[[Session, list[Kept]], bytes]) -> object:
        sent = 0

        def made(self: Session, batch: list[Kept]) -> bytes:
            nonlocal sent
            said = orjson.loads(message(self, batch))
            for operation in said["ops"]:
                change(operation, sent)
            sent += 1
            return orjson.dumps(said)

        return made

    return _put(Session, "_message", make)


def _connected_anew(subscribed: Callable[[Session, int], None]) -> object:
    """What waits for its ack on a new connection is entered once more."""

    def entered(self: Session, now_ms: int) -> None:
        for kept in self._outbox.never_acked():
            fields = orjson.loads(kept.encoded)
            again = {key: fields[key] for key in fields.keys() - {"seq", "tag"}}
            self._outbox.add(again, self._time.heard(now_ms))
        subscribed(self, now_ms)

    return entered


def _sent_is_acked(send: Callable[[Session, int], None]) -> object:
    """What the broker has is taken for done."""

    def sent(self: Session, now_ms: int) -> None:
        send(self, now_ms)
        outbox = self._outbox
        if self.phase is Phase.READY and outbox.ledger and self._sent_seq > outbox.acked_seq:
            last = outbox.tag_at(self._sent_seq)
            outbox.acknowledge(Ack(outbox.ledger, outbox.epoch, self._sent_seq, last, 0, (), 0), None)

    return sent


def _ready_at_once(greet: Callable[[Session, int], None]) -> object:
    """The state is said, and its answer not waited for."""

    def greeting(self: Session, now_ms: int) -> None:
        greet(self, now_ms)
        self.phase = Phase.READY
        self._send_from(self._outbox.acked_seq)
        self._send(now_ms)

    return greeting


def _any_epoch(on_ack: Callable[[Session, bytes, int], None]) -> object:
    """Whatever ack comes is taken for one of the own epoch."""

    def heard(self: Session, payload: bytes, now_ms: int) -> None:
        said = orjson.loads(payload)
        own = self._outbox.tag_at(said["seq"])
        if said["epoch"] != self._outbox.epoch and own is not None:
            said |= {"epoch": self._outbox.epoch, "tag": own}
        on_ack(self, orjson.dumps(said), now_ms)

    return heard


def _gap(deaf: bool) -> Patch:
    """Deaf: a gap says nothing. Else it is answered each time that it is said."""

    def make(on_ack: Callable[[Session, bytes, int], None]) -> object:
        def heard(self: Session, payload: bytes, now_ms: int) -> None:
            said = orjson.loads(payload)
            self._resent_from.clear()
            on_ack(self, orjson.dumps(said | ({"gap": False} if deaf else {})), now_ms)

        return heard

    return _put(Session, "_on_ack", make)


def _deaf_to_refusals(acknowledge: Callable[[Outbox, Ack, Refusal | None], Fork | None]) -> object:
    return lambda self, ack, _refused: acknowledge(self, ack, None)


def _any_order(_changed: object) -> object:
    """Whatever changes come are written over what there is."""

    def changed(self: Feed[Any], run: str, since: int, to: int, items: Any) -> bool:
        for fields in items:
            row = self._read(fields)
            self.rows[row.sku] = row
        self.run, self.rev = run, to
        return False

    return changed


def _requeued(change: Callable[[dict[str, Any]], None]) -> Patch:
    """Change each operation that a fork takes along."""

    def make(insert: Callable[..., None]) -> object:
        def inserted(self: Outbox, epoch: str, kept: Kept, *, is_acked: bool) -> None:
            fields = orjson.loads(kept.encoded)
            if fields.get("again"):
                change(fields)
                kept = replace(kept, tag=fields["tag"], encoded=orjson.dumps(fields))
            insert(self, epoch, kept, is_acked=is_acked)

        return inserted

    return _put(Outbox, "_insert", make)


def _only_unacked(rows: Callable[[Outbox, str], list[tuple[bytes, int]]]) -> object:
    return lambda self, epoch: [row for row in rows(self, epoch) if not row[1]]


def _always_certain(stamp: Callable[[ShopTime, int], dict[str, object]]) -> object:
    return lambda self, now_ms: {key: value for key, value in stamp(self, now_ms).items() if key != "uncertain"}


def _forgetful(_is_parked: object) -> object:
    return lambda _self, _ledger: False


def _another_outbox(prepare: Callable[[Outbox, Path, str], None]) -> object:
    """An outbox is taken for that of whoever opens it."""

    def prepared(self: Outbox, path: Path, device: str) -> None:
        if self._db.pragma("user_version"):
            self._db.execute("UPDATE outbox SET device = ?", (device,))
        prepare(self, path, device)

    return prepared


def _in_memory(init: Callable[..., None]) -> object:
    """Each start begins with an empty outbox."""

    def made(self: Outbox, path: Path, *arguments: Any, **options: Any) -> None:
        path.unlink(missing_ok=True)
        init(self, path, *arguments, **options)

    return made


VARIANTS = {
    "forgets-after": Variant("after", "lost-acks", _put(Session, "_message", _message_without_after)),
    "renews-its-stamps": Variant(
        "identical-resend", "restarts", _operations_changed(lambda fields, sent: fields.update(shop_ms=sent))
    ),
    "enters-it-again": Variant("counted-once", "lost-connections", _put(Session, "subscribed", _connected_anew)),
    "confirms-at-puback": Variant("only-ack-confirms", "lost-operations", _put(Session, "_send", _sent_is_acked)),
    "says-no-state": Variant("state-first", "handshake", _without("handshake")),
    "waits-for-no-ack": Variant("waits-for-ack", "handshake", _put(Session, "_greet", _ready_at_once)),
    "ignores-a-new-run": Variant("new-run", "a-new-run", _without("handshake on a new run")),
    "takes-any-ack": Variant("other-epoch", "handshake", _put(Session, "_on_ack", _any_epoch)),
    "takes-any-tag": Variant("fork-foreign-tag", "a-clone-sells", _without("tag on the ack")),
    "deaf-to-gaps": Variant("gap-resend", "a-gap", _gap(deaf=True)),
    "answers-each-gap": Variant("gap-once", "a-gap", _gap(deaf=False)),
    "deaf-to-refusals": Variant("fork-refused", "a-clone-forks", _put(Outbox, "acknowledge", _deaf_to_refusals)),
    "forks-without-the-acked": Variant("fork-keeps-all", "a-clone-sells", _put(Outbox, "_rows", _only_unacked)),
    "forks-with-new-tags": Variant(
        "fork-keeps-tags", "a-clone-forks", _requeued(lambda fields: fields.update(tag=f"{fields['seq']:016x}"))
    ),
    "forks-without-again": Variant(
        "fork-marks-again", "a-clone-sells", _requeued(lambda fields: fields.update(again=False))
    ),
    "forks-without-parents": Variant(
        "fork-names-parents", "a-clone-sells", _requeued(lambda fields: fields.update(parents=["0" * 16]))
    ),
    "forgets-what-is-acked": Variant("keeps-beyond-safe", "a-restored-box", _without("safe")),
    "forgets-it-parks": Variant("ledger-returns", "another-ledger", _put(Outbox, "is_parked", _forgetful)),
    "shows-the-last-change": Variant("reordered", "changes-in-disorder", _put(Feed, "changed", _any_order)),
    "never-doubts": Variant("uncertain", "restarts", _put(ShopTime, "stamp", _always_certain)),
    "keeps-it-in-memory": Variant("survives-restart", "restarts", _put(Outbox, "__init__", _in_memory)),
    "takes-any-outbox": Variant("bound-to-device", "another-device", _put(Outbox, "_prepare", _another_outbox)),
}


def main() -> None:
    with ExitStack() as broken:
        broken.enter_context(VARIANTS[sys.argv[1]].patch())
        sdk.main()


if __name__ == "__main__":
    main()
