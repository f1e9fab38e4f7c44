"""Receipts that several devices hold: where one ends, in every order of arrival."""

from collections.abc import Iterator
from itertools import combinations, permutations

import pytest

from appliance.stock.operation import Body, Component, Expire, Line, Move, Reason, Receipt, ReceiptKind, Status
from appliance.stock.order import Fact
from appliance.stock.receipts import goods
from tests.stock.memory import Memory

Word = tuple[str, Body]
"""A device, and what it says."""

SALE, RETURN = ReceiptKind.SALE, ReceiptKind.RETURN


def _receipt(
    status: Status, qty_milli: int = 1_000, *, edit: int = 1, kind: ReceiptKind = SALE, **more: object
) -> Receipt:
    lines = (Line("A", qty_milli),) if qty_milli else ()
    return Receipt("r-1", kind, status, lines, edit, of=None if more.get("of") is None else str(more["of"]))


OPEN_1: Word = ("A1", _receipt(Status.OPEN, 1_000, edit=1))
OPEN_2: Word = ("A2", _receipt(Status.OPEN, 2_000, edit=2))
PAID: Word = ("D", _receipt(Status.PAID, 3_000, edit=2))
CANCELLED: Word = ("A1", _receipt(Status.CANCELLED, 0, edit=1))
EXPIRE: Word = ("_shop", Expire("r-1", 2))
WORDS = (OPEN_1, OPEN_2, PAID, CANCELLED, EXPIRE)


def _take(memory: Memory, device: str, body: Body, shop_ms: int = 100_000) -> None:
    memory.take(body, Fact(device, "epoch", memory.rev + 1, 0, shop_ms, 0, is_uncertain=False))


def _ends(words: tuple[Word, ...]) -> Memory:
    memory = Memory()
    _take(memory, "D", Move("A", 10_000, Reason.RECEIVE))
    for device, body in words:
        _take(memory, device, body)
    return memory


def _interleavings() -> Iterator[tuple[Word, ...]]:
    """Every choice of what was said of the receipt, in every order that keeps A1's own."""
    for size in range(1, len(WORDS) + 1):
        for chosen in combinations(WORDS, size):
            for words in permutations(chosen):
                if OPEN_1 not in words or CANCELLED not in words or words.index(OPEN_1) < words.index(CANCELLED):
                    yield words


def _expected(words: tuple[Word, ...]) -> tuple[str | None, int, int, set[str]]:
    """State, on hand, reserved and alerts, as the contract's words have them: the winner counts, and not the order.

    Only expiry is said by the coordinator of what it has at that moment, so there alone the order matters.
    """
    ended = next((words.index(word) for word in words if word in (PAID, CANCELLED)), len(words))
    has_expired = OPEN_2 in words and EXPIRE in words and words.index(OPEN_2) < words.index(EXPIRE) < ended
    if PAID in words:
        # A payment wins over all, whenever it comes; it is in order only when nobody had given the goods up by then.
        is_conflict = CANCELLED in words or has_expired
        return "paid", 7_000, 0, {"receipt-conflict"} if is_conflict else set()
    if CANCELLED in words:
        return "cancelled", 10_000, 0, set()
    if has_expired:
        return "expired", 10_000, 0, {"reservation-expired"}
    if OPEN_2 in words:
        return "open", 10_000, 2_000, set()
    if OPEN_1 in words:
        return "open", 10_000, 1_000, set()
    return None, 10_000, 0, set()


def test_a_receipt_ends_as_the_contract_says_in_every_order() -> None:
    seen = 0
    for words in _interleavings():
        memory = _ends(words)
        state = memory.receipt("r-1")
        found = state and state.state, memory.on_hand(), memory.reserved(), memory.kinds()
        assert found == _expected(words), words
        assert state is None or sum(state.reserved.values()) == memory.reserved(), words
        seen += 1
    assert seen == 219


@pytest.mark.parametrize("words", list(permutations([OPEN_1, OPEN_2, ("A2", _receipt(Status.OPEN, 4_000, edit=1))])))
def test_among_opens_the_highest_edit_and_then_the_highest_device_wins(words: tuple[Word, ...]) -> None:
    assert _ends(words).reserved() == 2_000
    same_edit = tuple(word for word in words if word is not OPEN_2)
    assert _ends(same_edit).reserved() == 4_000


