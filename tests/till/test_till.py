"""The till as a program uses it, while nobody listens: selling needs no network. With one: tests of the whole path."""

import threading
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest

from appliance.till import NoAnswer, OutboxError, Till
from tests.box import PASSWORD, Box
from tests.till.desk import MILK
from tests.waiting import wait_until


def make_till(port: int, path: Path, device: str = "A1", password: str = "secret") -> Till:
    return Till(host="127.0.0.1", port=port, shop="shop", device=device, password=password, path=path)


def test_a_till_sells_without_a_network_and_remembers_after_a_restart(free_port: int, tmp_path: Path) -> None:
    with make_till(free_port, tmp_path / "A1.outbox") as till:
        till.item(MILK, name="Молоко", unit="pcs", price_minor=8990)
        till.receive(MILK, "20")
        till.sell(MILK, 2)
        till.write_off(MILK, "1")
        till.move(MILK, "-3", "transfer_out")
        till.receipt([{"sku": MILK, "qty": "4", "price_minor": 8990}], number="A1-000001")
        till.receipt([{"sku": MILK, "qty": "1"}], kind="return")
        assert not till.is_connected
        assert not till.wait_acked(0)
    with make_till(free_port, tmp_path / "A1.outbox") as till:
        balance = till.balance(MILK)
        assert balance is not None
        assert (balance.on_hand, till.pending, till.rejected) == ("11", 7, [])
        assert till.skus() == [MILK]


def test_open_receipts_and_counts_show_without_a_network(free_port: int, tmp_path: Path) -> None:
    with make_till(free_port, tmp_path / "A1.outbox") as till:
        till.count(MILK, "20")
        tab = till.receipt([{"sku": MILK, "qty": "2"}], status="open", table="7")
        assert till.receipt([{"sku": MILK, "qty": "3"}], status="open", receipt=tab) == tab
        other = till.receipt([{"sku": MILK, "qty": "1"}], status="open")
        balance = till.balance(MILK)
        assert balance is not None
        assert (balance.on_hand, balance.reserved, balance.available) == ("20", "4", "16")
        till.cancel(other)
        till.receipt([{"sku": MILK, "qty": "3"}], receipt=tab)
        counting = till.begin_count()
        counting.count("salt", "3", includes_reserved=True)
        counting.count("tea", "0.5")
        till.acknowledge("fork-a1")
        balance = till.balance(MILK)
        assert balance is not None
        assert balance.text == "17, coordinator not heard since this till started"
        assert (balance.reserved, till.pending, till.alerts) == ("0", 9, [])


def test_a_receipt_that_this_start_knows_nothing_of_is_not_edited_blindly(free_port: int, tmp_path: Path) -> None:
    with make_till(free_port, tmp_path / "A1.outbox") as till:
        with pytest.raises(ValueError, match="ask find_receipt"):
            till.receipt([], status="open", receipt="tab-7")
        till.receipt([], status="open", receipt="tab-7", edit=1)
        till.receipt([], status="open", receipt="tab-7")
        assert till.pending == 2


def test_what_only_the_coordinator_knows_cannot_be_looked_up_offline(free_port: int, tmp_path: Path) -> None:
    with make_till(free_port, tmp_path / "A1.outbox") as till:
        with pytest.raises(NoAnswer, match="no connection"):
            till.find_receipt("tab-7")
        with pytest.raises(NoAnswer, match="no connection"):
            till.history(MILK)


