"""One item has one identity, in whatever form a scanner gives its code, and two items never share one."""

import re
import string
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contract.limits import TEXT_MAX
from appliance.contract.marks import identity

GS = "\x1d"

# GS1's character set 82, of which serials and tails are made.
CHARACTERS = string.ascii_letters + string.digits + "!\"%&'()*+,-./_:;=<>?"

KEY = "91EE06"
SIGNATURE = "92q7Jc/1+Vd3mXy0ZtK9sW4bR8uN2hL6gTfPoAiEeQwYk="
LONG_SIGNATURE = SIGNATURE + SIGNATURE[2:]

# GTIN, serial, and the elements behind them, in the lengths that Честный ЗНАК documents for the product group.
ITEMS = {
    "shoes": ("04690257528523", "G+mgsHw<DiLN_", [KEY, LONG_SIGNATURE]),
    "shoes of the first years": ("04690257528523", "5FBC'm,t;2%Qz", ["2406403", KEY, LONG_SIGNATURE]),
    "clothes": ("04610008338218", "5'W93cB\"91EE0", [KEY, SIGNATURE]),
    "perfume": ("04607063428121", "5918293KLMN(x", [KEY, SIGNATURE]),
    "a camera": ("04610008338218", "5aB.cD/eF-gH93jK(9x)", [KEY, SIGNATURE]),
    "milk": ("04600439931256", "5dEvY8", ["93cXr7"]),
    "milk with 93 in its serial": ("04600439931256", "5a93bc", ["93cXr7"]),
    "weighed cheese": ("04600439931256", "5m9xG,", ["93Zx1+", "3103000353"]),
    "water": ("04607063428121", "5kMZbUeDGG<e+", ["93dGVz"]),
    "beer": ("09001432002380", "5ahbhn?", ["93lMv9"]),
    "a block of tobacco": ("04600439931256", "JgXJ5.T", ["8005112000", "93Mdlr"]),
    "a block of tobacco without its check": ("04600439931256", "JgXJ5.T", ["8005112000"]),
    "a pack of tobacco in the long form": ("00000046198488", "X?io+qC", ["8005014900", "93wAYa"]),
}

PACK = "00000046198488X?io+qCABm8wAYa"
PACK_IDENTITY = "010000004619848821X?io+qC"

Form = Callable[[str, str, list[str]], str]


def separated(gtin: str, serial: str, tail: list[str]) -> str:
    return GS.join([f"01{gtin}21{serial}", *tail])


def bracketed(gtin: str, serial: str, tail: list[str]) -> str:
    digits_of_ai = {"2": 3, "3": 4, "8": 4, "9": 2}
    cuts = [(digits_of_ai[element[0]], element) for element in tail]
    return f"(01){gtin}(21){serial}" + "".join(f"({element[:cut]}){element[cut:]}" for cut, element in cuts)


def bare(gtin: str, serial: str, tail: list[str]) -> str:
    return f"01{gtin}21{serial}"


# These forms say where the serial ends, so any serial is read from them.
CERTAIN_FORMS: dict[str, Form] = {
    "with separators": separated,
    "behind the prefix of GS1 DataMatrix": lambda *item: "]d2" + separated(*item),
    "behind the prefix of GS1-128": lambda *item: "]C1" + separated(*item),
    "behind a separator": lambda *item: GS + separated(*item),
    "behind a prefix and a separator": lambda *item: "]d2" + GS + separated(*item),
    "behind FNC1 taken for a character": lambda *item: "è" + separated(*item),
    "before the scanner's end of line": lambda *item: separated(*item) + "\r\n",
    "cut off, but for the separator": lambda *item: bare(*item) + GS + "\r\n",
    "behind a best-before date": lambda *item: "15261124" + separated(*item),
    "with a lot and a date inside": lambda gtin, serial, tail: GS.join(
        [f"01{gtin}10L21/01", f"1726112421{serial}", *tail]
    ),
    "in brackets": bracketed,
    "in brackets and spaces": lambda *item: bracketed(*item).replace("(01)", "(01) ").replace("(21)", " (21) "),
}

# In these it follows from the lengths that the product group has.
GUESSED_FORMS: dict[str, Form] = {
    "without separators": lambda gtin, serial, tail: bare(gtin, serial, tail) + "".join(tail),
    "without separators behind a prefix and one": lambda gtin, serial, tail: (
        "]d2" + GS + bare(gtin, serial, tail) + "".join(tail)
    ),
    "cut off behind the serial": bare,
}

