"""What one operation does to the stock: the heart of the pure rules.

`reconcile` looks up what it needs through a View and returns an Outcome; it changes nothing. The coordinator hands the
Outcome to the ledger, which records all of it or none.

    body, fact ──▶ receipts, counts: what is moved, reserved, anchored
                     └──▶ late movements: what a count has seen already is taken back at once
                            └──▶ alerts: what a person must know of the balances that come of it ──▶ Outcome
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from appliance.stock import alerts
from appliance.stock.alerts import Cleared, Raised
from appliance.stock.counts import NOTHING_PRUNED, Horizon, Past, anchor, is_doubtful
from appliance.stock.errors import Rejected
from appliance.stock.operation import (
    INWARD,
    OUTWARD,
    AlertAcknowledged,
    Body,
    Count,
    Expire,
    Item,
    Move,
    PrintCopy,
    Reason,
    Receipt,
    ReceiptKind,
    Status,
)
from appliance.stock.order import Fact, order
from appliance.stock.quantity import TOTAL_MAX_MILLI, format_qty
from appliance.stock.receipts import ReceiptState, Settled, expire, settle

PIECES = frozenset({"pcs", "H87", "C62", "EA"})
"""Units of whole things: ours, and UN/ECE's piece, one and each."""

COUNTED_ALREADY = "counted-already"
COUNT = "count"
PAID_AGAIN = "paid-again"


@dataclass(frozen=True, slots=True)
class Effect:
    """One entry to be: what it adds to a SKU, in thousandths, and why.

    effect_milli: to on_hand. reserved_milli: to what open receipts hold.
    is_stocked: goods were received or counted here, so from now on a balance below zero is a contradiction.
    is_anchor: this count is the SKU's newest from now on.
    """

    sku: str
    effect_milli: int
    cause: str
    reserved_milli: int = 0
    is_stocked: bool = False
    is_anchor: bool = False


@dataclass(frozen=True, slots=True)
class Stock:
    """What is known of a SKU. unit, low_milli: of its item. newest: its newest count, the anchor.

    horizon: how far back its history goes.
    """

    on_hand_milli: int = 0
    reserved_milli: int = 0
    is_stocked: bool = False
    unit: str | None = None
    low_milli: int | None = None
    newest: Fact | None = None
    horizon: Horizon = NOTHING_PRUNED


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that one operation changes.

    marks: how often each marked item was sold (1) or came back (-1). returned: what came back of which sale,
    in thousandths by (receipt, SKU).
    """

    effects: tuple[Effect, ...] = ()
    item: Item | None = None
    receipt: ReceiptState | None = None
    count: Count | None = None
    marks: Mapping[str, int] = field(default_factory=dict)
    returned: Mapping[tuple[str, str], int] = field(default_factory=dict)
    acknowledged: str | None = None
    alerts: tuple[Raised | Cleared, ...] = ()


class View(Protocol):
    """What the rules may look up; the ledger's turn satisfies it."""

    def stock(self, sku: str) -> Stock | None:
        """None for a SKU that no operation has named."""
        ...

    def past(self, sku: str, after_rev: int) -> Iterator[Past]:
        """Walk a SKU's history back from its newest revision to `after_rev`, that one left out."""
        ...

    def receipt(self, receipt: str) -> ReceiptState | None: ...

    def payments(self, receipt: str) -> Iterable[Fact]:
        """The operations that moved a receipt's goods, the first one first."""
        ...

    def sold(self, receipt: str) -> Mapping[str, int]:
        """What a receipt's payments took from the shelf, in thousandths by SKU; empty when it is unpaid or unknown."""
        ...

    def returned(self, receipt: str) -> Mapping[str, int]:
        """What has come back of a receipt, in thousandths by SKU."""
        ...

    def sold_on(self, mark: str) -> Mapping[str, int]:
        """How often each receipt has sold a marked item, less how often it took it back."""
        ...


