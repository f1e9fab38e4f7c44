"""The till's screen: one line into which everything is typed and scanned, the cart below it, the outbox beside it.

    keyboard ─▶ wedge ─┬─ a scan ────▶ the cart (or the count), wherever the cursor stands
                       └─ a person's ─▶ the line, or the dialog that is open

All that a key does is done here, on the screen's own thread: the SDK puts an operation on the disk within milliseconds.
What the SDK hears comes in from its threads, which only leave word that there is news; the screen looks for it.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from time import monotonic
from typing import Any, ClassVar

from rich.table import Table
from rich.text import Text
from textual import events, on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, Vertical, VerticalScroll
from textual.widgets import Digits, Footer, Input, Static

from appliance.cli.overview import BAD, DOUBTFUL, GOOD
from appliance.cli.screen import legible, money
from appliance.cli.till import dialogs, panes
from appliance.cli.till.cart import ONE_MILLI, Cart, Refused, brought_back, is_measured
from appliance.cli.till.goods import Goods, gtin_of_mark, is_code
from appliance.cli.till.kept import Directory, Sheet, new_cart
from appliance.cli.till.panes import Counted, Notice, Standing
from appliance.cli.till.sayings import Sayings
from appliance.cli.till.wedge import GAP_S, GROUP_SEPARATOR, Wedge
from appliance.stock.quantity import format_qty
from appliance.till import CatalogueItem, Counting, Made, Till

LOOK_S = 0.1
"""How often the screen asks whether there is news."""

_TICK_S = 1.0
"""How often it is drawn without news: it shows seconds."""

_FOUND = 50
"""Items of a search: whoever finds more types another word."""

_NEWEST = 50
"""Operations of the outbox that are shown, and sales that are proposed for a return: what a screen has room for."""

_NOTICES = 30
_CODE_MAX = 32
_COUNTED = 200

_WIDE = 110
"""Columns from which on the outbox stands beside the cart."""


class Line(Input):
    """Where everything is typed. While it is empty, +, - and Del are for the chosen line of the cart."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("delete", "delete_right", show=False)]

    def on_key(self, event: events.Key) -> None:
        if not self.value and event.character in ("+", "-") and isinstance(self.app, Desk):
            event.prevent_default().stop()
            self.app.change(ONE_MILLI if event.character == "+" else -ONE_MILLI)

    def action_delete_right(self) -> None:
        if self.value or not isinstance(self.app, Desk):
            super().action_delete_right()
        else:
            self.app.action_remove()


