"""The shop's password is changed while the shop sells, by a command that no other user of the machine can read."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.access.password import ShopPassword
from scripts.processes import COORDINATOR, START_S
from tests.access.test_devices import log_in
from tests.box import Box
from tests.broker import wire
from tests.printing.terminal import Person


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    """A box whose password stands in its data directory alone."""
    (tmp_path / "data").mkdir()
    ShopPassword(tmp_path / "data").set("first")
    with Box(tmp_path / "data", STOCK_PASSWORD="") as box:
        yield box


def changed(box: Box, said: bytes) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*COORDINATOR, "password", "set"],
        env=box.environment,
        input=said,
        capture_output=True,
        timeout=START_S,
        check=False,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def test_it_counts_from_the_next_log_in_on_and_outlives_a_restart(box: Box) -> None:
    with wire.Client(box.address).log_in(user="A1", password="first") as device:
        done = changed(box, "второй пароль\n".encode())
        assert (done.returncode, "slip" in done.stdout) == (0, False)
        assert device.answers(), "who is in stays in"
        assert [log_in(box, "A2", word) for word in ("first", "второй пароль")] == [4, 0]
    box.kill()
    box.start()
    assert [log_in(box, "A2", word) for word in ("first", "второй пароль")] == [4, 0]
    assert "второй" not in box.log.read_text()


def test_a_person_types_it_twice_and_sees_nothing_of_it(box: Box) -> None:
    with Person("password", "set", STOCK_DATA_DIR=str(box.directory)) as person:
        for word, is_the_same in (("second", False), ("third", True)):
            person.sees("new password:")
            person.types_unseen(word)
            person.sees("Once more:")
            person.types_unseen(word if is_the_same else "thirst")
        person.sees("changed")
        assert person.ends() == 0
    assert not any(word in person.screen for word in ("second", "third", "thirst"))
    assert [log_in(box, "A1", word) for word in ("first", "second", "third")] == [4, 4, 0]


@pytest.mark.parametrize("locale", [{}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}])
def test_a_password_is_utf_8_whatever_the_locale_is(box: Box, locale: dict[str, str]) -> None:
    box.environment |= locale
    assert changed(box, "второй\n".encode()).returncode == 0
    assert log_in(box, "A1", "второй") == 0
    done = changed(box, b"thir\xe9\n")
    assert (done.returncode, done.stderr) == (
        1,
        "stock-coordinator: the password is no UTF-8 text: nothing was changed\n",
    )
    assert log_in(box, "A1", "второй") == 0


@pytest.mark.parametrize(("said", "why"), [("", "empty"), ("  \n", "empty"), ("x" * 257, "256 bytes")])
def test_what_is_no_password_changes_nothing(box: Box, said: str, why: str) -> None:
    done = changed(box, said.encode())
    assert (done.returncode, why in done.stderr, log_in(box, "A1", "first")) == (1, True, 0)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"STOCK_PASSWORD": "set"}, "STOCK_PASSWORD"),
        ({"STOCK_DEVICES__TOKENS_ONLY": "true", "STOCK_PASSWORD": ""}, "device add"),
    ],
)
def test_where_it_would_not_last_or_not_count_it_is_refused(tmp_path: Path, settings: dict[str, str], why: str) -> None:
    with Box(tmp_path / "data", **settings) as box:
        done = changed(box, b"second\n")
        assert (done.returncode, why in done.stderr) == (1, True)
