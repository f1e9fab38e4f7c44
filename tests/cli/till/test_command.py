"""`till` as a person starts it: enrolled unseen, closed and opened again, and twice on one machine."""

import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from appliance.cli.till.enrolment import Enrolment
from appliance.contract.slip import BadSlip
from scripts import processes
from scripts.processes import COORDINATOR
from tests.box import PASSWORD, Box
from tests.cli.till.desks import MILK, stock_up
from tests.cli.till.terminal import Terminal

SLIP = f"stock://A1:token@10.0.0.2:8883/shop?also=stock.local&sha256={'0f' * 32}"
TILL = [*COORDINATOR, "till", "--state"]


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    with Terminal(tmp_path / "tmux") as terminal:
        yield terminal


def test_a_till_is_enrolled_unseen_and_goes_on_where_it_was_closed(tmp_path: Path, terminal: Terminal) -> None:
    tls = {"STOCK_BROKER__TLS_PORT": str(processes.free_port()), "STOCK_BROKER__ADDRESSES": '["127.0.0.1"]'}
    with Box(tmp_path / "data", **tls) as box:
        stock_up(box)
        told = box.command("device", "add", "A1", "--json").stdout
        first, second = tmp_path / "first", tmp_path / "second"
        till = terminal.window("first", [*TILL, str(first)])
        till.sees("This is a new till", "not shown")
        till.types_unseen(orjson.loads(told)["slip"])
        till.sees("A1 · shop", "● online", "0 to send")
        till.types(MILK)
        till.sees("Молоко 3,2 % 1 л 1 89.90")
        again = terminal.window("again", [*TILL, str(first)])
        again.sees("is in use: only one till may send from it", "--state names another directory")
        till.presses("C-c")
        till.sees("The till is closed; the box has everything.")
        assert "stock://A1" not in till.screen

        other = terminal.window("other", [*TILL, str(second)])
        other.types_unseen("")
        other.sees("The box's address")  # What is typed while the unseen prompt ends is thrown away.
        for answer in ("127.0.0.1", str(box.port), "shop", "A2"):
            other.types(answer)
        other.types_unseen(PASSWORD)
        other.sees("A2 · shop", "● online")
        assert PASSWORD not in other.screen
        till = terminal.window("reopened", [*TILL, str(first)])
        till.sees("A1 · shop", "● online", "The cart is as it was left.", "Молоко 3,2 % 1 л 1 89.90")
        arguments = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        assert orjson.loads((first / "till.json").read_bytes())["password"] not in arguments
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (first, first / "till.json", second / "till.json")]
    assert modes == [0o700, 0o600, 0o600]


def test_a_till_wants_a_terminal_and_a_slip(tmp_path: Path, terminal: Terminal) -> None:
    done = Box(tmp_path / "data").command("till", "--state", str(tmp_path / "till"))
    assert (done.returncode, "till needs a terminal" in done.stderr) == (1, True)
    (tmp_path / "slip").write_text("4607001234562")
    terminal.window("slip", [*TILL, str(tmp_path / "till"), "--slip", str(tmp_path / "slip")]).sees("this is no slip")
    (tmp_path / "till" / "till.json").write_text("{}")
    terminal.window("damaged", [*TILL, str(tmp_path / "till")]).sees("is damaged", "--enrol writes it anew")


def test_a_slip_is_found_in_what_stands_around_it_and_its_token_is_not_shown(tmp_path: Path) -> None:
    enrolment = Enrolment.from_slip(f'{{"device":"A1","slip":"{SLIP}"}}\n')
    assert enrolment == Enrolment.from_slip(f" {SLIP}\n")
    assert (enrolment.hosts, enrolment.port, enrolment.device) == (("10.0.0.2", "stock.local"), 8883, "A1")
    assert "token" not in re.sub("sha256.*", "", repr(enrolment))
    enrolment.save(tmp_path / "till.json")
    assert Enrolment.load(tmp_path / "till.json") == enrolment
    assert Enrolment.load(tmp_path / "none.json") is None
    with pytest.raises(BadSlip):
        Enrolment.from_slip("4607001234562")
