"""Which sheets come out of a receipt, and what they say: over the real coordinator, ledger and spool."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from appliance.contract.paper import PrintOn
from appliance.printing.jobs import PrintRules, Station
from tests.printing.press import MINUTE_MS, PAPER_OUT, READY, Press, doubt, line, rules, words


@pytest.fixture
def press(tmp_path: Path) -> Iterator[Press]:
    press = Press(tmp_path)
    yield press
    press.stop()


def test_an_edited_receipt_shows_what_changed(press: Press) -> None:
    press.receipt("r-1", line("A", "2"))
    press.receipt("r-1", line("A", "3"), edit=2)
    press.receipt("r-1", line("A", "9"), edit=1, device="A0")
    press.drain()
    assert [list(words(sheet)) for sheet in press.driver.sheets] == [[], ["ИЗМЕНЁН"]], "an older edit says nothing"
    assert "было 2, стало 3" in press.driver.sheets[1]


@pytest.mark.parametrize(
    ("zone", "said", "shown"),
    [
        (None, "2026-11-24T10:00:01+03:00", "24.11.2026 10:00"),
        (None, "2026-11-24T07:00:01Z", "24.11.2026 07:00"),
        (ZoneInfo("Asia/Yekaterinburg"), "2026-11-24T07:00:01Z", "24.11.2026 12:00"),
        (ZoneInfo("Asia/Yekaterinburg"), None, "24.11.2026 12:20"),
        (ZoneInfo("Asia/Yekaterinburg"), "9999-12-31T23:59:59-12:00", "31.12.9999 23:59"),
    ],
)
def test_a_sheet_says_the_tills_time_or_the_shops(
    tmp_path: Path, zone: ZoneInfo | None, said: str | None, shown: str
) -> None:
    began = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)
    press = Press(tmp_path, zone=zone, wall_ms=lambda shop_ms: int(began.timestamp()) * 1000 + shop_ms)
    press.shop.clock.now_ms = 20 * MINUTE_MS
    press.receipt("r-1", line("A"), **{} if said is None else {"at": said})
    press.shop.clock.now_ms += 5 * MINUTE_MS
    press.drain()
    assert [row.split("Дата:")[1].strip() for row in press.driver.sheets[0].splitlines() if "Дата" in row] == [shown]
    press.stop()


def test_a_sheet_of_a_till_without_a_clock_says_no_time_while_the_boxs_may_be_wrong(press: Press) -> None:
    press.receipt("r-1", line("A"))
    press.drain()
    assert "Дата" not in press.driver.sheets[0]


def test_what_no_sheet_shows_is_no_reason_for_another(press: Press) -> None:
    press.receipt("r-1", line("A"))
    press.receipt("r-1", line("A", marks=["0104607001234567215!abc"]), edit=2)
    press.drain()
    assert len(press.driver.sheets) == 1, "a mark that is scanned is the cashier's"
    press.receipt("r-1", line("A", price_minor=1), edit=3)
    press.drain()
    assert len(press.driver.sheets) == 2


def test_a_repeat_does_not_stick_to_what_is_left_of_the_sheet_in_doubt(press: Press) -> None:
    press.driver.endings = [doubt()]
    press.receipt("r-1", line("A"))
    press.drain()
    [repeat] = press.driver.sheets
    assert repeat.index("\x1dV") < repeat.index("ПОВТОР") < repeat.rindex("\x1dV")
    press.receipt("r-2", line("A"))
    press.drain()
    assert press.driver.sheets[1].count("\x1dV") == 1, "paper is cut once where nothing is in doubt"


def test_what_was_entered_without_paper_comes_out_when_the_waiter_asks_for_it(press: Press) -> None:
    press.receipt("r-1", line("A"), print=False)
    press.receipt("r-1", line("A"), edit=2, print=True)
    press.drain()
    assert [list(words(sheet)) for sheet in press.driver.sheets] == [[]]
    press.receipt("r-1", line("A"), edit=3, print=True)
    press.drain()
    assert list(words(press.driver.sheets[-1])) == ["КОПИЯ"], "whoever asks for paper gets paper"


def test_an_edit_tells_what_is_other_than_on_the_paper_that_it_replaces(press: Press) -> None:
    press.receipt("r-1", line("tea"))
    press.receipt("r-1", line("tea"), line("soup"), edit=2, print=False)
    press.receipt("r-1", line("tea"), line("soup"), line("cake"), edit=3)
    press.drain()
    changes = press.driver.sheets[1].split("Что изменилось:")[1].split("───")[0]
    assert [sku for sku in ("tea", "soup", "cake") if sku in changes] == ["soup", "cake"]


def test_an_edit_of_what_nobody_has_on_paper_is_the_first_sheet(press: Press) -> None:
    press.shop.clock.now_ms = 20 * MINUTE_MS
    press.receipt("r-1", line("A"), run="ff", shop_ms=0)
    press.receipt("r-1", line("A"), edit=2)
    press.driver.condition = PAPER_OUT
    press.receipt("r-2", line("A"))
    press.shop.clock.now_ms += 6 * MINUTE_MS
    press.receipt("r-2", line("A"), line("B"), edit=2)
    press.shop.clock.now_ms += 6 * MINUTE_MS
    press.receipt("r-3", line("A"))
    press.receipt("r-3", line("A"), line("B"), edit=2)
    assert press.cancel(5) == ""
    press.driver.condition = READY
    press.drain()
    assert [next(f"r-{n}" for n in (1, 2, 3) if f"N-r-{n}" in sheet) for sheet in press.driver.sheets] == ["r-2", "r-3"]
    assert [list(words(sheet)) for sheet in press.driver.sheets] == [[], []]


def test_a_station_is_told_what_was_taken_off_since_its_last_sheet(tmp_path: Path) -> None:
    press = Press(tmp_path, rules(stations=(Station("main"), Station("kitchen", frozenset({"kitchen"})))))
    for sku in ("soup", "fish", "cake"):
        press.say("D", type="item", sku=sku, group="kitchen")
    press.receipt("r-1", line("soup"), line("fish"))
    press.drain("kitchen")
    press.receipt("r-1", line("soup"), edit=2)
    press.receipt("r-1", line("soup"), line("cake"), edit=3)
    assert press.cancel(4) == ""
    press.drain("kitchen")
    sheet = press.drivers["kitchen"].sheets[1]
    assert [row.split()[-2] for row in sheet.splitlines() if "Товар fish" in row] == ["убрано"]
    assert [row.split()[-2] for row in sheet.splitlines() if "Товар cake" in row and "1" in row] == ["добавлено"]
    press.stop()


def test_the_first_order_at_a_table_that_was_opened_before_is_no_edit(press: Press) -> None:
    press.receipt("r-1", lines=[])
    press.receipt("r-1", line("A"), edit=2)
    press.receipt("r-1", lines=[], edit=3)
    press.drain()
    assert [list(words(sheet)) for sheet in press.driver.sheets] == [[], ["ИЗМЕНЁН"]]
    assert "убрано 1" in press.driver.sheets[1]


def test_what_is_paid_is_told_to_the_guest_as_paid(tmp_path: Path) -> None:
    press = Press(tmp_path, rules(print_on=PrintOn.ALL))
    press.receipt("r-1", line("A"))
    press.drain()
    press.receipt("r-1", line("A"), line("B"), status="paid")
    press.drain()
    assert [title in sheet for sheet in press.driver.sheets for title in ("К ОПЛАТЕ", "ОПЛАЧЕНО")] == [
        *(True, False),
        *(False, True),
    ]
    assert list(words(press.driver.sheets[1])) == [], "it stands for itself"
    press.stop()


def test_a_pre_check_that_waits_is_not_printed_when_it_is_paid_and_an_order_is(tmp_path: Path) -> None:
    press = Press(tmp_path, rules(stations=(Station("main"), Station("bar", frozenset({"bar"})))))
    press.say("D", type="item", sku="beer", group="bar")
    press.receipt("r-1", line("beer"))
    press.receipt("r-1", line("beer"), status="paid")
    assert press.heard("device/A1/print")[-1] == {
        "receipt": "r-1",
        "job": 1,
        "printer": "main",
        "state": "cancelled",
        "reason": "the receipt was paid",
    }
    press.drain("main")
    press.drain("bar")
    assert [len(driver.sheets) for driver in press.drivers.values()] == [0, 1]
    press.stop()


def test_two_payments_of_one_receipt_are_two_sheets(tmp_path: Path) -> None:
    press = Press(tmp_path, rules(print_on=PrintOn.PAID))
    press.receipt("r-1", line("A"), status="paid")
    press.receipt("r-1", line("B"), status="paid", device="A2")
    press.drain()
    assert [(sku in sheet) for sheet in press.driver.sheets for sku in ("Товар A", "Товар B")] == [
        *(True, False),
        *(False, True),
    ], "both moved goods, and a person must see both"
    press.stop()


def test_a_cook_is_not_told_of_prices(tmp_path: Path) -> None:
    press = Press(tmp_path, rules(stations=(Station("main"), Station("bar", frozenset({"bar"})))))
    press.say("D", type="item", sku="beer", group="bar")
    press.receipt("r-1", line("beer"))
    press.receipt("r-1", line("beer", discount_minor=100), edit=2)
    press.drain("main")
    press.drain("bar")
    assert [len(driver.sheets) for driver in press.drivers.values()] == [2, 1]
    press.stop()


def test_a_resent_receipt_is_not_printed_again(press: Press) -> None:
    press.receipt("r-1")
    press._seqs["A1"] = 0
    press.receipt("r-1")
    press.drain()
    assert len(press.driver.sheets) == 1


def test_a_copy_is_asked_for_by_any_device_which_hears_of_it(press: Press) -> None:
    press.receipt("r-1")
    press.drain()
    assert press.say("A2", type="print", receipt="r-1")["rejected"] == []
    press.drain()
    assert list(words(press.driver.sheets[1])) == ["КОПИЯ"]
    assert "A1" in press.driver.sheets[1]
    assert press.states("A2") == ["2 queued", "2 printing", "2 confirmed"]


def test_a_copy_of_nothing_is_rejected(press: Press) -> None:
    press.receipt("r-1")
    press.receipt("r-1", status="cancelled")
    for number, receipt in enumerate(("r-1", "r-2"), 1):
        rejected = press.say("A2", type="print", receipt=receipt)["rejected"]
        assert [row["code"] for row in rejected] == ["nothing-to-print"] * number


def test_stations_print_their_own_lines_without_a_sum(tmp_path: Path) -> None:
    stations = (Station("main"), Station("bar", frozenset({"bar"})), Station("kitchen", frozenset({"kitchen"})))
    press = Press(tmp_path, PrintRules(stations))
    for sku, group in (("beer", "bar"), ("soup", "kitchen")):
        press.say("D", type="item", sku=sku, group=group)
    press.receipt("r-1", line("beer"), line("soup"), line("milk"), total_minor=3000)
    for printer in press.spools:
        press.drain(printer)
    for printer in ("bar", "kitchen"):
        assert "ЗАКАЗ" in press.drivers[printer].sheets[0]
        for words_of_a_guest in ("ПРЕЧЕК", "10,00", "оплате", "Спасибо"):
            assert words_of_a_guest not in press.drivers[printer].sheets[0]
    goods = {
        printer: [sku for sku in ("beer", "soup", "milk") if f"Товар {sku}" in driver.sheets[0]]
        for printer, driver in press.drivers.items()
    }
    assert goods == {"main": ["beer", "soup", "milk"], "bar": ["beer"], "kitchen": ["soup"]}
    assert [p for p, driver in press.drivers.items() if "К ОПЛАТЕ" in driver.sheets[0]] == ["main"]
    press.stop()


def test_goods_that_no_station_prints_are_told_once_until_one_does(tmp_path: Path) -> None:
    stations = (Station("bar", frozenset({"bar"})), Station("kitchen", frozenset({"kitchen"})))
    press = Press(tmp_path, rules(stations=stations))
    for sku, group in (("beer", "bar"), ("cake", "desserts"), ("pie", "desserts")):
        press.say("D", type="item", sku=sku, group=group)
    press.receipt("r-1", line("beer"), print=False)
    press.receipt("r-2", line("cake"), print=False)
    assert press.shop.alerts() == set(), "nobody wanted that on paper"
    press.receipt("r-3", line("beer"), line("cake"), line("water"))
    press.receipt("r-4", line("pie"))
    told = {alert.facts: alert for alert in press.shop.reader.alerts()}
    assert told.keys() == {b'{"group":"desserts"}', b'{"group":null}'}
    cake = told[b'{"group":"desserts"}']
    assert ("'desserts'" in cake.summary, "cake on receipt r-3" in cake.summary, cake.times) == (True, True, 1)
    press.say("D", type="alert", alert=cake.alert, status="acknowledged")
    press.receipt("r-5", line("cake"))
    assert [alert.facts for alert in press.shop.reader.alerts()] == [b'{"group":null}']
    press.restart(rules(stations=(*stations, Station("main"))))
    press.receipt("r-6", line("cake"), line("water"))
    assert press.shop.alerts() == set()
    press.drain("main")
    press.restart(rules(stations=stations))
    press.receipt("r-7", line("cake"))
    assert [alert.facts for alert in press.shop.reader.alerts()] == [b'{"group":"desserts"}'], "it is so again"
    press.stop()
