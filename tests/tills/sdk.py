"""The driver of the till in this checkout, `appliance.till`: thirty lines that another till's author may copy.

scripts/conformance -- .venv/bin/python -m tests.tills.sdk
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from appliance.till import Till


def drive(till: Till) -> None:
    """Answer what is asked on standard input until it ends."""
    answers: dict[str, Callable[[dict[str, Any]], dict[str, object]]] = {
        "sell": lambda asked: {"done": bool(till.sell(asked["sku"], asked["qty"]))},
        "receipt": lambda asked: {"done": bool(till.receipt(asked["lines"]))},
        "count": lambda asked: {"done": bool(till.count(asked["sku"], asked["counted"]))},
        "accept": lambda asked: {"done": accept(till, asked["ledger"])},
        "pending": lambda _: {"pending": till.pending},
        "rejected": lambda _: {"rejected": [one.code for one in till.rejected]},
        "balance": lambda asked: {"on_hand": found.on_hand if (found := till.balance(asked["sku"])) else None},
    }
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = answers[asked["do"]](asked) if asked["do"] in answers else {"unknown": True}
        except ValueError as error:
            answer = {"done": False, "why": str(error)}
        print(json.dumps(answer), flush=True)


def accept(till: Till, ledger: str) -> bool:
    till.accept(ledger)
    return True


def main() -> None:
    told = os.environ
    with Till(
        host=told["TILL_HOST"],
        port=int(told["TILL_PORT"]),
        shop=told["TILL_SHOP"],
        device=told["TILL_DEVICE"],
        password=told["TILL_PASSWORD"],
        path=Path(told["TILL_DIRECTORY"]) / "outbox",
    ) as till:
        drive(till)


if __name__ == "__main__":
    main()
