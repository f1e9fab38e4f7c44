"""Fixed traces: short histories in which the absence of one protective rule loses, doubles or misplaces goods.

Random seeds meet some of these once in thousands of shop-days, so each is played as it is: with real tills, coordinator
and ledger, one message at a time. A trace returns what is physically on the shelf at its end; `play` then demands that
the ledger, the retained balances and every screen agree with that, or that a person is told to count again.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from appliance.ledger.verify import verify
from appliance.ledger.writer import Moment
from appliance.stock.alerts import name
from appliance.till import drafts
from tests.printing.press import Press, doubt
from tests.simulation.network import Network, Till

HOUR_MS = 3_600_000
APART_MS = 60_000
"""Long enough that nobody doubts which of two stamps is the earlier one."""

Shelf = Mapping[str, str]
"""What is there of each SKU."""


def play(trace: Callable[[Network], Shelf], directory: Path, *, is_external: bool = False) -> None:
    """Play a trace on a new shop in `directory`. Raises AssertionError where the shop is wrong.

    is_external: its broker stands beside the box.
    """
    network = Network(directory, seed=1, is_external=is_external)
    try:
        shelf = trace(network)
        for till in network.tills:
            network.connect(till)
        network.settle()
        for sku, there in shelf.items():
            if name("recount", sku) not in {alert.alert for alert in network.shop.reader.alerts()}:
                _agree(network, sku, there)
        verify(network.shop.directory)
    finally:
        network.close()


def _agree(network: Network, sku: str, there: str) -> None:
    assert network.shop.on_hand(sku) == there, f"{sku}: the ledger has {network.shop.on_hand(sku)}, the shelf {there}"
    retained = network.shop.retained(f"balance/{sku}")
    assert retained is not None, f"{sku}: no balance is retained"
    assert retained["on_hand"] == there, f"{sku}: {retained['on_hand']} is retained, the shelf has {there}"
    for till in network.tills:
        seen = till.session.view.balance(sku)
        assert seen is not None, f"{till.device} knows nothing of {sku}"
        assert seen.on_hand == there, f"{sku}: {till.device} shows {seen.on_hand}, the shelf has {there}"


def _sell(network: Network, till: Till, sku: str = "milk", pieces: int = 1) -> None:
    network.do(till, drafts.move(sku, -pieces, "sale"))


def _receive(network: Network, till: Till, pieces: int, sku: str = "milk") -> None:
    network.do(till, drafts.move(sku, pieces, "receive"))


def _count(network: Network, till: Till, pieces: int) -> None:
    network.do(till, drafts.count("milk", pieces, 0, includes_reserved=True))


def _tills(network: Network, *devices: str) -> list[Till]:
    tills = [network.add_till(device) for device in devices]
    for till in tills:
        network.connect(till)
    network.settle()
    return tills


def _clone(network: Network, till: Till) -> Till:
    """A till's storage is copied onto another device, which logs in under the same name and shakes hands, too."""
    clone = network.add_till(till.device, storage_of=till)
    network.connect(clone)
    network.settle()
    return clone


# --- whose operation it is --------------------------------------------------------------------------------------------


def tag_on_the_ack(network: Network) -> Shelf:
    """A clone that was offline sells under the name that the ack of the other one's sale bears."""
    [one] = _tills(network, "A")
    other = _clone(network, one)
    network.disconnect(other)
    _sell(network, other)
    _sell(network, one, pieces=10)
    network.settle()
    return {"milk": "-11"}


def after(network: Network) -> Shelf:
    """Two clones have shaken hands. One sells x as 1; the other y as 1, z as 2, and does not hear that y is refused."""
    [one] = _tills(network, "A")
    other = _clone(network, one)
    _sell(network, one, pieces=100)
    network.carry_in(one)
    network.turn()
    _sell(network, other, pieces=10)
    _sell(network, other)
    network.carry_in(other)
    network.carry_in(other)
    network.turn()
    network.disconnect(other)
    return {"milk": "-111"}


def _clones_conflict(network: Network, one: Till, other: Till) -> None:
    """Two clones sell under one name: the second one forks."""
    for till in (one, other):
        _sell(network, till)
        network.carry_in(till)
        network.turn()
    network.settle()


def refusal_without_ack(network: Network) -> Shelf:
    """One of two clones forks, which closes their epoch; the other one sells on in it."""
    [one] = _tills(network, "A")
    other = _clone(network, one)
    _clones_conflict(network, one, other)
    _sell(network, one, pieces=10)
    network.settle()
    return {"milk": "-12"}


