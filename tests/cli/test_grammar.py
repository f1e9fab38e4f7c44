"""One grammar for all commands: a noun and a verb, an example each, JSON for scripts, a shell that completes them."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from appliance.cli import app
from scripts import processes
from tests.box import Box
from tests.shop import Shop, message, operation

NAME = "stock-coordinator"

SHOW = {"list", "show", "queue", "status", "doctor", "balance", "explain", "verify", "check-config"}
"""Verbs whose answer a script may want to read."""


def commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    def walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
        if not hasattr(command, "commands"):
            yield path, command
            return
        for name, below in command.commands.items():
            yield from walk(below, (*path, name))

    return walk(typer.main.get_command(app), ())


@pytest.mark.parametrize(("path", "command"), [pytest.param(*one, id=" ".join(one[0])) for one in commands()])
def test_each_command_has_an_example_that_can_be_typed(
    path: tuple[str, ...], command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = [line.strip() for line in command.help.splitlines() if line.strip().startswith("Example: ")]
    [example] = examples
    words = shlex.split(example.removeprefix("Example: "))
    for shell in (">", "|"):
        words = words[: words.index(shell)] if shell in words else words
    assert tuple(words[: len(path) + 1]) == (NAME, *path)
    monkeypatch.chdir(tmp_path)
    if path == ("import",):
        Path(words[2]).touch()  # Only a file that is there can be imported.
    command.make_context(NAME, words[len(path) + 1 :])  # It would say that the command line is wrong.


def test_what_shows_something_shows_it_to_scripts_too() -> None:
    without = [
        " ".join(path)
        for path, command in commands()
        if path[-1] in SHOW and not any("--json" in option.opts for option in command.params)
    ]
    assert without == []


def test_help_tells_the_exit_codes_and_the_commands_keep_to_them(tmp_path: Path) -> None:
    box = Box(tmp_path / "data")
    told = " ".join(box.command("--help").stdout.split())
    assert told.startswith(f"Usage: {NAME} ")
    for code, words in ((0, "done"), (1, "failed"), (2, "line is wrong"), (3, "no such thing"), (4, "should be")):
        assert f"{code} when" in told
        assert words in told
    assert box.command("balance").returncode == 1, "there is no ledger"
    assert box.command("balance", "A", "B").returncode == 2
    (tmp_path / "data").mkdir()
    Shop(tmp_path / "data").stop()
    assert [box.command(*words).returncode for words in (("balance",), ("balance", "A"), ("status",))] == [0, 3, 4]


def completed(directory: Path, line: str) -> list[str]:
    """What bash is proposed behind a line that ends with the word to complete, or with a space."""
    words = line.split(" ")
    environment = {
        "_STOCK_COORDINATOR_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
        "STOCK_DATA_DIR": str(directory),
    }
    done = CliRunner().invoke(app, [], env=environment, prog_name=NAME)
    return done.stdout.split()


def test_the_shell_completes_commands_and_what_the_box_knows(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    directory.mkdir()
    shop = Shop(directory)
    shop.say("A1", message(operation(1, sku="milk", qty="1", reason="receive"), operation(2, sku="milk", qty="-2")))
    shop.stop()
    assert completed(directory, f"{NAME} al") == ["alert"]
    assert completed(directory, f"{NAME} printer re") == ["retry"]
    assert completed(directory, f"{NAME} balance m") == [], "nobody is there to be asked, and that is no error"
    with Box(directory, STOCK_PRINTER__URL=f"file://{tmp_path}/paper", **tls()) as box:
        assert completed(directory, f"{NAME} balance m") == ["milk"]
        assert completed(directory, f"{NAME} explain x") == []
        assert completed(directory, f"{NAME} alert acknowledge over")[0].startswith("oversell-")
        assert completed(directory, f"{NAME} printer test ") == ["main"]
        assert box.command("device", "add", "A7").returncode == 0
        assert completed(directory, f"{NAME} device remove A") == ["A7"]
        assert completed(directory, f"{NAME} printer cancel ") == []


def tls() -> dict[str, str]:
    return {"STOCK_BROKER__TLS_PORT": str(processes.free_port()), "STOCK_BROKER__ADDRESSES": '["127.0.0.1"]'}
