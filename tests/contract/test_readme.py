"""The contract in words says what the code does: its codes, its limits, and its example messages."""

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from appliance.contract import limits
from appliance.contract.messages import What, read_query
from appliance.contract.operations import identify, read_message, read_operation
from appliance.contract.paper import JobState
from appliance.settings import StockSettings
from appliance.stock import alerts, order, quantity, reconcile
from appliance.stock.operation import Expire, Line, Receipt, ReceiptKind, Status
from appliance.stock.receipts import EXPIRED, Settled, expire, settle
from appliance.stock.sequence import Place
from tests.contract.golden import CONTRACT

README = (CONTRACT / "README.md").read_text(encoding="utf-8")
REFUSALS = {Place.REUSED.value, Place.CLOSED.value}

# Where each error's code stands among its arguments.
CODE_AT = {"Rejected": 0, "BadQuery": 1}


def section(title: str) -> str:
    """Return the text under a heading, up to the next one of any rank."""
    found = re.search(rf"^#+ {re.escape(title)}[^\n]*\n(.*?)(?=^#+ |\Z)", README, re.MULTILINE | re.DOTALL)
    assert found, f"README.md has no section {title!r}"
    return found[1]


def codes_of(source: str) -> Iterator[str]:
    """Yield the codes that a module names literally: in an error it makes, or as `code=` of a field's reader."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        given = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
        if isinstance(node.func, ast.Name) and node.func.id in CODE_AT:
            given += node.args[CODE_AT[node.func.id] :][:1]
        yield from (str(value.value) for value in given if isinstance(value, ast.Constant))


def test_the_table_of_codes_holds_every_code_of_the_code_and_no_other() -> None:
    appliance = CONTRACT.parent
    # The till is the other side: it makes no codes, it is told them.
    sources = [path for path in appliance.rglob("*.py") if "till" not in path.relative_to(appliance).parts]
    raised = {code for path in sources for code in codes_of(Path(path).read_text(encoding="utf-8"))}
    table = re.findall(r"^\| `([a-z-]+)` \|", section("Codes"), re.MULTILINE)
    assert sorted(table) == sorted(raised | REFUSALS)


def test_codes_are_found_in_every_form_in_which_code_names_them() -> None:
    source = 'raise Rejected("a", x)\nBadQuery(None, "b", x)\nfields.wrong("key", "text", code="c")\nRejected(code, x)'
    assert sorted(codes_of(source)) == ["a", "b", "c"]


def test_the_limits_in_words_are_those_of_the_code() -> None:
    text = section("Limits")
    rows = dict(re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|", text, re.MULTILINE))
    assert rows["payload, in either direction"] == f"{limits.PAYLOAD_MAX // 1024} KiB"
    assert rows["operations in a message"] == str(limits.OPERATIONS_MAX)
    assert rows["one operation"] == f"{limits.OPERATION_BYTES_MAX // 1024} KiB of JSON"
    assert rows["lines of a receipt; components of an item or a line"] == str(limits.LINES_MAX)
    assert rows["different SKUs in a receipt, components included"] == str(limits.LINES_MAX)
    assert rows["a SKU"] == f"{limits.SKU_BYTES_MAX} bytes"
    assert rows["any text for people"].startswith(f"{limits.TEXT_MAX} characters")
    assert rows["`parents` of a fork"] == str(limits.PARENTS_MAX)
    assert rows["a count's `took_ms`"] == f"{limits.TOOK_MS_MAX // (24 * 3600 * 1000)} days"
    assert rows["codes in a line's `marks`"] == str(limits.LINES_MAX)
    assert rows["sides that an alert names"] == str(alerts.SIDES_MAX)
    assert rows["the `id` of a query"] == f"{limits.QUERY_ID_MAX} characters"
    assert rows["rows of an answer's page"] == str(limits.QUERY_LIMIT_MAX)
    assert limits.SEQ_MAX == 2**53 - 1
    assert limits.MONEY_MAX == 10**15
    assert limits.REJECTED_WINDOW == 32


def test_the_rules_in_words_have_the_numbers_of_the_code() -> None:
    hours = StockSettings.model_fields["reserve_hours"].default
    assert f"`STOCK_STOCK__RESERVE_HOURS` ({hours})" in section("`receipt`")
    assert f"less than {order.CLOSE_MS // 1000} s lie between" in section("`count`")
    assert "`on_hand` and `reserved` are at most 9·10¹² in size" in section("Values")
    assert quantity.TOTAL_MAX_MILLI == 9 * 10**12 * 1000
    assert set(re.findall(r"`(pcs|[A-Z0-9]{2,3})`", section("`move`"))) == reconcile.PIECES


RECEIPT = Receipt("R1", ReceiptKind.SALE, Status.OPEN, (Line("A", 1000),))
OTHER_GOODS = replace(RECEIPT, status=Status.PAID, lines=(Line("B", 1000),))
COLUMNS = ("open", "paid", "cancelled", "its hours are over")


def come_to(state: str, happens: str) -> Settled:
    """Let something happen to a receipt in a state."""
    before = {
        "not known": None,
        "open": settle(RECEIPT, "A1", 0, None).state,
        "paid": settle(replace(RECEIPT, status=Status.PAID), "A1", 0, None).state,
        "cancelled": settle(replace(RECEIPT, status=Status.CANCELLED), "A1", 0, None).state,
    }
    before["expired"] = expire(Expire("R1", 1), before["open"]).state
    if happens == "its hours are over":
        return expire(Expire("R1", 1), before[state])
    return settle(replace(RECEIPT, status=Status(happens)), "A1", 0, before[state])


def cells() -> Iterator[tuple[str, str, str]]:
    """Yield the cells of the table of a receipt's states: the state, what happens, what comes of it."""
    row = r"^\| ([a-z ]+) \|" + r" ([^|]*)\|" * len(COLUMNS) + "$"
    rows = re.findall(row, section("`receipt`"), re.MULTILINE)
    for state, *cells in rows[1:]:
        yield from ((state, happens, cell.strip()) for happens, cell in zip(COLUMNS, cells, strict=True))