def closed_parents(network: Network) -> Shelf:
    """A broker delivers a refused sale once more: when a fork has brought it, and to a ledger that was set back."""
    [one] = _tills(network, "A")
    _sell(network, one)
    network.settle()
    backup = network.back_up()
    other = _clone(network, one)
    _sell(network, other, pieces=10)
    network.carry_in(other)
    network.turn()
    network.disconnect(other)
    _sell(network, one, pieces=100)
    _, late = one.to_box[-1]
    network.settle()
    network.restart_box(backup=backup)
    network.connect(one)
    network.settle()
    network.shop.hand("A", late)
    network.turn()
    return {"milk": "-111"}


def tag_look_up(network: Network) -> Shelf:
    """a is in E and in a backup. A clone forks E to P, a clone of it P to P2; the ledger is restored, P2 arrives first.

    Whoever looks a up only among P2's parents finds it there; P, which comes after, must find what P2 has brought.
    """
    [one] = _tills(network, "A")
    _sell(network, one)
    network.settle()
    backup = network.back_up()
    first = _clone(network, one)
    _clones_conflict(network, first, one)
    second = _clone(network, one)
    _clones_conflict(network, second, one)
    network.restart_box(backup=backup)
    network.connect(one)
    network.settle()
    network.connect(second)
    network.settle()
    return {"milk": "-5"}


# --- how far it is ----------------------------------------------------------------------------------------------------


def handshake(network: Network) -> Shelf:
    """The box is set back to before it first heard of a till, which has nothing more to send by itself."""
    [one] = _tills(network, "A")
    backup = network.back_up()
    _sell(network, one)
    network.settle()
    network.restart_box(backup=backup)
    return {"milk": "-1"}


def handshake_on_a_new_run(network: Network) -> Shelf:
    """The same behind a broker of its own: the till stays connected, and the box's last will is lost on its way."""
    [one] = _tills(network, "A")
    backup = network.back_up()
    _sell(network, one)
    network.settle()
    network.stop_box()
    one.to_till.clear()
    network.start_box(backup=backup)
    network.link()
    assert one.is_connected, "its connection has outlived the run"
    return {"milk": "-1"}


def handshake_without_an_ack(network: Network) -> Shelf:
    """A broker takes a message, and loses it."""
    [one] = _tills(network, "A")
    _sell(network, one)
    one.to_box.popleft()
    network.settle()
    return {"milk": "-1"}


def safe(network: Network) -> Shelf:
    """The box is set back to before what a till was acked."""
    [one] = _tills(network, "A")
    _sell(network, one)
    network.settle()
    backup = network.back_up()
    _sell(network, one, pieces=10)
    network.settle()
    network.restart_box(backup=backup)
    return {"milk": "-11"}


def gap_check(network: Network) -> Shelf:
    """Of two messages the first is lost."""
    [one] = _tills(network, "A")
    _sell(network, one, pieces=10)
    _sell(network, one)
    one.to_box.popleft()
    network.settle()
    return {"milk": "-11"}


def deduplication(network: Network) -> Shelf:
    """A message arrives twice."""
    [one] = _tills(network, "A")
    _sell(network, one)
    network.carry_in(one, times=2)
    network.settle()
    return {"milk": "-1"}


# --- when it happened -------------------------------------------------------------------------------------------------


def run_in_the_stamp(network: Network) -> Shelf:
    """A sale has seen a revision of a run that a restore takes back whole; a count gets a lower one."""
    return _sale_that_saw_more(network, begins_a_run=True)


def clamp_of_seen(network: Network) -> Shelf:
    """A sale has seen revision 10 of a run; the ledger is restored to revision 1 of it; a count becomes 2."""
    return _sale_that_saw_more(network, begins_a_run=False)


def _sale_that_saw_more(network: Network, *, begins_a_run: bool) -> Shelf:
    desk, late, stock_room = _tills(network, "D", "A", "H")
    _receive(network, desk, 10)
    network.settle()
    backup = network.back_up()
    if begins_a_run:
        network.restart_box()
        for till in network.tills:
            network.connect(till)
    for _ in range(9):
        _sell(network, desk, "bread")
    network.settle()
    network.disconnect(late)
    _sell(network, late)
    network.restart_box(backup=backup)
    network.pass_time(APART_MS)
    network.connect(stock_room)
    network.settle()
    _count(network, stock_room, 9)
    network.settle()
    return {"milk": "9", "bread": "-9"}


