"""The deploy script against a Debian that really boots, over a real sshd, from another network namespace."""

import os
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest

from tests.deploy.container import BOX, Container, debian, running
from tests.deploy.releases import CHECKOUT, copy_of_checkout, make_release
from tests.waiting import wait_until

pytestmark = pytest.mark.timeout(600)  # The first run makes a Debian and fetches wheels; a busy machine takes its time.

BASE = "/opt/stock-coordinator"
CONFIG = "/etc/stock-coordinator/stock-coordinator.toml"
STATE = "/var/lib/stock-coordinator"
PASSWORD = "sesame-in-a-file"
DEPLOY_S = 300
WATCHDOG_S = 120
"""The unit's WatchdogSec, and what a process may take to end and to start."""


NO_LOG_IN = ("access/tokens.py", "return known is not None and", "return known is None and")
"""A module, and what to replace in it by what, for a release that starts and lets no device in."""


class Desk:
    """Where a person sits: a checkout, and the network namespace from which the box is reached."""

    def __init__(self, box: Container, checkout: Path = CHECKOUT) -> None:
        self._box = box
        self._checkout = checkout

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start deploy.sh, with everything that it says on its standard output."""
        command = [
            *("ip", "netns", "exec", self._box.desk, "env", f"PATH={os.environ['PATH']}"),
            *(str(self._checkout / "deploy" / "deploy.sh"), "--ssh-config", str(self._box.ssh_config), *words, BOX),
        ]
        sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
        return subprocess.Popen([*sudo, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def deploy(self, *words: str, code: int = 0) -> str:
        """Run deploy.sh to its end, and return what it said."""
        process = self.start(*words)
        said, _ = process.communicate(timeout=DEPLOY_S)
        assert process.returncode == code, said
        return said


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("settings") / "shop.toml"
    path.write_text(f'shop = "corner"\npassword = "{PASSWORD}"\n')
    return path


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Debian to which nobody has deployed, and the wheels, which the desk's network cannot fetch."""
    make_release(CHECKOUT)
    return debian()


