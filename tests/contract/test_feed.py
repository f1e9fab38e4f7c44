"""The change feed and the pages of answers: parts join without a gap, fit a payload, and never split a revision."""

from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contract.limits import LINES_MAX, OPERATION_BYTES_MAX, PAYLOAD_MAX, QUERY_ID_MAX, SEQ_MAX
from appliance.contract.messages import (
    BadQuery,
    Balance,
    Coordinator,
    Row,
    What,
    answer,
    balance,
    changes,
    parts,
    read_query,
)
from appliance.stock.quantity import LIMIT_MILLI

RUN = "9c2f4e1ab37d5068"

# Rows in order of their revision, as the ledger gives them.
ROWS = st.lists(st.tuples(st.integers(1, 8), st.integers(1, 40)), max_size=30).map(
    lambda drawn: [Row(rev, b'"%s"' % (b"x" * size)) for rev, size in sorted(drawn)]
)


@given(ROWS, st.integers(1, 200))
def test_parts_hold_every_row_once_and_in_order(rows: list[Row], size_max: int) -> None:
    assert [row for part in parts(rows, size_max=size_max) for row in part] == rows


@given(ROWS, st.integers(1, 200))
def test_a_part_never_splits_a_revision(rows: list[Row], size_max: int) -> None:
    revisions = [{row.rev for row in part} for part in parts(rows, size_max=size_max)]
    assert all(not one & other for one, other in pairwise(revisions))


@given(ROWS, st.integers(1, 200))
def test_a_part_is_too_large_only_when_one_revision_is(rows: list[Row], size_max: int) -> None:
    for part in parts(rows, size_max=size_max):
        last = [row for row in part if row.rev == part[-1].rev]
        before = part[: -len(last)]
        assert sum(len(row.encoded) + 1 for row in before) <= size_max
        assert len(before) == 0 or sum(len(row.encoded) + 1 for row in [*before, last[0]]) <= size_max


def test_many_changes_come_in_parts_that_join() -> None:
    rows = [Row(rev, balance(Balance("Я" * 60, rev, 0, True, rev, 0))) for rev in range(101, 4101)]
    feed = [orjson.loads(part) for part in changes(RUN, 100, 4105, rows)]
    assert len(feed) > 1
    assert [part["from"] for part in feed] == [100, *(part["to"] for part in feed[:-1])]
    assert feed[-1]["to"] == 4105
    assert sum(len(part["items"]) for part in feed) == len(rows)
    assert all(len(part) <= PAYLOAD_MAX for part in changes(RUN, 100, 4105, rows))


def test_the_balances_of_the_widest_operation_fit_one_payload() -> None:
    # As many SKUs as a receipt may name, as long in JSON as its bytes allow, and balances as wide as they can get.
    escapes = (OPERATION_BYTES_MAX // LINES_MAX - len('{"sku":"","qty":"1"},')) // len("\\u0001")
    rows = [
        Row(
            9,
            balance(Balance("\x01" * escapes, -LIMIT_MILLI * 10**6 + 1, LIMIT_MILLI * 10**6 - 1, False, 2**53 - 1, 0)),
        )
        for _ in range(LINES_MAX)
    ]
    (part,) = changes(RUN, 2**53 - 2, 2**53 - 1, rows)
    assert len(part) <= PAYLOAD_MAX


def test_the_widest_page_fits_one_payload() -> None:
    widest = "\x01" * QUERY_ID_MAX
    query = read_query(orjson.dumps({"id": widest, "what": What.BALANCES}))
    speaker = Coordinator("1e06e570-0000-4000-8000-000000000001", RUN, "synchronised", "0.1.0")
    rows = [Row(rev, b'"%s"' % (b"x" * 125)) for rev in range(1, 4001)]
    page = next(parts(rows))
    assert len(page) < len(rows)
    assert len(answer(query, speaker, SEQ_MAX, SEQ_MAX, page, more=False)) <= PAYLOAD_MAX


@pytest.mark.parametrize("asked", ["x" * (QUERY_ID_MAX + 1), "я" * PAYLOAD_MAX, 7, None])
def test_an_id_that_may_not_be_repeated_is_not(asked: object) -> None:
    with pytest.raises(BadQuery) as raised:
        read_query(orjson.dumps({"id": asked, "what": "prices"}))
    assert orjson.loads(raised.value.payload)["id"] is None
    assert len(raised.value.payload) < 1024


def test_revisions_that_changed_no_balance_are_told_so_that_nobody_misses_them() -> None:
    assert list(changes(RUN, 100, 102, [])) == [b'{"run":"9c2f4e1ab37d5068","from":100,"to":102,"items":[]}']


def test_no_revision_is_no_message() -> None:
    assert list(changes(RUN, 100, 100, [])) == []
