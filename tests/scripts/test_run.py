"""`scripts/run` opens the shop where it is told to, and knows its demo."""

import subprocess
from pathlib import Path

from scripts.processes import environment

CHECKOUT = Path(__file__).parent.parent.parent
RUN = str(CHECKOUT / "scripts" / "run")
DEADLINE_S = 60.0


def test_run_opens_the_shop_with_its_data_where_the_setting_says(tmp_path: Path, free_port: int) -> None:
    settings = environment(STOCK_DATA_DIR=str(tmp_path / "shop"), STOCK_BROKER__PORT=str(free_port))
    with subprocess.Popen([RUN], env=settings, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            assert any(f"is open on 127.0.0.1 port {free_port}" in line for line in process.stdout)
            assert (tmp_path / "shop" / "control.sock").is_socket()
        finally:
            process.terminate()
            process.wait(DEADLINE_S)
    assert process.returncode == 0


def test_run_passes_its_arguments_on() -> None:
    box = subprocess.run([RUN, "--help"], capture_output=True, text=True, timeout=DEADLINE_S, check=True)
    demo = subprocess.run([RUN, "--demo", "--help"], capture_output=True, text=True, timeout=DEADLINE_S, check=True)
    assert "Run the coordinator until SIGTERM or Ctrl-C." in box.stdout
    assert "Show a shop with three tills" in demo.stdout
