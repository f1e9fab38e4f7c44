"""A few faults of the network, with each broker. `python -m tests.crash.network` makes more."""

import subprocess
import sys

import pytest

from tests.crash.network import Where

FAULTS = 5
"""One of each kind."""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("where", Where)
def test_tills_sell_through_lost_packets_and_cut_lines_and_all_agree_in_the_end(where: Where) -> None:
    command = [sys.executable, "-m", "tests.crash.network", "--faults", f"{FAULTS}", "--where", where.value]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
