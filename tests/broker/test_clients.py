"""Clients that we did not write: a till made of two shell lines, and paho."""

import shutil
import subprocess
import threading
from contextlib import closing

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.broker.running import DEADLINE_S, ROOT, Ours, Shop
from tests.waiting import wait_until


def command(name: str, broker: Ours, *arguments: str) -> list[str]:
    found = shutil.which(name)
    assert found is not None, f"{name} is missing: install the Debian package mosquitto-clients"
    host, port = broker.address
    return [found, "-h", host, "-p", str(port), "-u", "A1", "-P", "secret", *arguments]


def test_a_till_made_of_two_shell_lines_sells_and_reads() -> None:
    shop = Shop()
    shop.ledger[f"{ROOT}balance/A"] = b'{"sku":"A"}'
    with closing(Ours(shop)) as broker:
        sold = subprocess.run(
            command("mosquitto_pub", broker, "-q", "1", "-r", "-t", f"{ROOT}device/A1/op", "-m", '{"epoch":"e"}'),
            timeout=DEADLINE_S,
            check=True,
            capture_output=True,
            text=True,
        )
        assert sold.stderr == ""
        assert [one.payload for one in shop.wait_for(1)] == [b'{"epoch":"e"}']
        read = subprocess.run(
            command("mosquitto_sub", broker, "-q", "1", "-v", "-C", "1", "-t", f"{ROOT}balance/+"),
            timeout=DEADLINE_S,
            check=True,
            capture_output=True,
            text=True,
        )
        assert read.stdout == f'{ROOT}balance/A {{"sku":"A"}}\n'


def test_mosquitto_pub_says_what_is_wrong_with_its_password() -> None:
    with closing(Ours()) as broker:
        refused = subprocess.run(
            [*command("mosquitto_pub", broker, "-t", "x", "-m", "x"), "-P", "wrong"],
            timeout=DEADLINE_S,
            check=False,
            capture_output=True,
            text=True,
        )
        assert refused.returncode == 4
        assert "bad user name or password" in refused.stderr


def test_paho_publishes_reads_and_comes_back_after_a_restart() -> None:
    shop = Shop()
    received: list[tuple[str, bytes, bool]] = []
    connected = threading.Semaphore(0)
    subscribed = threading.Semaphore(0)
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="till", clean_session=True)
    client.username_pw_set("A1", "secret")
    client.will_set(f"{ROOT}device/A1/state", b"offline", qos=1, retain=True)
    client.reconnect_delay_set(1, 1)

    def on_connect(*_: object) -> None:
        connected.release()
        client.subscribe([(f"{ROOT}balance/+", 1), (f"{ROOT}device/+/state", 0)])

    def on_message(_: object, __: object, message: paho.MQTTMessage) -> None:
        received.append((message.topic.removeprefix(ROOT), bytes(message.payload), message.retain))

    client.on_connect = on_connect
    client.on_message = on_message
    client.on_subscribe = lambda *_: subscribed.release()
    with closing(Ours(shop)) as broker:
        client.connect(*broker.address, keepalive=60)
        client.loop_start()
        try:
            assert subscribed.acquire(timeout=DEADLINE_S)
            sales = [client.publish(f"{ROOT}device/A1/op", b"sale %d" % number, qos=1) for number in range(200)]
            for sale in sales:
                sale.wait_for_publish(DEADLINE_S)
                assert sale.is_published()
            assert [one.payload for one in shop.wait_for(200)] == [b"sale %d" % number for number in range(200)]
            broker.publish("balance/A", b"1", retain=True)
            wait_until(lambda: received == [("balance/A", b"1", False)])
            # It is cut off, its last will is due, and it comes back by itself.
            broker.broker.disconnect("A1")
            assert subscribed.acquire(timeout=DEADLINE_S)
            wait_until(lambda: ("device/A1/state", b"offline", True) in received)
        finally:
            client.disconnect()
            client.loop_stop()
