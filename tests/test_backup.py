"""A box that is set back to a backup is healed by its tills: real parts, and commands as its owner types them."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import orjson
import pytest

from appliance.till import Till
from scripts.processes import run_of
from tests.box import PASSWORD, Box
from tests.shop import rows
from tests.waiting import wait_until

ROOT = "stock/v1/shop/"
RECEIPTS = 5


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    paper = tmp_path / "paper"
    with Box(tmp_path / "data", STOCK_PRINTER__URL=f"file://{paper}", STOCK_PRECHECK__PRINT_ON="paid") as box:
        yield box


def told(box: Box, *words: str) -> str:
    done = box.command(*words)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def one_liner(box: Box, epoch: str) -> None:
    """A till without a storage: mosquitto_pub, of which the person repeats the last command."""
    sale = {"epoch": epoch, "seq": 1, "type": "move", "sku": "bread", "qty": "-1", "reason": "sale"}
    login = ["-h", "127.0.0.1", "-p", str(box.port), "-u", "shell", "-P", PASSWORD]
    publish = ["mosquitto_pub", *login, "-q", "1", "-t", f"{ROOT}device/shell/op", "-s"]
    subprocess.run(publish, input=orjson.dumps(sale), timeout=30, check=True, capture_output=True)


def balances(box: Box) -> dict[str, str]:
    found = map(orjson.loads, told(box, "balance", "--json").splitlines())
    return {row["sku"]: row["on_hand"] for row in found}


def sheets(box: Box) -> int:
    """How many sheets came out of the printer."""
    return (box.directory.parent / "paper").read_bytes().count(b"\x1b@")


def printed(box: Box) -> int:
    [(count,)] = rows(box.directory, "SELECT count(*) FROM print_job WHERE state = 'delivered'")
    return int(count)


@pytest.mark.timeout(300)
def test_box_set_back_to_a_backup_is_healed_by_its_tills(box: Box, tmp_path: Path) -> None:
    copy = tmp_path / "copy.backup"
    with ExitStack() as up:
        tills = [
            up.enter_context(
                Till(
                    host="127.0.0.1",
                    port=box.port,
                    shop="shop",
                    device=device,
                    password=PASSWORD,
                    path=tmp_path / f"{device}.outbox",
                )
            )
            for device in ("A1", "A2")
        ]

        def trade() -> None:
            for till in tills:
                till.receive("milk", 10)
                for _ in range(RECEIPTS):
                    till.receipt([{"sku": "milk", "qty": "2"}])
            assert all(till.wait_acked(60) for till in tills)

        wait_until(lambda: all(till.is_connected for till in tills))
        trade()
        one_liner(box, "epoch-before-the-backup")
        wait_until(lambda: printed(box) == 2 * RECEIPTS)
        told(box, "backup", "make", str(copy))
        assert balances(box) == {"milk": "0", "bread": "-1"}
        trade()
        one_liner(box, "epoch-after-the-backup")
        wait_until(lambda: printed(box) == 4 * RECEIPTS)
        first_run, on_paper = run_of(box.directory), sheets(box)

        refused = box.command("backup", "restore", str(copy))
        assert refused.returncode == 1
        assert "stop it" in refused.stderr
        assert box.stop() == 0
        assert "the former ledger is in" in told(box, "backup", "restore", str(copy))
        assert balances(box) == {"milk": "0", "bread": "-1"}
        box.start()
        assert run_of(box.directory) != first_run

        wait_until(lambda: rows(box.directory, "SELECT count(*) FROM payment") == [(4 * RECEIPTS,)], 90)
        one_liner(box, "epoch-after-the-backup")
        one_liner(box, "epoch-before-the-backup")
        till_sold = {"milk": "0", "bread": "-2"}
        wait_until(lambda: balances(box) == till_sold)
        wait_until(lambda: all(till.pending == 0 for till in tills), 90)
        for till in tills:
            wait_until(lambda till=till: {sku: till.balance(sku).on_hand for sku in till.skus()} == till_sold)  # type: ignore[misc]
        assert "no rule is broken" in told(box, "verify")
        states = dict(rows(box.directory, "SELECT state, count(*) FROM print_job GROUP BY state"))
        assert states == {"delivered": 2 * RECEIPTS, "skipped-stale": 2 * RECEIPTS}
        assert sheets(box) == on_paper, "what was on paper already is not printed once more"