def power_gap(network: Network) -> Shelf:
    """The box is off for an hour and does not know it. A sale from before a count bears the stamp of an hour after it.

    The till's clock ran on, so its stamps of the old run are right by its own lights.
    """
    desk, late, stock_room = _tills(network, "D", "A", "H")
    _receive(network, desk, 10)
    network.settle()
    network.stop_box()
    network.set_time(network.now_ms + HOUR_MS)
    _sell(network, late)
    network.start_box(moment=Moment("another boot", 0, None))
    network.link()
    network.pass_time(APART_MS)
    network.connect(stock_room)
    network.settle()
    _count(network, stock_room, 9)
    network.settle()
    network.pass_time(2 * HOUR_MS)
    return {"milk": "9"}


def happened_before(network: Network) -> Shelf:
    """The rule book's worked example: what a till sold offline before a count is in it, and what after is not."""
    desk, one, late, stock_room = _tills(network, "D", "A1", "A2", "H")
    _receive(network, desk, 20)
    _sell(network, desk, pieces=3)
    _sell(network, one, pieces=2)
    network.settle()
    network.disconnect(late)
    _sell(network, late, pieces=4)
    _sell(network, one, pieces=9)
    network.settle()
    network.pass_time(APART_MS)
    _count(network, stock_room, 2)
    network.settle()
    _sell(network, one)
    network.settle()
    network.pass_time(APART_MS)
    _sell(network, late)
    network.connect(late)
    network.settle()
    assert "recount" not in network.shop.alerts(), "a person is asked to count again what is clear"
    return {"milk": "0"}


def movements_after_a_late_count(network: Network) -> Shelf:
    """A count arrives after what was sold since."""
    desk, stock_room = _tills(network, "D", "H")
    _receive(network, desk, 10)
    network.settle()
    network.disconnect(stock_room)
    _count(network, stock_room, 10)
    network.pass_time(APART_MS)
    _sell(network, desk, pieces=3)
    network.settle()
    return {"milk": "7"}


# --- what is said, and when -------------------------------------------------------------------------------------------


def commit_before_ack(network: Network) -> Shelf:
    """The box is killed as soon as a till has heard that its sale is acked."""
    [one] = _tills(network, "A")
    _sell(network, one)
    while one.outbox.pending:
        network.carry_in(one)
        network.turn()
        network.carry_out(one)
    network.restart_box()
    assert network.shop.on_hand("milk") == "-1", "what was acked is not in the ledger"
    return {"milk": "-1"}


def announce_from_the_committer(network: Network) -> Shelf:
    """A till's connection is gone before what it said is committed."""
    one, _ = _tills(network, "A", "B")
    _sell(network, one)
    network.carry_in(one)
    network.disconnect(one)
    network.turn()
    return {"milk": "-1"}


def republish(network: Network) -> Shelf:
    """The broker beside the box is restarted, and has lost all that it retained."""
    [one] = _tills(network, "A")
    _sell(network, one)
    network.settle()
    network.stop_broker(is_forgetful=True)
    network.start_broker()
    network.link()
    return {"milk": "-1"}


# --- on paper ---------------------------------------------------------------------------------------------------------


def one_copy(directory: Path) -> None:
    """Nobody knows whether a sheet and its copy were printed, and a person asks twice for the first one."""
    press = Press(directory)
    try:
        press.driver.endings = [doubt()]
        press.receipt("r-1")
        press.drain()
        press.retry(1)
        press.retry(1)
        press.drain()
        assert len(press.driver.sheets) == 1, f"{len(press.driver.sheets)} copies of one sheet"
    finally:
        press.stop()


TRACES: Mapping[str, Callable[[Path], None]] = {
    "tag on the ack": partial(play, tag_on_the_ack),
    "after": partial(play, after),
    "refusal without ack": partial(play, refusal_without_ack),
    "closed parents": partial(play, closed_parents, is_external=True),
    "tag look-up": partial(play, tag_look_up),
    "handshake": partial(play, handshake),
    "handshake on a new run": partial(play, handshake_on_a_new_run, is_external=True),
    "handshake after 30 s without an ack": partial(play, handshake_without_an_ack, is_external=True),
    "safe": partial(play, safe),
    "gap check": partial(play, gap_check, is_external=True),
    "deduplication": partial(play, deduplication),
    "run in the stamp": partial(play, run_in_the_stamp),
    "clamp of seen": partial(play, clamp_of_seen),
    "power gap": partial(play, power_gap),
    "count's happened-before": partial(play, happened_before),
    "stamps of what is concurrent": partial(play, happened_before),
    "movements after a late count": partial(play, movements_after_a_late_count),
    "commit before ack": partial(play, commit_before_ack),
    "announce from the committer": partial(play, announce_from_the_committer),
    "republish after a broker restart": partial(play, republish, is_external=True),
    "one copy of a doubtful sheet": one_copy,
}
"""A history for each rule, by the rule's name. Raises AssertionError or Violation, in a new directory, without it."""