class Desk(App[None], inherit_bindings=False):
    """The screen of one till. till: opened and closed by who runs the screen; its changes are to be told to `heard`."""

    TITLE = "Stock Coordinator"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (_WIDE, "-wide")]  # noqa: RUF012  Textual declares it so
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("ctrl+c", "quit", show=False, priority=True),
    ]
    CSS = (
        dialogs.CSS
        + """
    Screen { layout: vertical; }
    #header { height: 1; background: $panel; }
    #banner { height: auto; max-height: 3; padding: 0 1; background: $warning 20%; display: none; }
    #line { height: 3; border: round $accent; padding: 0 1; background: $surface; }
    .-narrow #line { height: 1; border: none; background: $panel; }
    #body { height: 1fr; layout: vertical; }
    .-wide #body { layout: horizontal; }
    .pane { border: round $primary; border-title-color: $text; border-subtitle-color: $text-muted; padding: 0; }
    #goods { height: 1fr; min-height: 5; }
    .-wide #goods { width: 3fr; height: 100%; }
    #goods.-return { border: round $error; }
    #goods.-count { border: round $warning; }
    #rows { height: 1fr; scrollbar-size-vertical: 1; }
    #rows Static { height: auto; }
    #sum { height: 3; }
    #words { width: 1fr; height: 3; padding: 1 1 0 1; }
    #digits { width: 30; text-align: right; padding: 0 1; color: $text-accent; }
    #side { height: 8; layout: horizontal; }
    .-wide #side { width: 2fr; height: 100%; layout: vertical; }
    #outbox, #notices { width: 1fr; height: 100%; }
    .-wide #outbox, .-wide #notices { width: 100%; height: 1fr; }
    """
    )

    def __init__(self, till: Till, title: str, device: str, directory: Directory, say: Sayings) -> None:
        super().__init__()
        self._till = till
        self._title = title
        self._device = device
        self._directory = directory
        self._say = say
        self._wedge: Wedge[events.Key] = Wedge()
        self._goods = Goods()
        self._goods.load(directory.catalogue)
        self._sheet = directory.sheet(till.newest(_NEWEST))
        self._counted: deque[Counted] | None = None
        self._found: list[CatalogueItem] = []
        self._found_chosen = 0
        self._notices: deque[Notice] = deque(maxlen=_NOTICES)
        self._rejections = {one.tag for one in till.rejected}
        self._has_news = self._are_goods_old = True
        self._drawn_s = self._listed_s = 0.0
        self._waiting_since_s = monotonic()
        self._acked_seq = 0
        for key, action, shown in (
            ("f2", "quantity", "F2"),
            ("f4", "give_back", "F4"),
            ("f5", "count", "F5"),
            ("f8", "accept", "F8"),
            ("f9", "pay", "F9"),
            ("escape", "step_back", "Esc"),
            ("ctrl+q", "quit", "^Q"),
        ):
            self.bind(key, action, description=say.key(action), key_display=shown)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Show only the keys that do something now; what wants a cart is greyed while there is none."""
        match action:
            case "accept":
                return self._till.other_ledger is not None
            case "quantity" | "pay":
                return True if self._counted is None and self._cart.lines else None
            case "step_back":
                return self._is_searching or self._counted is not None or self._cart.is_return
        return True

    def compose(self) -> ComposeResult:
        yield Static(id="header")
        yield Static(id="banner")
        yield Line(placeholder=self._say.placeholder, id="line")
        with Container(id="body"):
            with Vertical(id="goods", classes="pane"):
                with VerticalScroll(id="rows", can_focus=False):
                    yield Static(id="cart")
                with Horizontal(id="sum"):
                    yield Static(id="words")
                    yield Digits(id="digits")
            with Container(id="side"):
                with VerticalScroll(id="outbox", classes="pane", can_focus=False):
                    yield Static(id="made")
                with VerticalScroll(id="notices", classes="pane", can_focus=False):
                    yield Static(id="said")
        yield Footer()

    def on_mount(self) -> None:
        self.query_one("#outbox").border_title = self._say.outbox
        self.query_one("#notices").border_title = self._say.notices
        self.query_one("#line").focus()
        if self._cart.lines:
            self._notice(self._say.cart_is_back)
        self.set_interval(LOOK_S, self._look)
        self._look()

    def heard(self) -> None:
        """There is news from the box. Called by the till from any thread, and returns at once."""
        self._has_news = True

    @property
    def _cart(self) -> Cart:
        return self._sheet.cart

    # --- keys ---------------------------------------------------------------------------------------------------------

    async def on_event(self, event: events.Event) -> None:
        if not isinstance(event, events.Key) or event.is_forwarded:
            await super().on_event(event)
            return
        for key in self._of_a_person(event):
            await super().on_event(key)

    def _of_a_person(self, event: events.Key) -> list[events.Key]:
        """Return the keys that are known now to be a person's; of a scan that ends here, none."""
        is_separator = event.key == "ctrl+right_square_bracket" and self._wedge.is_holding
        character = GROUP_SEPARATOR if is_separator else event.character if event.is_printable else None
        if character is not None:
            self.set_timer(2 * GAP_S, self._hand_on)
            return self._wedge.typed(event, character, event.time)
        if event.key == "enter" and (code := self._wedge.entered(event.time)) is not None:
            self._scanned(code)
            return []
        return [*self._wedge.released(), event]

    async def _hand_on(self) -> None:
        for key in self._wedge.due(monotonic()):
            await super().on_event(key)

    def _scanned(self, code: str) -> None:
        """A scan leads back to the cart, whatever was being asked: it is never taken for an answer."""
        while len(self.screen_stack) > 1:
            if isinstance(self.screen, dialogs.Quantity) and self.screen.is_count:
                self._notice(self._say.not_counted(self.screen.item_name), DOUBTFUL)
            self.pop_screen()
        self._clear_line()
        self._enter(code)

    @on(Input.Changed, "#line")
    def _typed(self, event: Input.Changed) -> None:
        self._found_chosen = 0
        self._search(event.value)

    @on(Input.Submitted, "#line")
    def _entered(self, event: Input.Submitted) -> None:
        text = event.value.strip()
        if not text:
            return
        chosen = self._found[self._found_chosen : self._found_chosen + 1]
        self._clear_line()
        self._enter(text, chosen[0] if chosen else None)

    def _enter(self, text: str, found: CatalogueItem | None = None) -> None:
        """Take what a code names, or else what was found."""
        item = self._goods.named(text) or found
        if item is None and is_code(text):
            item = _unknown(text)
            if self._counted is None:
                self._notice(self._say.unknown_code(item.sku), DOUBTFUL)
        if item is None:
            self._notice(self._say.no_such_code(_short(text)), DOUBTFUL)
        elif self._counted is not None:
            self._count(item)
        elif is_measured(item.unit):
            self._ask_qty(item.name or item.sku, item.unit, lambda milli: self._cart.add(item, milli))
        else:
            self._change(lambda: self._cart.add(item, mark=text if gtin_of_mark(text) else ""))

    def action_move(self, by: int) -> None:
        if self._is_searching:
            self._found_chosen = max(0, min(self._found_chosen + by, len(self._found) - 1))
            self._draw()
        elif self._counted is None:
            self._change(lambda: self._cart.moved(by))

    def change(self, by_milli: int) -> None:
        """Put one more of the chosen line into the cart, or one less. What is weighed is asked for."""
        if self._counted is not None or self._cart.line is None:
            return
        if self._cart.line.is_measured:
            self.action_quantity()
        else:
            self._change(lambda: self._cart.changed(by_milli))

    def action_quantity(self) -> None:
        line = self._cart.line
        if line is not None:
            self._ask_qty(
                line.title, line.unit, lambda milli: self._cart.with_qty(milli) if milli else self._cart.without()
            )

    def action_remove(self) -> None:
        if self._counted is None and self._cart.lines:
            self._change(self._cart.without)

    def action_step_back(self) -> None:
        """Esc: first what is typed goes, then the count or the return ends. A sale is never thrown away by it."""
        if self._is_searching:
            self._clear_line()
        elif self._counted is not None:
            self._counted = None
            self._draw()
        elif self._cart.is_return:
            self._put(Sheet(new_cart(), self._sheet.number))

    def action_accept(self) -> None:
        ledger = self._till.other_ledger

        def answered(place: int | None) -> None:
            if ledger is not None and place == 0:
                self._till.accept(ledger)
                self._notice(self._say.box_accepted, GOOD)

        if ledger is not None:
            self.push_screen(dialogs.Choice(self._say, self._say.accept, self._say.yes_no), answered)

    # --- the cart -----------------------------------------------------------------------------------------------------

    def _ask_qty(self, name: str, unit: str, change: Callable[[int], Cart]) -> None:
        def answered(milli: int | None) -> None:
            if milli is not None:
                self._change(lambda: change(milli))

        self.push_screen(dialogs.Quantity(self._say, name, unit), answered)

    def _change(self, change: Callable[[], Cart]) -> None:
        try:
            self._put(replace(self._sheet, cart=change()))
        except Refused as refused:
            self._notice(self._say.refused(refused.why), BAD)

    def _put(self, sheet: Sheet) -> None:
        """Have another cart, on the disk before it is on the screen."""
        if sheet != self._sheet:
            self._directory.keep(sheet)
            self._sheet = sheet
        self._draw()

    def action_pay(self) -> None:
        def answered(is_paid: bool | None) -> None:
            if is_paid:
                self._pay()

        if self._counted is None and self._cart.lines:
            self.push_screen(dialogs.Payment(self._say, self._cart), answered)

    def _pay(self) -> None:
        cart, number = self._cart, f"{self._device}-{self._sheet.number:06d}"
        try:
            self._till.receipt(
                cart.said(),
                receipt=cart.receipt,
                kind="return" if cart.is_return else "sale",
                number=number,
                total_minor=cart.total_minor,
                of=cart.of or None,
            )
        except ValueError as error:
            self._notice(self._say.not_done(str(error)), BAD)
            return
        self._put(self._sheet.next())
        total = money(cart.total_minor)
        self._notice(self._say.given_back(number, total) if cart.is_return else self._say.paid(number, total), GOOD)

    def action_give_back(self) -> None:
        """Ask which sale of this till it was, and have its lines in the cart, to be removed where they were kept."""
        if self._cart.lines or self._counted is not None:
            self._notice(self._say.cart_first, DOUBTFUL)
            return
        sales = list(_sales(self._till.newest(_NEWEST)))

        def answered(place: int | None) -> None:
            if place is not None:
                cart = new_cart(is_return=True)
                self._put(replace(self._sheet, cart=brought_back(cart.receipt, sales[place - 1]) if place else cart))

        choices = [Text(self._say.without_receipt), *map(self._sale, sales)]
        self.push_screen(dialogs.Choice(self._say, self._say.which_sale, choices), answered)

    def _sale(self, sale: dict[str, Any]) -> Text:
        at = str(sale.get("at", ""))
        names = ", ".join(legible(str(line.get("name") or line["sku"])) for line in sale["lines"])
        text = f"{at[11:16]}  {sale.get('number', '')}  {money(sale.get('total_minor', 0))}  {names}"
        return Text(text, no_wrap=True, overflow="ellipsis")

    # --- counting -----------------------------------------------------------------------------------------------------

    def action_count(self) -> None:
        self._counted = deque(maxlen=_COUNTED) if self._counted is None else None
        self._draw()

    def _count(self, item: CatalogueItem) -> None:
        """Ask how many there are. Counting begins when the item is scanned, and lasts until its number is entered."""
        counting, name = self._till.begin_count(), item.name or item.sku

        def answered(milli: int | None) -> None:
            if milli is None:
                self._notice(self._say.not_counted(name), DOUBTFUL)
                return
            balance = self._till.balance(item.sku)
            if balance is None or balance.reserved_milli == 0:
                self._record(counting, item, milli, includes_reserved=False)
                return

            def told(place: int | None) -> None:
                if place is None:
                    self._notice(self._say.not_counted(name), DOUBTFUL)
                else:
                    self._record(counting, item, milli, includes_reserved=place == 0)

            asked = self._say.ask_reserved(balance.reserved)
            self.push_screen(dialogs.Choice(self._say, asked, self._say.yes_no), told)

        self.push_screen(dialogs.Quantity(self._say, name, item.unit, is_count=True), answered)

    def _record(self, counting: Counting, item: CatalogueItem, milli: int, *, includes_reserved: bool) -> None:
        name, qty, balance = item.name or item.sku, format_qty(milli), self._till.balance(item.sku)
        try:
            counting.count(item.sku, qty, includes_reserved=includes_reserved)
        except ValueError as error:
            self._notice(self._say.not_done(str(error)), BAD)
            return
        if self._counted is not None:
            self._counted.appendleft(Counted(name, "" if balance is None else balance.on_hand, qty))
        self._notice(self._say.counted(name, qty), GOOD)

    # --- what is for sale ---------------------------------------------------------------------------------------------

    @property
    def _is_searching(self) -> bool:
        return bool(self.query_one("#line", Input).value.strip())

    def _clear_line(self) -> None:
        self.query_one("#line", Input).value = ""
        self._search("")

    def _search(self, text: str) -> None:
        self._found = self._goods.search(text, _FOUND) if text.strip() else []
        self._draw()

    def _list_goods(self) -> None:
        """Take the catalogue from the SDK, and keep it, when there is anything new in it."""
        self._listed_s, self._are_goods_old = monotonic(), False
        if self._goods.take(self._till.items(), self._till.skus()):
            self._goods.save(self._directory.catalogue)
            self._change(lambda: self._cart.told(self._goods.items))
            self._search(self.query_one("#line", Input).value)

    def _name_of(self, sku: str) -> str:
        item = self._goods.items.get(sku)
        return sku if item is None or not item.name else item.name

    # --- the screen ---------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Draw what is new, and once a second what only grows older."""
        now_s = monotonic()
        self._are_goods_old = self._are_goods_old or self._has_news
        if self._are_goods_old and now_s - self._listed_s >= _TICK_S:
            self._list_goods()
        if self._has_news or now_s - self._drawn_s >= _TICK_S:
            self._has_news = False
            self._tell_rejections()
            self._draw()

    def _tell_rejections(self) -> None:
        for one in self._till.rejected:
            if one.tag not in self._rejections:
                self._rejections.add(one.tag)
                name = panes.title_of(self._say, one.operation, self._name_of)
                self._notice(self._say.was_rejected(name, f"{one.code}: {one.detail}"), BAD)

    def _notice(self, text: str, style: str = "") -> None:
        self._notices.appendleft(Notice(datetime.now().astimezone(), text, style))
        self._draw()

    def _standing(self, made: list[Made]) -> Standing:
        acked_seq = next((one.seq for one in made if one.is_acked), 0)
        pending = self._till.pending
        if not pending or acked_seq != self._acked_seq:
            self._acked_seq, self._waiting_since_s = acked_seq, monotonic()
        return Standing(
            self._till.is_connected,
            pending,
            monotonic() - self._waiting_since_s,
            self._till.acked_s,
            len(self._rejections),
            len(self._till.alerts),
        )

    def _draw(self) -> None:
        self._drawn_s = monotonic()
        made = self._till.newest(_NEWEST)
        self._show("#header", panes.header(self._say, self._title, self._standing(made)))
        banner = self.query_one("#banner", Static)
        banner.display = bool(said := self._warning())
        banner.update(Text(legible(said)))
        self._show("#made", panes.outbox(self._say, made, self._name_of))
        self._show("#said", panes.notices(self._notices))
        self._draw_goods()
        self.refresh_bindings()

    def _warning(self) -> str:
        """What whoever stands here must know before they believe a number."""
        if self._till.other_ledger is not None:
            return self._say.other_box
        if not self._till.is_connected:
            return self._say.sell_on(self._till.fault or "")
        freshness = self._till.freshness.text
        return self._say.may_lack(freshness) if freshness else ""

    def _draw_goods(self) -> None:
        pane, cart = self.query_one("#goods"), self._cart
        is_return = cart.is_return and self._counted is None
        pane.set_class(is_return, "-return")
        pane.set_class(self._counted is not None, "-count")
        chosen, words = cart.chosen, ""
        if self._is_searching:
            pane.border_title, pane.border_subtitle = self._say.found, self._say.found_keys
            chosen = self._found_chosen
            shown = panes.found(self._say, self._found, chosen, self._till.balance)
            words = "" if self._found else self._say.nothing_found
        elif self._counted is not None:
            pane.border_title, pane.border_subtitle, chosen = self._say.count, "", 0
            shown = panes.counted(self._say, self._counted)
            words = self._say.empty_count
        else:
            pane.border_title = self._say.give_back if is_return else self._say.sale
            pane.border_subtitle = self._say.cart_keys if cart.lines else ""
            shown = panes.cart(self._say, cart, self._till.balance)
            if not cart.lines:
                words = self._say.empty_return if is_return else self._say.empty_cart
            else:
                words = self._say.to_refund if is_return else self._say.to_pay
                words += "" if cart.is_priced else f" ({self._say.unpriced})"
        has_sum = bool(cart.lines) and self._counted is None and not self._is_searching
        digits = self.query_one("#digits", Digits)
        digits.display = has_sum
        digits.update(money(cart.total_minor))
        self._show("#words", Text(words))
        self._show("#cart", shown if shown.row_count else Text())
        self.query_one("#rows").scroll_to(y=max(0, chosen - 3), animate=False)

    def _show(self, where: str, what: Table | Text) -> None:
        self.query_one(where, Static).update(what)


def _unknown(code: str) -> CatalogueItem:
    """An item that only its code is known of; of a marked piece that is the number of its kind."""
    gtin = gtin_of_mark(code)
    return CatalogueItem(code if gtin is None else gtin.removeprefix("0"), "", "", (), None, (), 0)


def _short(code: str) -> str:
    """A code as a notice shows it: one of a marked piece would fill the pane."""
    return code if len(code) <= _CODE_MAX else f"{code[:_CODE_MAX]}…"


def _sales(made: Iterable[Made]) -> Iterator[dict[str, Any]]:
    """The sales among the operations of this till."""
    for one in made:
        match one.operation:
            case {"type": "receipt", "status": "paid", "kind": "sale"}:
                yield one.operation