FORMS = {**CERTAIN_FORMS, **GUESSED_FORMS}

gtins = st.integers(0, 10**13 - 1).map(lambda number: with_check_digit(f"{number:013}"))
serials = st.text(CHARACTERS, min_size=1, max_size=20).filter(lambda serial: re.search(r"\([0-9]+\)", serial) is None)
tails = st.sampled_from([tail for _, _, tail in ITEMS.values()])


def with_check_digit(thirteen: str) -> str:
    """The GTIN of thirteen digits, its check digit found by trial, for the code under test computes it."""
    digits = [int(digit) for digit in thirteen]
    odd, even = digits[0::2], digits[1::2]
    return next(f"{thirteen}{check}" for check in range(10) if (check + sum(odd) * 3 + sum(even)) % 10 == 0)


@pytest.mark.parametrize("item", ITEMS.values(), ids=ITEMS)
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_form_of_an_item_has_its_identity(form: Form, item: tuple[str, str, list[str]]) -> None:
    gtin, serial, _ = item
    assert identity(form(*item)) == f"01{gtin}21{serial}"


def test_the_examples_have_the_lengths_that_are_seen_in_trade() -> None:
    lengths = {name: len(separated(*item)) for name, item in ITEMS.items()}
    assert lengths["shoes"] == 129
    assert lengths["clothes"] == lengths["perfume"] == 85
    assert lengths["milk"] == 31
    assert lengths["water"] == 38
    assert lengths["a block of tobacco"] == 43
    assert len(PACK) == 29


@pytest.mark.parametrize("code", [PACK, PACK[:25], PACK[:21], "]d1" + PACK, PACK + "\r"])
def test_a_pack_has_the_same_identity_in_the_short_form_as_in_the_long_one(code: str) -> None:
    assert identity(code) == PACK_IDENTITY
    assert identity(separated("00000046198488", "X?io+qC", ["8005014900", "93wAYa"])) == PACK_IDENTITY


@pytest.mark.parametrize("length", [20, 22, 24, 26, 28, 30, 33])
def test_a_short_form_of_another_length_is_no_mark(length: int) -> None:
    assert identity((PACK + "5678")[:length]) is None


@pytest.mark.parametrize("form", [separated, GUESSED_FORMS["without separators"]])
def test_the_crypto_tail_is_no_part_of_the_identity(form: Form) -> None:
    one = form("04690257528523", "G+mgsHw<DiLN_", ["91EE06", SIGNATURE])
    other = form("04690257528523", "G+mgsHw<DiLN_", ["91EE05", SIGNATURE.replace("q", "Q")])
    assert identity(one) == identity(other) is not None


def test_items_that_differ_in_the_case_of_one_letter_are_two() -> None:
    assert identity(bare("04600439931256", "5dEvY8", [])) != identity(bare("04600439931256", "5dEvy8", [])) is not None


@pytest.mark.parametrize(
    "element",
    [
        *("00046070634281210017", "0204607063428121", "0304607063428121", "04" + "7" * 16, "11261124", "19261124"),
        *("2007", "3103000353", "3650000012", "4104607063428121"),
    ],
)
def test_an_element_of_predefined_length_needs_no_separator(element: str) -> None:
    for code in (f"{element}0104607063428121215dEvY8", f"0104607063428121{element}215dEvY8{GS}93cXr7"):
        assert identity(code) == "0104607063428121215dEvY8"


def test_a_separator_forbids_to_take_the_end_of_a_serial_for_a_tail() -> None:
    assert identity(f"010460043993125610LOT{GS}215dEvY893cXr7") == "0104600439931256215dEvY893cXr7"
    assert identity(f"0104600439931256215dEvY893cXr7{GS}") == "0104600439931256215dEvY893cXr7"


@pytest.mark.parametrize(
    ("length", "is_tail"), [(1, True), (43, True), (44, True), (88, True), (90, True), (91, False)]
)
def test_a_signature_has_any_length_that_its_element_may_have(length: int, is_tail: bool) -> None:
    found = identity(f"010469025752852321G+mgsHw<DiLN_91EE0692{'a' * length}")
    assert found == ("010469025752852321G+mgsHw<DiLN_" if is_tail else None)


def test_without_separators_an_end_that_looks_like_a_tail_is_one() -> None:
    assert identity("0104600439931256215dEvY893cXr7") == "0104600439931256215dEvY8"
    assert identity("0104600439931256215dE93cXr7") == "0104600439931256215dE93cXr7", "no serial is as short as that"


