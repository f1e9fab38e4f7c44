"""What the till asks before it does something: how much, whether it is paid, which sale it was.

Each is a small window over the screen, which Enter ends with an answer and Esc without one. A scan ends it without one
too (`desk`): what is scanned is never taken for an answer.
"""

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Digits, Input, OptionList, Static
from textual.widgets.option_list import Option

from appliance.cli.overview import BAD, GOOD
from appliance.cli.screen import legible, money
from appliance.cli.till.cart import Cart, Refused, is_measured, read_qty
from appliance.cli.till.sayings import Sayings
from appliance.stock.errors import Rejected
from appliance.stock.quantity import parse_qty

CSS = """
ModalScreen { align: center middle; background: $background 60%; }
#dialog { width: 64; max-width: 96%; height: auto; padding: 1 2; border: round $accent; background: $surface; }
#dialog Static { height: auto; }
#dialog Input { margin: 1 0 0 0; border: round $primary; background: $surface; }
#dialog Digits { width: 100%; text-align: right; }
#dialog OptionList { max-height: 12; margin: 1 0 0 0; border: none; background: $surface; }
#fault { color: $error; min-height: 1; }
#hint { color: $text-muted; margin: 1 0 0 0; }
"""


class Quantity(ModalScreen[int]):
    """Asks for a quantity; its answer is in thousandths. is_count: how much there is, not how much is sold."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss")]

    def __init__(self, say: Sayings, name: str, unit: str, *, is_count: bool = False) -> None:
        super().__init__()
        self._say = say
        self.item_name = name
        self._unit = unit
        self.is_count = is_count

    def compose(self) -> ComposeResult:
        ask = self._say.ask_counted if self.is_count else self._say.ask_qty
        with Vertical(id="dialog"):
            yield Static(Text(legible(self.item_name), "bold"))
            yield Static(Text(ask(self._unit if is_measured(self._unit) else "")))
            yield Input()
            yield Static(id="fault")
            yield Static(Text(self._say.take_back), id="hint")

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        try:
            self.dismiss(read_qty(event.value, self._unit))
        except Refused as refused:
            self.query_one("#fault", Static).update(Text(self._say.refused(refused.why)))


class Payment(ModalScreen[bool]):
    """Shows what there is to pay, and works out the change."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss")]

    def __init__(self, say: Sayings, cart: Cart) -> None:
        super().__init__()
        self._say = say
        self._cart = cart

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Static(Text(self._say.to_refund if self._cart.is_return else self._say.to_pay, "bold"))
            yield Digits(money(self._cart.total_minor))
            if not self._cart.is_priced:
                yield Static(Text(self._say.unpriced, BAD))
            yield Input(placeholder="" if self._cart.is_return else self._say.ask_cash, disabled=self._cart.is_return)
            yield Static(id="fault")
            yield Static(Text(self._say.take_back), id="hint")

    def on_mount(self) -> None:
        if self._cart.is_return:
            self.query_one(Input).display = False

    def key_enter(self) -> None:
        """What is given back is only confirmed."""
        if self._cart.is_return:
            self.dismiss(True)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        change = self._change(event.value)
        said = "" if change is None else self._say.change(money(change)) if change >= 0 else self._missing(change)
        self.query_one("#fault", Static).update(
            Text(said, f"bold {GOOD}" if change is not None and change >= 0 else "")
        )

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        change = self._change(event.value)
        if not event.value.strip() or (change is not None and change >= 0):
            self.dismiss(True)

    def _missing(self, change: int) -> str:
        return self._say.missing(money(-change))

    def _change(self, text: str) -> int | None:
        """Return what goes back of the money that was typed, negative when it does not do; None for no money."""
        try:
            return parse_qty(text.strip().replace(",", ".")) // 10 - self._cart.total_minor
        except Rejected:
            return None


class Choice(ModalScreen[int]):
    """Asks which; its answer is a place in `choices`. Arrows and Enter are the same keys on every keyboard."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss")]

    def __init__(self, say: Sayings, text: str, choices: Sequence[Text]) -> None:
        super().__init__()
        self._say = say
        self._text = text
        self._choices = choices

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Static(Text(self._text, "bold"))
            yield OptionList(*map(Option, self._choices))
            yield Static(Text(self._say.choose), id="hint")

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_index)
