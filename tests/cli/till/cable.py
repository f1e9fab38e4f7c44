"""Two tills and a box on three machines: the cables are pulled, both sell, they are plugged in, and the screens agree.

    laptop A1 ──veth──┐
                      box            three network namespaces; the tills are the real command, in windows of tmux
    laptop A2 ──veth──┘

A cable is pulled by taking the box's end of it down. All is read from the screens: it prints them as they were.

    python -m tests.cli.till.cable
"""

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import orjson

from scripts import processes
from scripts.processes import COORDINATOR
from tests.box import Box
from tests.cli.till.desks import BREAD, MILK, stock_up
from tests.cli.till.terminal import Terminal, Window
from tests.crash.sides import Side, run, within

NAMES = {MILK: "Молоко 3,2 % 1 л", BREAD: "Хлеб бородинский 400 г"}
DEVICES = ("A1", "A2")


def play(directory: Path) -> Iterator[str]:
    """Yield what the screens show at each stage. Raises AssertionError when they do not agree in the end."""
    with ExitStack() as stack:
        sides = [
            stack.enter_context(Side(f"to-{name}", f"10.9.{at}.2", f"10.9.{at}.1")) for at, name in enumerate(DEVICES)
        ]
        addresses = orjson.dumps([f"10.9.{at}.2" for at, _ in enumerate(DEVICES)]).decode()
        tls = {"STOCK_BROKER__TLS_PORT": str(processes.free_port()), "STOCK_BROKER__ADDRESSES": addresses}
        box = stack.enter_context(Box(directory / "data", **tls))
        stock_up(box)
        terminal = stack.enter_context(Terminal(directory / "tmux"))
        tills = []
        for name, side in zip(DEVICES, sides, strict=True):
            slip = directory / f"{name}.slip"
            slip.write_text(box.command("device", "add", name, "--json").stdout)
            options = ("--state", str(directory / name), "--slip", str(slip))
            tills.append(terminal.window(name, [*side.inside, *COORDINATOR, "till", *options]))
        for till in tills:
            till.sees("● online", "0 to send")
            scan(till, MILK)
        yield shown("Both tills are online, with a customer each.", tills)

        for side in sides:
            run("ip", "link", "set", side.line, "down")
        for till in tills:
            pay(till)
            for code in (MILK, BREAD):
                scan(till, code)
            till.sees(f"{NAMES[MILK]} 1 89.90 89.90 11↑", f"{NAMES[BREAD]} 1 54.90 54.90 7 ")
            pay(till)
            till.sees("2 to send", "↑ 2 sold", "no answer for")
        assert on_hand(box) == {MILK: "12", BREAD: "7"}, "nothing has reached the box"
        yield shown("The cables are pulled, and both have sold twice.", tills)

        for side in sides:
            run("ip", "link", "set", side.line, "up")
        for till in tills:
            till.sees("● online", "0 to send", "✓ 2 sold", "✓ 1 sold")
            for code in (MILK, BREAD):
                scan(till, code)
        for till in tills:
            till.sees(
                *(
                    f"{NAMES[sku]} 1 {price} {price} {qty} "
                    for sku, price, qty in ((MILK, "89.90", 8), (BREAD, "54.90", 5))
                )
            )
        yield shown("The cables are plugged in again.", tills)
        told = [in_the_shop(till) for till in tills]
        assert told == [on_hand(box)] * len(tills), f"{told} on the screens, {on_hand(box)} in the box"


def scan(till: Window, code: str) -> None:
    till.types(code)
    till.sees(f"{NAMES[code]} 1 ")


def pay(till: Window) -> None:
    till.presses("F9")
    till.sees("Enter: done")
    till.presses("Enter")
    till.sees("The cart is empty")


def in_the_shop(till: Window) -> dict[str, str]:
    """What the screen says there is of each SKU in its cart."""
    lines = {sku: re.search(rf"{re.escape(name)}.*?(\d+↑?) *│", till.screen) for sku, name in NAMES.items()}
    return {sku: found[1] for sku, found in lines.items() if found is not None}


def on_hand(box: Box) -> dict[str, str]:
    return {sku: str(orjson.loads(box.command("balance", sku, "--json").stdout)["on_hand"]) for sku in NAMES}


def shown(title: str, tills: list[Window]) -> str:
    return "\n".join((title, *(till.screen for till in tills)))


_INSIDE = "inside"
"""The word by which the command knows that it is on the box's side already."""

if __name__ == "__main__":
    if sys.argv[1:2] != [_INSIDE]:
        command = within("tests.cli.till.cable", _INSIDE)
        os.execvp(command[0], command)
    with tempfile.TemporaryDirectory() as scratch:
        for stage in play(Path(scratch)):
            print(stage)