def reconcile(body: Body, fact: Fact, view: View) -> Outcome:
    """Return what an operation changes. Raises Rejected when it contradicts itself; then it changes nothing."""
    match body:
        case Move() as move:
            outcome = _with_late(Outcome(effects=(_moved(move),)), fact, view)
        case Receipt() as receipt:
            outcome = _receipt(receipt, fact, view)
        case Expire() as wanted:
            outcome = _expired(wanted, view)
        case Count() as count:
            outcome = _counted(count, fact, view)
        case Item() as item:
            outcome = _listed(item, fact, view)
        case AlertAcknowledged(alert):
            return Outcome(acknowledged=alert)
        case PrintCopy(receipt_id):
            return _copied(view.receipt(receipt_id), receipt_id)
    return replace(outcome, alerts=(*outcome.alerts, *_watched(outcome, fact, view)))


# --- movements --------------------------------------------------------------------------------------------------------


def _moved(move: Move) -> Effect:
    if (move.reason in OUTWARD and move.qty_milli > 0) or (move.reason in INWARD and move.qty_milli < 0):
        wanted = "negative" if move.reason in OUTWARD else "positive"
        raise Rejected("bad-quantity", f"qty {format_qty(move.qty_milli)}: {move.reason} moves a {wanted} quantity")
    return Effect(
        move.sku,
        move.qty_milli,
        move.reason,
        is_stocked=move.reason in (Reason.RECEIVE, Reason.TRANSFER_IN),
    )


def _with_late(outcome: Outcome, fact: Fact, view: View) -> Outcome:
    """Take back at once what the newest count has seen already: the goods were gone when it was counted.

    The sum stays true, and the history explains itself.
    """
    already: list[Effect] = []
    doubts: list[Raised] = []
    for effect in outcome.effects:
        stock = view.stock(effect.sku)
        if stock is None or stock.newest is None or not effect.effect_milli:
            continue
        where = order(fact, stock.newest)
        if not where.is_after:
            already.append(Effect(effect.sku, -effect.effect_milli, COUNTED_ALREADY))
        if where.is_doubtful:
            doubts.append(alerts.recount(effect.sku, stock.newest, [fact]))
    return replace(outcome, effects=(*outcome.effects, *already), alerts=(*outcome.alerts, *doubts))


# --- receipts ---------------------------------------------------------------------------------------------------------


def _receipt(receipt: Receipt, fact: Fact, view: View) -> Outcome:
    settled = settle(receipt, fact.device, fact.shop_ms, view.receipt(receipt.receipt))
    cause = Reason.RETURN if receipt.kind is ReceiptKind.RETURN else Reason.SALE
    moves = tuple(Effect(sku, qty_milli, cause) for sku, qty_milli in settled.moved.items())
    outcome = _with_late(Outcome(effects=moves, receipt=settled.state), fact, view)
    said = list(outcome.alerts)
    if settled.conflict:
        said.append(alerts.receipt_conflict(receipt.receipt, receipt.number, settled.conflict, fact))
    if settled.state is not None:
        said.append(Cleared("reservation-expired", receipt.receipt))
    if settled.again:
        said += _paid_again(settled, receipt, fact, view)
    marks = _marks(receipt) if settled.moved else {}
    said += [alert for mark, uses in marks.items() for alert in _mark_alerts(mark, uses, receipt.receipt, view)]
    returned = {(receipt.of, sku): qty_milli for sku, qty_milli in settled.moved.items()} if receipt.of else {}
    if settled.moved:
        said += _return_alerts(receipt, settled, view)
    return replace(
        outcome,
        effects=(*outcome.effects, *_reserved(settled), *(Effect(sku, 0, PAID_AGAIN) for sku in settled.again)),
        marks=marks,
        returned=returned if receipt.kind is ReceiptKind.RETURN else {},
        alerts=tuple(said),
    )


def _copied(state: ReceiptState | None, receipt: str) -> Outcome:
    """A copy changes nothing; but who asks for one of nothing must be told, and not wait for the paper."""
    if state is None or state.state == Status.CANCELLED:
        why = "nobody has said what is on it" if state is None else "it was cancelled"
        raise Rejected("nothing-to-print", f"receipt {receipt} cannot be copied: {why}")
    return Outcome()


def _expired(wanted: Expire, view: View) -> Outcome:
    before = view.receipt(wanted.receipt)
    settled = expire(wanted, before)
    if settled.state is None or before is None:
        return Outcome()
    return Outcome(
        effects=tuple(_reserved(settled)),
        receipt=settled.state,
        alerts=(alerts.reservation_expired(before.receipt, before.number, before.reserved),),
    )


