"""The naive peer: mosquitto, and this callback, which commits each message to SQLite.

It is what an integrator writes in an afternoon, done well: the same wire messages as ours, WAL with synchronous=FULL,
a unique key against duplicates, and nothing said before the commit that it rests on. Run by itself:

    python naive.py PORT DATABASE
"""

import json
import socket
import sqlite3
import sys
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

READY = "ready"
"""What it prints once it hears every till."""

_ROOT = "stock/v1/shop/"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS operation (
    rev INTEGER PRIMARY KEY, device TEXT NOT NULL, epoch TEXT NOT NULL, seq INTEGER NOT NULL,
    sku TEXT NOT NULL, qty_milli INTEGER NOT NULL, reason TEXT NOT NULL, at TEXT NOT NULL,
    UNIQUE (device, epoch, seq)
);
CREATE TABLE IF NOT EXISTS balance (
    sku TEXT PRIMARY KEY, on_hand_milli INTEGER NOT NULL, rev INTEGER NOT NULL
) WITHOUT ROWID;
"""
_SELL = """
INSERT INTO balance VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET on_hand_milli = on_hand_milli + excluded.on_hand_milli, rev = excluded.rev
RETURNING on_hand_milli
"""


def main(port: int, path: str) -> None:
    database = sqlite3.connect(path)
    database.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; {_SCHEMA}")

    def on_message(client: Client, _: object, message: MQTTMessage) -> None:
        device = message.topic.split("/")[4]
        told = json.loads(message.payload)
        epoch, operations = told["epoch"], told.get("ops") or [told]
        balances: list[dict[str, Any]] = []
        for operation in operations:
            seq, sku = operation["seq"], operation["sku"]
            qty_milli = round(float(operation["qty"]) * 1000)
            rev = database.execute(
                "INSERT OR IGNORE INTO operation (device, epoch, seq, sku, qty_milli, reason, at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING rev",
                (device, epoch, seq, sku, qty_milli, operation["reason"], operation["at"]),
            ).fetchone()
            if rev is not None:  # Else it was heard before, and only wants its ack again.
                (on_hand_milli,) = database.execute(_SELL, (sku, qty_milli, *rev)).fetchone()
                balances.append({"sku": sku, "on_hand": f"{on_hand_milli / 1000:g}", "rev": rev[0]})
        database.commit()
        for balance in balances:
            client.publish(f"{_ROOT}balance/{balance['sku']}", json.dumps(balance), retain=True)
        ack = {"epoch": epoch, "seq": operations[-1]["seq"]}
        client.publish(f"{_ROOT}device/{device}/ack", json.dumps(ack))

    def on_connect(client: Client, *_: object) -> None:
        client.subscribe(f"{_ROOT}device/+/op", qos=1)

    def on_socket_open(_: Client, __: object, opened: Any) -> None:
        # Else Nagle's algorithm and the delayed acknowledgement of TCP make a balance 40 ms late.
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    client = Client(CallbackAPIVersion.VERSION2, client_id="coordinator", clean_session=False)
    client.on_message = on_message
    client.on_socket_open = on_socket_open
    client.on_connect = on_connect
    client.on_subscribe = lambda *_: print(READY, flush=True)
    client.connect("127.0.0.1", port)
    client.loop_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
