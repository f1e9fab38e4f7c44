"""The outbox against a model of what must never be lost, under any order of acks, forks, restores and new boxes."""

import tempfile
from pathlib import Path

import orjson
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from appliance.contract.messages import Ack, Refusal
from appliance.till.outbox import Fork, Outbox
from appliance.till.shoptime import Heard
from tests.till.desk import LEDGER, OTHER, Chance, held, sale

KEPT_MAX = 4


class OutboxModel(RuleBasedStateMachine):
    """`owed` is what the outbox must still hold for a ledger: what it never acked, and what no backup of it covers."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.starts = 0
        self.open()
        self.outbox.bind(LEDGER)
        self.owed: set[str] = set()
        self.sent: dict[tuple[str, int], bytes] = {}

    def open(self) -> None:
        self.starts += 1
        path = Path(self.directory.name) / "A1.outbox"
        self.outbox = Outbox(path, "A1", Chance(self.starts), kept_max=KEPT_MAX)

    def teardown(self) -> None:
        self.outbox.close()
        self.directory.cleanup()

    def acknowledge(self, seq: int, tag: str | None, safe: int = 0, refused: Refusal | None = None) -> Fork | None:
        assert self.outbox.ledger is not None
        return self.outbox.acknowledge(Ack(self.outbox.ledger, self.outbox.epoch, seq, tag, safe, (), 0), refused)

    @rule()
    def add(self) -> None:
        self.owed.add(self.outbox.add(sale(), Heard()).tag)

    @precondition(lambda self: self.outbox.pending > 0)
    @rule(data=st.data())
    def ack_more(self, data: st.DataObject) -> None:
        seq = data.draw(st.integers(self.outbox.acked_seq + 1, self.outbox.last_seq))
        safe = data.draw(st.integers(0, seq + 2))
        operations = held(self.outbox)
        assert self.acknowledge(seq, self.outbox.tag_at(seq), safe) is None
        through = max(min(seq, safe), seq - KEPT_MAX)
        self.owed -= {
            str(said["tag"]) for said in operations if isinstance(said["seq"], int) and said["seq"] <= through
        }
        assert self.outbox.acked_seq == seq

    @precondition(lambda self: self.outbox.acked_seq > 0)
    @rule(data=st.data())
    def restored(self, data: st.DataObject) -> None:
        seq = data.draw(st.integers(0, self.outbox.acked_seq - 1))
        tag = self.outbox.tag_at(seq)
        is_held = seq == 0 or tag is not None
        fork = self.acknowledge(seq, tag)
        assert fork in ((None, Fork.HISTORY_GAP) if is_held else (Fork.HISTORY_GAP,))
        assert fork is Fork.HISTORY_GAP or self.outbox.acked_seq == seq

    @rule(beyond=st.integers(1, 3))
    def foreign(self, beyond: int) -> None:
        epoch = self.outbox.epoch
        assert self.acknowledge(self.outbox.last_seq + beyond, "f" * 16) is Fork.FOREIGN_TAG
        assert self.outbox.epoch != epoch
        assert self.outbox.acked_seq == 0

    @precondition(lambda self: self.outbox.pending > 0)
    @rule()
    def refused(self) -> None:
        seq = self.outbox.acked_seq
        own = Refusal(seq + 1, self.outbox.tag_at(seq + 1), "epoch-closed")
        assert self.acknowledge(seq, self.outbox.tag_at(seq), refused=own) is Fork.REFUSED

    @rule()
    def another_box(self) -> None:
        self.outbox.accept(OTHER if self.outbox.ledger == LEDGER else LEDGER)

    @rule()
    def restart(self) -> None:
        before = (self.outbox.epoch, self.outbox.ledger, self.outbox.pending, held(self.outbox))
        self.outbox.close()
        self.open()
        assert (self.outbox.epoch, self.outbox.ledger, self.outbox.pending, held(self.outbox)) == before

    @invariant()
    def nothing_owed_is_lost(self) -> None:
        """It is in the current epoch, or parked under the ledger to which it is owed."""
        kept = {tag for (tag,) in self.outbox._db.execute("SELECT tag FROM operation")}
        assert self.owed <= kept

    @invariant()
    def places_follow_each_other_without_a_gap(self) -> None:
        seqs = [said["seq"] for said in held(self.outbox)]
        assert seqs == list(range(self.outbox.last_seq - len(seqs) + 1, self.outbox.last_seq + 1))
        assert len(seqs) >= self.outbox.pending
        assert len(seqs) - self.outbox.pending <= KEPT_MAX
        assert len({said["tag"] for said in held(self.outbox)}) == len(seqs)

    @invariant()
    def bytes_never_change_within_an_epoch(self) -> None:
        for kept in self.outbox.batch(0, count_max=1000, bytes_max=1 << 30):
            assert self.sent.setdefault((self.outbox.epoch, kept.seq), kept.encoded) == kept.encoded
            assert orjson.loads(kept.encoded)["seq"] == kept.seq


OutboxModel.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestOutboxModel = OutboxModel.TestCase
