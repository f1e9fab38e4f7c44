"""The contract for machines: asyncapi.json is valid AsyncAPI 3, and says the same as the examples and the code.

What is marked `x-planned` belongs to the contract and is built by a later version. It is checked here too: a device
that sends it today is told so, and the day that changes, a test fails until the mark is taken away.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft7Validator, ValidationError
from jsonschema.validators import extend

from appliance.contract.topics import Topics
from tests.contract.golden import CONTRACT, EXAMPLES, example, names

DOCUMENT: dict[str, Any] = json.loads((CONTRACT / "asyncapi.json").read_text(encoding="utf-8"))
SCHEMA = EXAMPLES.parents[2] / "tests" / "contract" / "asyncapi-3.0.0" / "schema.json"
MESSAGES: dict[str, Any] = DOCUMENT["components"]["messages"]
PLANNED = "x-planned"

TOPICS = Topics("shop")
BUILT = {
    TOPICS.coordinator,
    TOPICS.tick,
    TOPICS.changes,
    TOPICS.balance("{sku}"),
    TOPICS.item("{sku}"),
    TOPICS.alert("{alert}"),
    TOPICS.printer("{printer}"),
    *(TOPICS.device("{device}", leaf) for leaf in ("state", "op", "query", "ack", "answer", "print")),
}


def examples_of(message: dict[str, Any]) -> Iterator[str]:
    for entry in message["examples"]:
        found = re.fullmatch(r"examples/([a-z-]+)\.json", entry["payload"]["$ref"])
        assert found, f"{entry} names no example"
        assert found[1] == entry["name"]
        yield found[1]


CASES = [(key, name) for key, message in MESSAGES.items() for name in examples_of(message)]


def validator_of(payload: dict[str, Any]) -> Draft7Validator:
    """Return a validator of one message's payload that resolves `#/components/…` against the document."""
    return Draft7Validator({"components": DOCUMENT["components"], "allOf": [payload]})


def test_the_document_is_valid_asyncapi_3() -> None:
    Draft7Validator(json.loads(SCHEMA.read_text(encoding="utf-8"))).validate(DOCUMENT)


def test_a_document_with_a_misspelt_word_is_not() -> None:
    broken = {**DOCUMENT, "chanels": {}}
    with pytest.raises(ValidationError, match="chanels"):
        Draft7Validator(json.loads(SCHEMA.read_text(encoding="utf-8"))).validate(broken)


def test_every_schema_is_a_json_schema() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        Draft7Validator.check_schema(schema)


def test_every_reference_inside_the_document_leads_somewhere() -> None:
    for reference in references(DOCUMENT):
        target: Any = DOCUMENT
        for key in reference.removeprefix("#/").split("/"):
            target = target[key]
        assert target


@pytest.mark.parametrize(("message", "name"), CASES)
def test_an_example_fits_its_schema(message: str, name: str) -> None:
    validator_of(MESSAGES[message]["payload"]).validate(json.loads(example(name)))


def test_every_example_belongs_to_one_message() -> None:
    assert sorted(name for _, name in CASES) == sorted(names())


def test_every_schema_has_an_example() -> None:
    applied: set[str] = set()

    def reference(validator: Any, ref: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
        errors = list(Draft7Validator.VALIDATORS["$ref"](validator, ref, instance, schema))
        if not errors:
            applied.add(ref.removeprefix("#/components/schemas/"))
        yield from errors

    recording = extend(Draft7Validator, {"$ref": reference})  # type: ignore[no-untyped-call]
    for message, name in CASES:
        schema = {"components": DOCUMENT["components"], "allOf": [MESSAGES[message]["payload"]]}
        recording(schema).validate(json.loads(example(name)))
    assert applied == DOCUMENT["components"]["schemas"].keys()


def test_every_message_travels_on_a_channel_and_every_channel_has_its_operation() -> None:
    channels = DOCUMENT["channels"]
    carried = {key for channel in channels.values() for key in channel["messages"]}
    used = [operation["channel"]["$ref"].removeprefix("#/channels/") for operation in DOCUMENT["operations"].values()]
    assert carried == MESSAGES.keys()
    assert sorted(used) == sorted(channels)


def test_every_topic_is_built_by_the_code() -> None:
    addresses = {
        channel["address"].replace("{shop}", "shop")
        for channel in DOCUMENT["channels"].values()
        if PLANNED not in channel
    }
    assert addresses == BUILT


def test_every_topic_declares_its_parameters() -> None:
    for channel in DOCUMENT["channels"].values():
        assert set(re.findall(r"\{(\w+)\}", channel["address"])) == channel["parameters"].keys()


def test_a_device_publishes_on_the_channels_that_the_coordinator_receives() -> None:
    received = {
        DOCUMENT["channels"][operation["channel"]["$ref"].removeprefix("#/channels/")]["address"]
        for operation in DOCUMENT["operations"].values()
        if operation["action"] == "receive"
    }
    topics = {address.format(shop="shop", device="A1") for address in received}
    assert len(topics) == 3
    assert all(TOPICS.sender(topic) is not None for topic in topics)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("op-move", {"qty": "1.2345"}),
        ("op-move", {"qty": None}),
        ("op-move", {"reason": "theft"}),
        ("op-move", {"epoch": "short"}),
        ("op-move", {"seq": 0}),
        ("op-move", {"seq": 2}),
        ("op-receipt", {"after": None}),
        ("op-receipt", {"run": None}),
        ("op-receipt", {"receipt": "A1/000123"}),
        ("op-receipt", {"status": "expired"}),
        ("op-receipt-open", {"lines": None}),
        ("op-receipt-open", {"kind": None}),
        ("op-count", {"counted": "-1"}),
        ("op-count", {"counted": -1}),
        ("op-count", {"took_ms": 8 * 24 * 3600 * 1000}),
        ("query-history", {"sku": None}),
        ("alert-oversell", {"facts": {"sku": "A", "on_hand": "-1"}}),
        ("alert-recount", {"facts": {"sku": "A", "count": {"device": "H", "rev": 1}, "beside": []}}),
        ("op-batch", {"ops": []}),
        ("balance", {"on_hand": "1.50"}),
        ("ack", {"gap": False}),
    ],
)
def test_a_schema_refuses_what_the_contract_forbids(name: str, change: dict[str, Any]) -> None:
    (message,) = (message for message, each in CASES if each == name)
    changed = {key: value for key, value in (json.loads(example(name)) | change).items() if value is not None}
    assert not validator_of(MESSAGES[message]["payload"]).is_valid(changed)


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        reference = node.get("$ref")
        if isinstance(reference, str) and reference.startswith("#/"):
            yield reference
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)
