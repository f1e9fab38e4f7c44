"""What a real coordinator says in a shop's day fits the documents: every message its schema, every cause its table."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from appliance.ledger.pruning import MONTH_MS
from tests.contract.golden import CONTRACT
from tests.contract.test_readme import section
from tests.shop import EPOCH, RESERVE_MS, Shop, message, tag

DOCUMENT: dict[str, Any] = json.loads((CONTRACT / "asyncapi.json").read_text(encoding="utf-8"))

MARK = "0104690257528523215FBC'm,t;2%Qz"
MILK = {"sku": "milk", "qty": "2", "marks": [MARK]}
REASONS = {"receive": "20", "sale": "-1", "return": "1", "write_off": "-1", "transfer_out": "-1", "transfer_in": "1"}


def receipt(name: str, status: str, **fields: Any) -> dict[str, Any]:
    return {"type": "receipt", "receipt": name, "kind": "sale", "status": status, "lines": [MILK], **fields}


def tell_a_day(shop: Shop) -> None:
    """Let one till and a late one send every type of operation, until each cause and most alerts have come of it."""
    seq = 0

    def say(*operations: dict[str, Any]) -> None:
        nonlocal seq
        shop.say("A1", message(*({"seq": seq + n, "tag": tag(seq + n), **one} for n, one in enumerate(operations, 1))))
        seq += len(operations)

    say({"type": "item", "sku": "milk", "name": "Milk", "low": "30"})
    say(*({"type": "move", "sku": "milk", "qty": qty, "reason": reason} for reason, qty in REASONS.items()))
    say({"type": "move", "sku": "milk", "qty": "-0.5", "reason": "adjust"})
    say(receipt("R1", "open"), receipt("R1", "open", edit=2, lines=[{**MILK, "qty": "1"}]), receipt("R1", "paid"))
    say(receipt("R1", "paid"), receipt("R1", "paid", lines=[]), receipt("R1", "cancelled"), receipt("R2", "paid"))
    say(receipt("R3", "paid", kind="return", of="R1", lines=[{"sku": "milk", "qty": "5"}]))
    shop.clock.now_ms = 60_000
    stamp = {"run": shop.run, "shop_ms": 50_000}
    say(receipt("R4", "open"), {"type": "count", "sku": "milk", "counted": "2", **stamp})
    late = {"type": "move", "sku": "milk", "qty": "-4", "reason": "sale", "run": shop.run}
    for n, shop_ms in enumerate((20_000, 52_000), 1):
        shop.say("A2", message({"seq": n, "tag": tag(100 + n), "shop_ms": shop_ms, **late}, after=tag(99 + n)))
    shop.clock.now_ms = 60_000 + RESERVE_MS
    shop.coordinator.turn()
    say({"type": "move", "sku": "milk", "qty": "1,5", "reason": "sale"})
    shop.say("A1", b"rubbish")
    fork = {"seq": 1, "tag": tag(900), "parents": [EPOCH], "why": "history-gap", "type": "item", "sku": "milk"}
    shop.say("A1", message(fork, epoch="epoch-of-the-test-0002"))
    shop.coordinator.tick()
    shop.coordinator.say_online()
    shop.coordinator.say_offline()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(tmp_path)
    tell_a_day(shop)
    yield shop
    shop.stop()


def fault(topic: str, payload: bytes) -> str:
    """Return what speaks against a message on its channel, "" when one of the channel's schemas takes it."""
    for channel in DOCUMENT["channels"].values():
        if not re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", channel["address"]), topic):
            continue
        schemas = [DOCUMENT["components"]["messages"][name]["payload"] for name in channel["messages"]]
        whole = {"components": DOCUMENT["components"], "anyOf": schemas}
        return "; ".join(str(error.message) for error in Draft7Validator(whole).iter_errors(json.loads(payload)))
    return f"no channel is {topic}"


def test_every_message_of_a_day_fits_its_schema(shop: Shop) -> None:
    said = [(topic, payload) for topic, payload in shop.link.log if payload]
    assert [(topic, payload, fault(topic, payload)) for topic, payload in said if fault(topic, payload)] == []


def test_every_answer_fits_the_schema_of_its_question(shop: Shop) -> None:
    questions: list[tuple[str, dict[str, Any]]] = [
        ("AnswerBalances", {"what": "balances"}),
        ("AnswerItems", {"what": "items"}),
        ("AnswerRejected", {"what": "rejected"}),
        ("AnswerHistory", {"what": "history", "sku": "milk"}),
        *(("AnswerReceipt", {"what": "receipt", "receipt": name}) for name in ("R1", "R3", "R4")),
    ]
    for schema, question in questions:
        answer = shop.ask("A1", {"id": "q", **question})
        assert answer["items"]
        whole = {"components": DOCUMENT["components"], "allOf": [{"$ref": f"#/components/schemas/{schema}"}]}
        Draft7Validator(whole).validate(answer)


def test_a_history_has_the_causes_that_are_documented_and_no_other(shop: Shop) -> None:
    rows = shop.ask("A1", {"id": "q", "what": "history", "sku": "milk"})["items"]
    table = re.findall(r"^\| (`[^|]+`) \|", section("A history"), re.MULTILINE)
    documented = {cause for cell in table for cause in re.findall(r"`([a-z_-]+)`", cell)} - {"cause"}
    shop.clock.now_ms += 2 * MONTH_MS
    while shop.writer.prune(shop.clock.now_ms, keep_months=1):
        pass
    rows += shop.ask("A1", {"id": "q", "what": "history", "sku": "milk"})["items"]
    assert {row["cause"] for row in rows} == documented
    causes = DOCUMENT["components"]["schemas"]["Entry"]["properties"]["cause"]["enum"]
    assert set(causes) == documented


def test_a_history_ends_in_the_balance(shop: Shop) -> None:
    last = shop.ask("A1", {"id": "q", "what": "history", "sku": "milk"})["items"][-1]
    balance = shop.retained("balance/milk")
    assert (last["on_hand"], last["reserved"]) == (balance["on_hand"], balance["reserved"])


def test_a_receipt_says_what_its_device_had_said_until_it_expired(shop: Shop) -> None:
    def row(name: str) -> dict[str, Any]:
        (found,) = shop.ask("A2", {"id": "q", "what": "receipt", "receipt": name})["items"]
        assert isinstance(found, dict)
        return found

    returned, expired = row("R3"), row("R4")
    assert (returned["state"], returned["kind"], returned["operation"]["of"]) == ("paid", "return", "R1")
    assert (expired["state"], expired["device"], expired["operation"]) == ("expired", "A1", None)