def _reserved(settled: Settled) -> Iterator[Effect]:
    for sku, change_milli in settled.reserved.items():
        yield Effect(sku, 0, "reserved" if change_milli > 0 else "released", reserved_milli=change_milli)


def _paid_again(settled: Settled, receipt: Receipt, fact: Fact, view: View) -> Iterator[Raised]:
    """A payment that repeats another has no effect; but a count between the two may have missed the goods or not."""
    again = tuple(view.payments(receipt.receipt))
    for sku in settled.again:
        stock = view.stock(sku)
        if stock is not None and stock.newest is not None and is_doubtful(Past(fact, 0, again=again), stock.newest):
            yield alerts.recount(sku, stock.newest, [*again, fact])


def _marks(receipt: Receipt) -> dict[str, int]:
    sign = -1 if receipt.kind is ReceiptKind.RETURN else 1
    found = Counter(mark for line in receipt.lines for mark in line.marks)
    return {mark: sign * times for mark, times in found.items()}


def _mark_alerts(mark: str, uses: int, receipt: str, view: View) -> Iterator[Raised | Cleared]:
    sold_on = Counter(view.sold_on(mark))
    before = sum(sold_on.values())
    sold_on[receipt] += uses
    if sum(sold_on.values()) > 1:
        yield alerts.mark_twice(mark, (one for one, times in sold_on.items() if times > 0))
    elif before > 1:
        yield Cleared("mark-twice", mark)


def _return_alerts(receipt: Receipt, settled: Settled, view: View) -> Iterator[Raised | Cleared]:
    """More may not come back than was sold. The sale may also arrive after its return, and then it is asked here."""
    is_return = receipt.kind is ReceiptKind.RETURN
    sale = receipt.of if is_return else receipt.receipt
    if sale is None:
        return
    sold, returned = Counter(view.sold(sale)), Counter(view.returned(sale))
    was_exceeded = bool(sold) and any(returned[sku] > sold[sku] for sku in returned)
    for sku, qty_milli in settled.moved.items():
        if is_return:
            returned[sku] += qty_milli
        else:
            sold[sku] -= qty_milli
    if not sold:
        return  # The sale is not known yet.
    excess = {sku: returned[sku] - sold[sku] for sku in returned if returned[sku] > sold[sku]}
    if excess:
        yield alerts.return_exceeds_sale(sale, excess)
    elif was_exceeded:
        yield Cleared("return-exceeds-sale", sale)


# --- counts -----------------------------------------------------------------------------------------------------------


def _counted(count: Count, fact: Fact, view: View) -> Outcome:
    stock = view.stock(count.sku) or Stock()
    past = view.past(count.sku, fact.seen)
    anchored = anchor(count.counted_milli, fact, stock.on_hand_milli, stock.newest, past, stock.horizon)
    effect = Effect(count.sku, anchored.correction_milli, COUNT, is_stocked=True, is_anchor=anchored.is_anchor)
    # Whether an uncertain one saw what is pruned cannot be told either; only it corrects by what is known.
    is_blind = anchored.is_beyond or (anchored.is_anchor and fact.is_uncertain and fact.seen < stock.horizon.rev)
    said: list[Raised | Cleared] = []
    if anchored.doubtful or is_blind:
        said.append(alerts.recount(count.sku, fact, anchored.doubtful))
    elif anchored.is_anchor and stock.reserved_milli and not count.includes_reserved:
        said.append(alerts.recount_reserved(count.sku, fact, stock.reserved_milli))
    elif anchored.is_anchor:
        said.append(Cleared("recount", count.sku))
    return Outcome(effects=(effect,), count=count, alerts=tuple(said))


# --- the catalogue ----------------------------------------------------------------------------------------------------