@pytest.mark.parametrize("stamps", list(permutations([(1_000, 100_000), (4_000, 103_000), (2_000, 102_000)])))
def test_among_the_alike_opens_of_two_clones_the_later_one_wins(stamps: tuple[tuple[int, int], ...]) -> None:
    memory = Memory()
    for qty_milli, shop_ms in stamps:
        _take(memory, "A1", _receipt(Status.OPEN, qty_milli), shop_ms)
    assert memory.reserved() == 4_000


def test_an_edit_replaces_all_that_was_reserved() -> None:
    memory = _ends((OPEN_1,))
    other = Receipt("r-1", SALE, Status.OPEN, (Line("B", 500), Line("B", 250)), edit=2)
    _take(memory, "A1", other)
    assert (memory.reserved("A"), memory.reserved("B")) == (0, 750)
    _take(memory, "A1", Receipt("r-1", SALE, Status.OPEN, (), edit=3))
    assert (memory.reserved("A"), memory.reserved("B")) == (0, 0)


def test_an_expiry_of_an_edit_that_is_no_longer_the_newest_releases_nothing() -> None:
    memory = _ends((OPEN_1, OPEN_2))
    _take(memory, "_shop", Expire("r-1", 1))
    _take(memory, "_shop", Expire("r-unknown", 1))
    assert (memory.reserved(), memory.kinds()) == (2_000, set())


@pytest.mark.parametrize("end", [EXPIRE, CANCELLED])
def test_goods_paid_after_the_reservation_was_given_up_move_and_a_person_is_told(end: Word) -> None:
    memory = _ends((OPEN_2, end))
    assert memory.reserved() == 0
    _take(memory, *PAID)
    assert (memory.on_hand(), memory.kinds()) == (7_000, {"receipt-conflict"})


def test_an_expired_receipt_is_opened_again_by_an_edit() -> None:
    memory = _ends((OPEN_2, EXPIRE, ("A1", _receipt(Status.OPEN, 1_000, edit=3))))
    assert (memory.reserved(), memory.kinds()) == (1_000, set())


@pytest.mark.parametrize("words", list(permutations([("A1", 2_000), ("A2", 2_000), ("D", 3_000), ("A2", 3_000)])))
def test_each_of_a_receipt_s_payments_moves_its_goods_once(words: tuple[tuple[str, int], ...]) -> None:
    memory = _ends(tuple((device, _receipt(Status.PAID, qty_milli)) for device, qty_milli in words))
    assert (memory.on_hand(), memory.kinds()) == (5_000, {"receipt-conflict"})


def test_paying_less_than_was_reserved_releases_all_of_it() -> None:
    memory = _ends((OPEN_2, ("D", _receipt(Status.PAID, 500))))
    assert (memory.on_hand(), memory.reserved()) == (9_500, 0)


def test_a_kit_s_line_reserves_and_moves_its_parts() -> None:
    line = Line("kit", 2_000, components=(Component("cheese", 150), Component("bread", 1_000)))
    assert goods((line, Line("bread", 1_000))) == {"cheese": 300, "bread": 3_000}
    memory = Memory()
    _take(memory, "A1", Receipt("r-1", SALE, Status.OPEN, (line,)))
    assert (memory.stock("kit"), memory.reserved("cheese"), memory.reserved("bread")) == (None, 300, 2_000)
    _take(memory, "A1", Receipt("r-1", SALE, Status.PAID, (line,)))
    assert (memory.on_hand("cheese"), memory.reserved("cheese"), memory.on_hand("bread")) == (-300, 0, -2_000)


# --- what comes back --------------------------------------------------------------------------------------------------

SOLD = ("A1", Receipt("s-1", SALE, Status.PAID, (Line("A", 3_000),)))
BACK_1 = ("D", Receipt("b-1", RETURN, Status.PAID, (Line("A", 1_000),), of="s-1"))
BACK_3 = ("D", Receipt("b-3", RETURN, Status.PAID, (Line("A", 3_000),), of="s-1"))
BACK_OTHER = ("D", Receipt("b-o", RETURN, Status.PAID, (Line("B", 1_000),), of="s-1"))
BACK_BARE = ("D", Receipt("b-b", RETURN, Status.PAID, (Line("A", 9_000),)))
SOLD_MORE = ("A2", Receipt("s-1", SALE, Status.PAID, (Line("A", 1_000),)))