@pytest.mark.parametrize(("state", "happens", "cell"), list(cells()))
def test_a_receipt_comes_to_what_the_table_says(state: str, happens: str, cell: str) -> None:
    settled = come_to(state, happens)
    bold = re.match(r"\*\*(\w+)\*\*", cell)
    assert (settled.state.state if settled.state else None) == (bold[1] if bold else None)
    assert bool(settled.moved) == (bold is not None and bold[1] == "paid")
    # An expiry's alert is raised by the rules around it; in a cell of more than one case, the first is looked at.
    assert bool(settled.conflict) == (", alert" in cell.split(";")[0] and happens != "its hours are over")


def test_the_table_of_a_receipt_s_states_is_whole() -> None:
    assert len(list(cells())) == len(("not known", *Status, EXPIRED)) * len(COLUMNS)


def test_an_edit_that_is_lower_does_not_count() -> None:
    for state in ("open", "expired"):
        before = come_to(state, "open").state
        assert settle(replace(RECEIPT, edit=0), "A2", 0, before).state is None
        assert settle(RECEIPT, "A0", 0, before).state is None
        assert settle(RECEIPT, "A2", 0, before).state is not None


def test_other_goods_of_a_paid_receipt_are_moved_too_with_an_alert() -> None:
    settled = settle(OTHER_GOODS, "A2", 0, come_to("not known", "paid").state)
    assert (dict(settled.moved), bool(settled.conflict)) == ({"B": -1000}, True)


def test_every_state_of_a_print_job_is_explained_and_in_the_schema() -> None:
    heading, *explained = re.findall(r"^\| `([a-z-]+)` \|", section("Printing"), re.MULTILINE)
    assert heading == "state"
    assert explained == list(JobState)
    schemas = orjson.loads((CONTRACT / "asyncapi.json").read_bytes())["components"]["schemas"]
    assert explained == schemas["PrintJob"]["properties"]["state"]["enum"]


def test_the_one_line_till_is_legal() -> None:
    (payload,) = re.findall(r"-m '(\{.*\})'", section("A till in one line"))
    (raw,) = read_message(payload.encode()).operations
    assert read_operation(identify(raw), is_linked=True)


@pytest.mark.parametrize("what", What)
def test_every_question_that_is_answered_is_described(what: What) -> None:
    answered = section("What this version answers").split("| query `what` |")[1].split("|")[0]
    assert f"`{what}`" in answered
    assert re.search(rf"^\| `{what}` \|", section("Asking"), re.MULTILINE)


def test_a_question_without_a_limit_is_answered_with_500_rows() -> None:
    assert "`limit` is 500 unless it says otherwise" in section("Asking")
    assert read_query(orjson.dumps({"id": "q1", "what": What.ITEMS})).limit == 500


@pytest.mark.parametrize("link", re.findall(r"\]\(#([a-z-]+)\)", README))
def test_a_link_within_the_page_leads_to_a_heading(link: str) -> None:
    headings = re.findall(r"^#+ (.+)$", README, re.MULTILINE)
    anchors = {re.sub(r"[^a-z -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert link in anchors
