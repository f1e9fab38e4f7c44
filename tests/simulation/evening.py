"""The evening of a simulated shop: everybody has come back and everything has drained, so now all must agree.

    ledger ◀──▶ what was made, what is retained, every till's screen, the paper, and the shelf

It is looked at once a day, so here everything may be read, and the product's own `verify` has its say too.
"""

from collections import Counter

import orjson

from appliance.contract.paper import COPY, REPEAT
from appliance.ledger.projection import Projection
from appliance.ledger.verify import verify
from tests.simulation.broken import DRAINED, ONCE, PAPER, SHELF, SUM, demand
from tests.simulation.world import World


def check(world: World) -> None:
    """Demand all that must be true of a shop that is healed.

    Raises Broken, or Violation when its ledger contradicts itself.
    """
    world.inspector.look()
    _operations(world)
    _screens(world)
    _shelf(world)
    _receipts(world)
    _paper(world)
    verify(world.network.shop.directory)


def _operations(world: World) -> None:
    """Everything that a till has made is in the ledger, unless it was lost with the till and nobody else had it."""
    for tag, device in world.people.made.items():
        operation = device, tag
        is_there = operation in world.inspector.present or operation in world.box.lost | world.may_be_lost
        demand(is_there, ONCE, *operation, "is nowhere any more")
    for operation, code in world.inspector.rejected.items():
        is_poison = code == "internal" and operation[1] in world.box.poison
        demand(is_poison or code == "nothing-to-print", ONCE, *operation, "was rejected:", code)


def _screens(world: World) -> None:
    """What is retained is what the ledger would say now, and so is what each till shows."""
    network = world.network
    shop = network.shop
    expected = dict(Projection(shop.topics, shop.reader, shop.coordinator.standing_alerts).everything())
    for topic, payload in expected.items():
        found = network.retained.get(topic)
        demand(found and _lasting(found) == _lasting(payload), DRAINED, topic, found, "and not", payload)
    printers = {shop.topics.printer(printer) for printer in shop.coordinator.has_jobs}
    for topic in network.retained:
        is_ours = shop.topics.sender(topic) is None and topic not in (shop.topics.coordinator, *printers)
        demand(not is_ours or topic in expected, DRAINED, topic, "is retained, and the ledger knows nothing of it")
    for balance in shop.reader.all_balances():
        story = shop.reader.explain(balance.sku)
        demand(story[-1].on_hand_milli == balance.on_hand_milli, SUM, balance.sku, "does not end in its balance")
        for till in network.tills:
            seen = till.session.view.balance(balance.sku)
            shown = (seen.on_hand_milli, seen.reserved_milli) if seen else None
            is_same = shown == (balance.on_hand_milli, balance.reserved_milli)
            demand(is_same, DRAINED, till.device, "shows", shown, "of", balance.sku, "and not", balance)


def _lasting(payload: bytes) -> dict[str, object]:
    """What is said, apart from what is not said again when it changes.

    How far the backups cover them devices are told only with their next ack; and why something was rejected may be
    pruned after it was said.
    """
    said: dict[str, object] = orjson.loads(payload)
    said.pop("safe", None)
    if isinstance(rejected := said.get("rejected"), list):
        said["rejected"] = [{**one, "detail": ""} for one in rejected]
    return said


def _shelf(world: World) -> None:
    """The ledger has what is on the shelf, but for what is to be counted again and what was lost with a till.

    Or set aside: when another till says it too, and a count lies between the two, the box can know only the later one.
    """
    present = _applied(world)
    known = {tag for _, tag in world.inspector.present}
    lost = [tag for tag in world.people.made if tag not in known]
    unsure = world.shelf.skus_of([*lost, *world.box.poison])
    recounts = world.inspector.kept("SELECT json_extract(facts, '$.sku') FROM alert WHERE kind = 'recount'")
    unsure |= {str(sku) for (sku,) in recounts}
    for sku in world.shelf.skus():
        if sku in unsure:
            world.faults["SKUs to be counted again"] += 1
            continue
        world.faults["SKUs compared with the shelf"] += 1
        expected_milli = world.shelf.on_hand(sku, present.__contains__)
        balance = world.network.shop.reader.balance(sku)
        found_milli = balance.on_hand_milli if balance else 0
        demand(found_milli == expected_milli, SHELF, sku, found_milli, "and on the shelf", expected_milli)


def _applied(world: World) -> set[str]:
    """The tags of what the ledger has taken in, but for what it had to set aside."""
    return {tag for _, tag in world.inspector.present} - world.box.poison


def _receipts(world: World) -> None:
    """Every receipt has come to what was done to it, and the open ones hold their goods."""
    present = _applied(world)
    kept = {str(receipt): state for receipt, state in world.inspector.kept("SELECT receipt, state FROM receipt")}
    reserved: Counter[str] = Counter()
    for receipt in world.shelf.receipts():
        state, goods = world.shelf.state(receipt, present.__contains__)
        found = kept.get(receipt, "")
        if state == "open" and found == "expired":
            world.faults["receipts expired"] += 1
            continue
        # A copy that was asked for of a receipt which was lost names it, and says nothing of it.
        demand(found == state, SHELF, "receipt", receipt, "is", found, "and should be", state)
        reserved.update(goods)
    for sku, milli in world.inspector.kept("SELECT code, reserved_milli FROM sku"):
        demand(milli == reserved[str(sku)], SHELF, sku, milli, "are reserved, and should be", reserved[str(sku)])


def _paper(world: World) -> None:
    """What was printed is on paper, and nothing is there twice without saying so.

    A restore takes the ledger back to before a sheet was printed, so it may come once more for each.
    """
    sheets = Counter(_named(sheet.job) for sheet in world.box.printer.sheets if sheet.is_whole)
    for (number, *marks), count in sheets.items():
        if not {COPY, REPEAT} & set(marks):
            demand(count <= 1, PAPER, number, "is on", count, "unmarked sheets")
    for doubtful, copies in world.inspector.kept("SELECT copy_of, count(*) FROM print_job GROUP BY copy_of"):
        demand(doubtful is None or copies == 1, PAPER, "job", doubtful, "has", copies, "copies")
    printed: Counter[tuple[str, ...]] = Counter()
    for operation, headings in world.inspector.kept(
        "SELECT operation, headings FROM print_job JOIN body USING (revision) WHERE state IN ('confirmed', 'fenced')"
    ):
        assert isinstance(operation, bytes)
        assert isinstance(headings, str)
        printed[orjson.loads(operation)["number"], *sorted(orjson.loads(headings))] += 1
    for name, count in printed.items():
        demand(sheets[name] >= count, PAPER, *name, "is said to be printed", count, "times, and is on", sheets[name])
    world.faults["sheets"] += sum(sheets.values())
    world.faults["sheets marked as copies"] += sum(count for name, count in sheets.items() if REPEAT in name)


def _named(job: bytes) -> tuple[str, ...]:
    """The number on a sheet, and what it says of itself."""
    number, *headings = orjson.loads(job)
    return number, *sorted(headings)
