"""A scanner is told from a person by its speed alone, and no key of a person's is lost or comes out of turn."""

import pytest

from appliance.cli.till.wedge import GAP_S, Wedge

CODE = "4607001234562"
FAST_S, SLOW_S = 0.01, 0.12


def type_in(wedge: Wedge[str], text: str, each_s: float, start_s: float = 0.0) -> tuple[list[str], float]:
    """Type a text; return what was handed on meanwhile, and when the last key came."""
    handed_on: list[str] = []
    now_s = start_s
    for character in text:
        now_s += each_s
        handed_on += wedge.due(now_s)
        handed_on += wedge.typed(character, character, now_s)
    return handed_on, now_s


@pytest.mark.parametrize("code", [CODE, "010460700123456221a\x1d93dGVz", "ABC-123"])
def test_a_burst_that_ends_with_enter_is_a_scan_and_no_key(code: str) -> None:
    wedge: Wedge[str] = Wedge()
    handed_on, now_s = type_in(wedge, code, FAST_S)
    assert handed_on == []
    assert wedge.entered(now_s + FAST_S) == code
    assert not wedge.is_holding


def test_what_a_person_types_is_handed_on_in_order() -> None:
    wedge: Wedge[str] = Wedge()
    handed_on, now_s = type_in(wedge, CODE, SLOW_S)
    assert "".join(handed_on) == CODE[:-1]
    assert wedge.entered(now_s + SLOW_S) is None
    assert wedge.released() == [CODE[-1]]


def test_a_scan_after_typing_leaves_what_was_typed_to_the_person() -> None:
    wedge: Wedge[str] = Wedge()
    typed, now_s = type_in(wedge, "mo", SLOW_S)
    scanned, now_s = type_in(wedge, CODE, FAST_S, now_s + SLOW_S)
    assert typed + scanned == ["m", "o"]
    assert wedge.entered(now_s + FAST_S) == CODE


@pytest.mark.parametrize("text", ["12345", "молоко1", "bread rolls", "abcdefgh"])
def test_a_fast_hand_or_a_paste_is_no_scan(text: str) -> None:
    wedge: Wedge[str] = Wedge()
    _, now_s = type_in(wedge, text.replace(" ", ""), FAST_S)
    assert wedge.entered(now_s + FAST_S) is None
    assert wedge.released() == list(text.replace(" ", ""))


def test_an_enter_that_comes_late_is_a_persons() -> None:
    wedge: Wedge[str] = Wedge()
    _, now_s = type_in(wedge, CODE, FAST_S)
    assert wedge.entered(now_s + 2 * GAP_S) is None
    assert "".join(wedge.released()) == CODE


def test_keys_wait_no_longer_than_a_scanner_takes() -> None:
    wedge: Wedge[str] = Wedge()
    _, now_s = type_in(wedge, "46", FAST_S)
    assert wedge.due(now_s + GAP_S / 2) == []
    assert wedge.due(now_s + 2 * GAP_S) == ["4", "6"]
    assert wedge.due(now_s + 3 * GAP_S) == []
