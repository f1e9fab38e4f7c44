"""`watch` shows a real box live: its tills, what they sell, what a person looks for; and it outlives the service."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from appliance.cli import feed
from appliance.cli.live import Live
from appliance.settings import load_settings
from appliance.till import Till
from tests.box import PASSWORD, Box
from tests.waiting import wait_until_async

NARROW, WIDE = (80, 24), (130, 34)


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    monkeypatch.setenv("STOCK_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    with Box(tmp_path / "data") as box:
        yield box


def till_of(box: Box) -> Till:
    path = box.directory.parent / "A1.outbox"
    return Till(host="127.0.0.1", port=box.port, shop="shop", device="A1", password=PASSWORD, path=path)


def shown(app: Live) -> str:
    """The words on the screen, with single spaces."""
    strips = app.screen._compositor.render_strips()
    return " ".join(word for strip in strips for word in strip.text.split())


@pytest.mark.parametrize("size", [NARROW, WIDE])
def test_a_sale_is_seen_as_it_is_made_and_its_sku_is_found(box: Box, size: tuple[int, int]) -> None:
    async def look(till: Till) -> None:
        app = Live(load_settings())
        async with app.run_test(size=size) as pilot:
            await wait_until_async(lambda: "A1 online" in shown(app))
            assert "shop running for" in shown(app)
            till.item("4607001234567", name="Молоко 3,2 %", unit="pcs")
            till.receive("4607001234567", 1)
            till.receipt([{"sku": "4607001234567", "qty": "2"}], number="A1-7", total_minor=17980, currency="RUB")
            await wait_until_async(lambda: "A1 paid A1-7 Молоко 3,2 % -2 179.80" in shown(app))
            await wait_until_async(lambda: "catalogue Молоко 3,2 %" in shown(app) and "oversell" in shown(app))
            text = shown(app)
            assert text.index("A1-7") < text.index("catalogue"), "the newest stands first"

            await pilot.press("slash", *"молоко")
            await wait_until_async(lambda: "Молоко 3,2 % -1 -1" in shown(app))
            await pilot.press("x")
            await wait_until_async(lambda: "Молоко 3,2 % -1" not in shown(app))
            await pilot.press("escape")
            await wait_until_async(lambda: "A1-7" in shown(app))
            await pilot.press("q")
        assert app.return_code == 0

    with till_of(box) as till:
        asyncio.run(look(till))


def test_the_service_may_stop_and_come_back(box: Box) -> None:
    async def look() -> None:
        app = Live(load_settings())
        async with app.run_test(size=NARROW) as pilot:
            await wait_until_async(lambda: "revision 1," in shown(app))
            assert await asyncio.to_thread(box.stop) == 0
            await wait_until_async(lambda: "shop stopped: this is what its ledger holds" in shown(app))
            assert "sold milk -1" in shown(app)
            await pilot.press("slash", *"milk")
            await wait_until_async(lambda: "-1 -1 0" in shown(app))
            await asyncio.to_thread(box.start)
            await wait_until_async(lambda: "shop running for" in shown(app))

    with till_of(box) as till:
        till.sell("milk", 1)
        assert till.wait_acked(30)
    asyncio.run(look())


def test_without_a_ledger_the_screen_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def look() -> None:
        app = Live(load_settings())
        async with app.run_test(size=NARROW):
            await wait_until_async(lambda: "there is no ledger yet" in shown(app))

    monkeypatch.setenv("STOCK_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    asyncio.run(look())


def test_watch_wants_a_terminal(tmp_path: Path) -> None:
    done = Box(tmp_path / "data").command("watch")
    assert (done.returncode, "watch needs a terminal" in done.stderr) == (1, True)


def test_a_line_tells_what_was_done_and_never_breaks() -> None:
    row: dict[str, Any] = {"at": "2026-09-21T14:14:50Z", "device": "A1", "type": "move", "receipt": None, "number": ""}
    row |= {"status": None, "total_minor": None, "code": None, "lines": []}
    milk = {"sku": "milk", "name": "a\x1b[2J", "effect": "-2", "cause": "write_off"}
    receipt = {"type": "receipt", "receipt": "R1", "number": "7", "status": "paid", "total_minor": 5}
    told = [
        row | {"lines": [milk]},
        row | receipt | {"lines": [milk] * 40},
        row | {"type": "expire", "receipt": "R2"},
        row | {"code": "bad-quantity"},
    ]
    console = Console(width=60, markup=False, emoji=False, highlight=False)
    with console.capture() as captured:
        console.print(feed.table(told))
    moved, paid, expired, rejected = (" ".join(line.split()[2:]) for line in captured.get().splitlines())
    assert moved == "written off a\\x1b[2J -2"
    assert paid.startswith("paid 7 a")
    assert paid.endswith("… 0.05")
    assert (expired, rejected) == ("receipt expired", "rejected bad-quantity")
