"""A share of the power cuts of a busy minute, and what must be noticed if a promise were given up.

`python -m tests.crash.power` makes all of them.
"""

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from appliance.contract.messages import Ack
from appliance.ledger.writer import Writer
from appliance.till.outbox import Outbox
from appliance.till.shoptime import Heard
from tests.crash.disk import Platter, recorded
from tests.crash.power import digest_of, lost

SHARE = slice(0, None, 7)
"""Of the 3,600 writes and syncs of a minute: a thousand cuts in some 15 s."""

FEW = slice(0, None, 40)

SEED = 20261124


def test_power_cut_loses_nothing_that_was_said() -> None:
    cuts, found = lost(SEED, SHARE)
    assert cuts > 800
    assert found == []


def test_synchronous_normal_loses_commits() -> None:
    """The disk would notice if the ledger's pragma were another one."""
    cuts, found = lost(SEED, FEW, synchronous=1)
    assert len(found) > cuts // 8
    assert all("had returned" in what for _, what in found)


def test_time_that_is_told_before_it_is_durable_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Writer, "may_announce", lambda self, shop_ms: True)
    _, found = lost(SEED, FEW)
    assert any("shop time" in what for _, what in found)


# --- the till's outbox ------------------------------------------------------------------------------------------------


class _Entropy(random.Random):
    def token_hex(self, nbytes: int) -> str:
        return self.randbytes(nbytes).hex()


def _outbox_lost(directory: Path, synchronous: str) -> Iterator[str]:
    """Cut a busy till's power after every write and sync; yield what its outbox had kept, or was acked, and lost."""
    states: list[tuple[int, str]] = []
    (directory / "till").mkdir()
    with recorded("till", is_default=True) as disk:
        outbox = Outbox(directory / "till" / "outbox", "A1", _Entropy(1), kept_max=20)

        def kept() -> None:
            outbox._db.pragma("synchronous", synchronous)
            outbox._db.pragma("wal_autocheckpoint", 12)
            states.append((len(disk.log), digest_of(outbox._db)))

        kept()
        outbox.bind("ledger-1")
        kept()
        for number in range(60):
            seq = outbox.add({"type": "move", "sku": "A", "qty": "-1", "reason": "sale"}, Heard()).seq
            kept()
            if number % 5 == 4:
                acked = seq - 2
                outbox.acknowledge(Ack("ledger-1", outbox.epoch, acked, outbox.tag_at(acked), acked - 3, (), 0), None)
                kept()
            if number % 20 == 19:  # Somebody else's tag: a clone is about, and all is queued anew.
                outbox.acknowledge(Ack("ledger-1", outbox.epoch, seq, "0" * 16, 0, (), 0), None)
                kept()
        outbox.close()
        log = list(disk.log)
        platter, chance = Platter(), random.Random(SEED)
        for index, entry in enumerate(log, 1):
            platter.take(entry)
            files = platter.cut(chance, chance.choice((0.0, 0.5, 1.0)))
            held = [number for number, (at, _) in enumerate(states) if at <= index]
            with tempfile.TemporaryDirectory(dir=directory) as image:
                for name, content in files.items():
                    (Path(image) / name).write_bytes(content)
                try:
                    outbox = Outbox(Path(image) / "outbox", "A1", _Entropy(2))
                except apsw.Error as error:
                    yield f"{index}: {error}"
                    continue
                found = digest_of(outbox._db)
                outbox.close()
            if held and found not in [state for _, state in states[held[-1] : held[-1] + 2]]:
                yield f"{index}: the outbox is not as it was after {held[-1]} of its transactions"


def test_power_cut_leaves_an_outbox_with_all_that_it_had_kept(tmp_path: Path) -> None:
    assert list(_outbox_lost(tmp_path, "full")) == []


def test_outbox_with_synchronous_normal_would_lose_sales(tmp_path: Path) -> None:
    assert list(_outbox_lost(tmp_path, "normal"))
