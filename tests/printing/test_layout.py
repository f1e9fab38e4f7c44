"""From the till's receipt to rows: what is worked out, what is left out, and that no row is wider than its paper."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.printing.layout.blocks import Align, Block, Code, Cut, Pair, Picture, Rule, Size, Space, Text
from appliance.printing.layout.characters import printable
from appliance.printing.layout.precheck import precheck
from appliance.printing.layout.receipt import Heading, PreCheck, Shop, read_receipt
from appliance.printing.layout.sheet import Paper, Row, set_in_rows
from appliance.printing.layout.template import Field, ShopField, Template
from appliance.printing.layout.words import ENGLISH, RUSSIAN
from tests.printing.golden import COLUMNS

TEMPLATE = Template("ru", None, tuple(ShopField), (), tuple(Field), (), qr=False)
NARROW = Paper(32)

CHARACTERS = [
    ("₽ « » — × …", 'р. " " - x ...'),
    ("Cre\u0300me и\u0306", "Creme й"),
    ("½ № ° ё", "1/2 № ° ё"),
    ("中 ♥ қ", "? ? ?"),
    ("a\x1b@\x00\x7f\x9bb", "a@b"),
    ("two\r\nlines\tand\u00a0more", "two lines and more"),
    ("\u202eright\u202c\u200bto\u00adleft", "righttoleft"),
    ("  many   spaces ", "many spaces"),
]

texts = st.text(st.characters(codec="utf-8"), max_size=120)
blocks = st.one_of(
    st.builds(Text, texts, st.sampled_from(Align), st.booleans(), st.sampled_from(Size)),
    st.builds(Pair, texts, texts, st.integers(0, 4), st.booleans(), st.sampled_from(Size)),
    st.sampled_from([Rule(), Space(), Cut(), Code("id"), Picture(8, 1, b"\xff")]),
)
papers = st.builds(Paper, st.sampled_from(COLUMNS), st.sampled_from(["cp866", "cp437", "cp1251", "cp932"]))


@given(st.lists(blocks, max_size=5), papers)
def test_no_row_is_wider_than_the_paper_or_holds_what_the_printer_would_obey(sheet: list[Block], paper: Paper) -> None:
    for row in set_in_rows(sheet, paper):
        if isinstance(row, Row):
            encoded = row.text.encode(paper.code_page)
            assert len(encoded) * row.size.width <= paper.columns
            assert not [byte for byte in encoded if byte < 0x20 or byte == 0x7F]
            assert row.text == row.text.rstrip()


@given(texts, texts, papers)
def test_wrapping_loses_no_character(left: str, right: str, paper: Paper) -> None:
    rows = [row for row in set_in_rows([Text(left), Pair(left, right, indent=2)], paper) if isinstance(row, Row)]
    left, right = printable(left, paper.code_page), printable(right, paper.code_page)
    assert "".join("".join(row.text.split()) for row in rows) == "".join((left + left + right).split())


@pytest.mark.parametrize(("text", "shown"), CHARACTERS)
def test_what_the_code_page_lacks_is_replaced_by_what_can_be_seen(text: str, shown: str) -> None:
    assert printable(text, "cp866") == shown


def test_a_substitute_that_the_page_lacks_too_gives_way_to_the_next() -> None:
    assert printable("5 ₽", "cp437") == "5 RUB"


def test_a_rule_is_unbroken_where_the_page_has_the_line() -> None:
    assert set_in_rows([Rule()], Paper(32, "cp1251")) == (Row("-" * 32),)
    assert set_in_rows([Rule()], Paper(32, "cp866")) == (Row("─" * 32),)


def test_a_large_pair_is_of_double_width_only_where_both_parts_fit() -> None:
    assert size_of_total(Paper(48)) is Size.DOUBLE
    assert size_of_total(Paper(42)) is Size.DOUBLE
    assert size_of_total(Paper(32)) is Size.TALL


def test_a_right_part_that_does_not_fit_beside_the_left_stands_below_it() -> None:
    pair = Pair("a name of twenty-four cells", "9999,00")
    assert set_in_rows([pair], NARROW) == (Row("a name of twenty-four cells"), Row("9999,00".rjust(32)))


def test_a_centred_paragraph_is_wrapped_evenly() -> None:
    [first, second] = set_in_rows([Text("Кассовый чек будет выдан при оплате", Align.CENTRE)], NARROW)
    assert isinstance(first, Row)
    assert isinstance(second, Row)
    assert (first.text.strip(), second.text.strip()) == ("Кассовый чек будет", "выдан при оплате")


def test_what_the_till_did_not_say_is_worked_out_where_it_is_plain() -> None:
    of = read(
        [
            {"sku": "a", "qty": "0.35", "price_minor": 99, "discount_minor": 5},
            {"sku": "b", "qty": "2", "price_minor": 1},
        ]
    )
    assert [line.amount_minor for line in of.lines] == [30, 2]  # 34.65 is 35
    assert of.total_minor == 32
    assert [line.name for line in of.lines] == ["a", "b"]


def test_a_half_is_rounded_away_from_zero() -> None:
    of = read([{"sku": "a", "qty": "0.5", "price_minor": 5}, {"sku": "b", "qty": "-0.5", "price_minor": 5}])
    assert [line.amount_minor for line in of.lines] == [3, -3]


@pytest.mark.parametrize(
    "said",
    [
        {"lines": [{"sku": "a", "qty": "1"}]},
        {"lines": [{"sku": "a", "qty": "1", "amount_minor": 100}], "discount_minor": 10},
    ],
)
def test_no_sum_is_printed_that_nobody_said(said: dict[str, Any]) -> None:
    of = read(**said)
    assert of.total_minor is None
    assert rows_of(shown(of), "К ОПЛАТЕ") == ["см. на кассе"], "and a bill never seems to be for nothing"
    assert ("Скидка" in shown(of)) == ("discount_minor" in said)
    assert "Подытог" not in shown(of)


def test_a_name_that_nobody_could_see_gives_way_to_the_sku() -> None:
    invisible = "\u0301 \u200b\ufeff\x1b\t"
    of = read([{"sku": f"sku-{at}", "name": name, "qty": "1"} for at, name in enumerate((invisible, "", "中", " a"))])
    assert [line.name for line in of.lines] == ["sku-0", "sku-1", "中", " a"]


def test_who_has_paid_is_not_asked_to_pay() -> None:
    sold, returned = (shown(read([], kind=kind, status="paid", total_minor=100)) for kind in ("sale", "return"))
    for sheet, title in ((sold, "ОПЛАЧЕНО"), (returned, "ВОЗВРАЩЕНО")):
        assert (title in sheet, rows_of(sheet, "ИТОГО")) == (True, ["1,00 р."])
        for words in ("ПРЕЧЕК", "К ОПЛАТЕ", "К ВОЗВРАТУ", "будет выдан"):
            assert words not in sheet
        assert RUSSIAN.not_fiscal in sheet


def test_what_the_till_said_stands_even_if_it_does_not_add_up() -> None:
    of = read([{"sku": "a", "qty": "2", "price_minor": 100, "amount_minor": 150}], total_minor=149)
    assert (of.lines[0].amount_minor, of.total_minor) == (150, 149)


def test_the_sums_of_a_receipt_with_a_discount_add_up() -> None:
    sums = shown(read([{"sku": "a", "qty": "1", "price_minor": 10000}], total_minor=9000, discount_minor=1000))
    assert rows_of(sums, "Подытог", "Скидка", "К ОПЛАТЕ") == ["100,00", "-10,00", "90,00 р."]


def test_an_edited_receipt_says_what_changed() -> None:
    before: list[dict[str, Any]] = [
        {"sku": "a", "qty": "1"},
        {"sku": "b", "qty": "2"},
        {"sku": "c", "qty": "1", "price_minor": 100},
    ]
    now: list[dict[str, Any]] = [
        {"sku": "b", "qty": "1"},
        {"sku": "b", "qty": "0.5"},
        {"sku": "c", "qty": "1", "price_minor": 90},
        {"sku": "d", "qty": "3"},
    ]
    changes = shown(read(now, before=before, headings=(Heading.EDITED,)))
    assert "ИЗМЕНЁН" in changes
    assert rows_of(changes, "a ", "b ", "c ", "d ") == [
        "убрано 1",
        "было 2, стало 1,500",
        "сумма: было 1,00, стало 0,90",
        "добавлено 3",
    ]


def test_a_change_shows_no_sum_that_the_till_never_said() -> None:
    priced, unpriced = [{"sku": "a", "qty": "1", "price_minor": 100}], [{"sku": "a", "qty": "1"}]
    for before, now in ((unpriced, priced), (priced, unpriced)):
        changes = shown(read(now, before=before, headings=(Heading.EDITED,)))
        assert "было" not in changes
        assert "состав прежний" in changes


def test_an_edit_that_left_the_goods_alone_says_so() -> None:
    same: list[dict[str, Any]] = [{"sku": "a", "qty": "1"}]
    assert RUSSIAN.unchanged in shown(read(same, before=same, headings=(Heading.EDITED,)))


def test_headings_stand_in_their_order_above_the_title() -> None:
    of = read([], headings=(Heading.REPEAT, Heading.COPY))
    flat = " ".join(shown(of).split())
    assert flat.index("ПОВТОР - первый экземпляр мог напечататься") < flat.index("КОПИЯ") < flat.index("ПРЕЧЕК")


def test_a_template_says_what_stands_and_in_which_order() -> None:
    template = Template(
        "ru", None, (ShopField.ADDRESS, ShopField.NAME), ("h", ""), (Field.TABLE, Field.NUMBER), ("f",), qr=True
    )
    of = read([], number="N7", table="5", cashier="Анна")
    said = rows(of, template)
    assert [one for one in said if one in ("Street", "Shop", "h", "f")] == ["Street", "Shop", "h", "f"]
    assert [one.split()[0] for one in said if one.endswith((" 5", " N7", " Анна"))] == ["Стол:", "Номер:"]
    assert Code("r") in precheck(of, template)


def test_figures_are_written_as_the_language_writes_them() -> None:
    assert RUSSIAN.money_named(-1245005, "RUB") == "-12450,05 ₽"
    assert ENGLISH.money_named(1245005, "RUB") == "12450.05 RUB"
    assert ENGLISH.money_named(500, "JPY") == "500 JPY"
    assert RUSSIAN.money_named(12345, "KWD") == "12,345 KWD"
    assert RUSSIAN.money_named(7, "") == "0,07"
    assert RUSSIAN.quantity(2000, "pcs") == RUSSIAN.quantity(2000, "") == "2"
    assert RUSSIAN.quantity(350, "kg") == "0,350 кг"
    assert RUSSIAN.quantity(1000, "kg") == "1,000 кг"
    assert ENGLISH.quantity(-500, "pcs") == "-0.500"
    assert ENGLISH.quantity(3000, "box") == "3 box"


def test_time_is_that_of_the_clock_on_the_wall() -> None:
    assert RUSSIAN.moment("2026-11-24T19:42:07+03:00") == "24.11.2026 19:42"
    assert ENGLISH.moment("2026-11-24T19:42:07Z") == "2026-11-24 19:42"
    assert RUSSIAN.moment("") == ""


def test_a_receipt_of_500_lines_is_printed_whole() -> None:
    of = read([{"sku": f"sku-{at}", "qty": "1"} for at in range(500)])
    assert [one for one in rows(of, TEMPLATE) if one.startswith("sku-")] == [f"sku-{at}" for at in range(500)]


def read(
    lines: list[dict[str, Any]],
    *,
    before: list[dict[str, Any]] | None = None,
    headings: tuple[Heading, ...] = (),
    **said: Any,
) -> PreCheck:
    """Return the pre-check of a receipt in roubles with these lines."""
    return read_receipt(
        {"receipt": "r", "currency": "RUB", "lines": lines, **said},
        shop=Shop("Shop", "77", "Street"),
        device="A1",
        headings=headings,
        before=None if before is None else {"lines": before},
    )


def rows(of: PreCheck, template: Template = TEMPLATE) -> list[str]:
    """Return the texts of the rows, without the spaces around them."""
    return [row.text.strip() for row in set_in_rows(precheck(of, template), Paper(48)) if isinstance(row, Row)]


def shown(of: PreCheck) -> str:
    return "\n".join(rows(of))


def rows_of(said: str, *beginnings: str) -> list[str]:
    """Return what stands on the right of the first row that begins so, for each beginning."""
    lines = said.splitlines()
    firsts = [next(line for line in lines if line.startswith(beginning)) for beginning in beginnings]
    return [first.removeprefix(beginning).strip() for first, beginning in zip(firsts, beginnings, strict=True)]


def size_of_total(paper: Paper) -> Size:
    of = read([{"sku": "a", "qty": "1", "price_minor": 124580}])
    [row] = [row for row in set_in_rows(precheck(of, TEMPLATE), paper) if isinstance(row, Row) and "ОПЛАТЕ" in row.text]
    return row.size