def test_a_long_form_is_never_taken_for_a_short_one() -> None:
    block = "010460043993125621JgXJ5.T"
    assert len(block) == len(PACK[:25])
    assert identity(block) == block


@pytest.mark.parametrize("gtin", ["04690257528524", "04690257528532", "00000046198489"])
def test_a_gtin_with_a_wrong_check_digit_is_no_mark(gtin: str) -> None:
    assert identity(separated(gtin, "G+mgsHw<DiLN_", [KEY, SIGNATURE])) is None
    assert identity(gtin + PACK[14:]) is None


@pytest.mark.parametrize(
    "code",
    [
        "",
        "4607063428121",
        "04607063428121",
        "0104607063428121",
        "010460706342812121",
        f"0104607063428121{GS}93dGVz",
        f"010460706342812121{GS}93dGVz",
        "0104607063428121215kMZbUeDGG<e+abcdefgh",
        f"0104607063428121215kMZbUeDGG<e+abcdefgh{GS}93dGVz",
        "010460706342812121код",
        f"0104607063428121215kMZ UeDGG<e+{GS}93dGVz",
        "0104607063428121215kMZ\ud800",
        "01٠٤٦٠٧٠٦٣٤٢٨١٢١215dEvY8",
        "01046070634281²1215dEvY8",
        "00046070634281210017",
        "(01)04607063428121",
        "abcdefghijklmnX?io+qC",
        "010460706342812A215dEvY8",
        "()(21)5dEvY8",
        "https://example.org/01/04607063428121/21/5dEvY8",
        "22N00000XOIJT87CH2W0123456789000001AB6XTLDRNRD3LKFGRGMSJBXT3OJ7PKKZF",
        "]d2",
        GS,
    ],
)
def test_what_is_no_mark_has_no_identity(code: str) -> None:
    assert identity(code) is None


def test_a_code_longer_than_any_text_of_the_contract_is_no_mark() -> None:
    code = separated("04690257528523", "G+mgsHw<DiLN_", [KEY, SIGNATURE, "94"])
    assert identity(code.ljust(TEXT_MAX, "x")) == "010469025752852321G+mgsHw<DiLN_"
    assert identity(code.ljust(TEXT_MAX + 1, "x")) is None


@given(gtins, serials, tails)
def test_all_forms_that_separate_agree(gtin: str, serial: str, tail: list[str]) -> None:
    assert {identity(form(gtin, serial, tail)) for form in CERTAIN_FORMS.values()} == {f"01{gtin}21{serial}"}


@given(gtins, st.sampled_from(list(ITEMS.values())), st.data())
def test_any_serial_of_its_groups_length_is_found_without_separators(
    gtin: str, item: tuple[str, str, list[str]], data: st.DataObject
) -> None:
    _, like, tail = item
    serial = data.draw(st.text(CHARACTERS, min_size=len(like), max_size=len(like)))
    assert identity(GUESSED_FORMS["without separators"](gtin, serial, tail)) == f"01{gtin}21{serial}"


@given(gtins, serials, gtins, serials, st.sampled_from(list(CERTAIN_FORMS.values())), tails)
def test_two_items_have_two_identities(
    gtin: str, serial: str, other_gtin: str, other_serial: str, form: Form, tail: list[str]
) -> None:
    are_same = (gtin, serial) == (other_gtin, other_serial)
    assert (identity(form(gtin, serial, tail)) == identity(form(other_gtin, other_serial, tail))) is are_same


@given(gtins, st.text(CHARACTERS, min_size=7, max_size=7), st.text(CHARACTERS, min_size=8, max_size=8))
def test_the_short_form_agrees_with_the_long_one(gtin: str, serial: str, price_and_check: str) -> None:
    forms = [gtin + serial, gtin + serial + price_and_check[:4], gtin + serial + price_and_check]
    assert {identity(form) for form in forms} == {f"01{gtin}21{serial}"}


@given(
    st.text()
    | st.text("0123456789()]d\x1d Xé")
    | st.builds(str.__add__, st.sampled_from(["01", "(01)", "]d2", PACK, "010469025752852321"]), st.text())
)
def test_any_text_has_an_identity_or_none_and_raises_nothing(text: str) -> None:
    found = identity(text)
    assert found is None or re.fullmatch("01[0-9]{14}21.{1,20}", found)
