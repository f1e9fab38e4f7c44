"""A box that was off for nobody knows how long says so, until its clock is set."""

from pathlib import Path

from tests.shop import Shop, message, operation


def test_power_cut_of_unknown_length_raises_an_alert_until_the_clock_is_set(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.say("A1", message(operation(1)))
    shop.coordinator.tick()
    assert shop.alerts() == set()
    shop.boot = "another boot"
    shop.restart()
    shop.coordinator.turn()
    assert shop.alerts() == {"clock"}
    shop.clock.synchronised = True
    shop.coordinator.tick()
    shop.coordinator.turn()
    assert shop.alerts() == set()
    shop.stop()


def test_restart_within_one_boot_raises_none(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.say("A1", message(operation(1)))
    shop.restart()
    shop.coordinator.turn()
    assert shop.alerts() == set()
    shop.stop()
