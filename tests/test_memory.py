"""What a box holds while nothing happens: the modules that it needs, and nothing large that it has freed."""

import subprocess
import sys
from pathlib import Path

import pytest

from scripts.processes import START_S


def told_by(program: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=START_S, check=True
    )
    return done.stdout


NOT_FOR_THE_BOX = {"openpyxl", "prometheus_client", "rich", "textual", "appliance.cli.catalogue", "appliance.cli.watch"}


@pytest.mark.parametrize(
    ("words", "foreign"),
    [
        ("run", NOT_FOR_THE_BOX),
        ("version", {"amqtt", "apsw", "appliance.app"}),
        ("status", {"textual", "openpyxl", "cryptography"}),
    ],
)
def test_a_command_loads_what_it_needs_and_no_other_command(words: str, foreign: set[str]) -> None:
    program = """
import sys
from contextlib import redirect_stdout, suppress
from io import StringIO
from appliance.cli import main
sys.argv = ["stock-coordinator", sys.argv[1], "--help"]
with suppress(SystemExit), redirect_stdout(StringIO()):
    main()
print("\\n".join(sys.modules))
"""
    loaded = set(told_by(program, words).split())
    assert "appliance.cli.failure" in loaded
    assert not loaded & foreign


def test_the_memory_of_a_password_s_hash_is_given_back(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from appliance.access.password import ShopPassword
from appliance.app.memory import give_back_what_is_large

def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

give_back_what_is_large()
password = ShopPassword(Path(sys.argv[1]))
before_bytes = resident_bytes()
for number in range(4):
    password.set(f"sesame {number}")
print(resident_bytes() - before_bytes)
"""
    assert int(told_by(program, str(tmp_path))) < 8 * 1024 * 1024
