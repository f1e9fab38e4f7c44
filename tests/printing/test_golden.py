"""Pre-checks are what a person has looked at: every case of golden.py, as text and as bytes."""

import re
from pathlib import Path

import pytest

from tests.printing.golden import COMMAND, FILES, difference, wanted

WANTED = list(wanted())


@pytest.mark.parametrize(("path", "now"), WANTED, ids=[path.name for path, _ in WANTED])
def test_a_pre_check_is_what_was_looked_at(path: Path, now: str) -> None:
    changed = difference(path, now)
    assert not changed, f"{changed}\n\nIf this is right: {COMMAND}"


def test_no_golden_file_is_left_of_a_case_that_is_gone() -> None:
    assert sorted(FILES.iterdir()) == sorted(path for path, _ in WANTED)


def test_nothing_on_a_pre_check_looks_fiscal() -> None:
    said = "\n".join(now for path, now in WANTED if path.suffix == ".txt")
    assert re.findall(r"\b(?:ФН|ФД|ФПД|ФП|ККТ|РН ККТ|СНО|НДС|fn=|fp=)\b", said) == []
