"""Which sheets an operation wants: the shop's rule, the receipt's own word, edits, copies and stations."""

from collections.abc import Mapping
from typing import Any

import pytest

from appliance.contract.paper import PrintOn, Said, Sheet, Wanted
from appliance.printing.jobs import PrintRules, Station
from appliance.stock.operation import PrintCopy, Receipt, ReceiptKind, Status

GROUPS = {"beer": "bar", "soup": "kitchen", "milk": None}
MAIN, BAR, KITCHEN = Station("main"), Station("bar", frozenset({"bar"})), Station("kitchen", frozenset({"kitchen"}))


def said(*skus: str, status: Status = Status.OPEN, printed: bool | None = None, before: Sheet | None = None) -> Said:
    return Said(Receipt("r-1", ReceiptKind.SALE, status, (), is_printed=printed), Sheet(7, raw(*skus)), before)


def raw(*skus: str, **more: Any) -> Mapping[str, Any]:
    return {"receipt": "r-1", "lines": [{"sku": sku, "qty": "1"} for sku in skus or ("beer",)], **more}


def wanted(rules: PrintRules, what: Said) -> list[Wanted]:
    return rules.wanted(what, GROUPS.get)


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


def test_an_edit_is_headed_so_and_names_what_it_replaces() -> None:
    [job] = wanted(PrintRules((MAIN,)), said("beer", "soup", before=Sheet(5, raw("beer"))))
    assert (job.headings, job.rev, job.before_rev) == (("edited",), 7, 5)


def test_a_payment_after_an_open_is_no_edit() -> None:
    [job] = wanted(PrintRules((MAIN,), PrintOn.ALL), said("beer", status=Status.PAID, before=Sheet(5, raw("soup"))))
    assert (job.headings, job.before_rev) == ((), None)


def test_an_edit_that_shows_nothing_new_wants_no_sheet() -> None:
    before = Sheet(5, raw("beer", seq=1, edit=1, at="2026-11-24T10:00:00+03:00", shop_ms=5))
    assert wanted(PrintRules((MAIN,)), said("beer", before=before)) == []
    assert wanted(PrintRules((MAIN,)), said("beer", before=Sheet(5, raw("beer", table="7"))))


def test_a_copy_is_wanted_whatever_the_shop_prints() -> None:
    [job] = PrintRules((MAIN,), PrintOn.NONE).wanted(Said(PrintCopy("r-1"), Sheet(5, raw()), None), GROUPS.get)
    assert (job.headings, job.rev) == (("copy",), 5)


def test_each_station_prints_its_own_lines_and_a_printer_without_groups_all() -> None:
    jobs = wanted(PrintRules((MAIN, BAR, KITCHEN)), said("beer", "milk", "soup", "beer"))
    assert {job.printer: job.skus for job in jobs} == {"main": None, "bar": ("beer",), "kitchen": ("soup",)}
    assert [job.printer for job in wanted(PrintRules((BAR, KITCHEN)), said("soup"))] == ["kitchen"]
    assert wanted(PrintRules((BAR, KITCHEN)), said("milk")) == []


def test_an_edit_bothers_only_the_stations_whose_lines_changed() -> None:
    rules = PrintRules((MAIN, BAR, KITCHEN))
    jobs = wanted(rules, said("beer", "soup", "soup", before=Sheet(5, raw("beer", "soup"))))
    assert [job.printer for job in jobs] == ["main", "kitchen"]


def test_a_station_is_told_what_was_taken_off() -> None:
    [job] = wanted(PrintRules((KITCHEN,)), said("beer", before=Sheet(5, raw("beer", "soup"))))
    assert (job.skus, job.headings) == (("soup",), ("edited",))


def test_an_operation_is_stale_from_its_own_time_on_and_never_later_than_from_now() -> None:
    rules = PrintRules(stale_ms=600_000)
    assert rules.stale_at_ms(1000, 5000, is_known=True) == 601_000
    assert rules.stale_at_ms(9000, 5000, is_known=True) == 605_000, "a stamp from the future buys no time"
    assert rules.stale_at_ms(5000, 5000, is_known=False) < 0
