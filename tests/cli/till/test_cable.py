"""The cable is pulled for real, between three network namespaces, and the tills' own screens tell that it healed."""

import subprocess
import sys


def test_two_tills_sell_without_a_cable_and_their_screens_agree_when_it_is_back() -> None:
    command = [sys.executable, "-m", "tests.cli.till.cable"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
