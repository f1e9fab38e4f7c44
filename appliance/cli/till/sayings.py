"""All that the till says to whoever stands behind it, in one place.

The text in the source is English; values are put in after it has been looked up, so that a catalogue can know it.
"""

from gettext import NullTranslations
from typing import Protocol

from rich.text import Text

from appliance.cli.till.cart import Why


class Translations(Protocol):
    """A language: gettext's own classes are one."""

    def gettext(self, message: str, /) -> str: ...

    def ngettext(self, one: str, many: str, n: int, /) -> str: ...


class Sayings:
    """What the till says, in one language."""

    def __init__(self, words: Translations | None = None) -> None:
        self._words = words or NullTranslations()

    # --- before the screen --------------------------------------------------------------------------------------------

    def enrol(self, directory: str) -> str:
        text = "This is a new till. It will be kept in {directory}."
        return self._words.gettext(text).format(directory=directory)

    @property
    def ask_slip(self) -> str:
        return self._words.gettext("Its slip, stock://… (not shown; only Enter to give the box's address instead)")

    @property
    def ask_host(self) -> str:
        return self._words.gettext("The box's address")

    @property
    def ask_port(self) -> str:
        return self._words.gettext("Its port")

    @property
    def ask_shop(self) -> str:
        return self._words.gettext("The shop")

    @property
    def ask_device(self) -> str:
        return self._words.gettext("The name of this till")

    @property
    def ask_password(self) -> str:
        return self._words.gettext("The shop's password (not shown)")

    def left(self, pending: int, directory: str) -> str:
        if not pending:
            return self._words.gettext("The till is closed; the box has everything.")
        text = self._words.ngettext(
            "The till is closed. {n} operation waits in {directory}, and is sent when it is opened again.",
            "The till is closed. {n} operations wait in {directory}, and are sent when it is opened again.",
            pending,
        )
        return text.format(n=pending, directory=directory)

    # --- the frame ----------------------------------------------------------------------------------------------------

    @property
    def placeholder(self) -> str:
        return self._words.gettext("scan, or type a name or a code")

    @property
    def sale(self) -> str:
        return self._words.gettext("Sale")

    @property
    def give_back(self) -> str:
        return self._words.gettext("Return")

    @property
    def count(self) -> str:
        return self._words.gettext("Count")

    @property
    def found(self) -> str:
        return self._words.gettext("Found")

    @property
    def outbox(self) -> str:
        return self._words.gettext("Outbox")

    @property
    def notices(self) -> str:
        return self._words.gettext("Notices")

    def key(self, name: str) -> str:
        """What a key does, for the footer."""
        return {
            "quantity": self._words.gettext("Quantity"),
            "give_back": self._words.gettext("Return"),
            "count": self._words.gettext("Count"),
            "pay": self._words.gettext("Pay"),
            "step_back": self._words.gettext("Back"),
            "accept": self._words.gettext("New box"),
            "quit": self._words.gettext("Leave"),
        }[name]

    def column(self, name: str) -> str:
        return {
            "name": self._words.gettext("goods"),
            "qty": self._words.gettext("quantity"),
            "price": self._words.gettext("price"),
            "amount": self._words.gettext("amount"),
            "available": self._words.gettext("in the shop"),
            "before": self._words.gettext("before"),
            "counted": self._words.gettext("counted"),
        }[name]

    @property
    def cart_keys(self) -> str:
        return self._words.gettext("↑ ↓ choose   + − quantity   Del remove")

    @property
    def found_keys(self) -> str:
        return self._words.gettext("↑ ↓ choose   Enter take")

    @property
    def to_pay(self) -> str:
        return self._words.gettext("TO PAY")

    @property
    def to_refund(self) -> str:
        return self._words.gettext("TO GIVE BACK")

    @property
    def unpriced(self) -> str:
        return self._words.gettext("not all goods have a price")

    @property
    def empty_cart(self) -> str:
        return self._words.gettext("The cart is empty. Scan something, or type some letters of its name.")

    @property
    def empty_return(self) -> str:
        return self._words.gettext("What is brought back? Scan it, or type some letters of its name.")

    @property
    def empty_count(self) -> str:
        return self._words.gettext("Scan what you are going to count, count it, and type how many there are.")

    @property
    def nothing_found(self) -> str:
        return self._words.gettext("Nothing of that name or code is known here.")

    # --- the box ------------------------------------------------------------------------------------------------------

    @property
    def online(self) -> str:
        return self._words.gettext("online")

    def unanswered(self, span: str) -> str:
        return self._words.gettext("no answer for {span}").format(span=span)

    @property
    def offline(self) -> str:
        return self._words.gettext("offline")

    def pending(self, pending: int) -> str:
        return self._words.gettext("{n} to send").format(n=pending)

    def acked(self, span: str) -> str:
        return self._words.gettext("last ack {span} ago").format(span=span)

    @property
    def never_acked(self) -> str:
        return self._words.gettext("no ack yet")

    def rejected(self, count: int) -> str:
        return self._words.gettext("{n} rejected").format(n=count)

    def alerts(self, count: int) -> str:
        return self._words.ngettext("{n} alert", "{n} alerts", count).format(n=count)

    def sell_on(self, fault: str) -> str:
        text = self._words.gettext("The box is not heard. Sell on: all is kept here, and sent when it is heard again.")
        return f"{text} ({fault})" if fault else text

    def may_lack(self, freshness: str) -> str:
        return self._words.gettext("The balances may lack something: {freshness}.").format(freshness=freshness)

    @property
    def other_box(self) -> str:
        return self._words.gettext(
            "Another box answers, with another ledger. Nothing is sent to it until you press F8."
        )

    # --- what was made ------------------------------------------------------------------------------------------------

    def made(self, kind: str, name: str) -> str:
        """One operation of the outbox. kind: as the wire has it, a receipt's with its status."""
        text = {
            "sale": self._words.gettext("sold {name}"),
            "return": self._words.gettext("returned {name}"),
            "count": self._words.gettext("counted {name}"),
            "item": self._words.gettext("catalogue {name}"),
        }.get(kind)
        return f"{kind} {name}" if text is None else text.format(name=name)

    def paid(self, number: str, total: str) -> str:
        return self._words.gettext("{number} is paid: {total}.").format(number=number, total=total)

    def given_back(self, number: str, total: str) -> str:
        return self._words.gettext("{number} is given back: {total}.").format(number=number, total=total)

    def counted(self, name: str, qty: str) -> str:
        return self._words.gettext("{name}: {qty} counted.").format(name=name, qty=qty)

    def not_counted(self, name: str) -> str:
        return self._words.gettext("{name} was not counted.").format(name=name)

    def not_done(self, why: str) -> str:
        return self._words.gettext("Not done: {why}.").format(why=why)

    def was_rejected(self, name: str, detail: str) -> str:
        return self._words.gettext("The box has rejected {name}: {detail}.").format(name=name, detail=detail)

    def unknown_code(self, code: str) -> str:
        return self._words.gettext("Nobody knows {code}. It is sold under its code, and without a price.").format(
            code=code
        )

    def no_such_code(self, code: str) -> str:
        return self._words.gettext("Nothing has the code {code}.").format(code=code)

    @property
    def cart_is_back(self) -> str:
        return self._words.gettext("The cart is as it was left.")

    @property
    def cart_first(self) -> str:
        return self._words.gettext("There is something in the cart: pay it, or remove it first.")

    @property
    def box_accepted(self) -> str:
        return self._words.gettext("The till follows the new box from now on.")

    def refused(self, why: Why) -> str:
        return {
            Why.NO_NUMBER: self._words.gettext("That is no quantity: type digits, and at most three behind the comma."),
            Why.NOT_POSITIVE: self._words.gettext("A quantity has no minus: what comes back is a return, F4."),
            Why.WHOLE_PIECES: self._words.gettext("This is sold by the piece: type a whole number."),
            Why.MARKED: self._words.gettext("These pieces were scanned one by one: remove the line, and scan again."),
            Why.MARK_TWICE: self._words.gettext("This very piece is in the cart already."),
        }[why]

    # --- dialogs ------------------------------------------------------------------------------------------------------

    def ask_qty(self, unit: str) -> str:
        if unit:
            return self._words.gettext("How much? In {unit}").format(unit=unit)
        return self._words.gettext("How much?")

    def ask_counted(self, unit: str) -> str:
        if unit:
            return self._words.gettext("How much is there? In {unit}").format(unit=unit)
        return self._words.gettext("How much is there?")

    def ask_reserved(self, reserved: str) -> str:
        text = self._words.gettext("{reserved} belong to open receipts. Are they in this number?")
        return text.format(reserved=reserved)

    @property
    def yes_no(self) -> tuple[Text, Text]:
        return Text(self._words.gettext("Yes")), Text(self._words.gettext("No"))

    @property
    def take_back(self) -> str:
        return self._words.gettext("Enter: done   Esc: back")

    @property
    def choose(self) -> str:
        return self._words.gettext("↑ ↓: choose   Enter: take   Esc: back")

    @property
    def ask_cash(self) -> str:
        return self._words.gettext("money received, if you want the change worked out")

    def change(self, change: str) -> str:
        return self._words.gettext("Change: {change}").format(change=change)

    def missing(self, missing: str) -> str:
        return self._words.gettext("Still missing: {missing}").format(missing=missing)

    @property
    def which_sale(self) -> str:
        return self._words.gettext("Which sale was it?")

    @property
    def without_receipt(self) -> str:
        return self._words.gettext("without a receipt of this till")

    def lines(self, count: int) -> str:
        return self._words.ngettext("{n} line", "{n} lines", count).format(n=count)

    @property
    def accept(self) -> str:
        return self._words.gettext(
            "Another box answers than the one this till has worked for. Accept it only if the shop has a new one, or "
            "if the old one has lost its card: what was never acknowledged goes to it then."
        )
