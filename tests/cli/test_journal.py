"""Repeated log lines are held back and counted; others pass."""

import logging

from appliance.cli.journal import BURST, WINDOW_S, Repeats


def _record(text: str, created: float, *args: object) -> logging.LogRecord:
    record = logging.LogRecord("appliance.coordinator", logging.WARNING, "", 0, text, args, None)
    record.created = created
    return record


def test_flood_of_one_kind_is_held_back_and_counted_and_hides_nothing_else() -> None:
    repeats = Repeats()
    passed = [repeats.filter(_record("rejected device=%s", 1.0 + number / 1000, "A1")) for number in range(100)]
    assert passed == [True] * BURST + [False] * (100 - BURST)
    assert repeats.filter(_record("online shop=%s", 1.5, "shop"))
    later = _record("rejected device=%s", 1.0 + WINDOW_S, "100 %")
    assert repeats.filter(later)
    assert later.getMessage() == f"rejected device=100 % held_back={100 - BURST}"
    again = _record("rejected device=%s", 1.1 + WINDOW_S, "A1")
    assert repeats.filter(again)
    assert again.getMessage() == "rejected device=A1"
