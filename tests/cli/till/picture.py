"""The picture of the till in README.md, made of its real screen before a real box; the same bytes each time.

python -m tests.cli.till.picture        # writes tests/pictures/till.svg
"""

import asyncio
import re
import tempfile
from collections import deque
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from textual.widgets import Input

from appliance.cli.till import panes
from tests.box import Box
from tests.cli.till.desks import BREAD, CHEESE, MILK, at_till, stock_up

PATH = Path(__file__).parents[2] / "pictures" / "till.svg"

SIZE = (112, 28)
"""A window of a laptop; in README.md its letters can still be read."""

AT = datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC)
"""The moment of every notice: a picture that shows the time of day would be another one each time."""


async def draw(box: Box) -> str:
    """Return the picture. box: a fresh one, with the goods of `desks`."""
    async with at_till(box, "A1", size=SIZE) as hands:
        await hands.knows(MILK, BREAD, CHEESE)
        desk = hands.desk
        desk.query_one(Input).cursor_blink = False
        for code in (MILK, MILK, BREAD):
            await hands.scan(code)
        await hands.press("f9", "enter")
        await hands.sees("The cart is empty", "A1-000001 is paid", "0 to send")
        await hands.scan(CHEESE)
        await hands.sees("How much?")
        await hands.type("0,355")
        await hands.press("enter")
        await hands.sees("0.355 kg")
        for code in (BREAD, MILK, MILK):
            await hands.scan(code)
        await hands.sees("● online", "✓ 1 sold A1-000001", "Молоко 3,2 % 1 л 2 89.90 179.80 10")
        desk._notices = deque(replace(notice, at=AT) for notice in desk._notices)
        standing = replace(desk._standing(hands.till.newest(1)), acked_s=4)
        desk._show("#header", panes.header(desk._say, desk._title, standing))
        desk._show("#said", panes.notices(desk._notices))
        drawn = desk.export_screenshot(title="stock-coordinator till")
    # It would fetch its letters from somebody's server; the reader's own monospace is as good.
    return re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL) + "\n"


def picture() -> str:
    with tempfile.TemporaryDirectory() as scratch, Box(Path(scratch) / "data") as box:
        stock_up(box)
        return asyncio.run(draw(box))


if __name__ == "__main__":
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text(picture(), encoding="utf-8")
