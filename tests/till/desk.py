"""One till on a test's desk: a real outbox and session, and a coordinator that says only what the test lets it say.

What it says is written by `contract.messages`, so the till's readers are held against the real writers. Time is a
number that the test moves; chance is seeded.
"""

import random
import shutil
from pathlib import Path
from typing import cast

import orjson

from appliance.contract import messages
from appliance.contract.messages import Ack, Coordinator, Refusal, Rejection
from appliance.contract.topics import Topics
from appliance.till import drafts
from appliance.till.outbox import KEPT_MAX, Kept, Outbox
from appliance.till.session import Note, Publish, Session

LEDGER = "1e06e570-0000-4000-8000-000000000001"
OTHER = "0ffe1a9d-0000-4000-8000-000000000002"
MILK = "4607001234567"
TOPICS = Topics("shop")


class Chance:
    """Entropy that repeats exactly."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def token_hex(self, nbytes: int, /) -> str:
        return self._random.randbytes(nbytes).hex()


def sale(qty: str = "1", sku: str = MILK) -> dict[str, object]:
    return drafts.move(sku, drafts.negated(qty), "sale")


def copy_outbox(path: Path, to: Path) -> Path:
    """Copy the file and its WAL as they are on disk now: what a power cut, or a clone of the device, would leave."""
    for suffix in ("", "-wal"):
        source = path.with_name(path.name + suffix)
        if source.exists():
            shutil.copyfile(source, to.with_name(to.name + suffix))
    return to


class Desk:
    """A till and what is said to it. `published` collects what it publishes, as (leaf, JSON)."""

    def __init__(
        self,
        path: Path,
        *,
        device: str = "A1",
        seed: int = 1,
        now_ms: int = 1_000_000,
        kept_max: int = KEPT_MAX,
        accept_ledger: bool = False,
    ) -> None:
        chance = Chance(seed)
        self.path = path
        self.device = device
        self.now_ms = now_ms
        self.outbox = Outbox(path, device, chance, kept_max=kept_max)
        self.session = Session(self.outbox, TOPICS, device, chance, now_ms, accept_ledger=accept_ledger)
        self.published: list[tuple[str, dict[str, object]]] = []
        self.raw_ops: list[bytes] = []
        self.notes: list[str] = []
        self.speaks_as(LEDGER, "a1")

    def speaks_as(self, ledger: str, run: str) -> None:
        """From here on the coordinator is this one."""
        self.who = Coordinator(ledger, run, "synchronised", "0.1.0")

    # --- what the till is made to do ----------------------------------------------------------------------------------

    def connect(self) -> None:
        """Come as far as the published `state`."""
        self.session.connected()
        self.session.subscribed(self.now_ms)
        self.collect()

    def shake_hands(self, *, shop_ms: int = 86_400_000, rev: int = 0) -> None:
        """Connect and be answered as by a coordinator that has acked what this till has seen acked."""
        self.connect()
        self.answer_state(shop_ms=shop_ms, rev=rev)

    def answer_state(self, *, shop_ms: int = 86_400_000, rev: int = 0) -> None:
        seq = self.outbox.acked_seq
        self.ack(seq, self.outbox.tag_at(seq))
        self.tick(shop_ms, rev)

    def sell(self, qty: str = "1", sku: str = MILK) -> Kept:
        kept = self.session.wanted(sale(qty, sku), self.now_ms)
        self.collect()
        return kept

    def wait(self, ms: int) -> None:
        self.now_ms += ms
        self.session.elapsed(self.now_ms)
        self.collect()

    # --- what the coordinator says ------------------------------------------------------------------------------------

    def ack(
        self,
        seq: int,
        tag: str | None,
        *,
        epoch: str | None = None,
        safe: int = 0,
        gap: bool = False,
        refused: Refusal | None = None,
        rejected: tuple[Rejection, ...] = (),
    ) -> None:
        said = Ack(self.who.ledger, epoch or self.outbox.epoch, seq, tag, safe, rejected, len(rejected))
        self.hear(TOPICS.device(self.device, "ack"), messages.ack(said, gap=gap, refused=refused))

    def tick(self, shop_ms: int, rev: int = 0) -> None:
        self.hear(TOPICS.tick, messages.tick(self.who, shop_ms, rev))

    def online(self, rev: int = 0) -> None:
        self.hear(TOPICS.coordinator, messages.online(self.who, rev))

    def offline(self) -> None:
        self.hear(TOPICS.coordinator, messages.offline(self.who))

    def hear(self, topic: str, payload: bytes) -> None:
        self.session.received(topic, payload, self.now_ms)
        self.collect()

    # --- what the till has said ---------------------------------------------------------------------------------------

    def collect(self) -> None:
        for output in self.session.outputs():
            if isinstance(output, Publish):
                leaf = output.topic.removeprefix(f"stock/v1/shop/device/{self.device}/")
                self.published.append((leaf, orjson.loads(output.payload)))
                if leaf == "op":
                    self.raw_ops.append(output.payload)
            elif isinstance(output, Note):
                self.notes.append(output.text)

    def take(self, leaf: str) -> list[dict[str, object]]:
        """Return, and forget, what the till has published on one of its topics."""
        taken = [said for where, said in self.published if where == leaf]
        self.published = [(where, said) for where, said in self.published if where != leaf]
        return taken

    def sent_seqs(self) -> list[list[int]]:
        """Return, and forget, the sequence numbers of each message of operations."""
        return [[cast("int", operation["seq"]) for operation in operations(said)] for said in self.take("op")]


def operations(said: dict[str, object]) -> list[dict[str, object]]:
    return cast("list[dict[str, object]]", said["ops"])


def held(outbox: Outbox) -> list[dict[str, object]]:
    """Return every operation that the current epoch holds, acked ones too."""
    return [orjson.loads(kept.encoded) for kept in outbox.batch(0, count_max=100_000, bytes_max=1 << 40)]
