"""A pre-check in blocks: what the guest is asked to pay or has paid, and that this is no fiscal document.

The order is the one of the shop's template; the title, the warning, the goods, the sum and the notice always stand. A
cook's order is the short form of the same: what is to be made, for which table, and nothing that only a guest reads.
"""

from collections.abc import Iterator

from appliance.printing.layout.blocks import Align, Block, Code, Cut, Pair, Rule, Size, Space, Text
from appliance.printing.layout.receipt import Heading, PreCheck, PreCheckLine, Purpose, cost_of
from appliance.printing.layout.template import Field, ShopField, Template
from appliance.printing.layout.words import LANGUAGES, Words

_INDENT = 2
"""Cells that what belongs to a line is set in from its name."""


def precheck(of: PreCheck, template: Template) -> tuple[Block, ...]:
    """Return the blocks of one sheet, its cut included."""
    words = LANGUAGES[template.language]
    return (
        *_top(of, template, words),
        *_facts(of, template, words),
        *_changes(of, words),
        *(block for line in of.lines for block in _line(line, of.currency, words)),
        *_end(of, template, words),
    )


def _top(of: PreCheck, template: Template, words: Words) -> Iterator[Block]:
    if of.purpose is not Purpose.ORDER:
        yield from _letterhead(of, template, words)
    for heading in of.headings:
        text = {
            Heading.COPY: words.copy,
            Heading.EDITED: words.edited,
            Heading.REPEAT: words.repeat,
            Heading.TEST: words.test,
        }[heading]
        yield Text(text, Align.CENTRE, bold=True, size=Size.TALL)
    yield Text(words.of(of.kind, of.purpose).title, Align.CENTRE, bold=True, size=Size.DOUBLE)
    if of.purpose is not Purpose.ORDER:
        yield Text(words.not_fiscal, Align.CENTRE)
    yield Rule()


def _letterhead(of: PreCheck, template: Template, words: Words) -> Iterator[Block]:
    if template.logo is not None:
        yield template.logo
    for field in template.shop:
        match field:
            case ShopField.NAME:
                yield Text(of.shop.name, Align.CENTRE, bold=True)
            case ShopField.INN if of.shop.inn:
                yield Text(f"{words.inn} {of.shop.inn}", Align.CENTRE)
            case ShopField.ADDRESS:
                yield Text(of.shop.address, Align.CENTRE)
    for line in template.header:
        yield _in_the_middle(line)
    yield Space()


def _in_the_middle(line: str) -> Block:
    """A line of the template; an empty one is a space that its author wants."""
    return Text(line, Align.CENTRE) if line.strip() else Space()


def _facts(of: PreCheck, template: Template, words: Words) -> Iterator[Block]:
    facts = {
        Field.NUMBER: (words.number, of.number),
        Field.TIME: (words.time, words.moment(of.at)),
        Field.DEVICE: (words.device, of.device),
        Field.CASHIER: (words.cashier, of.cashier),
        Field.TABLE: (words.table, of.table),
    }
    pairs = [Pair(f"{label}:", value) for label, value in (facts[field] for field in template.fields) if value]
    yield from pairs
    if pairs:
        yield Rule()


def _changes(of: PreCheck, words: Words) -> Iterator[Block]:
    """What is other than on the sheet that this one replaces, so that a cook or a guest need not compare."""
    if Heading.EDITED not in of.headings:
        return
    yield Text(f"{words.changes}:", bold=True)
    before, now = _by_sku(of.before), _by_sku(of.lines)
    is_same = True
    for sku in {**now, **before}:
        if change := _change(before.get(sku, ()), now.get(sku, ()), of.currency, words):
            yield Pair((now.get(sku) or before[sku])[0].name, change)
            is_same = False
    if is_same:
        yield Text(words.unchanged)
    yield Rule()


def _by_sku(lines: tuple[PreCheckLine, ...]) -> dict[str, tuple[PreCheckLine, ...]]:
    found: dict[str, tuple[PreCheckLine, ...]] = {}
    for line in lines:
        found[line.sku] = (*found.get(line.sku, ()), line)
    return found


def _change(before: tuple[PreCheckLine, ...], now: tuple[PreCheckLine, ...], currency: str, words: Words) -> str:
    """Return what changed of one SKU; "" when nothing did."""
    unit = (now or before)[0].unit
    was, is_now = (words.quantity(sum(line.qty_milli for line in lines), unit) for lines in (before, now))
    if not before:
        return words.added.format(is_now)
    if not now:
        return words.removed.format(was)
    if was != is_now:
        return words.was_is.format(was, is_now)
    cost, costs = cost_of(before), cost_of(now)
    if cost is None or costs is None or cost == costs:
        return ""
    return words.amount.format(words.was_is.format(words.money(cost, currency), words.money(costs, currency)))


def _line(line: PreCheckLine, currency: str, words: Words) -> Iterator[Block]:
    """Name, then quantity × price = amount; a discount stands between, so that what is multiplied is also equal."""
    yield Text(line.name)
    quantity = words.quantity(line.qty_milli, line.unit)
    amount = "" if line.amount_minor is None else f"= {words.money(line.amount_minor, currency)}"
    priced = quantity if line.price_minor is None else f"{quantity} × {words.money(line.price_minor, currency)}"
    if not line.discount_minor:
        yield Pair(priced, amount, _INDENT)
        return
    yield Pair(priced, "", _INDENT)
    yield Pair(f"{words.discount.lower()} {words.money(-line.discount_minor, currency)}", amount, _INDENT)


def _end(of: PreCheck, template: Template, words: Words) -> Iterator[Block]:
    yield Rule()
    if of.purpose is not Purpose.ORDER:
        yield from _sums(of, words)
        yield from _bottom(of, template, words)
    yield Cut()


def _sums(of: PreCheck, words: Words) -> Iterator[Block]:
    if of.discount_minor:
        if of.total_minor is not None:
            yield Pair(words.subtotal, words.money(of.total_minor + of.discount_minor, of.currency))
        yield Pair(words.discount, words.money(-of.discount_minor, of.currency))
    # A bill without a sum would be taken for a mistake, or for a gift.
    total = words.unsaid if of.total_minor is None else words.money_named(of.total_minor, of.currency)
    yield Pair(words.of(of.kind, of.purpose).total, total, bold=True, size=Size.DOUBLE)
    yield Rule()


def _bottom(of: PreCheck, template: Template, words: Words) -> Iterator[Block]:
    yield Text(words.of(of.kind, of.purpose).notice, Align.CENTRE)
    for line in (words.thanks,) if template.footer is None else template.footer:
        yield _in_the_middle(line)
    if template.qr:
        yield Space()
        yield Code(of.receipt)