def test_a_receipt_of_one_till_is_paid_on_another_and_its_story_read_there(tmp_path: Path) -> None:
    with (
        Box(tmp_path / "box") as box,
        make_till(box.port, tmp_path / "H.outbox", "H", PASSWORD) as handheld,
        make_till(box.port, tmp_path / "A1.outbox", "A1", PASSWORD) as desk,
    ):
        wait_until(lambda: handheld.is_connected and desk.is_connected)
        handheld.count(MILK, "20")
        tab = handheld.receipt([{"sku": MILK, "qty": "2"}], status="open", table="7")
        assert handheld.wait_acked(30)
        found = desk.find_receipt(tab, 30)
        assert found is not None
        assert (found.state, found.device) == ("open", "H")
        assert desk.find_receipt("nobody-has-opened-it", 30) is None
        desk.receipt(found.lines, receipt=tab)
        assert desk.wait_acked(30)
        assert [(entry.device, entry.cause, entry.on_hand) for entry in handheld.history(MILK, 30)] == [
            ("H", "count", "20"),
            ("H", "reserved", "20"),
            ("A1", "sale", "18"),
            ("A1", "released", "18"),
        ]
        desk.receipt([{"sku": MILK, "qty": "5"}], receipt=tab)
        wait_until(lambda: handheld.alerts)
        handheld.acknowledge(handheld.alerts[0].alert)
        wait_until(lambda: not desk.alerts and not handheld.alerts)
        wait_until(lambda: handheld.freshness.text == "")
        desk.close()
        wait_until(lambda: handheld.freshness.unheard)
        assert handheld.freshness.text.startswith("A1 not seen for")


def test_a_till_that_nobody_hears_says_why(free_port: int, tmp_path: Path) -> None:
    with make_till(free_port, tmp_path / "A1.outbox") as till:
        wait_until(lambda: till.fault)
        assert f"127.0.0.1:{free_port}" in str(till.fault)


@pytest.mark.parametrize(("host", "port"), [("", 1883), ("a" * 64 + ".local", 1883), ("127.0.0.1", 70_000)])
def test_an_address_that_cannot_be_one_is_a_fault_to_read_and_the_till_goes_on(
    tmp_path: Path, host: str, port: int
) -> None:
    with Till(host=host, port=port, shop="shop", device="A1", password="x", path=tmp_path / "A1.outbox") as till:
        wait_until(lambda: till.fault)
        assert f"{host}:{port}: " in str(till.fault)
        till.sell(MILK, 1)
        assert till.pending == 1


def test_a_change_is_told_and_the_balance_can_be_read_there(free_port: int, tmp_path: Path) -> None:
    told: list[tuple[int, str]] = []
    with make_till(free_port, tmp_path / "A1.outbox") as till:
        till.on_change = lambda: told.append((threading.get_ident(), str(till.balance(MILK))))
        till.sell(MILK, 1)
    assert any(thread == threading.get_ident() and "on_hand_milli=-1000" in text for thread, text in told)


def test_many_threads_may_sell_on_one_till(free_port: int, tmp_path: Path) -> None:
    with make_till(free_port, tmp_path / "A1.outbox") as till:
        sellers = [threading.Thread(target=lambda: [till.sell(MILK, 1) for _ in range(25)]) for _ in range(4)]
        for seller in sellers:
            seller.start()
        for seller in sellers:
            seller.join()
        assert till.pending == 100


def test_what_would_be_rejected_raises_and_spends_nothing(free_port: int, tmp_path: Path) -> None:
    with make_till(free_port, tmp_path / "A1.outbox") as till:
        with pytest.raises(ValueError, match="write a decimal"):
            till.sell(MILK, "two")
        with pytest.raises(ValueError, match="negative"):
            till.sell(MILK, "-2")
        assert till.pending == 0


def test_a_device_without_a_legal_name_is_no_till(free_port: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot name a device"):
        make_till(free_port, tmp_path / "A1.outbox", device="till/1")


def test_a_till_ends_in_peace_when_its_connection_breaks_at_its_last_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = mqtt.Client.publish

    def breaks(client: mqtt.Client, topic: str, *words: Any, **named: Any) -> mqtt.MQTTMessageInfo:
        if named.get("retain"):
            client._sock_close()  # The cable, pulled between is_connected() and the write.
        return published(client, topic, *words, **named)

    with Box(tmp_path / "box") as box, make_till(box.port, tmp_path / "A1.outbox", password=PASSWORD) as till:
        wait_until(lambda: till.is_connected)
        monkeypatch.setattr(mqtt.Client, "publish", breaks)


def test_an_outbox_belongs_to_one_device_and_one_process(free_port: int, tmp_path: Path) -> None:
    with (
        make_till(free_port, tmp_path / "A1.outbox"),
        pytest.raises(OutboxError, match="is in use"),
    ):
        make_till(free_port, tmp_path / "A1.outbox")
    with pytest.raises(OutboxError, match="of device A1, not A2"):
        make_till(free_port, tmp_path / "A1.outbox", device="A2")
