"""The live screen: the box, what is sold as it is sold, and how much there is of what a person looks for.

    control socket ──a row a second──▶ a thread ──▶ the screen

The box is asked in a thread, so that a slow answer holds up no key. With the service down the ledger is shown, and the
screen goes on by itself when the service is back.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar

from rich.table import Table
from rich.text import Text
from textual import on, work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import ContentSwitcher, DataTable, Footer, Input, Static

from appliance.app import machine
from appliance.app.machine import Machine
from appliance.app.overview import stopped
from appliance.cli import asking, feed, overview
from appliance.cli.failure import Failure
from appliance.cli.screen import legible, local
from appliance.ledger import report
from appliance.ledger.reader import Reader
from appliance.settings import Settings

LOOK_S = 1.0
"""How often the box is asked. Its answer takes milliseconds, and a person sees no more."""

_NEWEST = 100
"""Operations that are fetched at once: a busy shop commits fewer in a second, and more cannot be read."""

_KEPT = 200
"""Operations that one can scroll back to."""

_FOUND = 50
"""SKUs of a search: whoever finds more types another word."""

_WIDE = 120
"""Columns from which on the box and what it sells stand side by side."""

_COLUMNS = ("SKU", "name", "available", "on hand", "reserved", "changed")


@dataclass(frozen=True, slots=True)
class _Look:
    """What one look at the box has found. fault: why it found nothing."""

    row: dict[str, Any] | None
    done: list[dict[str, Any]]
    machine: Machine
    fault: str = ""


class Live(App[None]):
    """The screen."""

    TITLE = "Stock Coordinator"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (_WIDE, "-wide")]  # noqa: RUF012  Textual declares it so
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "Search", key_display="/"),
        Binding("escape", "leave_search", "Back", key_display="Esc"),
        Binding("q", "quit", "Leave"),
    ]
    CSS = """
    Screen { layout: vertical; }
    #body { height: 1fr; layout: vertical; }
    #box { height: auto; max-height: 70%; padding: 0 1; }
    #box Static { height: auto; }
    .-wide #box Static { margin-bottom: 1; }
    #lower { height: 1fr; min-height: 6; border-top: solid $primary; }
    .-wide #body { layout: horizontal; }
    .-wide #box { width: 1fr; height: 100%; max-height: 100%; }
    .-wide #lower { width: 1fr; height: 100%; border-top: none; border-left: solid $primary; }
    #title { height: auto; max-height: 3; padding: 0 1; background: $panel; }
    #feed, #found { height: 100%; padding: 0 1; }
    #search { height: 1; border: none; padding: 0 1; background: $panel; }
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self._since = 0
        self._done: deque[dict[str, Any]] = deque(maxlen=_KEPT)

    def compose(self) -> ComposeResult:
        yield Static(Text("…"), id="title")
        with Vertical(id="body"):
            with VerticalScroll(id="box"):
                for part in ("facts", "tills", "printers", "alerts"):
                    yield Static(id=part)
            with ContentSwitcher(initial="feed", id="lower"):
                with VerticalScroll(id="feed"):
                    yield Static(id="done")
                yield DataTable(id="found", cursor_type="row", zebra_stripes=True)
        yield Input(placeholder="/ a SKU, a barcode, or words of a name", id="search")
        yield Footer()

    def on_mount(self) -> None:
        self.query_one("#found", DataTable).add_columns(*_COLUMNS)
        self.query_one("#feed").focus()
        self._look()

    def action_search(self) -> None:
        self.query_one("#search").focus()

    def action_leave_search(self) -> None:
        self.query_one("#search", Input).value = ""
        self.query_one(ContentSwitcher).current = "feed"
        self.query_one("#feed").focus()

    # --- the box ------------------------------------------------------------------------------------------------------

    @work(thread=True, group="look")
    def _look(self) -> None:
        look = self._looked()
        with suppress(RuntimeError):  # The screen was closed meanwhile.
            self.call_from_thread(self._show, look)

    def _looked(self) -> _Look:
        settings, directory = self._settings, self._settings.data_dir
        found = machine.look(directory)
        since = self._since
        try:
            [row] = asking.rows(directory, "status", lambda reader: iter([stopped(reader, settings)]))
            done = asking.rows(
                directory,
                "newest",
                lambda reader: report.newest(reader, since, _NEWEST),
                since=since,
                limit=_NEWEST,
            )
            return _Look(row, list(done), found)
        except Failure as failure:
            return _Look(None, [], found, str(failure))

    def _show(self, look: _Look) -> None:
        # Only now: two looks at once would show what was sold twice.
        self.set_timer(LOOK_S, self._look)
        title = self.query_one("#title", Static)
        if look.row is None:
            title.update(Text(legible(look.fault), overview.BAD))
            return
        title.update(overview.title(look.row))
        parts: dict[str, Table] = {
            "facts": overview.facts(look.row, look.machine, date.today()),  # noqa: DTZ011  a person's day
            "tills": overview.tills(look.row),
            "printers": overview.printers(look.row),
            "alerts": overview.alerts(look.row),
        }
        for name, table in parts.items():
            part = self.query_one(f"#{name}", Static)
            part.display = table.row_count > 0
            part.update(table)
        if look.done:
            self._since = look.done[-1]["rev"]
            self._done.extendleft(look.done)
            self.query_one("#done", Static).update(feed.table(self._done))

    # --- search -------------------------------------------------------------------------------------------------------

    @on(Input.Changed, "#search")
    def _typed(self, event: Input.Changed) -> None:
        text = event.value.strip()
        self.query_one(ContentSwitcher).current = "found" if text else "feed"
        if text:
            self._search(text)

    @on(Input.Submitted, "#search")
    def _to_the_found(self) -> None:
        self.query_one("#found").focus()

    @work(thread=True, exclusive=True, group="search")
    def _search(self, text: str) -> None:
        try:
            rows = list(self._matching(text))
        except Failure as failure:
            rows = [{"sku": "", "name": str(failure), "on_hand": "", "reserved": "", "available": "", "at": ""}]
        with suppress(RuntimeError):  # The screen was closed meanwhile.
            self.call_from_thread(self._show_found, text, rows)

    def _matching(self, text: str) -> Iterator[dict[str, Any]]:
        def from_ledger(reader: Reader) -> Iterator[dict[str, Any]]:
            return report.search(reader, text, _FOUND)

        return asking.rows(self._settings.data_dir, "search", from_ledger, text=text, limit=_FOUND)

    def _show_found(self, text: str, rows: list[dict[str, Any]]) -> None:
        if self.query_one("#search", Input).value.strip() != text:
            return  # More was typed meanwhile.
        table = self.query_one("#found", DataTable)
        table.clear()
        for row in rows:
            numbers = (Text(row[key], justify="right") for key in ("available", "on_hand", "reserved"))
            changed = local(row["at"])[5:-3] if row["at"] else ""
            table.add_row(Text(legible(row["sku"])), Text(legible(row["name"])), *numbers, changed)
