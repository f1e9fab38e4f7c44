"""What a person must know: in words, for machines and in the code, each kind of alert has the same facts."""

import inspect
import json
import re
from typing import Any

import orjson
import pytest
from jsonschema import Draft7Validator

from appliance.contract import messages
from appliance.contract.messages import Alert
from appliance.stock import alerts
from appliance.stock.alerts import Raised
from appliance.stock.order import Fact
from tests.contract.golden import CONTRACT
from tests.contract.test_readme import section

DOCUMENT: dict[str, Any] = json.loads((CONTRACT / "asyncapi.json").read_text(encoding="utf-8"))
ALERT = {"components": DOCUMENT["components"], "allOf": [{"$ref": "#/components/schemas/Alert"}]}

EPOCH = "5f0c8d1e-3b7a-4c61-8e1f-0a9d2b6c4e75"
COUNT = Fact("H", EPOCH, 1, 9126, shop_ms=0, seen=0, is_uncertain=False)
SALE = Fact("A2", EPOCH, 1, 9130, shop_ms=0, seen=0, is_uncertain=False, receipt="R1")

RAISED = [
    alerts.oversell("A", -1000, [(SALE, -1000)]),
    alerts.low_stock("A", 5000, 5000),
    alerts.recount("A", COUNT, [SALE]),
    alerts.recount_reserved("A", COUNT, 2000),
    alerts.mark_twice("0104690257528523215FBC'm,t;2%Qz", ["R1", "R2"]),
    alerts.return_exceeds_sale("R1", {"A": 1000}),
    alerts.unit_mismatch("A", -500, SALE),
    alerts.receipt_conflict("R1", "A1-000123", "was paid twice", SALE),
    alerts.reservation_expired("R1", "A1-000123", {"A": 2000}),
    alerts.rejected("A1", EPOCH, 15, "bad-quantity", "qty is wrong"),
    alerts.quarantine("A1", "no JSON object", 7),
    alerts.fork("A1", EPOCH, (EPOCH,)),
    alerts.history_gap("A1", EPOCH),
    alerts.internal("A1", f"operation 15 of {EPOCH}"),
    alerts.internal_again("A1", "a question"),
    alerts.clock(),
    alerts.disk_fails("database or disk is full"),
    alerts.disk_fills(256 << 20),
    alerts.no_backup("nothing is mounted there"),
    alerts.other_ledgers_backups("/media/stick/shop-000007.backup", 7),
    alerts.printer_stuck("main", "paper-out", "there is no paper"),
    alerts.printer_gone("main"),
    alerts.print_given_up("main", 41, "R1", "the printer lost power"),
    alerts.print_failed("main", 41, "R1", "its sheet cannot be made"),
    alerts.group_unprinted(None, "A", "R1"),
]


def written(raised: Raised) -> dict[str, Any]:
    said = orjson.dumps(raised.facts)
    payload = messages.alert(Alert(raised.alert, raised.kind, "active", 0, 9130, 1, raised.summary, said))
    loaded: dict[str, Any] = json.loads(payload)
    return loaded


def documented() -> list[tuple[str, str, list[str]]]:
    """Return the rows of the table of alerts: kind, sort, keys of its facts."""
    rows = re.findall(r"^\| `([a-z-]+)` \| (event|state) \|.*\| ([^|]+) \|$", section("Alerts"), re.MULTILINE)
    return [(kind, sort, re.findall(r"`(\w+)`", keys)) for kind, sort, keys in rows]


def test_every_alert_of_the_code_is_here() -> None:
    makers = {
        name
        for name, function in inspect.getmembers(alerts, inspect.isfunction)
        if inspect.signature(function).return_annotation is Raised
    }
    assert len(makers) == len(RAISED)


def test_the_table_of_alerts_is_what_the_code_raises() -> None:
    raised = [(one.kind, "state" if one.is_state else "event", list(one.facts)) for one in RAISED]
    assert documented() == raised


def test_every_key_of_the_facts_is_explained_and_in_the_schema() -> None:
    keys = {key for one in RAISED for key in one.facts}
    explained = set(re.findall(r"`(\w+)`", section("Alerts").split("| in `facts` | is |")[1]))
    assert keys - explained == set()
    assert keys == DOCUMENT["components"]["schemas"]["AlertFacts"]["properties"].keys()


@pytest.mark.parametrize("raised", RAISED, ids=lambda raised: raised.kind)
def test_an_alert_fits_its_schema(raised: Raised) -> None:
    Draft7Validator(ALERT).validate(written(raised))


@pytest.mark.parametrize(("raised", "key"), [(one, key) for one in RAISED for key in one.facts])
def test_an_alert_without_one_of_its_facts_does_not(raised: Raised, key: str) -> None:
    said = written(raised)
    del said["facts"][key]
    assert not Draft7Validator(ALERT).is_valid(said)
