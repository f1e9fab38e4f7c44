"""Which sheets an operation wants: the shop's rule, the receipt's own word, edits, copies and stations."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from appliance.contract.paper import PrintOn, Said, Sheet, Wanted
from appliance.printing.jobs import PrintRules, Station
from appliance.stock.operation import PrintCopy, Receipt, ReceiptKind, Status

GROUPS = {"beer": "bar", "soup": "kitchen", "milk": None}
MAIN, BAR, KITCHEN = Station("main"), Station("bar", frozenset({"bar"})), Station("kitchen", frozenset({"kitchen"}))


COPY_WANTED = Said(PrintCopy("r-1"), Sheet(5, {"receipt": "r-1", "status": "open", "lines": [{"sku": "beer"}]}))


def said(*skus: str, status: Status = Status.OPEN, printed: bool | None = None) -> Said:
    receipt = Receipt("r-1", ReceiptKind.SALE, status, (), is_printed=printed)
    return Said(receipt, Sheet(7, raw(*skus or ("beer",), status=status)))


def raw(*skus: str, **more: Any) -> Mapping[str, Any]:
    return {"receipt": "r-1", "status": "open", "lines": [{"sku": sku, "qty": "1"} for sku in skus], **more}


def wanted(rules: PrintRules, what: Said, shown: Mapping[str, Any] | None = None) -> list[Wanted]:
    """shown: what every printer's newest sheet of the receipt shows."""
    return rules.wanted(what, GROUPS.get, lambda printer: None if shown is None else Sheet(5, shown))


@pytest.mark.parametrize(
    ("print_on", "printed"),
    [
        (PrintOn.OPEN, {Status.OPEN}),
        (PrintOn.PAID, {Status.PAID}),
        (PrintOn.ALL, {Status.OPEN, Status.PAID}),
        (PrintOn.NONE, set()),
    ],
)
def test_the_shop_decides_when_a_receipt_is_printed(print_on: PrintOn, printed: set[Status]) -> None:
    rules = PrintRules((MAIN,), print_on)
    assert {status for status in Status if wanted(rules, said(status=status))} == printed


@pytest.mark.parametrize("print_on", PrintOn)
def test_the_receipts_own_word_goes_before_the_shops(print_on: PrintOn) -> None:
    rules = PrintRules((MAIN,), print_on)
    for status in (Status.OPEN, Status.PAID):
        assert wanted(rules, said(status=status, printed=True))
        assert not wanted(rules, said(status=status, printed=False))
    assert not wanted(rules, said(status=Status.CANCELLED, printed=True))


def test_a_shop_without_printers_wants_no_sheet() -> None:
    assert wanted(PrintRules(), said()) == []


def test_what_a_printer_shows_already_wants_no_sheet() -> None:
    assert wanted(PrintRules((MAIN,)), said(), raw("beer", seq=1, edit=1, at="2026-11-24T10:00:00+03:00")) == []
    assert wanted(PrintRules((MAIN,)), said(), raw("beer", table="7"))
    assert wanted(PrintRules((MAIN,)), said(), raw("beer", "soup"))


def test_who_asks_for_paper_that_is_out_already_gets_a_copy() -> None:
    [job] = wanted(PrintRules((MAIN, BAR)), said(printed=True), raw("beer"))
    assert (job.printer, job.headings) == ("main", ("copy",))


def test_who_asks_for_paper_gets_the_first_sheet_or_an_edit_and_no_copy() -> None:
    for shown in (None, raw("soup")):
        [job] = wanted(PrintRules((MAIN,)), said(printed=True), shown)
        assert (job.rev, job.headings) == (7, ())


def test_a_payment_is_told_to_the_guest_and_to_no_cook_who_has_the_order() -> None:
    jobs = wanted(PrintRules((MAIN, BAR), PrintOn.ALL), said(status=Status.PAID), raw("beer"))
    assert [job.printer for job in jobs] == ["main"]
    jobs = wanted(PrintRules((MAIN, BAR), PrintOn.ALL), said(status=Status.PAID))
    assert [job.printer for job in jobs] == ["main", "bar"], "where it is paid first and cooked then"


def test_a_table_at_which_nobody_has_ordered_is_no_sheet_unless_somebody_asks_for_it() -> None:
    empty = Receipt("r-1", ReceiptKind.SALE, Status.OPEN, ())
    nothing = Sheet(7, raw())
    assert wanted(PrintRules((MAIN, BAR)), Said(empty, nothing)) == []
    asked = Said(replace(empty, is_printed=True), nothing)
    assert [job.printer for job in wanted(PrintRules((MAIN, BAR)), asked)] == ["main"]
    jobs = wanted(PrintRules((MAIN, BAR)), Said(empty, nothing), raw("beer"))
    assert [job.printer for job in jobs] == ["main", "bar"], "the beer was taken off"


def test_a_copy_is_wanted_whatever_the_shop_prints() -> None:
    [job] = wanted(PrintRules((MAIN,), PrintOn.NONE), COPY_WANTED, raw("beer"))
    assert (job.headings, job.rev) == (("copy",), 5)


def test_a_copy_is_for_the_guest_and_no_kitchen_cooks_it_again() -> None:
    assert [job.printer for job in wanted(PrintRules((MAIN, BAR)), COPY_WANTED, raw("beer"))] == ["main"]
    assert [job.printer for job in wanted(PrintRules((BAR, KITCHEN)), COPY_WANTED, raw("beer"))] == ["bar"]


def test_each_station_prints_its_own_lines_and_a_printer_without_groups_all() -> None:
    jobs = wanted(PrintRules((MAIN, BAR, KITCHEN)), said("beer", "milk", "soup", "beer"))
    assert {job.printer: job.skus for job in jobs} == {"main": None, "bar": ("beer",), "kitchen": ("soup",)}
    assert [job.printer for job in wanted(PrintRules((BAR, KITCHEN)), said("soup"))] == ["kitchen"]
    assert wanted(PrintRules((BAR, KITCHEN)), said("milk")) == []


def test_an_edit_bothers_only_the_stations_whose_lines_changed() -> None:
    rules = PrintRules((MAIN, BAR, KITCHEN))
    jobs = wanted(rules, said("beer", "soup", "soup"), raw("beer", "soup"))
    assert [job.printer for job in jobs] == ["main", "kitchen"]


def test_a_station_is_told_what_was_taken_off() -> None:
    [job] = wanted(PrintRules((KITCHEN,)), said("beer"), raw("beer", "soup"))
    assert job.skus == ("soup",)


def test_an_operation_is_stale_from_its_own_time_on_and_never_later_than_from_now() -> None:
    rules = PrintRules(stale_ms=600_000)
    assert rules.stale_at_ms(1000, 5000, is_known=True) == 601_000
    assert rules.stale_at_ms(9000, 5000, is_known=True) == 605_000, "a stamp from the future buys no time"
    assert rules.stale_at_ms(5000, 5000, is_known=False) < 0
