"""What the box's clock says to people."""

import time

import pytest

from appliance import clock
from appliance.clock import ShopClock, boottime_ms


@pytest.mark.parametrize(("is_synchronised", "is_told"), [(True, True), (False, False)])
def test_paper_gets_a_time_of_day_only_while_the_clock_follows_a_server(
    monkeypatch: pytest.MonkeyPatch, is_synchronised: bool, is_told: bool
) -> None:
    monkeypatch.setattr(clock, "is_synchronised", lambda: is_synchronised)
    shop = ShopClock(1_000_000, boottime_ms())
    began_ms = time.time_ns() // 1_000_000
    told_ms = shop.told_ms(400_000)
    assert (told_ms is not None) is is_told
    if told_ms is not None:
        assert told_ms + 600_000 >= began_ms - 1, "ten minutes ago, by what has passed of shop time"
        assert told_ms + 600_000 <= time.time_ns() // 1_000_000 + 1
