"""What a check has found: whether it is well, in words, and what a person is to do about it."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    OK = "ok"
    WARNING = "warning"
    """The shop is served, but not as it should be."""
    FAILED = "failed"
    """Something does not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """check: what was looked at. remedy: an instruction; empty when there is nothing to do."""

    check: str
    verdict: Verdict
    found: str
    remedy: str = ""


def ok(check: str, found: str) -> Finding:
    return Finding(check, Verdict.OK, found)


def warning(check: str, found: str, remedy: str) -> Finding:
    return Finding(check, Verdict.WARNING, found, remedy)


def failed(check: str, found: str, remedy: str) -> Finding:
    return Finding(check, Verdict.FAILED, found, remedy)
