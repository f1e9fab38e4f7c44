"""Checkpoints: they stand between lines, never inside one, and take nothing away from the job."""

import re

import pytest

from appliance.printing.conversation import Conversation
from appliance.printing.proof import Fences, Markers, Probes, Proof
from tests.printing.emulator import Bench, Printer
from tests.printing.jobs import CUT, START, job

CHECKPOINT = re.compile(rb"\x1d\(H\x06\x0000....|\x1dr\x01", re.DOTALL)


@pytest.fixture(params=["markers", "fences"])
def proof(request: pytest.FixtureRequest) -> Proof:
    bench = Bench(Printer())
    conversation = Conversation(bench.open(), bench.clock, answer_s=1, quiet_s=1)
    return (
        Fences(conversation) if request.param == "fences" else Markers(conversation, b"A001", Probes(lambda below: 0))
    )


@pytest.mark.parametrize("lines", [1, 10, 500])
def test_a_job_is_sent_whole_with_checkpoints_between_its_lines(proof: Proof, lines: int) -> None:
    plain = job("Чек", lines)
    woven = proof.woven(plain, 100)
    assert CHECKPOINT.sub(b"", woven) == plain
    checkpoints = list(CHECKPOINT.finditer(woven))
    assert len(checkpoints) == 2 + lines // 3  # a line has 36 bytes
    assert checkpoints[0].start() == 0
    assert checkpoints[-1].end() == len(woven)
    assert {woven[found.start() - 1 : found.start()] for found in checkpoints[1:-1]} <= {b"\n"}


def test_a_picture_full_of_line_feeds_is_not_cut(proof: Proof) -> None:
    raster = b"\x1dv0\x00\x0a\x00\x64\x00" + b"\n" * 1000
    assert raster in proof.woven(START + raster + b"\n" + CUT, 100)


def test_a_job_that_ends_inside_a_command_is_sent_as_it_is(proof: Proof) -> None:
    assert CHECKPOINT.sub(b"", proof.woven(b"\x1b@A\n\x1dv0", 100)) == b"\x1b@A\n\x1dv0"