def _listed(item: Item, fact: Fact, view: View) -> Outcome:
    stock = view.stock(item.sku)
    # A SKU's first operation creates it at 0; that too is an entry, so that its history has a beginning.
    created = (Effect(item.sku, 0, "item"),) if stock is None else ()
    said: tuple[Raised, ...] = ()
    if item.unit in PIECES and (stock is None or stock.unit not in PIECES):
        parts = (one for one in view.past(item.sku, 0) if one.moved_milli % 1000)
        said = tuple(alerts.unit_mismatch(item.sku, one.moved_milli, one.fact) for one in list(parts)[:1])
    return Outcome(effects=created, item=item, alerts=said)


# --- what is watched of every balance ---------------------------------------------------------------------------------


def _watched(outcome: Outcome, fact: Fact, view: View) -> Iterator[Raised | Cleared]:
    """Compare each SKU that is touched before and after, and say what begins or ends."""
    touched: dict[str, list[Effect]] = {}
    for effect in outcome.effects:
        touched.setdefault(effect.sku, []).append(effect)
    if outcome.item is not None:
        touched.setdefault(outcome.item.sku, [])
    for sku, effects in touched.items():
        before = view.stock(sku) or Stock()
        after = replace(
            before,
            on_hand_milli=before.on_hand_milli + sum(effect.effect_milli for effect in effects),
            reserved_milli=before.reserved_milli + sum(effect.reserved_milli for effect in effects),
            is_stocked=before.is_stocked or any(effect.is_stocked for effect in effects),
        )
        _check_total(sku, "on hand", after.on_hand_milli)
        _check_total(sku, "reserved", after.reserved_milli)
        if outcome.item is not None and outcome.item.sku == sku:
            after = replace(after, unit=outcome.item.unit, low_milli=outcome.item.low_milli)
        yield from _oversold(sku, before, after, effects, fact, view)
        yield from _low(sku, before, after)
        yield from _in_parts(sku, after, effects, fact)


def _check_total(sku: str, what: str, milli: int) -> None:
    if abs(milli) > TOTAL_MAX_MILLI:
        at, most = format_qty(milli), format_qty(TOTAL_MAX_MILLI)
        raise Rejected("bad-quantity", f"{sku!r:.80} would have {at} {what}: at most {most} are kept")


def _oversold(
    sku: str, before: Stock, after: Stock, effects: list[Effect], fact: Fact, view: View
) -> Iterator[Raised | Cleared]:
    was, is_now = (stock.is_stocked and stock.on_hand_milli < 0 for stock in (before, after))
    if is_now and (not was or after.on_hand_milli != before.on_hand_milli):
        moved = sum(effect.effect_milli for effect in effects)
        newest = fact if any(effect.is_anchor for effect in effects) else before.newest
        yield alerts.oversell(sku, after.on_hand_milli, _led_there(sku, (fact, moved), newest, view))
    elif was and not is_now:
        yield Cleared("oversell", sku)


def _led_there(sku: str, last: tuple[Fact, int], newest: Fact | None, view: View) -> list[tuple[Fact, int]]:
    """What went out since goods came in or were counted last, the newest first: one of these was not there, or was.

    newest: the newest count, which has taken back what came late from before it; that led nowhere.
    """
    found = [last]
    for one in view.past(sku, 0):
        if one.is_count or one.moved_milli > 0 or len(found) == alerts.SIDES_MAX:
            break
        if one.moved_milli and (newest is None or order(one.fact, newest).is_after):
            found.append((one.fact, one.moved_milli))
    return found


def _low(sku: str, before: Stock, after: Stock) -> Iterator[Raised | Cleared]:
    was, is_now = (
        stock.is_stocked and stock.low_milli is not None and stock.on_hand_milli <= stock.low_milli
        for stock in (before, after)
    )
    if is_now and after.low_milli is not None and (not was or before.low_milli != after.low_milli):
        yield alerts.low_stock(sku, after.on_hand_milli, after.low_milli)
    elif was and not is_now:
        yield Cleared("low-stock", sku)


def _in_parts(sku: str, after: Stock, effects: list[Effect], fact: Fact) -> Iterator[Raised]:
    """A part of a whole thing was moved, counted or reserved."""
    parts = (effect.effect_milli or effect.reserved_milli for effect in effects if effect.cause != COUNTED_ALREADY)
    part_milli = next((milli for milli in parts if milli % 1000), None)
    if part_milli is not None and after.unit in PIECES:
        yield alerts.unit_mismatch(sku, part_milli, fact)
