"""Alerts: what a person must know, under a name that stays the same while its cause lasts.

An alert is named by its kind and its subject, so raising it again changes the one that is there instead of adding a
second: a device that sends a thousand bad operations has one `rejected` alert. Two sorts differ in how they end. An
event (a rejection, a fork) has happened, and stays until a person acknowledges it. A state (an oversold SKU) lasts
until its cause is gone; a person who acknowledges it is told no more of this one.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from appliance.stock.order import Fact
from appliance.stock.quantity import format_qty
from appliance.stock.stamps import rfc3339

SIDES_MAX = 10
"""Facts that one alert names. A person who has looked at ten goes on with `explain`."""


@dataclass(frozen=True, slots=True)
class Raised:
    """An alert to raise.

    kind: one of the rule book's words. subject: what it is about (a device, a receipt, a SKU).
    summary: one sentence for a person. facts: what a person needs to act, as a JSON object.
    is_state: it lasts as long as its cause; to raise it again with the same facts changes nothing.
    """

    kind: str
    subject: str
    summary: str
    facts: Mapping[str, object]
    is_state: bool = False

    @property
    def alert(self) -> str:
        return name(self.kind, self.subject)


@dataclass(frozen=True, slots=True)
class Cleared:
    """The cause of an alert is gone."""

    kind: str
    subject: str

    @property
    def alert(self) -> str:
        return name(self.kind, self.subject)


def name(kind: str, subject: str) -> str:
    """Return an alert's name on the wire: `{kind}-[a-z0-9]{1,32}`. A subject may be any text, so it is digested."""
    return f"{kind}-{hashlib.blake2b(subject.encode(), digest_size=8).hexdigest()}"


def side(fact: Fact) -> dict[str, object]:
    """Return one side of a doubt or a contradiction, as a person finds it in the shop: who, when, on which receipt."""
    shown: dict[str, object] = {"device": fact.device, "rev": fact.rev, "at": rfc3339(fact.wall_ms)}
    return shown if fact.receipt is None else {**shown, "receipt": fact.receipt}


# --- what devices do --------------------------------------------------------------------------------------------------


def rejected(device: str, epoch: str, seq: int, code: str, detail: str) -> Raised:
    return Raised(
        kind="rejected",
        subject=device,
        summary=f"{device} sent an operation that could not be taken: {detail}",
        facts={"device": device, "epoch": epoch, "seq": seq, "code": code},
    )


def quarantine(device: str, why: str, size: int) -> Raised:
    return Raised(
        kind="quarantine",
        subject=device,
        summary=f"{device} sent {size} bytes that nobody can read: {why}",
        facts={"device": device, "bytes": size, "reason": why},
    )


def fork(device: str, epoch: str, parents: tuple[str, ...]) -> Raised:
    return Raised(
        kind="fork",
        subject=device,
        summary=f"{device} began anew beside its own past: was its storage copied or restored, or is it there twice?",
        facts={"device": device, "epoch": epoch, "parents": list(parents)},
    )


def history_gap(device: str, epoch: str) -> Raised:
    return Raised(
        kind="history-gap",
        subject=device,
        summary=f"{device} no longer has operations that this ledger lacks: they are lost, so count what it sells",
        facts={"device": device, "epoch": epoch},
    )


def internal(device: str, what: str) -> Raised:
    return Raised(
        kind="internal",
        subject=device,
        summary=f"The box failed twice at {what} of {device}, and has set it aside: enter in another way what it said, "
        "count again what was counted since, and send the box's log to its makers",
        facts={"device": device, "reason": what},
    )


def internal_again(device: str, what: str) -> Raised:
    """As `internal`, of what comes again and again: it is told once."""
    return replace(internal(device, what), is_state=True)


def clock() -> Raised:
    return Raised(
        kind="clock",
        subject="box",
        summary="The box was off for nobody knows how long, and its clock is not set: let it reach a time server, "
        "and count again what was counted around that time",
        facts={},
        is_state=True,
    )


CLOCK_SET = Cleared("clock", "box")


def disk_fails(reason: str) -> Raised:
    return Raised(
        kind="disk",
        subject="box",
        summary=f"The box can write nothing down, so tills keep what they sell: make room on its disk, or replace it "
        f"({reason})",
        facts={"reason": reason},
        is_state=True,
    )


def disk_fills(least_bytes: int) -> Raised:
    return Raised(
        kind="disk",
        subject="room",
        summary=f"The box's disk fills up: less than {least_bytes >> 20} MiB are free. Make room before it is full",
        facts={"bytes": least_bytes},
        is_state=True,
    )


DISK_HAS_ROOM = Cleared("disk", "room")


def no_backup(reason: str) -> Raised:
    return Raised(
        kind="backup",
        subject="box",
        summary=f"The ledger is not copied to its second medium: {reason}",
        facts={"reason": reason},
        is_state=True,
    )


BACKED_UP = Cleared("backup", "box")


def other_ledgers_backups(newest: str, count: int) -> Raised:
    return Raised(
        kind="backup",
        subject="other",
        summary=f"The second medium holds {count} copies of another ledger of this shop. If this box has replaced an "
        f"older one, make it that one: stop it, and run stock-coordinator backup restore {newest}; if not, delete them",
        facts={"file": newest},
        is_state=True,
    )


NO_OTHER_LEDGERS_BACKUPS = Cleared("backup", "other")


# --- what receipts do -------------------------------------------------------------------------------------------------


