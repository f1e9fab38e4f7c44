"""A till's screen under a test's hands: a real till of a real box, a keyboard, a scanner, and a screen in memory."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from textual import events
from textual.pilot import Pilot

from appliance.cli.till.desk import Desk
from appliance.cli.till.enrolment import Enrolment
from appliance.cli.till.kept import Directory
from appliance.cli.till.sayings import Sayings
from appliance.cli.till.wedge import GROUP_SEPARATOR
from appliance.till import Till
from tests.box import PASSWORD, Box
from tests.waiting import wait_until_async

MILK, BREAD, CHEESE = "4607001234562", "4601234567893", "2000000000015"
GOODS = (
    (MILK, "Молоко 3,2 % 1 л", "pcs", 8990, "12"),
    (BREAD, "Хлеб бородинский 400 г", "pcs", 5490, "7"),
    (CHEESE, "Сыр «Российский»", "kg", 79900, "8.35"),
    ("coffee", "Кофе в зёрнах, арабика, 1 кг", "pcs", 189900, "4"),
    ("eggs", "Яйцо С1, 10 шт.", "pcs", 11990, "30"),
)

WIDE, NARROW = (130, 34), (80, 24)


def till_of(box: Box, device: str) -> Till:
    """A till beside the screen's, which a test works by the SDK."""
    path = box.directory.parent / f"{device}.outbox"
    return Till(host="127.0.0.1", port=box.port, shop="shop", device=device, password=PASSWORD, path=path)


def stock_up(box: Box) -> None:
    """Put the goods into the catalogue and on the shelf, from a device of that name which stays known as offline."""
    with till_of(box, "stock") as till:
        for sku, name, unit, price_minor, qty in GOODS:
            till.item(sku, name=name, unit=unit, price_minor=price_minor)
            till.receive(sku, qty)
        assert till.wait_acked(30)


class Hands:
    """Whoever stands at the till."""

    def __init__(self, desk: Desk, pilot: Pilot[None], till: Till) -> None:
        self.desk = desk
        self.till = till
        self._pilot = pilot

    @property
    def screen(self) -> str:
        """The words on the screen, with single spaces."""
        strips = self.desk.screen._compositor.render_strips()
        return " ".join(word for strip in strips for word in strip.text.split())

    async def sees(self, *words: str) -> None:
        try:
            await wait_until_async(lambda: all(one in self.screen for one in words))
        except AssertionError:
            raise AssertionError(
                f"not seen: {[one for one in words if one not in self.screen]} in {self.screen}"
            ) from None

    async def knows(self, *skus: str) -> None:
        """Wait until the till has heard names, prices and balances of these."""
        goods = self.desk._goods
        await wait_until_async(
            lambda: all(sku in goods.items and goods.items[sku].rev and self.till.balance(sku) for sku in skus)
        )

    async def waits(self, condition: Callable[[], object]) -> None:
        await wait_until_async(condition)

    async def press(self, *keys: str) -> None:
        await self._pilot.press(*keys)

    async def type(self, text: str) -> None:
        """Type as slowly as a person, whose keys are handed on."""
        await self._pilot.press(*text)
        await wait_until_async(lambda: not self.desk._wedge.is_holding)
        await self._pilot.pause()

    async def scan(self, code: str) -> None:
        """What a keyboard-wedge scanner does; its keys bear the times at which it sends them."""
        first = events.Key("", None).time
        for place, character in enumerate(code):
            key = "ctrl+right_square_bracket" if character == GROUP_SEPARATOR else character
            self._send(events.Key(key, character), first + place / 1000)
        self._send(events.Key("enter", "\r"), first + len(code) / 1000)
        await self._pilot.pause()

    def _send(self, key: events.Key, at_s: float) -> None:
        key.time = at_s
        self.desk.post_message(key)


@asynccontextmanager
async def at_till(box: Box, device: str, *, size: tuple[int, int] = WIDE) -> AsyncIterator[Hands]:
    """Stand at a till; who comes again to a device of that name finds it as it was left."""
    directory = Directory(box.directory.parent / device)
    enrolment = Enrolment(("127.0.0.1",), box.port, "shop", device, PASSWORD)
    with enrolment.till(directory.outbox, lambda: None) as till:
        desk = Desk(till, f"{device} · shop", device, directory, Sayings())
        till.on_change = desk.heard
        async with desk.run_test(size=size) as pilot:
            yield Hands(desk, pilot, till)