@pytest.mark.parametrize(
    ("words", "on_hand", "kinds"),
    [
        ((SOLD, BACK_1), 8_000, set()),
        ((SOLD, BACK_1, BACK_1), 8_000, set()),
        ((SOLD, BACK_3), 10_000, set()),
        ((SOLD, BACK_1, BACK_3), 11_000, {"return-exceeds-sale"}),
        ((SOLD, BACK_OTHER), 7_000, {"return-exceeds-sale"}),
        ((SOLD, BACK_BARE), 16_000, set()),
        ((BACK_1, BACK_3), 14_000, set()),  # As long as the sale is not known, nothing is exceeded.
        ((SOLD, SOLD_MORE, BACK_1, BACK_3), 10_000, {"receipt-conflict"}),
    ],
)
def test_goods_that_come_back_are_held_against_their_sale_in_every_order(
    words: tuple[Word, ...], on_hand: int, kinds: set[str]
) -> None:
    for order_of_arrival in permutations(words):
        memory = _ends(order_of_arrival)
        assert (memory.on_hand(), memory.kinds()) == (on_hand, kinds), order_of_arrival


def test_a_return_that_exceeds_its_sale_names_it_and_by_how_much() -> None:
    raised = _ends((SOLD, BACK_1, BACK_3)).alerts["return-exceeds-sale", "s-1"]
    assert raised.facts == {"receipt": "s-1", "excess": {"A": "1"}}


def test_an_open_return_reserves_nothing() -> None:
    memory = _ends((("A1", _receipt(Status.OPEN, 1_000, kind=RETURN)),))
    assert (memory.on_hand(), memory.reserved()) == (10_000, 0)
    _take(memory, "A1", _receipt(Status.PAID, 1_000, kind=RETURN))
    assert memory.on_hand() == 11_000


# --- marked goods -----------------------------------------------------------------------------------------------------


def _marked(receipt: str, *marks: str, kind: ReceiptKind = SALE, of: str | None = None) -> Word:
    lines = (Line("shoe", 1_000 * len(marks), marks=marks),)
    return "A1", Receipt(receipt, kind, Status.PAID, lines, of=of)


def test_an_item_sold_on_two_receipts_names_both_in_either_order() -> None:
    for words in permutations([_marked("r-1", "m"), _marked("r-2", "m"), _marked("r-3", "other")]):
        memory = _ends(words)
        assert memory.kinds() == {"mark-twice"}
        assert memory.alerts["mark-twice", "m"].facts == {"mark": "m", "receipts": ["r-1", "r-2"]}


def test_an_item_scanned_twice_on_one_receipt_is_told() -> None:
    raised = _ends((_marked("r-1", "m", "m"),)).alerts["mark-twice", "m"]
    assert raised.facts == {"mark": "m", "receipts": ["r-1"]}


def test_an_item_that_came_back_may_be_sold_again_in_every_order_of_arrival() -> None:
    words = [_marked("r-1", "m"), _marked("b-1", "m", kind=RETURN, of="r-1"), _marked("r-2", "m")]
    for order_of_arrival in permutations(words):
        assert _ends(order_of_arrival).kinds() == set(), order_of_arrival


def test_a_return_that_arrives_late_ends_the_alert() -> None:
    memory = _ends((_marked("r-1", "m"), _marked("r-2", "m")))
    assert memory.kinds() == {"mark-twice"}
    _take(memory, *_marked("b-1", "m", kind=RETURN))
    assert memory.kinds() == set()


def test_the_same_receipt_paid_twice_sells_its_marked_items_once() -> None:
    assert _ends((_marked("r-1", "m"), _marked("r-1", "m"))).kinds() == set()


def test_an_open_receipt_has_sold_no_marked_item() -> None:
    opened = Receipt("r-1", SALE, Status.OPEN, (Line("shoe", 1_000, marks=("m",)),))
    assert _ends((("A1", opened), _marked("r-2", "m"))).kinds() == set()