@pytest.fixture(scope="session")
def installed(fresh: Path, settings: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """The layers of a box to which this checkout was deployed, and which was then switched off."""
    directory = tmp_path_factory.mktemp("installed")
    with running([fresh], directory) as box:
        said = Desk(box).deploy("--config", str(settings))
        assert "is in force, and works" in said
        box.power_off()
    return (box.upper, fresh)


@pytest.fixture
def box(installed: tuple[Path, ...], tmp_path: Path) -> Iterator[Container]:
    with running(installed, tmp_path / "box") as container:
        yield container


def another(tmp_path: Path, name: str, **replaced: tuple[str, str]) -> Path:
    """Return a copy of the checkout which is another release.

    replaced: in a file of appliance/, the first text by the second, which is added where the first is empty.
    """
    copy = copy_of_checkout(tmp_path / name)
    for module, (former, new) in {"__init__.py": ("", f"# {name}\n"), **replaced}.items():
        path = copy / "appliance" / module
        text = path.read_text() if path.exists() else ""
        assert former in text
        path.write_text(text.replace(former, new, 1) if former else text + new)
    return copy


def test_a_debian_becomes_a_box_and_a_second_time_changes_nothing(fresh: Path, settings: Path, tmp_path: Path) -> None:
    with running([fresh], tmp_path / "box") as box:
        desk = Desk(box)
        would = desk.deploy("--dry-run", "--config", str(settings))
        assert "would send" in would
        assert box.says("ls", "-A", "/opt") == ""
        said = desk.deploy("--config", str(settings))
        assert "a device came in by TLS" in said
        assert "could be printed" in said
        assert PASSWORD not in said
        assert PASSWORD not in box.run("journalctl")
        assert box.run("stat", "-c", "%a %U", "/etc/stock-coordinator/stock-coordinator.toml") == "600 root"
        assert box.says("ls", "/etc/nftables.conf") == ""  # What is the image's affair is not this box's.
        since = started(box)
        again = desk.deploy()
        assert "is in force already, and works" in again
        assert started(box) == since
        box.cut_power()
        box.boot()
        wait_until(lambda: is_active(box))


def test_an_update_keeps_what_was_sold_and_three_releases_and_can_be_taken_back(box: Container, tmp_path: Path) -> None:
    sell(box)
    first = in_force(box)
    old = [f"0.0.{number}-000000000000" for number in range(3)]
    for name in old:
        box.run("cp", "-a", f"{BASE}/releases/{first}", f"{BASE}/releases/{name}")
    box.run("sh", "-c", f"printf '%s\\n' {' '.join(old)} {first} >{BASE}/history")
    desk = Desk(box, another(tmp_path, "second"))
    assert "is in force, and works" in desk.deploy()
    second = in_force(box)
    assert second != first
    assert set(box.run("ls", f"{BASE}/releases").split()) == {old[-1], first, second}
    assert sold(box) == "-1"
    assert f"{first} is in force, and works" in desk.deploy("--rollback")
    assert in_force(box) == first
    assert sold(box) == "-1"
    status = desk.deploy("--status")
    assert "service: active" in status
    assert second not in status


@pytest.mark.parametrize(
    ("module", "former", "new"),
    [
        pytest.param(*NO_LOG_IN, id="no-log-in"),
        pytest.param("app/turns.py", "    def run(self", "    def ran(self", id="no-start"),
    ],
)
def test_a_release_that_does_not_work_goes_back_with_its_settings(
    box: Container, tmp_path: Path, module: str, former: str, new: str
) -> None:
    sell(box)
    first = in_force(box)
    config = tmp_path / "new.toml"
    config.write_text('shop = "corner"\nshop_name = "After"\n')
    desk = Desk(box, another(tmp_path, "broken", **{module: (former, new)}))
    said = desk.deploy("--config", str(config), code=3)
    assert "does not work" in said
    assert f"{first} is in force again, and works" in said
    assert in_force(box) == first
    assert "After" not in box.run("cat", CONFIG)
    assert box.run("ls", f"{BASE}/releases").split() == [first]
    assert sold(box) == "-1"


def test_a_newer_schema_is_gone_back_from_with_the_ledger_as_it_was(box: Container, tmp_path: Path) -> None:
    sell(box)
    first = in_force(box)
    step = ("", "CREATE TABLE later (n INTEGER) STRICT;\n")
    newer = Desk(box, another(tmp_path, "newer", **{"ledger/schema/0002.sql": step}))
    assert "backing up the ledger" in newer.deploy()
    assert schema(box) == "2"
    sell(box)
    refused = newer.deploy("--rollback", code=1)
    assert "--restore-ledger" in refused
    assert schema(box) == "2"
    newer.deploy("--rollback", "--restore-ledger")
    assert (in_force(box), schema(box), sold(box)) == (first, "1", "-1")
    module, *replaced = NO_LOG_IN
    broken = {"ledger/schema/0002.sql": step, module: (replaced[0], replaced[1])}
    said = Desk(box, another(tmp_path, "newer-and-broken", **broken)).deploy(code=3)
    assert f"{first} is in force again, and works" in said
    assert (in_force(box), schema(box), sold(box)) == (first, "1", "-1")


def test_a_full_disk_leaves_everything_as_it_was(box: Container, tmp_path: Path) -> None:
    first = in_force(box)
    desk = Desk(box, another(tmp_path, "second"))
    # Room for the bytes, and names for some of the files: it is full in the middle, and nobody could tell before.
    names = int(box.run("sh", "-c", f"find {BASE} | wc -l")) + 2000
    with disk_of(box, f"size=1g,nr_inodes={names}"):
        said = desk.deploy(code=1)
        assert "No space left on device" in said
        assert "nothing was changed" in said
        assert (in_force(box), is_active(box)) == (first, True)
        assert box.run("ls", f"{BASE}/releases").split() == [first]
    with disk_of(box, "size=400m"):
        said = desk.deploy(code=1)
        assert "300 are needed: make room" in said
    desk.deploy()
    assert in_force(box) != first


def test_a_connection_that_is_lost_while_it_is_sent_changes_nothing(box: Container, tmp_path: Path) -> None:
    first = in_force(box)
    desk = Desk(box, another(tmp_path, "second"))
    with box.slow_network():
        deploying = desk.start()
        wait_until(lambda: box.says("ls", f"{BASE}/incoming/wheels"), DEPLOY_S)
        box.plug(is_in=False)
        said, _ = deploying.communicate(timeout=DEPLOY_S)
    assert deploying.returncode == 1
    assert "do the same again" in said
    assert (in_force(box), is_active(box)) == (first, True)
    box.plug(is_in=True)
    assert "is in force, and works" in desk.deploy()
    assert in_force(box) != first


def test_a_connection_that_is_lost_later_does_not_stop_the_box(box: Container, tmp_path: Path) -> None:
    first = in_force(box)
    deploying = Desk(box, another(tmp_path, "second")).start()
    wait_until(lambda: box.says("cat", f"{BASE}/trial"), DEPLOY_S)
    assert "another update is under way" in Desk(box).deploy(code=1)
    box.plug(is_in=False)
    wait_until(lambda: in_force(box) != first and not box.says("cat", f"{BASE}/trial"), DEPLOY_S)
    box.plug(is_in=True)
    said, _ = deploying.communicate(timeout=DEPLOY_S)
    assert deploying.returncode == 0, said
    assert "is in force, and works" in said


def test_a_power_cut_in_an_update_ends_in_the_release_that_worked(box: Container, tmp_path: Path) -> None:
    sell(box)
    first = in_force(box)
    # It would never say that it serves, so it is on trial for as long as the cut needs.
    stuck = another(
        tmp_path, "stuck", **{"app/__init__.py": ("        control.start()\n", "        await stopping.wait()\n")}
    )
    deploying = Desk(box, stuck).start()
    wait_until(lambda: in_force(box) != first, DEPLOY_S)
    box.cut_power()
    deploying.terminate()
    deploying.communicate(timeout=DEPLOY_S)
    box.boot()
    wait_until(lambda: is_active(box))
    assert (in_force(box), sold(box)) == (first, "-1")
    assert box.says("cat", f"{BASE}/trial") == ""


def test_the_watchdog_restarts_a_process_that_is_stopped(box: Container) -> None:
    sell(box)
    stopped = main_pid(box)
    box.run("kill", "-STOP", stopped)
    wait_until(lambda: main_pid(box) not in ("0", stopped) and is_active(box), WATCHDOG_S)
    assert sold(box) == "-1"


def test_what_is_in_the_way_is_said(fresh: Path, settings: Path, tmp_path: Path) -> None:
    with running([fresh], tmp_path / "box") as box:
        desk = Desk(box)
        wrong = tmp_path / "wrong.toml"
        wrong.write_text("[broker]\nport = 99999\n")
        assert "STOCK_BROKER__PORT" in desk.deploy("--config", str(wrong), code=1)
        assert "no release is on" in desk.deploy("--status", code=1)
        for program, answer, words in (
            ("python3", "echo 3.9", "is too old: 3.11 is needed"),
            ("uname", "echo armv7l", "a 64-bit system is needed"),
            ("python3", "echo 3.13 32", "runs a 32-bit system"),
            ("sudo", "exit 1", "root is needed"),
            ("df", "printf 'F M U A\\nx 9 9 17\\n'", "there are 17 MiB free"),
        ):
            with standing_in(box, program, answer):
                assert words in desk.deploy(code=1)
        with standing_in(box, "date", "echo 1000000000"):
            assert "behind. Stock stays right" in desk.deploy("--dry-run")
        box.plug(is_in=False)
        assert "does not come in" in desk.deploy(code=1)
        box.plug(is_in=True)
        squatter = "import socket, time; s = socket.create_server(('', 8883)); time.sleep(1e6)"
        box.run("systemd-run", "--unit=squatter", "python3", "-c", squatter)
        said = desk.deploy("--config", str(settings), code=3)
        assert "port 8883 is held by" in said
        assert "there is no release before it" in said
        assert box.says("ls", "/etc/systemd/system/stock-coordinator.service") == ""
        box.run("systemctl", "stop", "squatter")
        assert "is in force, and works" in desk.deploy("--config", str(settings))


@contextmanager
def standing_in(box: Container, program: str, answer: str) -> Iterator[None]:
    """Put a script before a program of the box."""
    path = f"/usr/local/bin/{program}"
    box.run("sh", "-c", f"printf '#!/bin/sh\\n%s\\n' {shlex.quote(answer)} >{path} && chmod 755 {path}")
    try:
        yield
    finally:
        box.run("rm", path)


@contextmanager
def disk_of(box: Container, options: str) -> Iterator[None]:
    """Have the releases lie on a disk of this size."""
    box.run("mount", "-t", "tmpfs", "-o", options, "disk", "/srv")
    box.run("cp", "-a", f"{BASE}/.", "/srv")
    box.run("mount", "--bind", "/srv", BASE)
    try:
        yield
    finally:
        box.run("umount", "--lazy", BASE)
        box.run("umount", "--lazy", "/srv")


def is_active(box: Container) -> bool:
    return box.says("systemctl", "is-active", "stock-coordinator") == "active"


def started(box: Container) -> str:
    return box.run("systemctl", "show", "--property=ExecMainStartTimestampMonotonic", "stock-coordinator")


def main_pid(box: Container) -> str:
    return box.run("systemctl", "show", "--property=MainPID", "--value", "stock-coordinator")


def in_force(box: Container) -> str:
    return box.run("readlink", f"{BASE}/current").removeprefix("releases/")


def sell(box: Container) -> None:
    """Sell one piece of A by a till that comes in with the shop's password, and return when it is acknowledged."""
    script = (
        "import tempfile, pathlib\n"
        "from appliance.till import Till\n"
        "path = pathlib.Path(tempfile.mkdtemp()) / 'outbox'\n"
        f"who = dict(shop='corner', device='A1', password='{PASSWORD}')\n"
        "with Till(host='127.0.0.1', port=1883, path=path, **who) as till:\n"
        "    till.sell('A', '1')\n"
        "    assert till.wait_acked(60)\n"
    )
    box.run(f"{BASE}/current/bin/python", "-c", script)


def sold(box: Container) -> str:
    """Return what there is of A."""
    row: dict[str, str] = orjson.loads(box.run("stock-coordinator", "balance", "A", "--json"))
    return row["on_hand"]


def schema(box: Container) -> str:
    script = f"import sqlite3; print(sqlite3.connect('{STATE}/ledger.db').execute('PRAGMA user_version').fetchone()[0])"
    return box.run("python3", "-c", script)
