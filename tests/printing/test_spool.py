"""The spool over the real coordinator and ledger: each change of a job, a crash at each point, doubt on the paper."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.contract.paper import Begin, End, Job, Material, PaperChange, SamplePage, Seen
from appliance.coordinator import STUCK_MS
from appliance.printing.driver import Level
from appliance.printing.jobs import Station
from appliance.printing.sheets import Sheets
from appliance.printing.status import PrinterState, PrinterStatus
from tests.printing.press import MINUTE_MS, PAPER_OUT, READY, Crash, Press, doubt, line, rules, words


@pytest.fixture
def press(tmp_path: Path) -> Iterator[Press]:
    press = Press(tmp_path)
    yield press
    press.stop()


def test_an_open_receipt_is_printed_and_its_device_hears_of_each_state(press: Press) -> None:
    press.receipt("r-1", line("A", "2"))
    assert press.states() == ["1 queued"]
    press.drain()
    [sheet] = press.driver.sheets
    assert "N-r-1" in sheet
    assert "Товар A" in sheet
    assert list(words(sheet)) == []
    assert press.states() == ["1 queued", "1 printing", "1 confirmed"]
    assert press.heard("device/A1/print")[-1] == {
        "receipt": "r-1",
        "job": 1,
        "printer": "main",
        "state": "confirmed",
        "reason": None,
    }


@pytest.mark.parametrize("level", Level)
def test_a_job_ends_as_far_as_is_known(press: Press, level: Level) -> None:
    press.driver.endings = [level]
    press.receipt("r-1")
    press.drain()
    assert press.states()[-1] == f"1 {level}"


def test_printing_is_on_the_disk_before_the_first_byte(press: Press) -> None:
    seen: list[list[int]] = []
    press.driver.while_sending = lambda: seen.append(press.shop.reader.jobs.begun("main"))
    press.receipt("r-1")
    press.drain()
    assert seen == [[1]]


def test_what_is_doubtful_is_repeated_once_and_says_so(press: Press) -> None:
    press.driver.endings = [doubt()]
    press.receipt("r-1")
    press.drain()
    assert [list(words(sheet)) for sheet in press.driver.sheets] == [["ПОВТОР"]]
    assert press.states() == ["1 queued", "1 printing", "1 doubtful", "2 queued", "2 printing", "2 confirmed"]
    assert press.jobs() == []


def test_a_repeat_of_an_edited_sheet_has_both_headings(press: Press) -> None:
    press.receipt("r-1")
    press.drain()
    press.driver.endings = [doubt()]
    press.receipt("r-1", line("A", "2"), edit=2)
    press.drain()
    assert list(words(press.driver.sheets[-1])) == ["ИЗМЕНЁН", "ПОВТОР"]


def test_after_three_copies_a_person_is_asked_and_a_retry_makes_one_more(press: Press) -> None:
    press.driver.endings = [doubt() for _ in range(4)]
    press.receipt("r-1")
    press.drain()
    assert press.driver.sheets == []
    [job] = press.jobs()
    assert (job.id, job.state, press.shop.alerts()) == (4, "doubtful", {"printer"})
    assert press.retry(1) == "job 1 is repeated by job 2"
    assert press.retry(4) == ""
    assert press.shop.alerts() == set()
    press.drain()
    assert [list(words(sheet)) for sheet in press.driver.sheets] == [["ПОВТОР"]]
    assert press.retry(5) == "job 5 is printed: ask for a copy of its receipt"


def test_a_printer_that_fails_each_sheet_is_left_alone_for_longer_and_longer(press: Press) -> None:
    """Once it made waste of ten receipts in 2.6 s, and none came out when it was well again."""
    press.driver.endings = [doubt() for _ in range(3)]
    for number in range(10):
        press.receipt(f"r-{number}")
    assert [press.step() for _ in range(3)] == [5, 5, 5], "a new receipt does not end the rest"
    press.drain()
    shown = [said["reason"] for said in press.heard("printer/main") if said["state"] == "stalled"]
    assert shown[-1] == "3 sheets in a row did not come out: the connection was lost"
    assert press.printer()["state"] == "ready"
    assert len(press.driver.sheets) == 10
    assert press.shop.alerts() == set()


def test_what_a_printer_says_of_its_paper_is_told_also_when_it_is_not_ready(press: Press) -> None:
    press.driver.condition = PrinterStatus(PrinterState.PAPER_OUT, "put paper in", paper_low=True)
    press.receipt("r-1")
    press.drain()
    assert (press.printer()["state"], press.printer()["paper_low"]) == ("paper-out", True)


def test_each_attempt_has_a_marker_of_its_own(press: Press) -> None:
    press.driver.endings = [doubt()]
    for number in range(3):
        press.receipt(f"r-{number}")
    press.drain()
    assert press.driver.markers == [b"ZZZZ", b"0000", b"0001", b"0002"]


# --- a crash at each point ------------------------------------------------------------------------------------------


def at(kind: type, *, is_committed: bool) -> Callable[[PaperChange, bool], bool]:
    return lambda change, committed: isinstance(change, kind) and committed is is_committed


@pytest.mark.parametrize(
    ("crash_on", "sheets", "repeated"),
    [
        (at(Begin, is_committed=False), 0, False),
        (at(Begin, is_committed=True), 0, True),
        (at(End, is_committed=False), 1, True),
        (at(End, is_committed=True), 1, False),
    ],
)
def test_a_crash_repeats_only_what_may_be_on_paper(
    press: Press, crash_on: Callable[[PaperChange, bool], bool], sheets: int, repeated: bool
) -> None:
    press.receipt("r-1")
    press.crash_on = crash_on
    with pytest.raises(Crash):
        press.drain()
    assert len(press.driver.sheets) == sheets
    press.crash_on = lambda change, is_committed: False
    press.restart()
    press.drain()
    expected = ["plain"] * sheets + (["ПОВТОР"] if repeated else ["plain"] * (1 - sheets))
    assert [" ".join(words(sheet)) or "plain" for sheet in press.driver.sheets] == expected


def test_a_crash_while_the_paper_runs_is_doubt(press: Press) -> None:
    press.driver.endings = [Crash()]
    press.receipt("r-1")
    with pytest.raises(Crash):
        press.drain()
    press.restart()
    assert press.states() == ["1 doubtful", "2 queued"]
    press.restart()
    assert [job.id for job in press.jobs()] == [2], "and once only"


def test_a_crash_after_the_receipt_leaves_its_job(press: Press) -> None:
    press.receipt("r-1")
    press.restart()
    press.drain()
    assert len(press.driver.sheets) == 1


# --- the printer is not ready ---------------------------------------------------------------------------------------


def test_three_receipts_without_paper_one_cancelled_and_retry_pressed_are_two_sheets(press: Press) -> None:
    press.driver.condition = PAPER_OUT
    for number in (1, 2, 3):
        press.receipt(f"r-{number}")
        press.drain()
    press.receipt("r-2", status="cancelled")
    assert [press.retry(job) for job in (1, 2, 3)] == [
        "job 1 waits for its printer already",
        "job 2 is of a receipt that was cancelled",
        "job 3 waits for its printer already",
    ]
    press.driver.condition = READY
    press.drain()
    assert [next(f"r-{n}" for n in (1, 2, 3) if f"N-r-{n}" in sheet) for sheet in press.driver.sheets] == ["r-1", "r-3"]


def test_a_printers_state_and_queue_are_retained(press: Press) -> None:
    assert press.printer() == {
        "printer": "main",
        "state": "unknown",
        "reason": None,
        "paper_low": False,
        "queued": 0,
        "oldest_s": 0,
    }
    press.driver.condition = PAPER_OUT
    press.receipt("r-1")
    assert press.step() > 0
    assert (press.printer()["state"], press.printer()["reason"]) == ("paper-out", "put paper in")
    press.shop.clock.now_ms += 40_000
    press.receipt("r-2")
    assert (press.printer()["queued"], press.printer()["oldest_s"]) == (2, 40)
    press.driver.condition = READY
    press.drain()
    assert (press.printer()["state"], press.printer()["queued"], press.printer()["oldest_s"]) == ("ready", 0, 0)


def test_a_queue_that_does_not_move_calls_a_person_until_it_moves(press: Press) -> None:
    press.driver.condition = PAPER_OUT
    press.shop.clock.now_ms += 10 * STUCK_MS
    press.receipt("r-1")
    press.step()
    assert press.shop.alerts() == set(), "it has only begun to wait"
    press.shop.clock.now_ms += STUCK_MS
    press.shop.coordinator.look_at_printers()
    press.shop.coordinator.turn()
    [alert] = press.shop.reader.alerts()
    assert (alert.kind, "put paper in" in alert.summary) == ("printer", True)
    assert press.printer()["oldest_s"] == 60, "and everybody sees how long it has waited"
    press.driver.condition = READY
    press.drain()
    assert press.shop.alerts() == set()


def test_a_status_is_written_down_only_when_it_changes(press: Press) -> None:
    seen: list[PaperChange] = []

    def noted(change: PaperChange, is_committed: bool) -> bool:
        seen.append(change)
        return False

    press.crash_on = noted
    for _ in range(5):
        press.step()
    assert [change for change in seen if isinstance(change, Seen)] == [Seen("main", "ready", "", False)] * 2


def test_printers_are_among_what_an_external_broker_is_told_anew(press: Press) -> None:
    press.step()
    press.shop.link.retained.clear()
    gone = press.shop.topics.printer("gone")
    press.shop.coordinator.rewrite([gone])
    assert press.printer()["state"] == "ready"
    assert (gone, b"") in press.shop.link.log


# --- a person ---------------------------------------------------------------------------------------------------------


def test_a_cancelled_job_is_not_printed_and_a_retry_prints_it(press: Press) -> None:
    press.receipt("r-1")
    assert press.cancel(1) == ""
    press.drain()
    assert press.driver.sheets == []
    assert press.retry(1) == ""
    press.drain()
    assert len(press.driver.sheets) == 1
    assert press.cancel(1) == "job 1 is confirmed: only what waits or is in doubt can be cancelled"


def test_a_job_cancelled_just_before_its_first_byte_is_not_printed(press: Press) -> None:
    press.receipt("r-1")

    def cancelled_at_begin(change: PaperChange, is_committed: bool) -> bool:
        if isinstance(change, Begin) and not is_committed:
            press.receipt("r-1", status="cancelled")
        return False

    press.crash_on = cancelled_at_begin
    press.drain()
    assert (press.driver.sheets, press.states()) == ([], ["1 queued", "1 cancelled"])


def test_a_sheet_in_doubt_of_a_receipt_that_was_cancelled_is_not_repeated(press: Press) -> None:
    press.driver.endings = [doubt()]
    press.driver.while_sending = lambda: press.receipt("r-1", status="cancelled")
    press.receipt("r-1")
    press.drain()
    assert press.driver.sheets == []
    assert press.heard("device/A1/print")[-1]["state"] == "cancelled"
    assert "it may be on paper (the connection was lost)" in press.heard("device/A1/print")[-1]["reason"]
    assert press.retry(1) == "job 1 is of a receipt that was cancelled"


def test_an_edit_stands_in_for_the_sheet_in_doubt_that_it_replaces(press: Press) -> None:
    press.driver.endings = [doubt()]
    press.driver.while_sending = lambda: press.receipt("r-1", line("tea"), line("cake"), edit=2) if wait else None
    wait = [True]
    press.receipt("r-1", line("tea"))
    press.step()
    wait.clear()
    press.drain()
    [sheet] = press.driver.sheets
    assert list(words(sheet)) == ["ИЗМЕНЁН", "ПОВТОР"], "nobody knows whether the first one came out"
    assert ("Товар tea" in sheet, press.jobs()) == (True, [])


def test_a_pre_check_in_doubt_is_not_repeated_when_it_is_paid_and_an_order_is(tmp_path: Path) -> None:
    press = Press(tmp_path, rules(stations=(Station("main"), Station("bar", frozenset({"bar"})))))
    press.say("D", type="item", sku="beer", group="bar")
    press.receipt("r-1", line("beer"))
    for printer, driver in press.drivers.items():
        driver.endings = [doubt()]
        if printer == "main":
            driver.while_sending = lambda: press.receipt("r-1", line("beer"), status="paid")
        press.drain(printer)
    assert [[list(words(sheet)) for sheet in driver.sheets] for driver in press.drivers.values()] == [[], [["ПОВТОР"]]]
    press.stop()


def test_a_person_who_has_looked_ends_a_doubt_and_a_sheet_of_it_still_says_so(press: Press) -> None:
    press.driver.endings = [doubt() for _ in range(4)]
    press.receipt("r-1")
    press.drain()
    assert press.cancel(1) == "job 1 is repeated by job 2"
    assert (press.cancel(4), press.jobs(), press.shop.alerts()) == ("", [], set())
    assert press.heard("device/A1/print")[-1]["reason"] == "a person has looked whether it was printed"
    assert press.retry(4) == ""
    press.drain()
    assert list(words(press.driver.sheets[0])) == ["ПОВТОР"]
    assert press.commit(SamplePage("main")) == ""
    press.driver.endings = [doubt()]
    press.drain()
    assert press.cancel(6) == ""
    assert press.jobs() == []


def test_what_has_begun_is_not_cancelled(press: Press) -> None:
    press.driver.while_sending = lambda: press.receipt("r-1", status="cancelled")
    press.receipt("r-1")
    press.drain()
    assert press.states() == ["1 queued", "1 printing", "1 confirmed"]


def test_a_retry_prints_no_sheet_that_is_out_of_date(press: Press) -> None:
    press.driver.condition = PAPER_OUT
    press.receipt("r-1", line("tea"))
    press.receipt("r-1", line("tea"), line("cake"), edit=2)
    press.receipt("r-2", line("tea"))
    for job in (1, 2, 3):
        assert press.cancel(job) == ""
    press.receipt("r-2", line("tea"), line("cake"), edit=2, print=False)
    assert press.retry(1) == "job 1 is out of date: job 2 shows its receipt as it is now"
    assert press.retry(3) == "job 3 is out of date: ask for a copy of its receipt"
    assert press.retry(2) == ""
    press.driver.condition = READY
    press.drain()
    [sheet] = press.driver.sheets
    assert ("cake" in sheet, list(words(sheet))) == (True, [])


def test_an_unknown_job_and_an_unknown_printer_are_named(press: Press) -> None:
    assert (press.retry(7), press.cancel(7)) == ("there is no job 7", "there is no job 7")
    assert press.commit(SamplePage("bar")) == "there is no printer 'bar'"


def test_a_test_page_goes_through_the_queue_and_nobody_is_told(press: Press) -> None:
    press.driver.endings = [doubt(), Level.FENCED]
    assert press.commit(SamplePage("main")) == ""
    press.drain()
    assert (press.driver.sheets, press.jobs()[0].state) == ([], "doubtful"), "who asked stands beside the printer"
    assert press.commit(SamplePage("main")) == ""
    press.drain()
    assert "ПРЕЧЕК" in press.driver.sheets[0]
    assert "ПРОБНАЯ ПЕЧАТЬ" in press.driver.sheets[0], "nobody is to take it for a guest's"
    assert "Кафе" in press.driver.sheets[0]
    assert "Берёзка" not in press.driver.sheets[0]
    assert press.states("") == []


# --- stale ------------------------------------------------------------------------------------------------------------


def test_what_is_old_at_commit_is_skipped_stays_listed_and_a_retry_prints_it(press: Press) -> None:
    press.shop.clock.now_ms = 20 * MINUTE_MS
    press.receipt("r-1", run=press.shop.run, shop_ms=9 * MINUTE_MS)
    press.receipt("r-2", run=press.shop.run, shop_ms=11 * MINUTE_MS)
    press.receipt("r-3", run="ff", shop_ms=20 * MINUTE_MS)
    press.drain()
    assert [job.receipt for job in press.jobs()] == ["r-1", "r-3"]
    assert len(press.driver.sheets) == 1
    answer = press.shop.ask("A1", {"id": "q", "what": "stale"})
    assert [(row["receipt"], row["job"], row["state"], row["device"]) for row in answer["items"]] == [
        ("r-1", 1, "skipped-stale", "A1"),
        ("r-3", 3, "skipped-stale", "A1"),
    ]
    assert press.shop.ask("A1", {"id": "q", "what": "stale", "limit": 1, "run": press.shop.run})["more"]
    assert press.retry(1) == ""
    press.shop.clock.now_ms += 60 * MINUTE_MS
    press.drain()
    assert "N-r-1" in press.driver.sheets[1], "who demanded it waits for it"


def test_what_becomes_old_before_its_first_byte_is_skipped(press: Press) -> None:
    press.driver.condition = PAPER_OUT
    press.receipt("r-1")
    press.drain()
    press.shop.clock.now_ms += 11 * MINUTE_MS
    press.driver.condition = READY
    press.drain()
    assert press.driver.sheets == []
    assert press.states() == ["1 queued", "1 skipped-stale"]
    assert press.printer()["queued"] == 0


def test_a_power_gap_of_unknown_length_makes_nothing_stale(press: Press) -> None:
    press.receipt("r-1")
    press.shop.boot = "another boot"
    press.shop.clock.now_ms = 0
    press.restart()
    press.drain()
    assert len(press.driver.sheets) == 1


def test_a_shop_may_wait_for_longer(tmp_path: Path) -> None:
    press = Press(tmp_path, rules(stale_ms=60 * MINUTE_MS))
    press.shop.clock.now_ms = 20 * MINUTE_MS
    press.receipt("r-1", run=press.shop.run, shop_ms=0)
    press.drain()
    assert len(press.driver.sheets) == 1
    press.stop()


# --- a printer that is set up no more ---------------------------------------------------------------------------------

BAR = rules(stations=(Station("bar"),))


def test_what_waits_for_a_printer_that_is_gone_is_told_and_another_one_prints_it(press: Press) -> None:
    press.driver.condition = PAPER_OUT
    press.receipt("r-1")
    press.receipt("r-2")
    press.restart(BAR)
    assert press.shop.alerts() == {"printer"}
    assert [(job.printer, job.state) for job in press.jobs()] == [("main", "queued")] * 2
    assert "not set up any more" in press.jobs()[0].reason
    assert press.retry(1) == "there is no printer 'main': retry job 1 on another one (--on)"
    assert press.retry(1, on="terrace") == "there is no printer 'terrace': retry job 1 on another one (--on)"
    assert press.retry(1, on="bar") == ""
    press.shop.clock.now_ms += 60 * MINUTE_MS
    press.drain("bar")
    assert "N-r-1" in press.drivers["bar"].sheets[0], "who demanded it waits for it"
    assert press.shop.alerts() == {"printer"}, "one still waits"
    assert press.cancel(2) == ""
    assert (press.shop.alerts(), press.jobs()) == (set(), [])


def test_a_printer_that_comes_back_prints_what_waited_for_it(press: Press) -> None:
    press.driver.condition = PAPER_OUT
    press.receipt("r-1")
    press.restart(BAR)
    press.driver.condition = READY
    press.restart(rules())
    assert (press.jobs()[0].reason, press.shop.alerts()) == ("", set())
    press.drain()
    assert "N-r-1" in press.driver.sheets[0]


def test_a_stuck_printer_that_is_set_up_no_more_is_stuck_no_more(press: Press) -> None:
    press.driver.condition = PAPER_OUT
    press.receipt("r-1")
    press.shop.clock.now_ms += STUCK_MS
    press.shop.coordinator.look_at_printers()
    press.shop.coordinator.turn()
    assert press.shop.alerts() == {"printer"}
    assert press.cancel(1) == ""
    press.shop.clock.now_ms += 1
    press.receipt("r-2")
    press.shop.clock.now_ms += STUCK_MS
    press.shop.coordinator.look_at_printers()
    press.shop.coordinator.turn()
    press.receipt("r-2", status="cancelled")
    press.restart(BAR)
    assert press.shop.alerts() == set()


def test_what_a_printer_that_is_gone_had_begun_is_doubt_and_another_one_repeats_it(press: Press) -> None:
    press.receipt("r-1")
    press.crash_on = at(End, is_committed=False)
    with pytest.raises(Crash):
        press.drain()
    press.crash_on = lambda change, is_committed: False
    press.restart(BAR)
    assert [(job.id, job.state) for job in press.jobs()] == [(2, "queued")]
    assert press.retry(1, on="bar") == "job 1 is repeated by job 2"
    assert press.shop.alerts() == {"printer"}
    assert press.retry(2, on="bar") == ""
    assert press.shop.alerts() == set()
    press.drain("bar")
    assert list(words(press.drivers["bar"].sheets[0])) == ["ПОВТОР"]


def test_a_job_that_a_person_moves_away_at_the_last_moment_is_printed_once(tmp_path: Path) -> None:
    press = Press(tmp_path, rules(stations=(Station("main"), Station("bar", frozenset({"bar"})))))
    press.receipt("r-1")
    moved: list[str] = []

    def move(change: PaperChange, is_committed: bool) -> bool:
        if isinstance(change, Begin) and not is_committed and not moved:
            moved.append("now")
            assert press.retry(1, on="bar") == ""
        return False

    press.crash_on = move
    press.drain("main")
    press.drain("bar")
    assert (len(press.drivers["main"].sheets), len(press.drivers["bar"].sheets)) == (0, 1)
    press.stop()


# --- a fault of our own -----------------------------------------------------------------------------------------------


class Bug(Exception):
    """A sheet that cannot be made."""


def test_a_sheet_that_ends_the_process_twice_is_set_aside_and_the_others_come_out(
    press: Press, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = Sheets.sheet

    def sheet(sheets: Sheets, job: Job, material: Material) -> bytes:
        if job.receipt == "r-1":
            raise Bug
        return make(sheets, job, material)

    monkeypatch.setattr(Sheets, "sheet", sheet)
    press.restart()
    press.receipt("r-1")
    press.receipt("r-2")
    for _ in range(2):
        with pytest.raises(Bug):
            press.drain()
        press.restart()
    press.drain()
    assert ["N-r-2" in printed for printed in press.driver.sheets] == [True]
    [job] = press.jobs()
    assert (job.receipt, job.state, press.shop.alerts()) == ("r-1", "failed", {"printer"})
    assert "a fault of this program" in job.reason
    monkeypatch.undo()
    press.restart()
    assert press.retry(1) == ""
    press.drain()
    assert "N-r-1" in press.driver.sheets[1], "what was on it is kept"
    assert (press.jobs(), press.shop.alerts()) == ([], set())


def test_a_receipt_that_is_cancelled_needs_no_sheet_that_cannot_be_made(
    press: Press, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sheet(sheets: Sheets, job: Job, material: Material) -> bytes:
        raise Bug

    monkeypatch.setattr(Sheets, "sheet", sheet)
    press.restart()
    press.receipt("r-1")
    for _ in range(2):
        with pytest.raises(Bug):
            press.drain()
    press.receipt("r-1", status="cancelled")
    assert (press.jobs(), press.shop.alerts()) == ([], set())