def receipt_conflict(receipt: str, number: str, what: str, fact: Fact) -> Raised:
    return Raised(
        kind="receipt-conflict",
        subject=receipt,
        summary=f"Receipt {number or receipt} {what}",
        facts={"receipt": receipt, "number": number, "by": side(fact)},
    )


def reservation_expired(receipt: str, number: str, reserved: Mapping[str, int]) -> Raised:
    return Raised(
        kind="reservation-expired",
        subject=receipt,
        summary=f"Receipt {number or receipt} was open for too long; what it had reserved is for sale again",
        facts={
            "receipt": receipt,
            "number": number,
            "reserved": {sku: format_qty(qty) for sku, qty in reserved.items()},
        },
    )


def return_exceeds_sale(sale: str, excess: Mapping[str, int]) -> Raised:
    return Raised(
        kind="return-exceeds-sale",
        subject=sale,
        summary=f"More came back of receipt {sale} than it had sold",
        facts={"receipt": sale, "excess": {sku: format_qty(qty) for sku, qty in excess.items()}},
        is_state=True,
    )


def mark_twice(mark: str, receipts: Iterable[str]) -> Raised:
    sold_on = sorted(receipts)
    return Raised(
        kind="mark-twice",
        subject=mark,
        summary=f"One marked item was sold more often than it came back: look at receipts {', '.join(sold_on)}",
        facts={"mark": mark, "receipts": sold_on},
        is_state=True,
    )


# --- what printers do -------------------------------------------------------------------------------------------------


def printer_stuck(printer: str, state: str, reason: str) -> Raised:
    return Raised(
        kind="printer",
        subject=printer,
        summary=f"Nothing comes out of the printer {printer}, and sheets wait: {reason or state}",
        facts={"printer": printer, "state": state},
        is_state=True,
    )


def printer_gone(printer: str) -> Raised:
    """Return the alert of `printer_stuck`, for a printer that is no longer set up."""
    return printer_stuck(printer, "unknown", "it is not set up any more: retry them on another printer, or cancel them")


def print_failed(printer: str, job: int, receipt: str, reason: str) -> Raised:
    return Raised(
        kind="printer",
        subject=print_job(job),
        summary=f"Receipt {receipt} was not printed, by a fault of the box's own program: report it, with the log; "
        f"with a newer program retry job {job}",
        facts={"printer": printer, "job": job, "receipt": receipt, "reason": reason},
        is_state=True,
    )


def print_given_up(printer: str, job: int, receipt: str, reason: str) -> Raised:
    return Raised(
        kind="printer",
        subject=print_job(job),
        summary=f"Was receipt {receipt} printed? Look at the paper of {printer}; if it was not, retry job {job}",
        facts={"printer": printer, "job": job, "receipt": receipt, "reason": reason},
        is_state=True,
    )


def group_unprinted(group: str | None, sku: str, receipt: str) -> Raised:
    """Return the alert of an item group that no station prints; None stands for goods that have no group."""
    what = "goods without a group" if group is None else f"the group {group!r}"
    return Raised(
        kind="printer",
        subject="no group" if group is None else f"group {group}",
        summary=f"No printer prints {what}, for one {sku} on receipt {receipt}: set up a printer for it, or "
        "acknowledge this if nobody needs it on paper",
        facts={"group": group},
        is_state=True,
    )


def print_job(job: int) -> str:
    """Return the subject of an alert about one job; no printer is named so."""
    return f"job {job}"


# --- what balances do -------------------------------------------------------------------------------------------------


def oversell(sku: str, on_hand_milli: int, led_there: Iterable[tuple[Fact, int]]) -> Raised:
    """led_there: what went out since goods came in or were counted last, the newest first, with what it moved."""
    sides = [{**side(fact), "qty": format_qty(moved)} for fact, moved in led_there]
    return Raised(
        kind="oversell",
        subject=sku,
        summary=f"{format_qty(-on_hand_milli)} more of {sku} was sold than there was: count it, or enter what came in",
        facts={"sku": sku, "on_hand": format_qty(on_hand_milli), "movements": sides},
        is_state=True,
    )


def low_stock(sku: str, on_hand_milli: int, low_milli: int) -> Raised:
    return Raised(
        kind="low-stock",
        subject=sku,
        summary=f"{format_qty(on_hand_milli)} of {sku} are left: at {format_qty(low_milli)} it is to be ordered",
        facts={"sku": sku, "low": format_qty(low_milli)},
        is_state=True,
    )


def unit_mismatch(sku: str, qty_milli: int, fact: Fact) -> Raised:
    return Raised(
        kind="unit-mismatch",
        subject=sku,
        summary=f"{format_qty(qty_milli)} of {sku}, which is counted in whole pieces: is its unit right?",
        facts={"sku": sku, "qty": format_qty(qty_milli), "by": side(fact)},
    )


def recount(sku: str, count: Fact, doubtful: Iterable[Fact]) -> Raised:
    sides = [side(fact) for fact in doubtful][:SIDES_MAX]
    return Raised(
        kind="recount",
        subject=sku,
        summary=f"Count {sku} again: nobody can tell whether the count by {count.device} saw what happened beside it",
        facts={"sku": sku, "count": side(count), "beside": sides},
        is_state=True,
    )


def recount_reserved(sku: str, count: Fact, reserved_milli: int) -> Raised:
    return Raised(
        kind="recount",
        subject=sku,
        summary=f"Count {sku} again, and look for the {format_qty(reserved_milli)} that open receipts hold",
        facts={"sku": sku, "count": side(count), "reserved": format_qty(reserved_milli)},
        is_state=True,
    )
